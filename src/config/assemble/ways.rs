//! Where mappings lead: paths, and the proxies before balancers.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use regex::Regex;

use super::Faults;
use super::balancers::BalancerChange;
use super::scope::{BalancerKey, HostScope, Meant, bare_name};
use crate::config::front::{HostDestination, MemberClient, Paths};
use crate::config::member_url::MemberUrl;
use crate::config::{BalancerConfig, Location, ProxyTarget, SessionConfig, ViaPolicy};
use crate::proxy::{EdgeLayer, Forwarding, PathMap, ReverseProxy};
use crate::service::{BalanceLayer, Failover, Timeouts};
use crate::session::StickySession;
use crate::timer::TokioTimer;

/// Adds a rule to a map, if it is one; tells whether it is.
pub(super) fn add_rule(
    map: &mut PathMap,
    from: &str,
    is_pattern: bool,
    target: &ProxyTarget,
    faults: &mut Faults,
) -> bool {
    let rule = |map: PathMap| match (target, is_pattern) {
        (ProxyTarget::Exclude, false) => map.with_exclusion(from),
        (ProxyTarget::Exclude, true) => map.with_excluded_pattern(from),
        (ProxyTarget::Balancer { path, .. } | ProxyTarget::Member { path, .. }, false) => {
            map.with_prefix(from, path)
        }
        (ProxyTarget::Balancer { path, .. } | ProxyTarget::Member { path, .. }, true) => {
            // Without a group all of the path follows, and that begins with a slash.
            map.with_pattern(from, if path.is_empty() { "/" } else { path })
        }
    };
    // A rule that is none takes its map with it: it is tried on one of its own.
    let tried = rule(PathMap::new());
    let about = format!("`{from}` cannot lead to `{target}`");
    if faults.note(tried, about, "correct the two paths").is_none() {
        return false;
    }
    if let Ok(more) = rule(std::mem::take(map)) {
        *map = more;
    }
    true
}

/// The paths that lie in a place.
pub(super) fn place_of(location: &Location, faults: &mut Faults) -> Option<Paths> {
    let path = &location.path;
    if location.is_pattern {
        let regex = Regex::new(path);
        let about = format!("`{path}` is no location");
        let regex = faults.note(regex, about, "correct the regular expression");
        return regex.map(Paths::Pattern);
    }
    if !path.starts_with('/') {
        faults.add(format!("`{path}` is no location"), "begin it with `/`");
        return None;
    }
    Some(Paths::Prefix(path.clone()))
}

/// A balancer as it is reached from one host, over balancers that are ready.
pub(super) fn destination(
    scope: &HostScope<'_>,
    meant: &Meant,
    looks: &BTreeSet<bool>,
    changes: &BTreeMap<BalancerKey, BalancerChange>,
    faults: &mut Faults,
) -> Option<HostDestination> {
    let config = &meant.config;
    let sticky = sticky(&config.name, &config.session, faults);
    let failover = failover(config, faults);
    // What could not be made ready has been complained of.
    let balancer = changes.get(&meant.key)?.balancer();
    let mut lanes = Vec::new();
    for &forwarded_headers in looks {
        let mut layer = BalanceLayer::new(balancer.clone()).failover(failover.clone());
        if let Some(sticky) = &sticky {
            layer = layer.sticky(sticky.clone());
        }
        if let Some(wait) = config.wait {
            layer = layer.timeouts(TokioTimer::new(), Timeouts::new().with_pick_timeout(wait));
        }
        let forwarding = forwarding(scope, forwarded_headers, faults);
        let edge = EdgeLayer::new(forwarding).upgrades(upgrades(config));
        lanes.push(MemberClient {
            forwarded_headers,
            balancer: balancer.clone(),
            proxy: ReverseProxy::from_parts(layer, edge),
        });
    }
    Some(HostDestination {
        name: meant.is_named.then(|| config.name.clone()),
        sticky,
        lanes,
    })
}

