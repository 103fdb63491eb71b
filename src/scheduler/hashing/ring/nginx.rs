//! The points of nginx's ring, which is that of the Perl module Cache::Memcached::Fast.
//!
//! Source: the documentation of both, `hash … consistent` in `ngx_http_upstream_module`; a
//! test compares picks with a running nginx.

use super::counts::point_counts;
use super::table::RingPoint;

/// The number of points of a member of weight 1.
const EACH: u32 = 160;

/// Returns the points of all members. Each point is the CRC-32 of the host, a zero byte, the
/// port and the previous point; before the first point that is zero.
pub(super) fn points(names: &[&str], hundredths: &[u32]) -> Vec<RingPoint> {
    let counts = point_counts(EACH, hundredths);
    let mut points = Vec::with_capacity(counts.iter().map(|&count| count as usize).sum());
    for ((owner, name), count) in (0..).zip(names).zip(counts) {
        let (host, port) = host_and_port(name);
        let mut server = crc32fast::Hasher::new();
        server.update(host);
        server.update(&[0]);
        server.update(port);
        let mut previous = 0_u32;
        points.extend((0..count).map(|_| {
            let mut hasher = server.clone();
            hasher.update(&previous.to_le_bytes());
            previous = hasher.finalize();
            (u64::from(previous) << 32, owner)
        }));
    }
    points
}

/// Divides a name as nginx does: at the last colon, if only digits follow it.
fn host_and_port(name: &str) -> (&[u8], &[u8]) {
    let bytes = name.as_bytes();
    if let Some((scheme, path)) = bytes.split_at_checked(5) {
        if scheme.eq_ignore_ascii_case(b"unix:") {
            return (path, b"");
        }
    }
    let digits = bytes.iter().rev().take_while(|byte| byte.is_ascii_digit());
    let port = bytes.len() - digits.count();
    match bytes[..port].split_last() {
        Some((b':', host)) => (host, &bytes[port..]),
        _ => (bytes, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn a_port_is_what_follows_the_last_colon_if_that_is_a_number() {
        for (name, host, port) in [
            ("10.0.0.1:80", "10.0.0.1", "80"),
            ("10.0.0.1", "10.0.0.1", ""),
            ("backend:", "backend", ""),
            ("[::1]:8080", "[::1]", "8080"),
            ("[::1]", "[::1]", ""),
            ("8080", "8080", ""),
            ("unix:/run/a:1", "/run/a:1", ""),
            ("UNIX:/run/a", "/run/a", ""),
            ("", "", ""),
        ] {
            let divided = (host.as_bytes(), port.as_bytes());
            assert_eq!(host_and_port(name), divided, "{name}");
        }
    }
}
