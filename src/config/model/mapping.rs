//! Mappings of paths to members, and how responses are rewritten: [`Mapping`].

use std::fmt;
use std::str::FromStr;

use super::MemberConfig;
use crate::config::secret::masked;

/// Sends the requests for some paths to a balancer or member (Apache: `ProxyPass`,
/// `ProxyPassMatch`).
#[derive(Clone, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct Mapping {
    /// The path, compared by whole segments, or a regular expression. Empty in a location,
    /// whose path is used.
    pub path: String,
    /// How the path is compared.
    pub kind: MappingKind,
    /// The balancer or member.
    pub target: ProxyTarget,
    /// Whether the path is passed on as received (Apache: `nocanon`). It always is in this
    /// crate.
    pub raw_path: bool,
    /// Settings of the member, if the target is a member and not a balancer. Its `url` is
    /// empty, because the target holds the URL.
    pub member: MemberConfig,
}

/// How the path of a mapping is compared.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum MappingKind {
    /// As a regular expression (Apache: `ProxyPassMatch`).
    Pattern,
    /// By whole segments (Apache: `ProxyPass`).
    #[default]
    Prefix,
}

/// The target of a mapping: `!`, `balancer://name/path`, or the URL of a member.
///
/// # Examples
///
/// ```
/// use equipoise::config::ProxyTarget;
///
/// let target: ProxyTarget = "balancer://MyCluster/app".parse()?;
/// assert_eq!(target, ProxyTarget::Balancer { name: "mycluster".into(), path: "/app".into() });
/// assert_eq!(target.to_string(), "balancer://mycluster/app");
/// # Ok::<(), equipoise::config::ProxyTargetError>(())
/// ```
#[derive(Clone, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(into = "String", try_from = "String")
)]
#[non_exhaustive]
pub enum ProxyTarget {
    /// A balancer.
    Balancer {
        /// The name of the balancer, in lower case.
        name: String,
        /// The path to prepend to the rest of the request's path; with `$1` in a mapping by
        /// pattern.
        path: String,
    },
    /// No target: the request is not passed on.
    #[default]
    Exclude,
    /// A single member, without a balancer.
    Member {
        /// Scheme and authority: `http://10.0.0.1:8080`, or `unix:/run/app.sock|http://app`.
        url: String,
        /// The path to prepend to the rest of the request's path; with `$1` in a mapping by
        /// pattern.
        path: String,
    },
}

/// The error for a text that is not the target of a mapping.
///
/// # Examples
///
/// ```
/// use equipoise::config::ProxyTarget;
///
/// let error = "nowhere".parse::<ProxyTarget>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "\"nowhere\" is not a target: write `!`, `http://host/` or `balancer://name/`"
/// );
/// ```
#[derive(Clone, Eq, PartialEq, thiserror::Error)]
#[error(
    "{:?} is not a target: write `!`, `http://host/` or `balancer://name/`",
    masked(text)
)]
#[non_exhaustive]
pub struct ProxyTargetError {
    /// The text that was read.
    pub text: String,
}

impl FromStr for ProxyTarget {
    type Err = ProxyTargetError;

    fn from_str(text: &str) -> Result<Self, ProxyTargetError> {
        if text == "!" {
            return Ok(Self::Exclude);
        }
        let error = || ProxyTargetError {
            text: text.to_owned(),
        };
        // The path of a socket names the member; it is not part of the request's path.
        let socket = match text.get(..5) {
            Some(unix) if unix.eq_ignore_ascii_case("unix:") => {
                text.find('|').ok_or_else(error)? + 1
            }
            _ => 0,
        };
        let scheme = text[socket..].find("://").ok_or_else(error)? + socket;
        let host = scheme + "://".len();
        let end = text[host..]
            .find(['/', '$', '?'])
            .map_or(text.len(), |at| host + at);
        let socket_alone = socket > 0 && host == end;
        if scheme == socket || (host == end && !socket_alone) {
            return Err(error());
        }
        let path = text[end..].to_owned();
        let whom = format!(
            "{}{}",
            &text[..socket],
            text[socket..end].to_ascii_lowercase()
        );
        Ok(match whom.strip_prefix("balancer://") {
            Some(name) => Self::Balancer {
                name: name.to_owned(),
                path,
            },
            None => Self::Member { url: whom, path },
        })
    }
}

impl fmt::Display for ProxyTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balancer { name, path } => write!(f, "balancer://{name}{path}"),
            Self::Exclude => f.write_str("!"),
            Self::Member { url, path } => write!(f, "{url}{path}"),
        }
    }
}

impl From<ProxyTarget> for String {
    fn from(target: ProxyTarget) -> Self {
        target.to_string()
    }
}

impl TryFrom<String> for ProxyTarget {
    type Error = ProxyTargetError;

    fn try_from(text: String) -> Result<Self, ProxyTargetError> {
        text.parse()
    }
}

/// How URLs in response headers are rewritten (Apache: `ProxyPassReverse`).
#[derive(Clone, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct ReverseMapping {
    /// The path that clients use. Empty in a location, whose path is used.
    pub path: String,
    /// What the path replaces: a balancer (any of its members), a URL, or a path.
    pub url: String,
}

/// How the path or domain of cookies is rewritten.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct CookieMapping {
    /// The value in the member's response.
    pub internal: String,
    /// The value in the response to the client.
    pub public: String,
}
