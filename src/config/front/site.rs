//! One host, made ready: its places, its mappings, and where they lead. [`Site`].
//!
//! What does not live here: what is done with a request (`receive`).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Extensions, Uri};

use super::access::AccessCheck;
use super::layer::{HostLayer, RequestLayers};
use super::places::Paths;
use crate::balancer::Balancer;
use crate::heartbeat::HeartbeatMonitor;
use crate::proxy::{Endpoint, MapError, MappedPath, PathMap, Readings, ReverseProxy};
use crate::session::StickySession;

/// One host: the main server, or a virtual one with what it inherits.
#[derive(Debug)]
pub(in crate::config) struct Site {
    pub(in crate::config) layer: HostLayer,
    pub(in crate::config) places: Vec<PathSettings>,
    pub(in crate::config) way: MappingRoute,
    pub(in crate::config) via: ViaHandling,
    /// The files of its certificate and key; `None` without TLS.
    pub(in crate::config) certificate: Option<(String, String)>,
    /// What takes reports of idle capacity in; `None` unless it listens to them.
    pub(in crate::config) heartbeats: Option<HeartbeatMonitor>,
}

/// What becomes of the `ViaHandling` of requests before anything is added to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::config) enum ViaHandling {
    Passed,
    Removed,
}

/// What holds for some paths, and perhaps leads somewhere.
#[derive(Debug)]
pub(in crate::config) struct PathSettings {
    pub(in crate::config) paths: Paths,
    pub(in crate::config) layer: HostLayer,
    pub(in crate::config) way: Option<MappingRoute>,
}

/// Mappings, and where each of them leads.
#[derive(Debug, Default)]
pub(in crate::config) struct MappingRoute {
    pub(in crate::config) map: PathMap,
    /// By rule of the map; `None` for exclusions.
    pub(in crate::config) destinations: Vec<Option<Arc<HostDestination>>>,
}

/// A balancer as it is reached from one host.
pub(in crate::config) struct HostDestination {
    /// Its name, unless it is a member that is alone.
    pub(in crate::config) name: Option<String>,
    pub(in crate::config) sticky: Option<StickySession>,
    /// As its members are told who asks.
    pub(in crate::config) lanes: Vec<MemberClient>,
}

/// One way of speaking to the members of a destination.
pub(in crate::config) struct MemberClient {
    pub(in crate::config) forwarded_headers: bool,
    pub(in crate::config) balancer: Balancer<Endpoint>,
    pub(in crate::config) proxy: ReverseProxy,
}

impl MappingRoute {
    /// Whether it leads nowhere, and only keeps others from it.
    fn keeps_back(&self) -> bool {
        self.destinations.iter().all(Option::is_none)
    }
}

impl fmt::Debug for HostDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostDestination")
            .field("name", &self.name)
            .field("sticky", &self.sticky)
            .finish_non_exhaustive()
    }
}

impl HostDestination {
    /// The lane of this setting; all that the host can ask for were made.
    pub(super) fn lane(&self, forwarded_headers: bool) -> Option<&MemberClient> {
        let mut lanes = self.lanes.iter();
        lanes.find(|lane| lane.forwarded_headers == forwarded_headers)
    }
}

/// Where a request goes.
pub(super) enum RequestRoute {
    To(Arc<HostDestination>, PathAndQuery),
    /// No member is to answer it.
    Nowhere,
}

impl Site {
    /// The layers that hold where a request asks.
    pub(super) fn layers(&self, places: &[usize]) -> RequestLayers<'_> {
        let places = places.iter().filter_map(|&place| self.places.get(place));
        RequestLayers {
            host: &self.layer,
            places: places.map(|place| &place.layer).collect(),
        }
    }

    pub(super) fn places_of(&self, reading: &str) -> Vec<usize> {
        let places = self.places.iter().enumerate();
        let here = places.filter(|(_, place)| place.paths.contain(reading));
        here.map(|(index, _)| index).collect()
    }

    /// Whether a client may ask there, however the path is read.
    pub(super) fn lets_in(
        &self,
        path: &Readings<'_>,
        client: &Extensions,
        here: SocketAddr,
    ) -> bool {
        let mut gates = path.all().filter_map(|reading| self.gate_of(reading));
        gates.all(|gate| gate.lets_in(client, here))
    }

    /// Who may ask there, by one reading; the last place that says so counts.
    fn gate_of(&self, reading: &str) -> Option<&AccessCheck> {
        let mut places = self.places.iter().rev();
        let gate = places.find_map(|place| {
            let gate = place.layer.access.as_ref()?;
            place.paths.contain(reading).then_some(gate)
        });
        gate.or(self.layer.access.as_ref())
    }

    /// The mapping of the last place counts before those of the host. One that keeps
    /// something back does so in every reading of the path.
    pub(super) fn onward(
        &self,
        path: &Readings<'_>,
        places: &[usize],
        uri: &Uri,
    ) -> Result<RequestRoute, MapError> {
        let Some(asked) = uri.path_and_query() else {
            return Ok(RequestRoute::Nowhere);
        };
        let way_of = |place: &usize| self.places.get(*place)?.way.as_ref();
        let last = places
            .iter()
            .copied()
            .rfind(|place| way_of(place).is_some());
        let later = self.places.iter().skip(last.map_or(0, |last| last + 1));
        let mut kept_back =
            later.filter(|place| place.way.as_ref().is_some_and(MappingRoute::keeps_back));
        if kept_back.any(|place| path.all().any(|reading| place.paths.contain(reading))) {
            return Ok(RequestRoute::Nowhere);
        }
        let way = last.as_ref().and_then(way_of).unwrap_or(&self.way);
        let Some((rule, mapped)) = way.map.find(asked)? else {
            return Ok(RequestRoute::Nowhere);
        };
        let destination = way.destinations.get(rule).cloned().flatten();
        Ok(match (mapped, destination) {
            (MappedPath::To(path), Some(destination)) => RequestRoute::To(destination, path),
            _ => RequestRoute::Nowhere,
        })
    }
}
