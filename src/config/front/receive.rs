//! Handles a request: responds to it, or forwards it. [`receive`]
//!
//! Elsewhere: the settings of the host (`site`), and changes to the response (`answer`).

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{HOST, HeaderMap, VIA};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Extensions, Method, Request, StatusCode, Uri};
use tower_service::Service;

use super::answer::{FrontResponse, RequestContext, RequestSession};
use super::future::FrontFuture;
use super::site::{RequestRoute, Site, ViaHandling};
use crate::config::Handler;
use crate::config::model::INITIAL_NOT_POOLED;
use crate::heartbeat::HeartbeatService;
use crate::net::TlsSession;
use crate::proxy::{
    ClientAddr, ClientBody, FirstRequest, Origin, OwnFields, Readings, is_for_http, names_its_host,
};
use crate::service::{ErrorPage, FreshConnection, HostKept, PreferredFormat};

/// Responds to a request, or forwards it. A request is misdirected if its connection was
/// made for a host with another certificate.
pub(super) fn receive(
    site: &Arc<Site>,
    here: SocketAddr,
    request: Request<ClientBody>,
    misdirected: bool,
) -> FrontFuture {
    let (mut head, body) = request.into_parts();
    let wanted = PreferredFormat::by(&head.method, &head.headers);
    let mut trip = RequestContext::new(site.clone(), wanted);
    trip.secure = head.extensions.get::<TlsSession>().is_some();
    if head.method == Method::CONNECT {
        return refuse(
            &trip,
            StatusCode::METHOD_NOT_ALLOWED,
            "this server does not support CONNECT",
        );
    }
    if !is_for_http(&head) {
        return refuse(
            &trip,
            StatusCode::BAD_REQUEST,
            "the scheme of the request is not http",
        );
    }
    if !names_its_host(&head) {
        return refuse(&trip, StatusCode::BAD_REQUEST, "it names no host");
    }
    if misdirected {
        return refuse(
            &trip,
            StatusCode::MISDIRECTED_REQUEST,
            "the connection was made for another host",
        );
    }
    let readings = Readings::of(head.uri.path());
    trip.places = site.places_of(&readings.httpd);
    if !site.lets_in(&readings, &head.extensions, here) {
        return refuse(&trip, StatusCode::FORBIDDEN, "access is denied");
    }
    let layers = site.layers(&trip.places);
    let (destination, path) = match site.onward(&readings, &trip.places, &head.uri) {
        Ok(RequestRoute::To(destination, path)) => (destination, path),
        Ok(RequestRoute::Nowhere) => {
            return match layers.top(|layer| layer.handler) {
                Some(Handler::Heartbeat) => report(trip, Request::from_parts(head, body)),
                Some(Handler::Manager) => {
                    let why = "the balancer manager is not implemented in this version";
                    refuse(&trip, StatusCode::NOT_IMPLEMENTED, why)
                }
                None => {
                    let why = "there is nothing at this address";
                    refuse(&trip, StatusCode::NOT_FOUND, why)
                }
            };
        }
        Err(error) => return refuse(&trip, error.status(), "the request cannot be forwarded"),
    };
    drop(readings);
    // Uses the name in the client's request, even if members receive another one.
    if layers.upwards().any(|layer| layer.reverse.is_some()) {
        trip.origin = origin(&head.headers, &head.uri, trip.secure);
    }
    let edits = || layers.upwards().flat_map(|layer| &layer.request_headers);
    for edit in edits() {
        edit.keep(&mut head.headers);
        edit.apply(&mut head.headers, |name| trip.early_variable(&layers, name));
    }
    if edits().next().is_some() {
        let names = edits().map(|edit| edit.name().clone()).collect();
        head.extensions.insert(OwnFields(names));
    }
    if site.via == ViaHandling::Removed {
        head.headers.remove(VIA);
    }
    let forwarded = layers.top(|layer| layer.forwarded_headers).unwrap_or(true);
    if layers.top(|layer| layer.preserve_host) == Some(true) {
        head.extensions.insert(HostKept);
    }
    let first = head.extensions.get::<FirstRequest>().is_some();
    if first && layers.variable(INITIAL_NOT_POOLED).is_some() {
        head.extensions.insert(FreshConnection::new());
    }
    let speaks = layers
        .upwards()
        .any(|layer| !layer.response_headers.is_empty());
    if redirect(&mut head, path).is_err() {
        return refuse(
            &trip,
            StatusCode::BAD_REQUEST,
            "the request cannot be forwarded",
        );
    }
    if let Some(sticky) = destination.sticky.as_ref().filter(|_| speaks) {
        let found = sticky.find(&head.uri, &head.headers);
        trip.presented = found.and_then(|it| RequestSession::of(&it));
    }
    let Some(lane) = destination.lane(forwarded) else {
        return refuse(
            &trip,
            StatusCode::INTERNAL_SERVER_ERROR,
            "the mapping has no target",
        );
    };
    let sent = lane.proxy.clone().call(Request::from_parts(head, body));
    trip.balancer = Some(lane.balancer.clone());
    trip.destination = Some(destination);
    FrontFuture::sent(sent, trip)
}

fn refuse(trip: &RequestContext, status: StatusCode, why: &'static str) -> FrontFuture {
    let answer: FrontResponse = ErrorPage::new(status, why, trip.wanted).answer(None);
    let answer = trip.finish(answer);
    FrontFuture::answered(answer)
}

/// Accepts a heartbeat.
fn report(trip: RequestContext, request: Request<ClientBody>) -> FrontFuture {
    let Some(monitor) = &trip.site.heartbeats else {
        let why = "this server does not receive heartbeats";
        return refuse(&trip, StatusCode::SERVICE_UNAVAILABLE, why);
    };
    let client = |known: &Extensions| known.get::<ClientAddr>().map(|it| it.0.ip());
    let form = HeartbeatService::new(monitor, client).call(request);
    FrontFuture::reported(form, trip)
}

fn redirect(head: &mut Parts, path: PathAndQuery) -> Result<(), http::uri::InvalidUriParts> {
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    parts.path_and_query = Some(path);
    head.uri = Uri::from_parts(parts)?;
    Ok(())
}

/// Returns the origin of this server as the client knows it, as far as the request contains
/// it.
fn origin(headers: &HeaderMap, uri: &Uri, secure: bool) -> Option<Origin> {
    let authority = match uri.authority() {
        Some(authority) => authority.as_str(),
        None => headers.get(HOST)?.to_str().ok()?,
    };
    let (scheme, implied) = if secure {
        (Scheme::HTTPS, ":443")
    } else {
        (Scheme::HTTP, ":80")
    };
    let authority = authority.to_ascii_lowercase();
    let authority = authority.strip_suffix(implied).unwrap_or(&authority);
    Some(Origin::new(scheme, authority.parse::<Authority>().ok()?))
}
