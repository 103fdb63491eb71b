//! Hosts with inherited settings, and the balancers they use: [`HostScope`], [`wanted`].
//!
//! Not here: building them (`balancers`, `sites`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use super::members::Inherited;
use crate::config::{
    self, BalancerConfig, Config, Host, HostSettings, Location, Mapping, MemberConfig, ProxyTarget,
};

/// The key of a balancer: the host that defines it, empty for the main server; and its
/// name, or the URL of a single member.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::config) struct BalancerKey {
    pub(in crate::config) scope: String,
    pub(in crate::config) name: String,
}

/// A balancer that the configuration needs.
#[derive(Clone, Debug)]
pub(super) struct WantedBalancer {
    pub(super) config: BalancerConfig,
    pub(super) inherited: Inherited,
}

/// A host, with its inherited settings.
pub(super) struct HostScope<'c> {
    /// The unique id of the host; empty for the main server.
    id: String,
    pub(super) host: &'c Host,
    /// The main server, if this is a virtual host.
    main: Option<&'c Host>,
    balancers: BalancersByName<'c>,
    main_balancers: Rc<BalancersByName<'c>>,
}

/// The balancers of a host by name.
type BalancersByName<'c> = HashMap<&'c str, &'c BalancerConfig>;

fn by_name(host: &Host) -> BalancersByName<'_> {
    let mut found = BalancersByName::new();
    for balancer in &host.balancers {
        // If two have the same name, the first one is used.
        found.entry(&balancer.name).or_insert(balancer);
    }
    found
}

/// A balancer as one host uses it.
#[derive(Clone, Debug)]
pub(super) struct UsedBalancer {
    pub(super) key: BalancerKey,
    /// The configuration, with the settings of this host.
    pub(super) config: BalancerConfig,
    /// Whether it is a named balancer, not a single member.
    pub(super) is_named: bool,
}

pub(super) fn main_scope(config: &Config) -> HostScope<'_> {
    HostScope {
        id: String::new(),
        host: &config.server,
        main: None,
        balancers: by_name(&config.server),
        main_balancers: Rc::default(),
    }
}

/// Returns the scopes in the order of the configuration.
pub(super) fn virtual_scopes(config: &Config) -> Vec<HostScope<'_>> {
    let mut seen = BTreeMap::new();
    let id = |virtual_host: &config::VirtualHost| {
        let addresses = virtual_host.addresses.iter().map(ToString::to_string);
        let addresses: Vec<String> = addresses.collect();
        let name = virtual_host.host.name.as_deref().unwrap_or_default();
        let id = format!("{} {name}", addresses.join(" ")).to_ascii_lowercase();
        let twins = seen.entry(id.clone()).or_insert(0_u32);
        *twins += 1;
        if *twins > 1 {
            format!("{id} {twins}")
        } else {
            id
        }
    };
    let main_balancers = Rc::new(by_name(&config.server));
    let ids: Vec<String> = config.virtual_hosts.iter().map(id).collect();
    let hosts = ids.into_iter().zip(&config.virtual_hosts);
    hosts
        .map(|(id, virtual_host)| HostScope {
            id,
            host: &virtual_host.host,
            main: Some(&config.server),
            balancers: by_name(&virtual_host.host),
            main_balancers: main_balancers.clone(),
        })
        .collect()
}

/// Returns the ids of the hosts: the main server, and then in the order of the
/// configuration.
pub(in crate::config) fn order(config: &Config) -> Vec<String> {
    let scopes = virtual_scopes(config).into_iter();
    let main = std::iter::once(main_scope(config));
    main.chain(scopes).map(|scope| scope.id).collect()
}

/// httpd's default of `Timeout`.
const TIMEOUT: Duration = Duration::from_secs(60);

