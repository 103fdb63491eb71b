//! The conditions of a rule, and the facts that they are checked against.
//!
//! Not here: how a rule is built (`rule`).

use std::borrow::Cow;

use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use ipnet::IpNet;
use regex::bytes::Regex;

use super::RuleError;
use super::host::{HostPattern, host_of};
use super::path::PathPattern;
use crate::proxy::{ConnectionFacts, KnownClient};
use crate::random::Random;
use crate::session::cookie_spans;

/// The facts about a request that rules check.
#[derive(Debug)]
pub(super) struct RequestFacts<'r> {
    client: KnownClient<'r>,
    headers: &'r HeaderMap,
    pub(super) host: Option<Cow<'r, str>>,
    pub(super) method: &'r Method,
    /// One interpretation of the path.
    path: &'r str,
    pub(super) uri: &'r Uri,
}

impl<'r> RequestFacts<'r> {
    pub(super) fn of<B: 'static>(request: &'r Request<B>) -> Self {
        let beside = ConnectionFacts::beside(request.body());
        Self {
            client: KnownClient::new(request.extensions(), beside),
            headers: request.headers(),
            host: host_of(request.uri(), request.headers()),
            method: request.method(),
            path: request.uri().path(),
            uri: request.uri(),
        }
    }

    /// Returns the same request with another interpretation of its path.
    pub(super) fn read_as<'s>(&'s self, path: &'s str) -> RequestFacts<'s> {
        RequestFacts {
            client: self.client,
            headers: self.headers,
            host: self.host.as_deref().map(Cow::Borrowed),
            method: self.method,
            path,
            uri: self.uri,
        }
    }

    pub(super) fn path(&self) -> &'r str {
        self.path
    }
}

/// Conditions that must all hold.
#[derive(Clone, Debug, Default)]
pub(super) struct RouteConditions(Vec<RouteCondition>);

impl RouteConditions {
    pub(super) fn push(&mut self, condition: RouteCondition) {
        self.0.push(condition);
    }

    pub(super) fn with_chance_last(mut self) -> Self {
        self.0.sort_by_key(RouteCondition::is_drawn);
        self
    }

    /// Returns the same conditions for paths in lower case.
    pub(super) fn in_lower_case(self) -> Result<Self, RuleError> {
        let conditions = self.0.into_iter().map(RouteCondition::in_lower_case);
        Ok(Self(conditions.collect::<Result<_, _>>()?))
    }

    pub(super) fn hold(&self, facts: &RequestFacts<'_>, random: &Random) -> bool {
        let mut conditions = self.0.iter();
        conditions.all(|condition| condition.holds(facts, random))
    }

    fn is_drawn(&self) -> bool {
        self.0.iter().any(RouteCondition::is_drawn)
    }

    /// Returns whether one of them depends on the path.
    fn is_for_paths(&self) -> bool {
        self.0.iter().any(RouteCondition::is_for_paths)
    }

    /// Returns whether this interpretation of the path does not meet them.
    pub(super) fn exclude(&self, facts: &RequestFacts<'_>, random: &Random) -> bool {
        let mut conditions = self.0.iter();
        conditions.any(|condition| condition.excludes(facts, random))
    }

    /// Returns the hosts of one of the conditions, for the index.
    pub(super) fn indexed_host(&self) -> Option<&HostPattern> {
        self.0.iter().find_map(|condition| match condition {
            RouteCondition::Host(pattern) => Some(pattern),
            _ => None,
        })
    }

    /// Returns the paths of one of the conditions, for the index; preferably one that the
    /// index can use.
    pub(super) fn indexed_path(&self) -> Option<&PathPattern> {
        self.0.iter().find_map(|condition| match condition {
            RouteCondition::Path(PathPattern::Matching(_)) => None,
            RouteCondition::Path(pattern) => Some(pattern),
            _ => None,
        })
    }

    /// Returns the path prefix, if there is one.
    pub(super) fn prefix(&self) -> Option<&str> {
        self.0.iter().find_map(|condition| match condition {
            RouteCondition::Path(PathPattern::Under(prefix)) => Some(&**prefix),
            _ => None,
        })
    }
}

#[derive(Clone, Debug)]
pub(super) enum RouteCondition {
    AnyOf(Box<[RouteConditions]>),
    ClientIn(Box<[IpNet]>),
    Cookie {
        name: Box<str>,
        value: Option<Box<str>>,
    },
    Header {
        name: HeaderName,
        value: HeaderMatch,
    },
    Host(HostPattern),
    Methods(Box<[Method]>),
    Path(PathPattern),
    Query {
        name: Box<str>,
        value: Option<Box<str>>,
    },
    Share(Share),
    Unless(RouteConditions),
}

/// The expected value of a header.
#[derive(Clone, Debug)]
pub(super) enum HeaderMatch {
    Anything,
    Equal(HeaderValue),
    Matching(Regex),
}

