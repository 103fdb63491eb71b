//! A prepared host: its locations, its mappings, and their targets. [`Site`].
//!
//! Not here: handling a request (`receive`).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::Uri;
use http::uri::PathAndQuery;

use super::access::AccessCheck;
use super::layer::{HostLayer, RequestLayers};
use super::paths::Paths;
use crate::balancer::Balancer;
use crate::heartbeat::HeartbeatMonitor;
use crate::proxy::{ClientAddr, Endpoint, MapError, MappedPath, PathMap, Readings, ReverseProxy};
use crate::session::StickySession;

/// A host: the main server, or a virtual host with its inherited settings.
#[derive(Debug)]
pub(in crate::config) struct Site {
    pub(in crate::config) layer: HostLayer,
    pub(in crate::config) locations: Vec<PathSettings>,
    pub(in crate::config) mappings: MappingRoute,
    pub(in crate::config) via: ViaHandling,
    /// The files of its certificate and key; `None` without TLS.
    pub(in crate::config) certificate: Option<(String, String)>,
    /// Receives heartbeats over HTTP; `None` without `HeartbeatListen`.
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
    pub(in crate::config) mappings: Option<MappingRoute>,
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
    pub(in crate::config) balancer: Balancer<Endpoint>,
    pub(in crate::config) sticky: Option<StickySession>,
    /// One client for each value of `ProxyAddHeaders` in use.
    pub(in crate::config) clients: Vec<MemberClient>,
}

/// Sends requests to the members of a destination, with or without `X-Forwarded-*`.
pub(in crate::config) struct MemberClient {
    pub(in crate::config) forwarded_headers: bool,
    pub(in crate::config) proxy: ReverseProxy,
}

impl MappingRoute {
    /// Returns whether all rules are exclusions.
    fn excludes_all(&self) -> bool {
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
    pub(super) fn client(&self, forwarded_headers: bool) -> Option<&MemberClient> {
        let mut clients = self.clients.iter();
        clients.find(|client| client.forwarded_headers == forwarded_headers)
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
    pub(super) fn layers(&self, locations: &[usize]) -> RequestLayers<'_> {
        let locations = locations
            .iter()
            .filter_map(|&location| self.locations.get(location));
        RequestLayers {
            host: &self.layer,
            locations: locations.map(|location| &location.layer).collect(),
        }
    }

    pub(super) fn locations_of(&self, reading: &str) -> Vec<usize> {
        let locations = self.locations.iter().enumerate();
        let here = locations.filter(|(_, location)| location.paths.contain(reading));
        here.map(|(index, _)| index).collect()
    }

    /// Returns whether a client has access to a path, in every reading of the path.
    pub(super) fn allows(
        &self,
        path: &Readings<'_>,
        client: Option<ClientAddr>,
        here: SocketAddr,
    ) -> bool {
        let mut checks = path.all().filter_map(|reading| self.access_check(reading));
        checks.all(|check| check.allows(client, here))
    }

    /// Returns the access check for one reading of a path: that of the last matching
    /// location with one.
    fn access_check(&self, reading: &str) -> Option<&AccessCheck> {
        let mut locations = self.locations.iter().rev();
        let check = locations.find_map(|location| {
            let check = location.layer.access.as_ref()?;
            location.paths.contain(reading).then_some(check)
        });
        check.or(self.layer.access.as_ref())
    }

    /// Returns the target. The mapping of the last location comes before those of the host.
    /// An exclusion applies in every reading of the path.
    pub(super) fn route(
        &self,
        path: &Readings<'_>,
        locations: &[usize],
        uri: &Uri,
    ) -> Result<RequestRoute, MapError> {
        let Some(requested) = uri.path_and_query() else {
            return Ok(RequestRoute::Nowhere);
        };
        let mappings_of = |location: &usize| self.locations.get(*location)?.mappings.as_ref();
        let last = locations
            .iter()
            .copied()
            .rfind(|location| mappings_of(location).is_some());
        let later = self.locations.iter().skip(last.map_or(0, |last| last + 1));
        let mut excluding = later.filter(|location| {
            location
                .mappings
                .as_ref()
                .is_some_and(MappingRoute::excludes_all)
        });
        if excluding.any(|location| path.all().any(|reading| location.paths.contain(reading))) {
            return Ok(RequestRoute::Nowhere);
        }
        let mappings = last
            .as_ref()
            .and_then(mappings_of)
            .unwrap_or(&self.mappings);
        let Some((rule, mapped)) = mappings.map.find(requested)? else {
            return Ok(RequestRoute::Nowhere);
        };
        let destination = mappings.destinations.get(rule).cloned().flatten();
        Ok(match (mapped, destination) {
            (MappedPath::To(path), Some(destination)) => RequestRoute::To(destination, path),
            _ => RequestRoute::Nowhere,
        })
    }
}
