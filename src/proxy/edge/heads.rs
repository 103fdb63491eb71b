//! How the heads of requests and responses are changed: [`Edge`].
//!
//! Not here: the single steps, each of which is a module of its own.

use http::header::{CONTENT_LENGTH, EXPECT, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Uri, Version};

use crate::proxy::fields::{FoundFields, HeadLook, HeaderField};
use crate::proxy::hop_by_hop::FramingError;
use crate::proxy::known_client::client_to_forward;
use crate::proxy::mapping::is_sound;
use crate::proxy::router::{host_of, names_one_host};
use crate::proxy::upgrade::{RequestedUpgrade, Upgrades};
use crate::proxy::{
    ConnectionFacts, CookieMap, Forwarding, KnownClient, MappedPath, Origin, PathMap, ReverseMap,
    fields, hop_by_hop,
};
use crate::service::{Pages, PreferredFormat};

/// The settings of an edge.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) forwarding: Forwarding,
    pub(super) paths: Option<PathMap>,
    pub(super) reverse: Option<ReverseMap>,
    pub(super) cookies: Option<CookieMap>,
    pub(super) public_origin: Option<Origin>,
    pub(super) upgrades: Upgrades,
    pub(super) certified_only: bool,
    pub(super) pages: Option<Pages>,
}

/// In the extensions of a request: fields that are set or removed in its head, and that its
/// trailers must therefore not have.
#[cfg_attr(
    not(feature = "config"),
    allow(dead_code, reason = "only a configuration sets it")
)]
#[derive(Clone, Debug)]
pub(crate) struct OwnFields(pub(crate) Vec<HeaderName>);

/// A request that may be passed on.
#[derive(Debug)]
pub(super) struct AcceptedRequest {
    pub(super) upgrade: Option<RequestedUpgrade>,
    /// The fields that its trailers may not have, in addition to those that are never
    /// allowed.
    pub(super) removed: Vec<HeaderName>,
    pub(super) wanted: PreferredFormat,
}

