//! One condition of a rule, and what it looks at.
//!
//! Not here: how a rule is put together, which is `rule`'s.

use std::borrow::Cow;

use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};
use http::{Extensions, Method, Request, Uri};
use ipnet::IpNet;
use regex::bytes::Regex;

use super::host::{HostPattern, host_of};
use super::path::PathPattern;
use super::{Rule, RuleError};
use crate::proxy::ClientAddr;
use crate::random::Random;
use crate::session::cookie_places;

/// What rules look at.
#[derive(Debug)]
pub(super) struct Facts<'r> {
    extensions: &'r Extensions,
    headers: &'r HeaderMap,
    pub(super) host: Option<Cow<'r, str>>,
    pub(super) method: &'r Method,
    /// One reading of the path.
    path: &'r str,
    pub(super) uri: &'r Uri,
}

impl<'r> Facts<'r> {
    pub(super) fn of<B>(request: &'r Request<B>) -> Self {
        Self {
            extensions: request.extensions(),
            headers: request.headers(),
            host: host_of(request.uri(), request.headers()),
            method: request.method(),
            path: request.uri().path(),
            uri: request.uri(),
        }
    }

    /// The same request, with another reading of its path.
    pub(super) fn read_as<'s>(&'s self, path: &'s str) -> Facts<'s> {
        Facts {
            extensions: self.extensions,
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

#[derive(Clone, Debug)]
pub(super) enum Condition {
    AnyOf(Box<[Rule]>),
    ClientIn(Box<[IpNet]>),
    Cookie {
        name: Box<str>,
        value: Option<Box<str>>,
    },
    Header {
        name: HeaderName,
        value: Wanted,
    },
    Host(HostPattern),
    Methods(Box<[Method]>),
    Path(PathPattern),
    Query {
        name: Box<str>,
        value: Option<Box<str>>,
    },
    Share(Share),
    Unless(Rule),
}

/// What a header should be.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    Anything,
    Equal(HeaderValue),
    Matching(Regex),
}

impl Wanted {
    pub(super) fn equal(text: &str) -> Result<Self, RuleError> {
        let wrong = || RuleError::Value {
            text: text.to_owned(),
        };
        // Servers take the blanks around a value off.
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

/// How many of all requests, drawn for each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    below: u64,
}

impl Share {
    /// As many as an `f64` tells apart.
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

impl Condition {
    pub(super) fn holds(&self, facts: &Facts<'_>, random: &Random) -> bool {
        match self {
            Self::AnyOf(rules) => rules.iter().any(|rule| rule.holds(facts, random)),
            Self::ClientIn(nets) => {
                let client = facts.extensions.get::<ClientAddr>();
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
            Self::Unless(rule) => !rule.holds(facts, random),
        }
    }

    /// The same for paths in lower case.
    pub(super) fn in_lower_case(self) -> Result<Self, RuleError> {
        Ok(match self {
            Self::AnyOf(rules) => {
                let rules = rules.into_iter().map(Rule::in_lower_case);
                Self::AnyOf(rules.collect::<Result<_, _>>()?)
            }
            Self::Path(pattern) => Self::Path(pattern.in_lower_case()?),
            Self::Unless(rule) => Self::Unless(rule.in_lower_case()?),
            other => other,
        })
    }

    /// Whether chance has a say in it.
    pub(super) fn is_drawn(&self) -> bool {
        match self {
            Self::AnyOf(rules) => rules.iter().any(Rule::is_drawn),
            Self::Share(_) => true,
            Self::Unless(rule) => rule.is_drawn(),
            _ => false,
        }
    }

    /// Whether the path has a say in it.
    pub(super) fn is_for_paths(&self) -> bool {
        match self {
            Self::AnyOf(rules) => rules.iter().any(Rule::is_for_paths),
            Self::Path(_) => true,
            Self::Unless(rule) => rule.is_for_paths(),
            _ => false,
        }
    }

    /// Whether this reading of the path is one that it is not for.
    pub(super) fn excludes(&self, facts: &Facts<'_>, random: &Random) -> bool {
        match self {
            Self::AnyOf(rules) => rules.iter().any(|rule| rule.excludes(facts, random)),
            Self::Unless(rule) => rule.is_for_paths() && rule.holds(facts, random),
            _ => false,
        }
    }
}

/// Reads cookies as sessions do.
fn has_cookie(headers: &HeaderMap, name: &str, wanted: Option<&str>) -> bool {
    headers.get_all(COOKIE).iter().any(|cookies| {
        let cookies = cookies.as_bytes();
        cookie_places(cookies, name.as_bytes()).any(|place| {
            let Some(wanted) = wanted else {
                return true;
            };
            let behind = cookies[place.at][name.len()..].trim_ascii_start();
            let value = behind.strip_prefix(b"=").unwrap_or(behind).trim_ascii();
            unquoted(value) == wanted.as_bytes()
        })
    })
}

/// Takes a pair of quotes off; a single one belongs to the value.
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
