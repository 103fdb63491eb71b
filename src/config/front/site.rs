//! A prepared host: its locations, its mappings, and their targets. [`Site`].
//!
//! Elsewhere: handling a request (`receive`).

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

/// A host: the main server, or a virtual host with its inherited settings.
#[derive(Debug)]
pub(in crate::config) struct Site {
    pub(in crate::config) layer: HostLayer,
    pub(in crate::config) places: Vec<PathSettings>,
    pub(in crate::config) way: MappingRoute,
    pub(in crate::config) via: ViaHandling,
    /// The files of its certificate and key; `None` without TLS.
    pub(in crate::config) certificate: Option<(String, String)>,
    /// Receives heartbeats over HTTP; `None` unless the handler is enabled.
    pub(in crate::config) heartbeats: Option<HeartbeatMonitor>,
}

/// What happens to the `Via` header of requests before this proxy adds itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::config) enum ViaHandling {
    Passed,
    Removed,
}

/// The settings for some paths, and the mapping if there is one.
#[derive(Debug)]
pub(in crate::config) struct PathSettings {
    pub(in crate::config) paths: Paths,
    pub(in crate::config) layer: HostLayer,
    pub(in crate::config) way: Option<MappingRoute>,
}

/// Mappings, and the target of each.
#[derive(Debug, Default)]
pub(in crate::config) struct MappingRoute {
    pub(in crate::config) map: PathMap,
    /// Targets by rule of the map; `None` for exclusions.
    pub(in crate::config) destinations: Vec<Option<Arc<HostDestination>>>,
}

/// A balancer as one host uses it.
pub(in crate::config) struct HostDestination {
    /// The name of the balancer; `None` for a single member.
    pub(in crate::config) name: Option<String>,
    pub(in crate::config) sticky: Option<StickySession>,
    /// One client for each value of `ProxyAddHeaders` in use.
    pub(in crate::config) lanes: Vec<MemberClient>,
}

/// Sends requests to the members of a destination, with or without `X-Forwarded-*`.
pub(in crate::config) struct MemberClient {
    pub(in crate::config) forwarded_headers: bool,
    pub(in crate::config) balancer: Balancer<Endpoint>,
    pub(in crate::config) proxy: ReverseProxy,
}

impl MappingRoute {
    /// Returns whether all rules are exclusions.
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
    /// Returns the client with this setting; one exists for each value that the host can
    /// use.
    pub(super) fn lane(&self, forwarded_headers: bool) -> Option<&MemberClient> {
        let mut lanes = self.lanes.iter();
        lanes.find(|lane| lane.forwarded_headers == forwarded_headers)
    }
}

/// The target of a request.
pub(super) enum RequestRoute {
    To(Arc<HostDestination>, PathAndQuery),
    /// The request is not forwarded.
    Nowhere,
}

impl Site {
    /// Returns the layers of these locations.
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

    /// Returns whether a client has access to a path, in every reading of the path.
    pub(super) fn lets_in(
        &self,
        path: &Readings<'_>,
        client: &Extensions,
        here: SocketAddr,
    ) -> bool {
        let mut gates = path.all().filter_map(|reading| self.gate_of(reading));
        gates.all(|gate| gate.lets_in(client, here))
    }

    /// Returns the access check for one reading of a path: that of the last matching
    /// location with one.
    fn gate_of(&self, reading: &str) -> Option<&AccessCheck> {
        let mut places = self.places.iter().rev();
        let gate = places.find_map(|place| {
            let gate = place.layer.access.as_ref()?;
            place.paths.contain(reading).then_some(gate)
        });
        gate.or(self.layer.access.as_ref())
    }

    /// Returns the target. The mapping of the last location comes before those of the host.
    /// An exclusion applies in every reading of the path.
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