impl Edge {
    /// Turns a client's request into one for a member, or returns the status to reject it
    /// with.
    pub(super) fn convert_request(
        &self,
        head: &mut Parts,
        beside: Option<&ConnectionFacts>,
    ) -> Result<AcceptedRequest, StatusCode> {
        if head.method == Method::CONNECT {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        let mut look = HeadLook::over(&head.headers);
        if look.found.padded() {
            fields::trim(&mut head.headers);
            look = HeadLook::over(&head.headers);
        }
        let HeadLook { found, host } = look;
        if !names_one_host(head, host) || !has_sound_path(head) {
            return Err(StatusCode::BAD_REQUEST);
        }
        if self.certified_only && !is_certified(head, beside) {
            return Err(StatusCode::MISDIRECTED_REQUEST);
        }
        let host = self.forwarding.host_of(head, host);
        decrement_max_forwards(head)?;
        if found.has(HeaderField::Expect) {
            handle_expect(&mut head.headers)?;
        }
        if let Some(paths) = &self.paths {
            map(paths, head)?;
        }
        let wanted = match found.has(HeaderField::Accept) {
            true => PreferredFormat::by(&head.method, &head.headers),
            false => PreferredFormat::unnamed(&head.method),
        };
        let asks_upgrade = found.has(HeaderField::Upgrade);
        let upgrade = asks_upgrade
            .then(|| self.upgrades.requested(head, beside))
            .flatten();
        let mut removed =
            hop_by_hop::strip_request(&mut head.headers, found).map_err(|why| match why {
                FramingError::Coded => StatusCode::NOT_IMPLEMENTED,
                FramingError::Unclear => StatusCode::BAD_REQUEST,
            })?;
        if let Some(OwnFields(names)) = head.extensions.remove() {
            removed.extend(names);
        }
        if found.has(HeaderField::Trailer) {
            fields::clean_announcement(&mut head.headers, &removed);
        }
        let secure = KnownClient::new(&head.extensions, beside).tls().is_some();
        let client = client_to_forward(&head.extensions, beside);
        self.forwarding
            .add_to(head, client.as_deref(), secure, host, found);
        if let Some(upgrade) = &upgrade {
            upgrade.pass_on(&mut head.headers);
        }
        Ok(AcceptedRequest {
            upgrade,
            removed,
            wanted,
        })
    }

    /// Turns a member's response into one for the client. Returns the fields that its
    /// trailers may not have, in addition to those that are never allowed.
    pub(super) fn convert_response(
        &self,
        head: &mut http::response::Parts,
    ) -> Result<Vec<HeaderName>, FramingError> {
        let found = FoundFields::of(&head.headers);
        if found.padded() {
            fields::trim(&mut head.headers);
        }
        let removed = hop_by_hop::strip_response(&mut head.headers, found)?;
        if head.status.is_informational() || head.status == StatusCode::NO_CONTENT {
            // RFC 9110, 8.6. HTTP/2 clients would reset the stream.
            head.headers.remove(CONTENT_LENGTH);
        }
        if found.has(HeaderField::Trailer) {
            fields::clean_announcement(&mut head.headers, &removed);
        }
        self.forwarding.apply_to_response(head);
        // The member's HTTP version does not concern the client: hyper would respond with
        // HTTP/1.0.
        head.version = Version::HTTP_11;
        if let Some(reverse) = &self.reverse {
            reverse.rewrite(&mut head.headers, self.public_origin.as_ref());
        }
        if let Some(cookies) = &self.cookies {
            cookies.rewrite(&mut head.headers);
        }
        Ok(removed)
    }
}

/// Returns whether the server's certificate is valid for the host; true without TLS.
fn is_certified(head: &Parts, beside: Option<&ConnectionFacts>) -> bool {
    let Some(session) = KnownClient::new(&head.extensions, beside).tls() else {
        return true;
    };
    let host = host_of(&head.uri, &head.headers);
    host.is_some_and(|host| session.certifies(&host))
}

fn has_sound_path(head: &Parts) -> bool {
    match head.uri.path_and_query().map(PathAndQuery::path) {
        Some("*") => head.method == Method::OPTIONS,
        Some(path) => is_sound(path.as_bytes()),
        None => false,
    }
}

fn map(paths: &PathMap, head: &mut Parts) -> Result<(), StatusCode> {
    let Some(path) = head.uri.path_and_query() else {
        return Err(StatusCode::BAD_REQUEST);
    };
    let path = match paths.map(path) {
        Ok(MappedPath::To(path)) => path,
        Ok(MappedPath::Excluded | MappedPath::NotMapped) => return Err(StatusCode::NOT_FOUND),
        Err(error) => return Err(error.status()),
    };
    if head.uri.path_and_query() == Some(&path) {
        return Ok(());
    }
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    parts.path_and_query = Some(path);
    head.uri = Uri::from_parts(parts).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(())
}

/// Handles `Expect` (RFC 9110, 10.1.1): the server sends 100 once the body is read, and the
/// member gets the body in any case. hyper sends no 100 for a list, so a client would wait.
fn handle_expect(headers: &mut HeaderMap) -> Result<(), StatusCode> {
    let is_known = |line: &HeaderValue| line.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if !headers.get_all(EXPECT).iter().all(is_known) {
        return Err(StatusCode::EXPECTATION_FAILED);
    }
    headers.remove(EXPECT);
    Ok(())
}

/// Handles `Max-Forwards` (RFC 9110, 7.6.2) for `TRACE` and `OPTIONS`.
fn decrement_max_forwards(head: &mut Parts) -> Result<(), StatusCode> {
    if head.method != Method::TRACE && head.method != Method::OPTIONS {
        return Ok(());
    }
    let Some(left) = head.headers.get(MAX_FORWARDS) else {
        return Ok(());
    };
    let left = left.as_bytes();
    if left.is_empty() || !left.iter().all(u8::is_ascii_digit) {
        return Err(StatusCode::BAD_REQUEST);
    }
    // A number above `u32::MAX` counts as `u32::MAX`.
    let text = String::from_utf8_lossy(left);
    match text.parse::<u32>().unwrap_or(u32::MAX) {
        // This proxy is the last hop. It has no options, and `TRACE` would reveal the
        // request.
        0 if head.method == Method::OPTIONS => Err(StatusCode::NO_CONTENT),
        0 => Err(StatusCode::METHOD_NOT_ALLOWED),
        left => {
            let less = HeaderValue::from(left - 1);
            head.headers.insert(MAX_FORWARDS, less);
            Ok(())
        }
    }
}
