//! Normalises the URL of a member.
//!
//! Not here: the parameters of members (`member_parameters`).

use http::uri::Authority;

use super::parameter::{Remark, nearest};
use crate::config::member_url::{MemberUrl, MemberUrlError};

/// The supported schemes, with their default ports.
const SCHEMES: [(&str, u16); 6] = [
    ("http", 80),
    ("https", 443),
    ("h2c", 80),
    ("h2", 443),
    ("ws", 80),
    ("wss", 443),
];

/// Parses a URL and normalises it: scheme and host in lower case, without the scheme's
/// default port.
pub(super) fn normalised(text: &str) -> Result<MemberUrl, Remark> {
    let no_url = || {
        let remark = Remark::new(format!("`{text}` is not the URL of a member"));
        remark.with_hint("write `http://host:8080`")
    };
    let url = MemberUrl::parse(text).map_err(|missing| match missing {
        MemberUrlError::NoScheme => no_url(),
        MemberUrlError::NoSocket => Remark::new("the path of the socket is missing"),
        MemberUrlError::SocketAlone => {
            let remark = Remark::new(format!("`{text}` has a socket, but no URL after it"));
            remark.with_hint("write `unix:/path|http://host/`")
        }
    })?;
    let scheme = url.scheme.to_ascii_lowercase();
    let default = default_port(&scheme)?;
    if url.path.contains(['?', '#']) {
        let remark = Remark::new("the URL of a member cannot have a query or a fragment");
        return Err(remark);
    }
    if url.authority.is_empty() && url.socket.is_none() {
        return Err(no_url());
    }
    let authority = url.host_and_port();
    if authority.contains('@') {
        let remark = Remark::new("the URL of a member cannot have a user");
        let hint = "use `RequestHeader set Authorization ..` to send credentials to members";
        return Err(remark.with_hint(hint));
    }
    let authority = authority_of(authority, default)
        .ok_or_else(|| Remark::new(format!("`{authority}` is not a host with a port")))?;
    Ok(MemberUrl {
        scheme,
        authority,
        ..url
    })
}

fn default_port(scheme: &str) -> Result<u16, Remark> {
    if let Some((_, port)) = SCHEMES.iter().find(|row| row.0 == scheme) {
        return Ok(*port);
    }
    let remark = Remark::new(format!("unsupported scheme `{scheme}`"));
    let known = "use http, https, h2c, h2, ws or wss";
    Err(remark.with_hint(match scheme {
        "ajp" | "fcgi" | "ftp" | "scgi" | "uwsgi" => "use an HTTP port of the member".to_owned(),
        "balancer" => "a balancer cannot be a member of another balancer".to_owned(),
        _ => match nearest(scheme, SCHEMES.map(|row| row.0)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => known.to_owned(),
        },
    }))
}

/// Returns host and port in lower case, without the default port.
fn authority_of(text: &str, default: u16) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let after_host = text.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match text[after_host..].split_once(':') {
        Some((rest, port)) => (&text[..after_host + rest.len()], Some(port)),
        None => (text.as_str(), None),
    };
    let authority: Authority = host.parse().ok()?;
    if authority.host().is_empty() || authority.as_str() != host {
        return None;
    }
    match port {
        None => Some(host.to_owned()),
        Some(port) => {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            let port: u16 = port.parse().ok().filter(|port| *port > 0 && digits)?;
            Some(if port == default {
                host.to_owned()
            } else {
                format!("{host}:{port}")
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::normalised;

    #[test]
    fn a_url_is_written_in_one_way_only() {
        for (text, expected) in [
            ("HTTP://A.Example:80/Path/", "http://a.example/Path/"),
            ("http://a", "http://a"),
            ("https://a:443", "https://a"),
            ("http://[::1]:8080/x", "http://[::1]:8080/x"),
            ("http://[2001:DB8::1]:80", "http://[2001:db8::1]"),
            (
                "unix:/run/App.sock|HTTP://App/x",
                "unix:/run/App.sock|http://app/x",
            ),
            ("UNIX:/a|http:", "unix:/a|http://localhost"),
            ("wss://a:080", "wss://a:80"),
        ] {
            let url = normalised(text).unwrap();
            assert_eq!(format!("{}{}", url.origin(), url.path), expected);
        }
    }

    #[test]
    fn what_is_no_member_is_refused() {
        for text in [
            "",
            "nonsense",
            "http:",
            "http://",
            "http:/a",
            "http://:80",
            "http://a:0",
            "http://a:65536",
            "http://a:+80",
            "http://a:",
            "http://u@a",
            "http://a?b",
            "ajp://a",
            "unix:/a",
            "unix:|http://a",
            "balancer://a",
            "http://a b",
            "http://[::1",
        ] {
            assert!(normalised(text).is_err(), "{text}");
        }
    }
}
