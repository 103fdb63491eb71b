//! Builds the hosts, with their locations and mappings.
//!
//! Not here: inherited settings, and the balancers of a host (`scope`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Faults;
use super::balancers::BalancerChange;
use super::layers::layer;
use super::mappings::{add_rule, destination, paths_of};
use super::scope::{BalancerKey, HostScope, bare_name, main_scope, virtual_scopes};
use crate::config::front::{HostDestination, Hosts, MappingRoute, PathSettings, Site, ViaHandling};
use crate::config::{self, Config};
use crate::heartbeat::HeartbeatMonitor;

/// Builds all hosts, using balancers that are prepared.
pub(in crate::config) fn sites(
    config: &Config,
    changes: &BTreeMap<BalancerKey, BalancerChange>,
    heartbeats: &HeartbeatMonitor,
    faults: &mut Faults,
) -> Hosts {
    let heartbeats = config.heartbeats.listen.map(|_| heartbeats);
    let site = |scope: &HostScope<'_>, faults: &mut Faults| Site {
        heartbeats: heartbeats.cloned(),
        ..site(scope, changes, faults)
    };
    let main = site(&main_scope(config), faults);
    let mut hosts = Hosts::new(Arc::new(main));
    let scopes = virtual_scopes(config).into_iter();
    for (scope, virtual_host) in scopes.zip(&config.virtual_hosts) {
        let site = Arc::new(site(&scope, faults));
        // As in httpd, a host without a name uses the main server's.
        let name = scope.setting(|host| host.name.as_deref()).map(bare_name);
        let names = name.into_iter().map(str::to_owned);
        let names = names.chain(scope.host.aliases.iter().cloned());
        hosts.add(&virtual_host.addresses, names, &site);
    }
    hosts
}

fn site(
    scope: &HostScope<'_>,
    changes: &BTreeMap<BalancerKey, BalancerChange>,
    faults: &mut Faults,
) -> Site {
    let members = |name: &str| {
        let members = scope.balancer(name).config.members.into_iter();
        members.map(|member| member.url).collect()
    };
    let settings = scope.settings();
    let base = layer(&settings, "/", members, faults);
    let forwarded_headers_used = scope.forwarded_header_settings();
    let mut known: HashMap<&str, Option<Arc<HostDestination>>> = HashMap::new();
    let mut lead = |mapping, faults: &mut Faults| {
        let known = known.entry(HostScope::name_of(mapping)?);
        let made = known.or_insert_with(|| {
            let used = scope.used_balancer(mapping)?;
            destination(scope, &used, &forwarded_headers_used, changes, faults).map(Arc::new)
        });
        made.clone()
    };
    let mut mappings = MappingRoute::default();
    for mapping in scope.mappings() {
        let (path, is_pattern) = (&mapping.path, mapping.kind == config::MappingKind::Pattern);
        if add_rule(&mut mappings.map, path, is_pattern, &mapping.target, faults) {
            mappings.destinations.push(lead(mapping, faults));
        }
    }
    let mut locations = Vec::new();
    for location in scope.locations() {
        let Some(paths) = paths_of(location, faults) else {
            continue;
        };
        let layer = layer(&[&location.settings], &location.path, members, faults);
        let mut mappings = None;
        if let Some(mapping) = location.settings.mappings.last() {
            let (path, mut here) = (&location.path, MappingRoute::default());
            if add_rule(
                &mut here.map,
                path,
                location.is_pattern,
                &mapping.target,
                faults,
            ) {
                here.destinations.push(lead(mapping, faults));
                mappings = Some(here);
            }
        }
        locations.push(PathSettings {
            paths,
            layer,
            mappings,
        });
    }
    let removed = scope.setting(|host| host.via) == Some(config::ViaPolicy::Block);
    Site {
        layer: base,
        locations,
        mappings,
        via: if removed {
            ViaHandling::Removed
        } else {
            ViaHandling::Passed
        },
        certificate: scope.certificate(),
        heartbeats: None,
    }
}
