//! Where requests go, and how what answers say is mapped back: [`Mapping`].

use std::fmt;
use std::str::FromStr;

use super::MemberConfig;
use crate::config::secret::masked;

/// Which paths go where (Apache: `ProxyPass`, `ProxyPassMatch`).
#[derive(Clone, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct Mapping {
    /// A path, of which whole segments match, or a regular expression. Empty in a
    /// location, whose path it is.
    pub path: String,
    /// Which of the two it is.
    pub kind: MappingKind,
    /// Where they go.
    pub target: ProxyTarget,
    /// Whether the path is passed on as it came (Apache: `nocanon`). Here it always is.
    pub raw_path: bool,
    /// Settings of the member, if the target is one and not a balancer; its `url` is empty,
    /// as the target says it.
    pub member: MemberConfig,
}

/// How a mapping's path is compared.
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

/// Where requests go: `!`, `balancer://name/path`, or the URL of a member.
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
    /// To a balancer.
    Balancer {
        /// Its name, in lower case.
        name: String,
        /// What is put before the rest of the path; in a mapping by pattern, with `$1`.
        path: String,
    },
    /// Nowhere: the request is not passed on.
    #[default]
    Exclude,
    /// To a member of its own.
    Member {
        /// Scheme and authority: `http://10.0.0.1:8080`, or `unix:/run/app.sock|http://app`.
        url: String,
        /// What is put before the rest of the path; in a mapping by pattern, with `$1`.
        path: String,
    },
}

/// What cannot be the target of a mapping.
///
/// # Examples
///
/// ```
/// use equipoise::config::ProxyTarget;
///
/// let error = "nowhere".parse::<ProxyTarget>().unwrap_err();
/// assert_eq!(error.to_string(), "\"nowhere\" is neither `!` nor a URL like `http://host/` or `balancer://name/`");
/// ```
#[derive(Clone, Eq, PartialEq, thiserror::Error)]
#[error(
    "{:?} is neither `!` nor a URL like `http://host/` or `balancer://name/`",
    masked(text)
)]
#[non_exhaustive]
pub struct ProxyTargetError {
    /// What was read.
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
        // A socket's path is part of whom to ask, not of what to ask for.
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

/// How URLs in the headers of answers are mapped back (Apache: `ProxyPassReverse`).
#[derive(Clone, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct ReverseMapping {
    /// The path that clients see. Empty in a location, whose path it is.
    pub path: String,
    /// What is replaced by it: a balancer (any of its members), a URL, or a path.
    pub url: String,
}

/// How the path or domain of cookies is mapped back.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct CookieMapping {
    /// What the member says.
    pub internal: String,
    /// What the client hears.
    pub public: String,
}