impl<'c> HostScope<'c> {
    /// Returns a setting of this host, or else of the main server.
    pub(super) fn setting<T>(&self, of: impl Fn(&'c Host) -> Option<T>) -> Option<T> {
        of(self.host).or_else(|| self.main.and_then(of))
    }

    /// Returns the files of a host's certificate and key, if it uses TLS.
    pub(super) fn certificate(&self) -> Option<(String, String)> {
        let certificate = self.setting(|host| host.tls.certificate.clone())?;
        let key = self.setting(|host| host.tls.key.clone());
        Some((certificate.clone(), key.unwrap_or(certificate)))
    }

    /// Returns the mappings outside of locations, those of this host first.
    pub(super) fn mappings(&self) -> impl Iterator<Item = &'c Mapping> {
        let inherited = self
            .main
            .filter(|_| self.host.inherit_mappings != Some(false));
        let hosts = std::iter::once(self.host).chain(inherited);
        hosts.flat_map(|host| &host.settings.mappings)
    }

    /// Returns the locations; later ones override earlier ones.
    pub(super) fn locations(&self) -> impl Iterator<Item = &'c Location> {
        let main = self.main.into_iter();
        main.chain([self.host]).flat_map(|host| &host.locations)
    }

    pub(super) fn settings(&self) -> Vec<&'c HostSettings> {
        let main = self.main.into_iter();
        main.chain([self.host]).map(|host| &host.settings).collect()
    }

    /// Returns the values of `ProxyAddHeaders` that can apply to a request.
    pub(super) fn forwarded_header_settings(&self) -> BTreeSet<bool> {
        let everywhere = self.settings();
        let base = everywhere.iter().rev().find_map(|it| it.forwarded_headers);
        let locations = self.locations();
        let locations = locations.filter_map(|location| location.settings.forwarded_headers);
        locations.chain([base.unwrap_or(true)]).collect()
    }

    /// Returns the text that identifies a mapping's balancer in this host: its name, or the
    /// URL of a single member; a name never looks like a URL. Returns `None` for an
    /// exclusion.
    pub(super) fn name_of(mapping: &'c Mapping) -> Option<&'c str> {
        match &mapping.target {
            ProxyTarget::Exclude => None,
            ProxyTarget::Balancer { name, .. } => Some(name),
            ProxyTarget::Member { url, .. } => Some(url),
        }
    }

    /// Returns the balancer of a mapping; `None` for an exclusion.
    pub(super) fn used_balancer(&self, mapping: &Mapping) -> Option<UsedBalancer> {
        match &mapping.target {
            ProxyTarget::Exclude => None,
            ProxyTarget::Balancer { name, .. } => Some(self.balancer(name)),
            ProxyTarget::Member { url, .. } => {
                let member = MemberConfig {
                    url: url.clone(),
                    ..mapping.member.clone()
                };
                let config = BalancerConfig {
                    name: url.clone(),
                    members: vec![member],
                    ..BalancerConfig::default()
                };
                Some(UsedBalancer {
                    key: self.key(url),
                    config,
                    is_named: false,
                })
            }
        }
    }

    /// Returns the balancer of a name: this host's if it has members, or else the main
    /// server's with the settings of this host.
    pub(super) fn balancer(&self, name: &str) -> UsedBalancer {
        let own = self.balancers.get(name).copied();
        let inherits = self.host.inherit_balancers != Some(false);
        let main = self.main_balancers.get(name).copied();
        let main = main.filter(|_| inherits);
        let (scope, config) = match (own, main) {
            (Some(own), _) if !own.members.is_empty() => (&*self.id, own.clone()),
            (Some(own), Some(main)) => {
                let merged = merged(own, main);
                let elects_alike = merged.scheduler == main.scheduler
                    && merged.forced_recovery == main.forced_recovery;
                (if elects_alike { "" } else { &*self.id }, merged)
            }
            (None, Some(main)) => ("", main.clone()),
            (Some(own), None) => (&*self.id, own.clone()),
            (None, None) => {
                let config = BalancerConfig {
                    name: name.to_owned(),
                    ..BalancerConfig::default()
                };
                (&*self.id, config)
            }
        };
        let key = BalancerKey {
            scope: scope.to_owned(),
            ..self.key(name)
        };
        UsedBalancer {
            key,
            config,
            is_named: true,
        }
    }

    fn key(&self, name: &str) -> BalancerKey {
        BalancerKey {
            scope: self.id.clone(),
            name: name.to_owned(),
        }
    }

    fn inherited(&self) -> Inherited {
        let timeout = self.setting(|host| host.member_timeout);
        let timeout = timeout.or_else(|| self.setting(|host| host.timeout));
        let tls = |of: fn(&Host) -> Option<bool>| self.setting(of);
        Inherited {
            timeout: timeout.unwrap_or(TIMEOUT),
            tls: config::MemberTlsConfig {
                enabled: tls(|host| host.member_tls.enabled),
                verify: tls(|host| host.member_tls.verify),
                roots: self.setting(|host| host.member_tls.roots.clone()),
            },
        }
    }
}

