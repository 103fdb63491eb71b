//! Removes hop-by-hop headers, which are not passed on (RFC 9110, 7.6.1).
//!
//! They are removed *before* the proxy adds its own headers: a client that names
//! `X-Forwarded-For` in its `Connection` header must not remove the proxy's
//! (CVE-2022-31813, CVE-2024-45410).
//!
//! A client cannot name headers that others rely on, such as `Host`.
//!
//! `Trailer` is not removed: it announces trailers, which are passed on. A `Content-Length`
//! beside a `Transfer-Encoding` is removed with it (RFC 9112, 6.3): it would cut the body
//! off.

use http::HeaderMap;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, MAX_FORWARDS, TE, TRANSFER_ENCODING,
    VIA,
};

use super::fields::{FoundFields, HeaderField, is_plain_length, members, names_where};

/// Why a message cannot be passed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FramingError {
    /// The body has a transfer coding other than `chunked`, which would be lost on the way.
    Coded,
    /// There are several different lengths, or one that is not a number.
    Unclear,
}

/// Removes hop-by-hop headers from a request, and returns the names in its `Connection`
/// header. `TE: trailers` is kept: it is repeated on each connection.
pub(super) fn strip_request(
    headers: &mut HeaderMap,
    found: FoundFields,
) -> Result<Vec<HeaderName>, FramingError> {
    let trailers = found.has(HeaderField::HopByHop) && accepts_trailers(headers);
    let named = strip_response(headers, found)?;
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    Ok(named)
}

/// Removes hop-by-hop headers from a response, and returns the names in its `Connection`
/// header.
pub(super) fn strip_response(
    headers: &mut HeaderMap,
    found: FoundFields,
) -> Result<Vec<HeaderName>, FramingError> {
    // Beside a transfer coding the length has no meaning, and is removed.
    if found.unclear_length() && !headers.contains_key(TRANSFER_ENCODING) {
        one_length(headers)?;
    }
    if found.stopping() == 0 {
        return Ok(Vec::new());
    }
    if found.has(HeaderField::Coding) {
        if is_coded(headers) {
            return Err(FramingError::Coded);
        }
        if headers.contains_key(TRANSFER_ENCODING) {
            headers.remove(CONTENT_LENGTH);
        }
    }
    let mut named = Vec::new();
    if found.has(HeaderField::Connection) {
        named = named_in_connection(headers);
        for name in &named {
            headers.remove(name);
        }
        if found.stopping() == 1 {
            headers.remove(CONNECTION);
            return Ok(named);
        }
    }
    for name in names_where(headers, HeaderField::stops_here) {
        headers.remove(name);
    }
    Ok(named)
}

/// Reduces several equal lengths, in any notation, to one (RFC 9110, 8.6).
fn one_length(headers: &mut HeaderMap) -> Result<(), FramingError> {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    match (lines.next(), lines.next()) {
        (None, _) => return Ok(()),
        (Some(line), None) if is_plain_length(line.as_bytes()) => return Ok(()),
        _ => {}
    }
    let said = headers.get_all(CONTENT_LENGTH).iter().flat_map(members);
    let said = said.map(|length| {
        // `parse` would accept a sign.
        let digits = length.iter().all(u8::is_ascii_digit).then_some(length)?;
        std::str::from_utf8(digits).ok()?.parse::<u64>().ok()
    });
    let same = said.reduce(|one, other| one.filter(|_| one == other));
    let length = same.flatten().ok_or(FramingError::Unclear)?;
    headers.insert(CONTENT_LENGTH, length.into());
    Ok(())
}

/// Returns whether there is a transfer coding other than `chunked`. `identity` is an old
/// name for none.
fn is_coded(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(TRANSFER_ENCODING).iter().flat_map(members);
    let mut codings = codings.filter(|it| !it.eq_ignore_ascii_case(b"identity"));
    let first = codings.next();
    first.is_some_and(|first| !first.eq_ignore_ascii_case(b"chunked")) || codings.next().is_some()
}

