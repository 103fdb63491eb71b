//! Handles a request: responds to it, or forwards it. [`receive`]
//!
//! Not here: the settings of the host (`site`), and changes to the response (`response`).

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{HOST, HeaderMap, VIA};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Extensions, Method, Request, StatusCode, Uri};
use tower_service::Service;

use super::future::FrontFuture;
use super::response::{FrontResponse, RequestContext, RequestSession};
use super::site::{RequestRoute, Site, ViaHandling};
use crate::config::Handler;
use crate::config::model::INITIAL_NOT_POOLED;
use crate::heartbeat::HeartbeatService;
use crate::proxy::{
    ClientBody, ConnectionFacts, KnownClient, Origin, OwnFields, Readings, is_for_http,
    names_its_host,
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
    let mut context = RequestContext::new(site.clone(), wanted);
    let beside = ConnectionFacts::beside(&body);
    let client = KnownClient::new(&head.extensions, beside);
    context.secure = client.tls().is_some();
    if head.method == Method::CONNECT {
        return refuse(
            &context,
            StatusCode::METHOD_NOT_ALLOWED,
            "this server does not support CONNECT",
        );
    }
    if !is_for_http(&head) {
        return refuse(
            &context,
            StatusCode::BAD_REQUEST,
            "the scheme of the request is not http",
        );
    }
    if !names_its_host(&head) {
        return refuse(&context, StatusCode::BAD_REQUEST, "it names no host");
    }
    if misdirected {
        return refuse(
            &context,
            StatusCode::MISDIRECTED_REQUEST,
            "its connection is for another host",
        );
    }
    let readings = Readings::of(head.uri.path());
    context.locations = site.locations_of(&readings.httpd);
    if !site.allows(&readings, client.address(), here) {
        return refuse(&context, StatusCode::FORBIDDEN, "access is denied");
    }
    let layers = site.layers(&context.locations);
    let (destination, path) = match site.route(&readings, &context.locations, &head.uri) {
        Ok(RequestRoute::To(destination, path)) => (destination, path),
        Ok(RequestRoute::Nowhere) => {
            return match layers.top(|layer| layer.handler) {
                Some(Handler::Heartbeat) => report(context, Request::from_parts(head, body)),
                Some(Handler::Manager) => {
                    let why = "the balancer manager is not implemented in this version";
                    refuse(&context, StatusCode::NOT_IMPLEMENTED, why)
                }
                None => {
                    let why = "nothing is served under this address";
                    refuse(&context, StatusCode::NOT_FOUND, why)
                }
            };
        }
        Err(error) => return refuse(&context, error.status(), "it cannot be passed on as it is"),
    };
    drop(readings);
    // Uses the name in the client's request, even if members receive another one.
    if layers.upwards().any(|layer| layer.reverse.is_some()) {
        context.origin = origin(&head.headers, &head.uri, context.secure);
    }
    let edits = || layers.upwards().flat_map(|layer| &layer.request_headers);
    for edit in edits() {
        edit.keep(&mut head.headers);
        edit.apply(&mut head.headers, |name| {
            context.early_variable(&layers, name)
        });
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
    let first = body.is_of_first_request();
    if first && layers.variable(INITIAL_NOT_POOLED).is_some() {
        head.extensions.insert(FreshConnection::new());
    }
    let edits_response = layers
        .upwards()
        .any(|layer| !layer.response_headers.is_empty());
    if redirect(&mut head, path).is_err() {
        return refuse(
            &context,
            StatusCode::BAD_REQUEST,
            "it cannot be passed on as it is",
        );
    }
    if let Some(sticky) = destination.sticky.as_ref().filter(|_| edits_response) {
        let found = sticky.find(&head.uri, &head.headers);
        context.presented = found.and_then(|it| RequestSession::of(&it));
    }
    let Some(client) = destination.client(forwarded) else {
        return refuse(
            &context,
            StatusCode::INTERNAL_SERVER_ERROR,
            "the mapping has no target",
        );
    };
    // The name of the member is only needed for headers of the response.
    let sent = client
        .proxy
        .send(Request::from_parts(head, body), edits_response);
    context.destination = Some(destination);
    FrontFuture::sent(sent, context)
}

fn refuse(context: &RequestContext, status: StatusCode, why: &'static str) -> FrontFuture {
    let response: FrontResponse = ErrorPage::new(status, why, context.wanted).answer(None);
    let response = context.finish(response);
    FrontFuture::ready(response)
}

/// Accepts a heartbeat.
fn report(context: RequestContext, request: Request<ClientBody>) -> FrontFuture {
    let Some(monitor) = &context.site.heartbeats else {
        let why = "this server does not receive heartbeats";
        return refuse(&context, StatusCode::SERVICE_UNAVAILABLE, why);
    };
    let client = {
        let beside = ConnectionFacts::beside(request.body());
        KnownClient::new(request.extensions(), beside).address()
    };
    let client = client.map(|client| client.0.ip());
    let form = HeartbeatService::new(monitor, move |_: &Extensions| client).call(request);
    FrontFuture::reported(form, context)
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
