//! One host, made ready: its places, its mappings, and where they lead. [`Site`].

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{HOST, HeaderMap, VIA};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Extensions, Method, Request, StatusCode, Uri};
use tower_service::Service;

use super::access::Gate;
use super::answer::{Presented, Trip};
use super::future::{Answer, FrontFuture};
use super::layer::{Layer, Layers};
use super::places::Paths;
use crate::balancer::Balancer;
use crate::config::Handler;
use crate::config::model::INITIAL_NOT_POOLED;
use crate::net::TlsSession;
use crate::proxy::{
    ClientBody, Endpoint, FirstRequest, MapError, Mapped, Origin, OwnFields, PathMap, Readings,
    ReverseProxy, is_for_http, names_its_host,
};
use crate::service::{FreshConnection, HostKept, Refusal, Wanted};
use crate::session::StickySession;

/// One host: the main server, or a virtual one with what it inherits.
#[derive(Debug)]
pub(in crate::config) struct Site {
    pub(in crate::config) layer: Layer,
    pub(in crate::config) places: Vec<Place>,
    pub(in crate::config) way: Way,
    pub(in crate::config) via: Via,
    /// The files of its certificate and key; `None` without TLS.
    pub(in crate::config) certificate: Option<(String, String)>,
}

/// What becomes of the `Via` of requests before anything is added to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::config) enum Via {
    Passed,
    Removed,
}

/// What holds for some paths, and perhaps leads somewhere.
#[derive(Debug)]
pub(in crate::config) struct Place {
    pub(in crate::config) paths: Paths,
    pub(in crate::config) layer: Layer,
    pub(in crate::config) way: Option<Way>,
}

/// Mappings, and where each of them leads.
#[derive(Debug, Default)]
pub(in crate::config) struct Way {
    pub(in crate::config) map: PathMap,
    /// By rule of the map; `None` for exclusions.
    pub(in crate::config) destinations: Vec<Option<Arc<Destination>>>,
}

/// A balancer as it is reached from one host.
pub(in crate::config) struct Destination {
    /// Its name, unless it is a member that is alone.
    pub(in crate::config) name: Option<String>,
    pub(in crate::config) sticky: Option<StickySession>,
    /// As its members are told who asks.
    pub(in crate::config) lanes: Vec<Lane>,
}

/// One way of speaking to the members of a destination.
pub(in crate::config) struct Lane {
    pub(in crate::config) forwarded_headers: bool,
    pub(in crate::config) balancer: Balancer<Endpoint>,
    pub(in crate::config) proxy: ReverseProxy,
}

impl Way {
    /// Whether it leads nowhere, and only keeps others from it.
    fn keeps_back(&self) -> bool {
        self.destinations.iter().all(Option::is_none)
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destination")
            .field("name", &self.name)
            .field("sticky", &self.sticky)
            .finish_non_exhaustive()
    }
}

impl Destination {
    /// The lane of this setting; all that the host can ask for were made.
    pub(super) fn lane(&self, forwarded_headers: bool) -> Option<&Lane> {
        let mut lanes = self.lanes.iter();
        lanes.find(|lane| lane.forwarded_headers == forwarded_headers)
    }
}

/// Where a request goes.
enum Onward {
    To(Arc<Destination>, PathAndQuery),
    /// No member is to answer it.
    Nowhere,
}