/// Headers that are kept even if `Connection` names them.
const END_TO_END: [HeaderName; 4] = [CONTENT_LENGTH, HOST, MAX_FORWARDS, VIA];

/// Returns the headers that `Connection` names. The list is empty, and unallocated, for
/// most clients: `keep-alive` and `close` are not headers to remove.
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
    use super::FramingError;
    use crate::proxy::fields::FoundFields;
    use http::header::{HeaderMap, HeaderName, HeaderValue};

    fn strip_request(headers: &mut HeaderMap) -> Result<Vec<HeaderName>, FramingError> {
        super::strip_request(headers, FoundFields::of(headers))
    }

    fn strip_response(headers: &mut HeaderMap) -> Result<Vec<HeaderName>, FramingError> {
        super::strip_response(headers, FoundFields::of(headers))
    }

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
        strip_request(&mut request).unwrap();
        let expected = headers(&[
            ("accept", "*/*"),
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
        strip_request(&mut request).unwrap();
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
            let mut response = headers(&pairs);
            strip_response(&mut response).unwrap();
            assert!(response.is_empty());
            let mut request = headers(&pairs);
            strip_request(&mut request).unwrap();
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
            strip_request(&mut request).unwrap();
            let left = request.get("te").map(HeaderValue::as_bytes);
            assert_eq!(left, kept.then_some(&b"trailers"[..]), "{te}");
        }
    }

    #[test]
    fn a_response_is_treated_alike() {
        let mut response = headers(&[
            ("connection", "close, x-hop"),
            ("proxy-authenticate", "Basic"),
            ("server", "a"),
            ("upgrade", "h2c"),
            ("x-hop", "1"),
        ]);
        strip_response(&mut response).unwrap();
        assert_eq!(response, headers(&[("server", "a")]));
    }

    #[test]
    fn a_coding_under_chunked_is_an_error() {
        for (coding, fine) in [
            ("chunked", true),
            ("Chunked", true),
            ("identity, chunked", true),
            ("gzip, chunked", false),
            ("chunked, chunked", false),
            ("xchunked", false),
        ] {
            let mut request = headers(&[("transfer-encoding", coding)]);
            assert_eq!(strip_request(&mut request).is_ok(), fine, "{coding}");
        }
    }

    #[test]
    fn a_name_with_underscores_is_the_one_with_hyphens() {
        let mut request = headers(&[
            ("content-length", "5"),
            ("content_length", "6"),
            ("keep_alive", "1"),
            ("my_own", "1"),
            ("proxy_connection", "close"),
            ("transfer_encoding", "chunked"),
        ]);
        strip_request(&mut request).unwrap();
        assert_eq!(
            request,
            headers(&[("content-length", "5"), ("my_own", "1")])
        );
    }

    #[test]
    fn lengths_are_reduced_to_one_or_rejected() {
        for (lengths, said) in [
            (&["5"][..], Some("5")),
            (&["0"], Some("0")),
            (&["05"], Some("5")),
            (&["00"], Some("0")),
            (&["5", "5"], Some("5")),
            (&["5", "05"], Some("5")),
            (&["5, 5"], Some("5")),
            (&["18446744073709551615"], Some("18446744073709551615")),
            (&["18446744073709551616"], None),
            (&["5", "6"], None),
            (&["5, 6"], None),
            (&["5,"], None),
            (&["+5"], None),
            (&["-0"], None),
            (&["five"], None),
            (&[""], None),
        ] {
            let pairs: Vec<_> = lengths.iter().map(|&it| ("content-length", it)).collect();
            for strip in [strip_request, strip_response] {
                let mut head = headers(&pairs);
                let stripped = strip(&mut head);
                let left = head.get_all("content-length").iter();
                let left: Vec<_> = left.map(|it| it.to_str().unwrap()).collect();
                match said {
                    Some(said) => assert_eq!(left, [said], "{lengths:?}"),
                    None => assert_eq!(stripped, Err(FramingError::Unclear), "{lengths:?}"),
                }
            }
        }
    }
}
