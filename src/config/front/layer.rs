//! Prepared settings for some paths: [`HostLayer`].

use super::{AccessCheck, HeaderEdit};
use crate::config::{ErrorOverride, Handler};
use crate::proxy::{CookieMap, ReverseMap};

/// The settings of a host or of one of its locations. Settings of locations override those
/// of the host.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct HostLayer {
    pub(in crate::config) access: Option<AccessCheck>,
    pub(in crate::config) handler: Option<Handler>,
    pub(in crate::config) forwarded_headers: Option<bool>,
    pub(in crate::config) preserve_host: Option<bool>,
    pub(in crate::config) error_override: Option<ErrorOverride>,
    pub(in crate::config) reverse: Option<ReverseMap>,
    pub(in crate::config) cookie_domains: Option<CookieMap>,
    pub(in crate::config) cookie_paths: Option<CookieMap>,
    pub(in crate::config) request_headers: Vec<HeaderEdit>,
    pub(in crate::config) response_headers: Vec<HeaderEdit>,
    pub(in crate::config) variables: Vec<(String, String)>,
}

impl HostLayer {
    pub(super) fn maps_back(&self) -> bool {
        self.reverse.is_some() || self.cookie_domains.is_some() || self.cookie_paths.is_some()
    }
}

/// The layers that apply to a request, the host's first.
pub(super) struct RequestLayers<'s> {
    pub(super) host: &'s HostLayer,
    pub(super) locations: Vec<&'s HostLayer>,
}

impl<'s> RequestLayers<'s> {
    /// Iterates from the host's layer to that of the last location.
    pub(super) fn upwards(&self) -> impl Iterator<Item = &'s HostLayer> {
        std::iter::once(self.host).chain(self.locations.iter().copied())
    }

    /// Returns the setting of the last layer that has one.
    pub(super) fn top<T>(&self, setting: impl Fn(&'s HostLayer) -> Option<T>) -> Option<T> {
        let locations = self.locations.iter().rev().copied();
        locations
            .chain(std::iter::once(self.host))
            .find_map(setting)
    }

    /// Returns the value that `SetEnv` has set.
    pub(super) fn variable(&self, name: &str) -> Option<&'s str> {
        self.top(|layer| {
            let set = layer.variables.iter().rev();
            let mut named = set.filter(|(known, _)| known.eq_ignore_ascii_case(name));
            named.next().map(|(_, value)| value.as_str())
        })
    }
}