impl Site {
    /// The layers that hold where a request asks.
    pub(super) fn layers(&self, places: &[usize]) -> Layers<'_> {
        let places = places.iter().filter_map(|&place| self.places.get(place));
        Layers {
            host: &self.layer,
            places: places.map(|place| &place.layer).collect(),
        }
    }

    /// Takes a request: answers it, or sends it on. One is misdirected if it came on a
    /// connection that is for a host with another certificate.
    pub(super) fn receive(
        self: &Arc<Self>,
        here: SocketAddr,
        request: Request<ClientBody>,
        misdirected: bool,
    ) -> FrontFuture {
        let (mut head, body) = request.into_parts();
        let wanted = Wanted::by(&head.method, &head.headers);
        let mut trip = Trip::new(self.clone(), wanted);
        trip.secure = head.extensions.get::<TlsSession>().is_some();
        if head.method == Method::CONNECT {
            return trip.refuse(StatusCode::METHOD_NOT_ALLOWED, "not by this server");
        }
        if !is_for_http(&head) {
            return trip.refuse(
                StatusCode::BAD_REQUEST,
                "it is for another scheme than http",
            );
        }
        if !names_its_host(&head) {
            return trip.refuse(
                StatusCode::BAD_REQUEST,
                "it does not say for which host it is",
            );
        }
        if misdirected {
            return trip.refuse(
                StatusCode::MISDIRECTED_REQUEST,
                "its connection is for another host",
            );
        }
        let readings = Readings::of(head.uri.path());
        trip.places = self.places_of(&readings.httpd);
        if !self.lets_in(&readings, &head.extensions, here) {
            return trip.refuse(StatusCode::FORBIDDEN, "this is not for everybody");
        }
        let layers = self.layers(&trip.places);
        let (destination, path) = match self.onward(&readings, &trip.places, &head.uri) {
            Ok(Onward::To(destination, path)) => (destination, path),
            Ok(Onward::Nowhere) => {
                return match layers.top(|layer| layer.handler) {
                    Some(Handler::Manager | Handler::Heartbeat) => {
                        let why = "this version has no such page";
                        trip.refuse(StatusCode::NOT_IMPLEMENTED, why)
                    }
                    None => {
                        let why = "nothing is served under this address";
                        trip.refuse(StatusCode::NOT_FOUND, why)
                    }
                };
            }
            Err(error) => return trip.refuse(error.status(), "it cannot be passed on as it is"),
        };
        drop(readings);
        // By the name that the client asked for, whatever members get to see.
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
        if self.via == Via::Removed {
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
            return trip.refuse(StatusCode::BAD_REQUEST, "it cannot be passed on as it is");
        }
        if let Some(sticky) = destination.sticky.as_ref().filter(|_| speaks) {
            let found = sticky.find(&head.uri, &head.headers);
            trip.presented = found.and_then(|it| Presented::of(&it));
        }
        let Some(lane) = destination.lane(forwarded) else {
            return trip.refuse(StatusCode::INTERNAL_SERVER_ERROR, "it leads nowhere");
        };
        let sent = lane.proxy.clone().call(Request::from_parts(head, body));
        trip.balancer = Some(lane.balancer.clone());
        trip.destination = Some(destination);
        FrontFuture::sent(sent, trip)
    }

    fn places_of(&self, reading: &str) -> Vec<usize> {
        let places = self.places.iter().enumerate();
        let here = places.filter(|(_, place)| place.paths.contain(reading));
        here.map(|(index, _)| index).collect()
    }

    /// Whether a client may ask there, however the path is read.
    fn lets_in(&self, path: &Readings<'_>, client: &Extensions, here: SocketAddr) -> bool {
        let mut gates = path.all().filter_map(|reading| self.gate_of(reading));
        gates.all(|gate| gate.lets_in(client, here))
    }

    /// Who may ask there, by one reading; the last place that says so counts.
    fn gate_of(&self, reading: &str) -> Option<&Gate> {
        let mut places = self.places.iter().rev();
        let gate = places.find_map(|place| {
            let gate = place.layer.access.as_ref()?;
            place.paths.contain(reading).then_some(gate)
        });
        gate.or(self.layer.access.as_ref())
    }

    /// The mapping of the last place counts before those of the host. One that keeps
    /// something back does so in every reading of the path.
    fn onward(&self, path: &Readings<'_>, places: &[usize], uri: &Uri) -> Result<Onward, MapError> {
        let Some(asked) = uri.path_and_query() else {
            return Ok(Onward::Nowhere);
        };
        let way_of = |place: &usize| self.places.get(*place)?.way.as_ref();
        let last = places
            .iter()
            .copied()
            .rfind(|place| way_of(place).is_some());
        let later = self.places.iter().skip(last.map_or(0, |last| last + 1));
        let mut kept_back = later.filter(|place| place.way.as_ref().is_some_and(Way::keeps_back));
        if kept_back.any(|place| path.all().any(|reading| place.paths.contain(reading))) {
            return Ok(Onward::Nowhere);
        }
        let way = last.as_ref().and_then(way_of).unwrap_or(&self.way);
        let Some((rule, mapped)) = way.map.find(asked)? else {
            return Ok(Onward::Nowhere);
        };
        let destination = way.destinations.get(rule).cloned().flatten();
        Ok(match (mapped, destination) {
            (Mapped::To(path), Some(destination)) => Onward::To(destination, path),
            _ => Onward::Nowhere,
        })
    }
}

impl Trip {
    fn refuse(self, status: StatusCode, why: &'static str) -> FrontFuture {
        let answer: Answer = Refusal::new(status, why, self.wanted).answer(None);
        let answer = self.finish(answer);
        FrontFuture::answered(answer)
    }
}

fn redirect(head: &mut Parts, path: PathAndQuery) -> Result<(), http::uri::InvalidUriParts> {
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    parts.path_and_query = Some(path);
    head.uri = Uri::from_parts(parts)?;
    Ok(())
}

/// As what the client knows this server, so far as it says so.
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
