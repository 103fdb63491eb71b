//! Checks that need the whole configuration: rules that hide others, and balancers that are
//! not defined.

use std::collections::{HashMap, HashSet};

use super::hidden::Rules;
use super::parameter::{Remark, nearest};
use super::reading::DirectiveContext;
use super::session_warning::session_warning;
use crate::config::model::ProxyTarget;

/// Runs all checks.
pub(super) fn check(reading: &mut DirectiveContext<'_>) {
    heartbeats(reading);
    let targets = std::mem::take(&mut reading.targets);
    let mut looked_at = HashSet::new();
    let mut lists: HashMap<Option<usize>, Rules<'_>> = HashMap::new();
    for (at, mapped) in targets.iter().enumerate() {
        reading.hide(&[&mapped.from, &mapped.target.to_string()]);
        let list = lists.entry(mapped.host).or_default();
        let hidden = (!mapped.in_location).then(|| list.add(at, mapped.kind, &mapped.from));
        if let Some(earlier) = hidden.flatten().map(|earlier| &targets[earlier]) {
            let message = format!(
                "this mapping is never used: `{}` before this line matches first",
                earlier.from
            );
            let remark = Remark::new(message);
            reading.warning(
                mapped.path_span,
                remark.with_hint("write the longer path first"),
            );
        }
        if let ProxyTarget::Balancer { name, .. } = &mapped.target {
            if looked_at.insert((mapped.host, name)) && reading.take_warnings() {
                if let Some(remark) = session_warning(reading, mapped.host, name) {
                    reading.warning(mapped.target_span, remark);
                }
            }
            if reading.take_warnings() && !is_defined(reading, mapped.host, name) {
                let message = format!("balancer `{name}` is not defined: requests get status 503");
                let remark = Remark::new(message);
                let known = reading.defined.iter().map(|(_, name)| name.as_str());
                let near = nearest(name, known).filter(|near| near != name);
                let hint = near.map(|near| format!("did you mean `{near}`?"));
                reading.warning(
                    mapped.target_span,
                    match hint {
                        Some(hint) => remark.with_hint(hint),
                        None => remark,
                    },
                );
            }
        }
    }
}

/// Checks that heartbeats have a source.
fn heartbeats(reading: &mut DirectiveContext<'_>) {
    let known = &reading.config.heartbeats;
    let (listen, storage, most) = (known.listen, known.storage.is_some(), known.max_members);
    if let (Some(_), Some(span), true) = (listen, reading.storage_span, most != Some(0)) {
        let message = "the file is neither read nor written: heartbeats are kept in memory";
        let hint = "write `HeartbeatMaxServers 0` to have the file written for other programs";
        reading.warning(span, Remark::new(message).with_hint(hint));
    }
    if listen.is_none() && !storage {
        let message = "there is no source of heartbeats, so no member will be picked";
        let hint = "write `HeartbeatListen` or `HeartbeatStorage`";
        for span in std::mem::take(&mut reading.picks_by_heartbeats) {
            reading.warning(span, Remark::new(message).with_hint(hint));
        }
    }
}

/// Returns whether a host defines a balancer, or inherits it from the main server.
fn is_defined(reading: &DirectiveContext<'_>, host: Option<usize>, name: &str) -> bool {
    let defined = |host| reading.defined.contains(&(host, name.to_owned()));
    let own = host.and_then(|at| reading.config.virtual_hosts.get(at));
    // httpd removes them only if both are off.
    let inherits = own.is_none_or(|virtual_host| {
        let host = &virtual_host.host;
        host.inherit_balancers != Some(false) || host.inherit_mappings != Some(false)
    });
    defined(host) || (inherits && defined(None))
}