fn sticky(name: &str, session: &SessionConfig, faults: &mut Faults) -> Option<StickySession> {
    let names = session.names.as_ref()?;
    let about = format!("sessions of balancer `{name}`");
    let hint = "write one name, or two with `|` between them";
    let mut sticky = faults.note(StickySession::new(names), &about, hint)?;
    match session.separator.as_deref() {
        None => {}
        Some(off) if off.eq_ignore_ascii_case("off") => sticky = sticky.without_separator(),
        Some(separator) => {
            let mut characters = separator.chars();
            if let (Some(character), None) = (characters.next(), characters.next()) {
                sticky = sticky.with_separator(character);
            } else {
                let message = format!("{about}: `{separator}` cannot separate a route");
                faults.add(message, "take one character, or `off`");
            }
        }
    }
    if session.semicolon_path_delimiter == Some(true) {
        sticky = sticky.with_semicolon_path_delimiter();
    }
    if session.no_failover == Some(true) {
        sticky = sticky.with_no_failover();
    }
    Some(sticky)
}

/// As httpd does it: what may have been sent is never repeated.
fn failover(config: &BalancerConfig, faults: &mut Faults) -> Failover {
    let mut failover = Failover::new().without_retries();
    if let Some(more) = config.max_failovers {
        failover = failover.with_max_attempts(more.saturating_add(1));
    }
    let mut statuses = Vec::new();
    for &status in &config.fail_on_status {
        let about = format!("balancer `{}`: status {status}", config.name);
        let status = StatusCode::from_u16(status);
        statuses.extend(faults.note(status, about, "take statuses from 100 to 599"));
    }
    failover = failover.with_fail_on_status(statuses);
    if config.fail_on_timeout == Some(true) {
        failover = failover.with_error_on_timeout();
    }
    failover
}

fn forwarding(scope: &HostScope<'_>, forwarded_headers: bool, faults: &mut Faults) -> Forwarding {
    let name = scope.setting(|host| host.name.as_deref()).map(bare_name);
    // An address of IPv6 has brackets only where a port may follow.
    let name = name.map(|name| name.trim_matches(['[', ']']));
    let mut forwarding = Forwarding::new().with_client_headers_kept();
    if !forwarded_headers {
        forwarding = forwarding.without_x_forwarded();
    }
    let hint = "correct `ServerName`";
    if let Some(name) = name {
        let named = forwarding.clone().with_server_name(name);
        forwarding = faults
            .note(named, "the server's name", hint)
            .unwrap_or(forwarding);
    }
    if matches!(
        scope.setting(|host| host.via),
        Some(ViaPolicy::On | ViaPolicy::Full)
    ) {
        let named = forwarding.clone().with_via(name.unwrap_or("localhost"));
        forwarding = faults
            .note(named, "the server's name", hint)
            .unwrap_or(forwarding);
    }
    forwarding
}

/// To what connections may switch: what any of the members may.
fn upgrades(config: &BalancerConfig) -> BTreeSet<String> {
    let mut protocols = BTreeSet::new();
    for member in &config.members {
        let url = MemberUrl::parse(&member.url);
        if url.is_ok_and(|url| ["ws", "wss"].contains(&&*url.scheme)) {
            protocols.insert("websocket".to_owned());
        }
        match member.upgrade.as_deref() {
            None => {}
            // Whatever comes: of what there is, nothing else is in use.
            Some("*") => {
                protocols.insert("websocket".to_owned());
            }
            Some(protocol) => {
                protocols.insert(protocol.to_ascii_lowercase());
            }
        }
    }
    protocols
}

#[cfg(test)]
mod tests {
    use super::upgrades;
    use crate::config::{BalancerConfig, MemberConfig};

    #[test]
    fn a_member_of_websockets_is_known_by_its_scheme_behind_a_socket_too() {
        for (url, expected) in [
            ("ws://h", true),
            ("wss://h", true),
            ("unix:/run/a.sock|ws://h", true),
            ("http://ws", false),
            ("unix:/run/ws|http://h", false),
        ] {
            let member = MemberConfig {
                url: url.to_owned(),
                ..MemberConfig::default()
            };
            let balancer = BalancerConfig {
                members: vec![member],
                ..BalancerConfig::default()
            };
            assert_eq!(upgrades(&balancer).contains("websocket"), expected, "{url}");
        }
    }
}