/// Combines the settings of a virtual host and of the main server; the virtual host's
/// override.
fn merged(own: &BalancerConfig, main: &BalancerConfig) -> BalancerConfig {
    let (own, main) = (own.clone(), main.clone());
    let mut fail_on_status = main.fail_on_status;
    fail_on_status.extend(own.fail_on_status);
    let session = config::SessionConfig {
        names: own.session.names.or(main.session.names),
        separator: own.session.separator.or(main.session.separator),
        semicolon_path_delimiter: own
            .session
            .semicolon_path_delimiter
            .or(main.session.semicolon_path_delimiter),
        no_failover: own.session.no_failover.or(main.session.no_failover),
    };
    BalancerConfig {
        name: main.name,
        scheduler: own.scheduler.or(main.scheduler),
        session,
        wait: own.wait.or(main.wait),
        max_failovers: own.max_failovers.or(main.max_failovers),
        fail_on_status,
        fail_on_timeout: own.fail_on_timeout.or(main.fail_on_timeout),
        forced_recovery: own.forced_recovery.or(main.forced_recovery),
        growth: own.growth.or(main.growth),
        nonce: own.nonce.or(main.nonce),
        members: main.members,
    }
}

/// Returns the name in a `ServerName`, without scheme and port.
pub(super) fn bare_name(name: &str) -> &str {
    let name = name.split_once("://").map_or(name, |(_, name)| name);
    let port = name.rfind(':').filter(|&at| !name[at..].contains(']'));
    port.map_or(name, |at| &name[..at])
}

/// Returns the balancers that a configuration needs. A balancer without a mapping is
/// included.
pub(super) fn wanted(config: &Config) -> BTreeMap<BalancerKey, WantedBalancer> {
    let mut wanted = BTreeMap::new();
    let mut scopes = virtual_scopes(config);
    scopes.insert(0, main_scope(config));
    let mut owners: HashMap<&str, &HostScope<'_>> = HashMap::new();
    for scope in &scopes {
        owners.entry(&scope.id).or_insert(scope);
    }
    for scope in &scopes {
        // Many mappings may use one large balancer, so each balancer is visited once.
        let mut seen = HashSet::new();
        let in_locations = scope.locations().flat_map(|it| &it.settings.mappings);
        let mappings = scope.mappings().chain(in_locations);
        let named = scope.host.balancers.iter();
        let named = named.filter(|balancer| seen.insert(balancer.name.as_str()));
        let named: Vec<_> = named.map(|it| scope.balancer(&it.name)).collect();
        let mut is_new =
            |mapping| HostScope::name_of(mapping).is_some_and(|name| seen.insert(name));
        let mappings: Vec<_> = mappings.filter(|&mapping| is_new(mapping)).collect();
        let used = mappings.into_iter();
        let used = used.filter_map(|mapping| scope.used_balancer(mapping));
        for used in named.into_iter().chain(used) {
            // The settings of members come from the host that defines them.
            let owner = owners.get(used.key.scope.as_str());
            let known = wanted.entry(used.key);
            known.or_insert_with(|| WantedBalancer {
                config: used.config,
                inherited: owner.copied().unwrap_or(scope).inherited(),
            });
        }
    }
    wanted
}
