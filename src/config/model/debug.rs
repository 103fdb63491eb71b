//! `Debug` of the model types that may hold secrets; asterisks replace the secrets.
//!
//! Not here: `Display` and `serde` of a configuration, which keep secrets because their
//! output is read again; what counts as a secret (`config::secret`).

use std::fmt;

use super::{
    BalancerConfig, CheckConfig, HeaderRule, HostSettings, Mapping, MemberConfig, ProxyTarget,
    ProxyTargetError, ReverseMapping,
};
use crate::config::secret::{masked, masked_header, sounds_secret};

const HIDDEN: &str = "***";

/// The prefix of a balancer's URL.
const BALANCER: &str = "balancer://";

fn shown(text: &str) -> String {
    masked(text).into_owned()
}

/// Masks secrets in a balancer's name: the URL of a member may have been written there by
/// mistake.
fn balancer(name: &str) -> String {
    shown(&format!("{BALANCER}{name}")).split_off(BALANCER.len())
}

fn maybe(value: &Option<String>) -> Option<String> {
    value.as_deref().map(shown)
}

fn hidden(value: &Option<String>) -> Option<&'static str> {
    value.as_ref().map(|_| HIDDEN)
}

fn named(name: &str, value: &str) -> String {
    match sounds_secret(name) && !value.is_empty() {
        true => HIDDEN.to_owned(),
        false => shown(value),
    }
}

fn by_names(all: &[(String, String)]) -> Vec<(&str, String)> {
    let all = all.iter();
    all.map(|(name, value)| (name.as_str(), named(name, value)))
        .collect()
}

macro_rules! show {
    ($field:ident) => {
        $field
    };
    ($field:ident, $how:ident) => {
        &$how($field)
    };
}

/// Implements `Debug` as the derive would, but with a function for some fields. A field
/// that is left out is a compile error.
macro_rules! debug {
    ($noun:ident { $($field:ident $(: $how:ident)?),* $(,)? }) => {
        impl fmt::Debug for $noun {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self { $($field),* } = self;
                f.debug_struct(stringify!($noun))
                    $(.field(stringify!($field), show!($field $(, $how)?)))*
                    .finish()
            }
        }
    };
}

debug!(BalancerConfig {
    name: balancer,
    scheduler,
    session,
    wait,
    max_failovers,
    fail_on_status,
    fail_on_timeout,
    forced_recovery,
    growth,
    nonce: hidden,
    members,
});

debug!(CheckConfig {
    method,
    interval,
    passes,
    fails,
    uri: maybe,
    condition,
    template,
});

debug!(Mapping {
    path: shown,
    kind,
    target,
    raw_path,
    member,
});

debug!(MemberConfig {
    url: shown,
    weight,
    tier,
    route,
    redirect_route,
    flags,
    recovery_delay,
    timeout,
    connect_timeout,
    continue_timeout,
    acquire_timeout,
    min_connections,
    max_in_flight,
    max_idle,
    idle_lifetime,
    tcp_keepalive,
    reuse,
    address_lifetime,
    flush,
    flush_wait,
    io_buffer,
    receive_buffer,
    response_field_size,
    secret: hidden,
    upgrade,
    flusher,
    check,
});

debug!(ReverseMapping {
    path: shown,
    url: shown,
});

debug!(HostSettings {
    mappings,
    reverse,
    cookie_paths,
    cookie_domains,
    preserve_host,
    forwarded_headers,
    error_override,
    request_headers,
    response_headers,
    variables: by_names,
    access,
    handler,
});

debug!(ProxyTargetError { text: shown });

impl fmt::Debug for HeaderRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderRule")
            .field("action", &self.action)
            .field("name", &self.name)
            .field(
                "value",
                &masked_header(&self.name, &named(&self.name, &self.value)),
            )
            .field("when", &self.when)
            .field("condition", &self.condition)
            .finish()
    }
}

impl fmt::Debug for ProxyTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Masked as a whole: a password may contain a slash, which would seem to begin the
        // path.
        let whole = shown(&self.to_string());
        let part = |from: usize, length: usize| -> String {
            whole.chars().skip(from).take(length).collect()
        };
        let length = |text: &str| text.chars().count();
        let (variant, field, before, whom, path) = match self {
            Self::Balancer { name, path } => ("Balancer", "name", BALANCER.len(), name, path),
            Self::Exclude => return f.write_str("Exclude"),
            Self::Member { url, path } => ("Member", "url", 0, url, path),
        };
        let cut = before + length(whom);
        f.debug_struct(variant)
            .field(field, &part(before, length(whom)))
            .field("path", &part(cut, length(path)))
            .finish()
    }
}
