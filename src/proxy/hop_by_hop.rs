//! Headers that concern one connection only, and are not passed on (RFC 9110, 7.6.1).
//!
//! They are removed *before* anything of our own is added: a client that names
//! `X-Forwarded-For` in its `Connection` header must not get rid of ours
//! (CVE-2022-31813, CVE-2024-45410).
//!
//! What others rely on a client may not name away: its `Host`, for one.
//!
//! `Trailer` is not among them: it announces trailers, which are passed on. A
//! `Content-Length` beside a `Transfer-Encoding` goes with it (RFC 9112, 6.3): it would
//! cut the body.

use http::HeaderMap;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, MAX_FORWARDS, PROXY_AUTHENTICATE,
    TE, TRANSFER_ENCODING, UPGRADE, VIA,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Removes them from a request. That its client accepts trailers is kept: `TE` says so
/// to each connection anew.
pub(super) fn strip_request(headers: &mut HeaderMap) {
    let trailers = accepts_trailers(headers);
    strip(headers);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Removes them from an answer.
pub(super) fn strip_response(headers: &mut HeaderMap) {
    strip(headers);
    headers.remove(PROXY_AUTHENTICATE);
}

/// Whoever wants one to stop here is not asked.
const END_TO_END: [HeaderName; 4] = [CONTENT_LENGTH, HOST, MAX_FORWARDS, VIA];

static HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

fn strip(headers: &mut HeaderMap) {
    // Going through the few names once is cheaper than looking for each of these.
    if !headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        return;
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    for name in named_in_connection(headers) {
        headers.remove(name);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// The headers that `Connection` names. The list is empty, and unallocated, for all but
/// a few clients: `keep-alive` and `close` name none.
fn named_in_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let options = headers.get_all(CONNECTION).iter().flat_map(members);
    let names = options.filter(|option| {
        !option.eq_ignore_ascii_case(b"close") && !option.eq_ignore_ascii_case(b"keep-alive")
    });
    names
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .filter(|name| !END_TO_END.contains(name))
        .collect()
}

/// The members of a comma-separated list.
fn members(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let members = value.as_bytes().split(|&byte| byte == b',');
    members.map(<[u8]>::trim_ascii)
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TE).iter().flat_map(members);
    codings.any(|coding| {
        let mut parts = coding.split(|&byte| byte == b';');
        let name = parts.next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"trailers")
    })
}

#[cfg(test)]
mod tests {
    use super::{strip_request, strip_response};
    use http::header::{HeaderMap, HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for &(name, value) in pairs {
            let name = HeaderName::from_static(name);
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_concerns_one_connection_is_removed_and_all_else_stays() {
        let mut request = headers(&[
            ("accept", "*/*"),
            ("connection", "keep-alive, X-Secret"),
            ("connection", " ,x-other,, (bad) "),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic YTpi"),
            ("proxy-connection", "keep-alive"),
            ("te", "gzip"),
            ("trailer", "checksum"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-other", "1"),
            ("x-secret", "1"),
        ]);
        strip_request(&mut request);
        let expected = headers(&[
            ("accept", "*/*"),
            ("proxy-authorization", "Basic YTpi"),
            ("trailer", "checksum"),
            ("x-forwarded-for", "10.0.0.1"),
        ]);
        assert_eq!(request, expected);
    }

    #[test]
    fn what_a_client_names_goes_but_for_what_others_rely_on() {
        let mut request = headers(&[
            ("connection", "close, X-Forwarded-For, host, via"),
            ("connection", "content-length, max-forwards"),
            ("content-length", "5"),
            ("host", "a"),
            ("max-forwards", "5"),
            ("via", "1.1 b"),
            ("x-forwarded-for", "10.0.0.1"),
        ]);
        strip_request(&mut request);
        let expected = headers(&[
            ("content-length", "5"),
            ("host", "a"),
            ("max-forwards", "5"),
            ("via", "1.1 b"),
        ]);
        assert_eq!(request, expected);
    }

    #[test]
    fn a_length_that_contradicts_the_coding_goes_with_it() {
        for pairs in [
            [("content-length", "3"), ("transfer-encoding", "chunked")],
            [("transfer-encoding", "chunked"), ("content-length", "3")],
        ] {
            let mut answer = headers(&pairs);
            strip_response(&mut answer);
            assert!(answer.is_empty());
            let mut request = headers(&pairs);
            strip_request(&mut request);
            assert!(request.is_empty());
        }
    }

    #[test]
    fn trailers_stay_accepted() {
        for (te, kept) in [
            ("trailers", true),
            ("gzip;q=0.5, Trailers", true),
            ("trailers;q=1", true),
            ("deflate", false),
        ] {
            let mut request = headers(&[("te", te), ("connection", "te")]);
            strip_request(&mut request);
            let left = request.get("te").map(HeaderValue::as_bytes);
            assert_eq!(left, kept.then_some(&b"trailers"[..]), "{te}");
        }
    }

    #[test]
    fn an_answer_is_treated_alike() {
        let mut answer = headers(&[
            ("connection", "close, x-hop"),
            ("proxy-authenticate", "Basic"),
            ("server", "a"),
            ("upgrade", "h2c"),
            ("x-hop", "1"),
        ]);
        strip_response(&mut answer);
        assert_eq!(answer, headers(&[("server", "a")]));
    }
}
