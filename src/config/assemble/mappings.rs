//! Targets of mappings: paths, and the proxies for balancers.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use regex::Regex;

use super::Faults;
use super::balancers::BalancerChange;
use super::scope::{BalancerKey, HostScope, UsedBalancer, bare_name};
use crate::config::front::{HostDestination, MemberClient, Paths};
use crate::config::member_url::MemberUrl;
use crate::config::{BalancerConfig, Location, ProxyTarget, SessionConfig, ViaPolicy};
use crate::proxy::{EdgeLayer, Forwarding, PathMap, ReverseProxy};
use crate::service::{BalanceLayer, Failover, Timeouts};
use crate::session::StickySession;
use crate::timer::TokioTimer;

/// Adds a rule to a map if it is valid; returns whether it is.
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
            // Without a group, the whole path follows, which begins with a slash.
            map.with_pattern(from, if path.is_empty() { "/" } else { path })
        }
    };
    // A map with an invalid rule is unusable: try the rule on an empty map first.
    let tried = rule(PathMap::new());
    let about = format!("`{from}` cannot be mapped to `{target}`");
    if faults.note(tried, about, "fix the two paths").is_none() {
        return false;
    }
    if let Ok(more) = rule(std::mem::take(map)) {
        *map = more;
    }
    true
}

/// Returns the paths of a location.
pub(super) fn paths_of(location: &Location, faults: &mut Faults) -> Option<Paths> {
    let path = &location.path;
    if location.is_pattern {
        let regex = Regex::new(path);
        let about = format!("`{path}` is not a location");
        let regex = faults.note(regex, about, "fix the regular expression");
        return regex.map(Paths::Pattern);
    }
    if !path.starts_with('/') {
        faults.add(
            format!("`{path}` is not a location"),
            "begin the path with `/`",
        );
        return None;
    }
    Some(Paths::Prefix(path.clone()))
}

/// Returns a balancer as one host uses it; the balancers are prepared.
pub(super) fn destination(
    scope: &HostScope<'_>,
    used: &UsedBalancer,
    forwarded_headers_used: &BTreeSet<bool>,
    changes: &BTreeMap<BalancerKey, BalancerChange>,
    faults: &mut Faults,
) -> Option<HostDestination> {
    let config = &used.config;
    let sticky = sticky(&config.name, &config.session, faults);
    let failover = failover(config, faults);
    // A balancer that could not be prepared has been reported.
    let balancer = changes.get(&used.key)?.balancer();
    let mut clients = Vec::new();
    for &forwarded_headers in forwarded_headers_used {
        let mut layer = BalanceLayer::new(balancer.clone()).failover(failover.clone());
        if let Some(sticky) = &sticky {
            layer = layer.sticky(sticky.clone());
        }
        if let Some(wait) = config.wait {
            layer = layer.timeouts(TokioTimer::new(), Timeouts::new().with_pick_timeout(wait));
        }
        let forwarding = forwarding(scope, forwarded_headers, faults);
        let edge = EdgeLayer::new(forwarding).upgrades(upgrades(config));
        clients.push(MemberClient {
            forwarded_headers,
            proxy: ReverseProxy::from_parts(layer, edge),
        });
    }
    Some(HostDestination {
        name: used.is_named.then(|| config.name.clone()),
        balancer: balancer.clone(),
        sticky,
        clients,
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
                let message = format!("{about}: `{separator}` is not a separator");
                faults.add(message, "use one character, or `off`");
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

/// As in httpd, a request that may have been sent is not retried.
fn failover(config: &BalancerConfig, faults: &mut Faults) -> Failover {
    let mut failover = Failover::new().without_retries();
    if let Some(more) = config.max_failovers {
        failover = failover.with_max_attempts(more.saturating_add(1));
    }
    let mut statuses = Vec::new();
    for &status in &config.fail_on_status {
        let about = format!("balancer `{}`: status {status}", config.name);
        let status = StatusCode::from_u16(status);
        statuses.extend(faults.note(status, about, "use statuses from 100 to 599"));
    }
    failover = failover.with_fail_on_status(statuses);
    if config.fail_on_timeout == Some(true) {
        failover = failover.with_error_on_timeout();
    }
    failover
}

fn forwarding(scope: &HostScope<'_>, forwarded_headers: bool, faults: &mut Faults) -> Forwarding {
    let name = scope.setting(|host| host.name.as_deref()).map(bare_name);
    // An IPv6 address has brackets only where a port may follow.
    let name = name.map(|name| name.trim_matches(['[', ']']));
    let mut forwarding = Forwarding::new().with_client_headers_kept();
    if !forwarded_headers {
        forwarding = forwarding.without_x_forwarded();
    }
    let hint = "fix `ServerName`";
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

/// Returns the protocols that connections may be upgraded to: those that any of the members
/// allows.
fn upgrades(config: &BalancerConfig) -> BTreeSet<String> {
    let mut protocols = BTreeSet::new();
    for member in &config.members {
        let url = MemberUrl::parse(&member.url);
        if url.is_ok_and(|url| ["ws", "wss"].contains(&&*url.scheme)) {
            protocols.insert("websocket".to_owned());
        }
        match member.upgrade.as_deref() {
            None => {}
            // `*` allows any protocol; of the known ones, only this one is in use.
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
