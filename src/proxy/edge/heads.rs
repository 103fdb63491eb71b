//! What becomes of the heads of requests and answers: [`Edge`].
//!
//! What does not live here: the parts that do it, each of which is a module of its own.

use http::header::{EXPECT, HeaderMap, HeaderValue, MAX_FORWARDS};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Uri, Version};

use crate::proxy::mapping::is_sound;
use crate::proxy::router::is_for_one;
use crate::proxy::upgrade::{Asked, Upgrades};
use crate::proxy::{
    ClientAddr, CookieMap, Forwarding, Mapped, Origin, PathMap, ReverseMap, hop_by_hop,
};
use crate::service::Pages;

/// What an edge is told.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) forwarding: Forwarding,
    pub(super) paths: Option<PathMap>,
    pub(super) reverse: Option<ReverseMap>,
    pub(super) cookies: Option<CookieMap>,
    pub(super) seen_as: Option<Origin>,
    pub(super) upgrades: Upgrades,
    pub(super) pages: Option<Pages>,
}

impl Edge {
    /// Makes a member's request of a client's, or says with what status it is refused.
    pub(super) fn receive(&self, head: &mut Parts) -> Result<Option<Asked>, StatusCode> {
        if head.method == Method::CONNECT {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        if !is_for_one(&head.uri, &head.headers) || !has_sound_path(head) {
            return Err(StatusCode::BAD_REQUEST);
        }
        count_down(head)?;
        meet_expectation(&mut head.headers)?;
        if let Some(paths) = &self.paths {
            map(paths, head)?;
        }
        let asked = self.upgrades.asked(head);
        hop_by_hop::strip_request(&mut head.headers)
            .map_err(|hop_by_hop::Coded| StatusCode::NOT_IMPLEMENTED)?;
        let peer = head.extensions.get::<ClientAddr>().map(|peer| peer.0.ip());
        self.forwarding.apply(head, peer);
        if let Some(asked) = &asked {
            asked.pass_on(&mut head.headers);
        }
        Ok(asked)
    }

    /// Makes the client's answer of a member's.
    pub(super) fn give_answer(
        &self,
        head: &mut http::response::Parts,
    ) -> Result<(), hop_by_hop::Coded> {
        hop_by_hop::strip_response(&mut head.headers)?;
        self.forwarding.apply_to_response(head);
        // What the member spoke is nothing to the client: hyper would repeat a 1.0.
        head.version = Version::HTTP_11;
        if let Some(reverse) = &self.reverse {
            reverse.rewrite(&mut head.headers, self.seen_as.as_ref());
        }
        if let Some(cookies) = &self.cookies {
            cookies.rewrite(&mut head.headers);
        }
        Ok(())
    }
}

fn has_sound_path(head: &Parts) -> bool {
    match head.uri.path_and_query().map(PathAndQuery::path) {
        Some("*") => head.method == Method::OPTIONS,
        Some(path) => is_sound(path),
        None => false,
    }
}

fn map(paths: &PathMap, head: &mut Parts) -> Result<(), StatusCode> {
    let Some(path) = head.uri.path_and_query() else {
        return Err(StatusCode::BAD_REQUEST);
    };
    let path = match paths.map(path) {
        Ok(Mapped::To(path)) => path,
        Ok(Mapped::Excluded | Mapped::NotMapped) => return Err(StatusCode::NOT_FOUND),
        Err(error) => return Err(error.status()),
    };
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    parts.path_and_query = Some(path);
    head.uri = Uri::from_parts(parts).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(())
}

/// `Expect` (RFC 9110, 10.1.1): the server says 100 once somebody reads the body, and the
/// member gets the body in any case.
fn meet_expectation(headers: &mut HeaderMap) -> Result<(), StatusCode> {
    match headers.remove(EXPECT) {
        Some(expected) if !expected.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            Err(StatusCode::EXPECTATION_FAILED)
        }
        _ => Ok(()),
    }
}

/// `Max-Forwards` (RFC 9110, 7.6.2), for the methods that have it.
fn count_down(head: &mut Parts) -> Result<(), StatusCode> {
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
    // More than anybody needs is as good as any.
    let text = String::from_utf8_lossy(left);
    match text.parse::<u32>().unwrap_or(u32::MAX) {
        // We are the last, and have no options; what came is not shown to anybody.
        0 if head.method == Method::OPTIONS => Err(StatusCode::NO_CONTENT),
        0 => Err(StatusCode::METHOD_NOT_ALLOWED),
        left => {
            let less = HeaderValue::from(left - 1);
            head.headers.insert(MAX_FORWARDS, less);
            Ok(())
        }
    }
}