impl HeaderMatch {
    pub(super) fn equal(text: &str) -> Result<Self, RuleError> {
        let wrong = || RuleError::Value {
            text: text.to_owned(),
        };
        // Servers remove whitespace around a value.
        if text.trim() != text {
            return Err(wrong());
        }
        let value = HeaderValue::from_str(text);
        value.map(Self::Equal).map_err(|_| wrong())
    }

    pub(super) fn matching(text: &str) -> Result<Self, RuleError> {
        let regex = Regex::new(text).map_err(RuleError::regex(text))?;
        Ok(Self::Matching(regex))
    }

    fn is(&self, value: &HeaderValue) -> bool {
        match self {
            Self::Anything => true,
            Self::Equal(wanted) => value == wanted,
            Self::Matching(regex) => regex.is_match(value.as_bytes()),
        }
    }
}

/// A share of all requests, drawn at random for each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    below: u64,
}

impl Share {
    /// The number of values that an `f64` can tell apart.
    const ALL: u64 = 1 << 53;

    pub(super) fn percent(percent: f64) -> Result<Self, RuleError> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(RuleError::Share { percent });
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "between 0 and 2^53"
        )]
        let below = (percent / 100.0 * Self::ALL as f64) as u64;
        Ok(Self { below })
    }

    fn draw(self, random: &Random) -> bool {
        random.below(Self::ALL) < self.below
    }
}

impl RouteCondition {
    pub(super) fn holds(&self, facts: &RequestFacts<'_>, random: &Random) -> bool {
        match self {
            Self::AnyOf(rules) => rules.iter().any(|rule| rule.hold(facts, random)),
            Self::ClientIn(nets) => {
                let client = facts.client.address();
                client.is_some_and(|client| nets.iter().any(|net| net.contains(&client.ip())))
            }
            Self::Cookie { name, value } => has_cookie(facts.headers, name, value.as_deref()),
            Self::Header { name, value } => {
                let mut values = facts.headers.get_all(name).iter();
                values.any(|said| value.is(said))
            }
            Self::Host(pattern) => facts
                .host
                .as_deref()
                .is_some_and(|host| pattern.holds(host)),
            Self::Methods(methods) => methods.contains(facts.method),
            Self::Path(pattern) => pattern.holds(facts.path),
            Self::Query { name, value } => has_parameter(facts.uri, name, value.as_deref()),
            Self::Share(share) => share.draw(random),
            Self::Unless(rule) => !rule.hold(facts, random),
        }
    }

    /// Returns the same condition for paths in lower case.
    pub(super) fn in_lower_case(self) -> Result<Self, RuleError> {
        Ok(match self {
            Self::AnyOf(rules) => {
                let rules = rules.into_iter().map(RouteConditions::in_lower_case);
                Self::AnyOf(rules.collect::<Result<_, _>>()?)
            }
            Self::Path(pattern) => Self::Path(pattern.in_lower_case()?),
            Self::Unless(rule) => Self::Unless(rule.in_lower_case()?),
            other => other,
        })
    }

    /// Returns whether the condition is random.
    pub(super) fn is_drawn(&self) -> bool {
        match self {
            Self::AnyOf(rules) => rules.iter().any(RouteConditions::is_drawn),
            Self::Share(_) => true,
            Self::Unless(rule) => rule.is_drawn(),
            _ => false,
        }
    }

    /// Returns whether the condition depends on the path.
    pub(super) fn is_for_paths(&self) -> bool {
        match self {
            Self::AnyOf(rules) => rules.iter().any(RouteConditions::is_for_paths),
            Self::Path(_) => true,
            Self::Unless(rule) => rule.is_for_paths(),
            _ => false,
        }
    }

    /// Returns whether this interpretation of the path does not meet the condition.
    pub(super) fn excludes(&self, facts: &RequestFacts<'_>, random: &Random) -> bool {
        match self {
            Self::AnyOf(rules) => rules.iter().any(|rule| rule.exclude(facts, random)),
            Self::Unless(rule) => rule.is_for_paths() && rule.hold(facts, random),
            _ => false,
        }
    }
}

/// Parses cookies as sessions do.
fn has_cookie(headers: &HeaderMap, name: &str, wanted: Option<&str>) -> bool {
    headers.get_all(COOKIE).iter().any(|cookies| {
        let cookies = cookies.as_bytes();
        cookie_spans(cookies, name.as_bytes()).any(|place| {
            let Some(wanted) = wanted else {
                return true;
            };
            let behind = cookies[place.at][name.len()..].trim_ascii_start();
            let value = behind.strip_prefix(b"=").unwrap_or(behind).trim_ascii();
            unquoted(value) == wanted.as_bytes()
        })
    })
}

/// Removes a pair of quotes; a single one belongs to the value.
fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

fn has_parameter(uri: &Uri, name: &str, wanted: Option<&str>) -> bool {
    let mut pieces = uri.query().unwrap_or_default().split('&');
    pieces.any(|piece| {
        let (said, value) = piece.split_once('=').unwrap_or((piece, ""));
        said == name && wanted.is_none_or(|wanted| value == wanted)
    })
}
