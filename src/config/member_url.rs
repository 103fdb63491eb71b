//! The parts of a member's URL: [`MemberUrl`].
//!
//! Not here: which URLs are accepted, and how they are normalised
//! (`directive::member_url`).

use crate::proxy::HttpVersions;

/// `scheme://authority/path`, or `unix:/socket|scheme://authority/path`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct MemberUrl {
    /// The path of the socket.
    pub(super) socket: Option<String>,
    pub(super) scheme: String,
    /// Host and port; empty where a socket needs none.
    pub(super) authority: String,
    /// Empty, or the text from the first `/`, `?` or `#` on.
    pub(super) path: String,
}

/// Why a text is not the URL of a member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum MemberUrlError {
    /// There is no scheme, or no `//` after it.
    NoScheme,
    NoSocket,
    /// No `|` follows the path of the socket.
    SocketAlone,
}

impl MemberUrl {
    /// Splits a URL into its parts, without checking the parts.
    pub(super) fn parse(text: &str) -> Result<Self, MemberUrlError> {
        let (socket, url) = match text.get(..5) {
            Some(unix) if unix.eq_ignore_ascii_case("unix:") => {
                let parts = text[5..].split_once('|');
                let (socket, url) = parts.ok_or(MemberUrlError::SocketAlone)?;
                (Some(socket), url)
            }
            _ => (None, text),
        };
        if socket == Some("") {
            return Err(MemberUrlError::NoSocket);
        }
        let (scheme, rest) = url.split_once(':').ok_or(MemberUrlError::NoScheme)?;
        let rest = match rest.strip_prefix("//") {
            Some(rest) => rest,
            None if rest.is_empty() && socket.is_some() => "",
            None => return Err(MemberUrlError::NoScheme),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        Ok(Self {
            socket: socket.map(str::to_owned),
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            path: path.to_owned(),
        })
    }

    /// Returns the URL without its path.
    pub(super) fn origin(&self) -> String {
        let (scheme, authority) = (&self.scheme, &self.authority);
        match &self.socket {
            Some(socket) => format!("unix:{socket}|{scheme}://{authority}"),
            None => format!("{scheme}://{authority}"),
        }
    }

    /// Returns the scheme of its requests, and the HTTP versions it supports; `None` if its
    /// scheme is not HTTP.
    pub(super) fn http(&self) -> Option<(&'static str, HttpVersions)> {
        Some(match self.scheme.as_str() {
            "http" | "ws" => ("http", HttpVersions::Http1),
            "https" | "wss" => ("https", HttpVersions::Http1),
            "h2c" => ("http", HttpVersions::Http2),
            "h2" => ("https", HttpVersions::Http2),
            _ => return None,
        })
    }

    /// Returns host and port. A socket needs no host, but HTTP does.
    pub(super) fn host_and_port(&self) -> &str {
        match self.authority.as_str() {
            "" => "localhost",
            authority => authority,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MemberUrl, MemberUrlError};

    #[test]
    fn a_url_is_split_as_it_stands() {
        for (text, socket, rest) in [
            ("HTTP://A:80/x?y", None, ["HTTP", "A:80", "/x?y"]),
            ("ws://h", None, ["ws", "h", ""]),
            ("h2://h#y", None, ["h2", "h", "#y"]),
            ("unix:/a|http://app/x", Some("/a"), ["http", "app", "/x"]),
            ("UNIX:/a|http:", Some("/a"), ["http", "", ""]),
        ] {
            let url = MemberUrl::parse(text).unwrap();
            assert_eq!(url.socket.as_deref(), socket, "{text}");
            assert_eq!([&*url.scheme, &*url.authority, &*url.path], rest, "{text}");
        }
    }

    #[test]
    fn a_missing_part_is_an_error() {
        for (text, missing) in [
            ("", MemberUrlError::NoScheme),
            ("10.0.0.1:8080", MemberUrlError::NoScheme),
            ("http:", MemberUrlError::NoScheme),
            ("unix:|http://a", MemberUrlError::NoSocket),
            ("unix:/a", MemberUrlError::SocketAlone),
        ] {
            assert_eq!(MemberUrl::parse(text), Err(missing), "{text}");
        }
    }
}
