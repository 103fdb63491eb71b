//! Access control, and handlers that respond in place of a member: `Require`, `SetHandler`.
//!
//! A directive that cannot be applied is an error and is never skipped: skipping it would
//! grant access to clients that it denies.

use std::net::IpAddr;

use ipnet::IpNet;

use super::parameter::Remark;
use super::reading::{DirectiveContext, DirectiveScope, Within};
use crate::config::model::{AccessRule, Handler};
use crate::config::syntax::{ConfigWord, Directive};

const HINT: &str = "supported are `all granted`, `all denied`, `local` and `ip ..`";

pub(super) fn require(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let usage = "Require ip|local|all ..";
    let words = reading.words(directive, 1..=usize::MAX, usage);
    let access = words.and_then(|words| rule(reading, &words[0], &words[1..]));
    // A rule that cannot be parsed denies access, even if the error is ignored.
    let access = access.unwrap_or(AccessRule::Denied);
    if scope.within == Within::Proxy {
        // All clients have access by default, unless a location denies it.
        if access != AccessRule::Granted {
            let remark = Remark::new("`Require` is not supported inside `<Proxy>`");
            let hint = "write it in a `<Location>` for the paths that are mapped to the balancer";
            reading.error(directive.name.span, remark.with_hint(hint));
        }
        return;
    }
    scope.settings().access.push(access);
}

fn rule(
    reading: &mut DirectiveContext<'_>,
    kind: &ConfigWord,
    words: &[ConfigWord],
) -> Option<AccessRule> {
    let surplus = |reading: &mut DirectiveContext<'_>, words: &[ConfigWord]| {
        let first = words.first()?;
        reading.error(first.span, Remark::new("`Require` has too many words"));
        Some(())
    };
    match kind.text.to_ascii_lowercase().as_str() {
        "all" => {
            let Some(word) = words.first() else {
                let remark = Remark::new("`Require all` is incomplete");
                reading.error(kind.span, remark.with_hint(HINT));
                return None;
            };
            if surplus(reading, &words[1..]).is_some() {
                return None;
            }
            match word.text.to_ascii_lowercase().as_str() {
                "denied" => Some(AccessRule::Denied),
                "granted" => Some(AccessRule::Granted),
                _ => {
                    let message = format!(
                        "`Require all` is `granted` or `denied`, not `{}`",
                        word.text
                    );
                    reading.error(word.span, Remark::new(message));
                    None
                }
            }
        }
        "ip" => networks(reading, kind, words).map(AccessRule::Networks),
        "local" => surplus(reading, words)
            .is_none()
            .then_some(AccessRule::Local),
        _ => {
            let message = format!("`Require {}` is not supported", kind.text);
            reading.error(kind.span, Remark::new(message).with_hint(HINT));
            None
        }
    }
}

fn networks(
    reading: &mut DirectiveContext<'_>,
    kind: &ConfigWord,
    words: &[ConfigWord],
) -> Option<Vec<IpNet>> {
    if words.is_empty() {
        let remark = Remark::new("`Require ip` needs an address");
        reading.error(kind.span, remark.with_hint("write `Require ip 10.0.0.0/8`"));
        return None;
    }
    let mut networks = Vec::new();
    for word in words {
        let Some(read) = network(&word.text) else {
            let remark = Remark::new(format!(
                "`{}` is neither an address nor a network",
                word.text
            ));
            let hint = "write `10.0.0.1`, `10.0.0.0/8`, `10.0.0.0/255.0.0.0` or `2001:db8::/32`";
            reading.error(word.span, remark.with_hint(hint));
            continue;
        };
        networks.push(read);
    }
    (networks.len() == words.len()).then_some(networks)
}

/// Parses `10.1.2.3`, `10.1`, `10.1.0.0/16`, `10.1.0.0/255.255.0.0`, or an IPv6 address or
/// network.
fn network(text: &str) -> Option<IpNet> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(IpNet::from(ip));
    }
    if let Some((ip, mask)) = text.split_once('/') {
        let ip: IpAddr = ip.parse().ok()?;
        let net = match mask.parse::<IpAddr>() {
            Ok(mask) => IpNet::with_netmask(ip, mask).ok()?,
            Err(_) => IpNet::new(ip, mask.parse().ok()?).ok()?,
        };
        return Some(net.trunc());
    }
    let bytes: Vec<u8> = text
        .trim_end_matches('.')
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let mut whole = [0; 4];
    whole.get_mut(..bytes.len())?.copy_from_slice(&bytes);
    let bits = u8::try_from(bytes.len() * 8).ok()?;
    IpNet::new(IpAddr::from(whole), bits).ok()
}

/// What the manager does until the page exists.
const NO_PAGE: &str =
    "the balancer manager is not implemented in this version; requests get status 501";

pub(super) fn set_handler(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let usage = "SetHandler balancer-manager|heartbeat";
    let Some(words) = reading.words(directive, 1..=1, usage) else {
        return;
    };
    let name = words[0].text.to_ascii_lowercase();
    scope.settings().handler = match name.as_str() {
        "balancer-manager" => {
            reading.warning(words[0].span, Remark::new(NO_PAGE));
            Some(Handler::Manager)
        }
        "heartbeat" => Some(Handler::Heartbeat),
        "none" => None,
        "server-info" | "server-status" => {
            let message = format!("the page `{name}` is not supported");
            return reading.warning(words[0].span, Remark::new(message));
        }
        _ => {
            let remark = Remark::new(format!("unknown handler `{}`", words[0].text));
            let hint = if name.starts_with("proxy:") {
                "`ProxyPass` in the same `<Location>` sends requests to a balancer"
            } else {
                "supported are `balancer-manager` and `heartbeat`"
            };
            return reading.error(words[0].span, remark.with_hint(hint));
        }
    };
}
