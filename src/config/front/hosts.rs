//! Selects the host of a request: [`Hosts`].

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::Request;
use http::header::HOST;

use super::Site;
use crate::config::HostAddress;
use crate::net::TlsSession;

/// All hosts: the main server, and virtual hosts by address, port and name.
#[derive(Debug)]
pub(in crate::config) struct Hosts {
    main: Arc<Site>,
    groups: HashMap<(Option<IpAddr>, Option<u16>), HostGroup>,
}

/// The virtual hosts of one address; the first matching one is used. Without a match, the
/// first of all is used.
#[derive(Debug, Default)]
struct HostGroup {
    sites: Vec<Arc<Site>>,
    /// The index of a host by name.
    by_name: HashMap<String, usize>,
    /// Names with the wildcards `*` and `?`, in order.
    by_pattern: Vec<(String, usize)>,
}

impl Hosts {
    pub(in crate::config) fn new(main: Arc<Site>) -> Self {
        Self {
            main,
            groups: HashMap::new(),
        }
    }

    /// Adds a virtual host; if two have the same name, the first one is used.
    pub(in crate::config) fn add(
        &mut self,
        addresses: &[HostAddress],
        names: impl Iterator<Item = String>,
        site: &Arc<Site>,
    ) {
        let names: Vec<String> = names.map(|name| name.to_ascii_lowercase()).collect();
        for address in addresses {
            let ip = address.ip.map(|ip| ip.to_canonical());
            let group = self.groups.entry((ip, address.port)).or_default();
            let index = group.sites.len();
            group.sites.push(site.clone());
            for name in &names {
                if name.contains(['*', '?']) {
                    group.by_pattern.push((name.clone(), index));
                } else {
                    group.by_name.entry(name.clone()).or_insert(index);
                }
            }
        }
    }

    /// Returns the host of a request.
    pub(super) fn find<B>(&self, here: SocketAddr, request: &Request<B>) -> &Arc<Site> {
        self.named(here, host_of(request).as_deref())
    }

    /// Returns the host that a client has named in its TLS handshake; without a name, the
    /// first one.
    pub(super) fn host_of_handshake(&self, here: SocketAddr, session: &TlsSession) -> &Arc<Site> {
        let name = session.server_name().unwrap_or_default();
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.named(here, Some(&name))
    }

    fn named(&self, here: SocketAddr, host: Option<&str>) -> &Arc<Site> {
        if self.groups.is_empty() {
            return &self.main;
        }
        let (ip, port) = (here.ip().to_canonical(), here.port());
        // A more specific address is preferred.
        let keys = [
            (Some(ip), Some(port)),
            (Some(ip), None),
            (None, Some(port)),
            (None, None),
        ];
        let Some(group) = keys.iter().find_map(|key| self.groups.get(key)) else {
            return &self.main;
        };
        let host = host.unwrap_or_default();
        let named = group.by_name.get(host).copied();
        // Only patterns that come before the exact name are preferred to it.
        let earlier = group.by_pattern.iter();
        let mut earlier = earlier.take_while(|(_, index)| named.is_none_or(|named| *index < named));
        let fitting = earlier.find(|(pattern, _)| matches_pattern(pattern, host));
        let index = fitting.map(|(_, index)| *index).or(named).unwrap_or(0);
        group.sites.get(index).unwrap_or(&self.main)
    }
}

/// Returns the host name of a request, without the port.
fn host_of<B>(request: &Request<B>) -> Option<String> {
    let host = match request.uri().host() {
        Some(host) => host,
        None => {
            let host = request.headers().get(HOST)?.to_str().ok()?;
            let port = host.rfind(':').filter(|&at| !host[at..].contains(']'));
            port.map_or(host, |at| &host[..at])
        }
    };
    Some(host.trim_end_matches('.').to_ascii_lowercase())
}

/// Returns whether a name matches a pattern, where `*` matches any text and `?` any
/// character.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut of) = (0, 0);
    // The position of the last star, and the end of the text it matches.
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match pattern.get(of) {
            Some(b'*') => {
                star = Some((of, at));
                of += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[at] => {
                at += 1;
                of += 1;
            }
            _ => {
                let Some((begin, end)) = star else {
                    return false;
                };
                star = Some((begin, end + 1));
                (of, at) = (begin + 1, end + 1);
            }
        }
    }
    pattern[of..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::{host_of, matches_pattern};
    use http::Request;

    #[test]
    fn stars_and_question_marks_stand_for_anything() {
        for (pattern, name, expected) in [
            ("*.example.com", "www.example.com", true),
            ("*.example.com", "example.com", false),
            ("*", "", true),
            ("w?w.*.org", "wow.a.b.org", true),
            ("w?w", "ww", false),
            ("*a*b", "xaxbxab", true),
            ("*a*b", "xaxbx", false),
        ] {
            assert_eq!(matches_pattern(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_host_is_read_without_port_final_dot_and_case() {
        for (host, expected) in [
            ("WWW.Example.com:8080", "www.example.com"),
            ("example.com.", "example.com"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            let request = Request::builder().header("host", host).body(()).unwrap();
            assert_eq!(host_of(&request).as_deref(), Some(expected));
        }
    }
}
