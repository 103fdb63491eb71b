//! Prints a host in Apache's format.

use super::line::PrintedLines;
use crate::config::directive::{BALANCER, MEMBER, print_all, print_switch};
use crate::config::model::{
    AccessRule, BalancerConfig, ErrorOverride, Handler, HeaderAction, HeaderRule, HeaderWhen, Host,
    HostSettings, Location, Mapping, MappingKind, ProxyTarget, ViaPolicy,
};
use crate::config::text::print_duration;

pub(super) fn print(host: &Host, lines: &mut PrintedLines) {
    lines.maybe("ServerName", host.name.as_deref());
    if !host.aliases.is_empty() {
        lines.put("ServerAlias", &host.aliases);
    }
    let duration = |duration: std::time::Duration| match duration.subsec_millis() {
        0 => duration.as_secs().to_string(),
        _ => print_duration(duration),
    };
    lines.maybe("Timeout", host.timeout.map(duration).as_deref());
    lines.maybe("ProxyTimeout", host.member_timeout.map(duration).as_deref());
    lines.maybe("ProxyVia", host.via.map(via));
    let growth = host.balancer_growth.map(|growth| growth.to_string());
    lines.maybe("BalancerGrowth", growth.as_deref());
    lines.maybe("BalancerInherit", host.inherit_balancers.map(print_switch));
    lines.maybe("ProxyPassInherit", host.inherit_mappings.map(print_switch));
    lines.maybe("SSLEngine", host.tls.enabled.map(print_switch));
    lines.maybe("SSLCertificateFile", host.tls.certificate.as_deref());
    lines.maybe("SSLCertificateKeyFile", host.tls.key.as_deref());
    lines.maybe("SSLProxyEngine", host.member_tls.enabled.map(print_switch));
    let verify = |verify| if verify { "require" } else { "none" };
    lines.maybe("SSLProxyVerify", host.member_tls.verify.map(verify));
    lines.maybe(
        "SSLProxyCACertificateFile",
        host.member_tls.roots.as_deref(),
    );
    for balancer in &host.balancers {
        print_balancer(balancer, lines);
    }
    settings(&host.settings, PrintContext::Host, lines);
    // httpd allows it in a location only.
    if !host.settings.access.is_empty() {
        lines.open("Location", &["/"]);
        access(&host.settings.access, lines);
        lines.close("Location");
    }
    for location in &host.locations {
        print_location(location, lines);
    }
}

fn via(via: ViaPolicy) -> &'static str {
    match via {
        ViaPolicy::Block => "Block",
        ViaPolicy::Full => "Full",
        ViaPolicy::Off => "Off",
        ViaPolicy::On => "On",
    }
}

fn print_balancer(balancer: &BalancerConfig, lines: &mut PrintedLines) {
    lines.open("Proxy", &[format!("balancer://{}", balancer.name)]);
    for member in &balancer.members {
        let mut words = vec![member.url.clone()];
        words.extend(print_all(&MEMBER, member));
        lines.put("BalancerMember", &words);
    }
    for word in print_all(&BALANCER, balancer) {
        lines.put("ProxySet", &[word]);
    }
    lines.close("Proxy");
}

fn print_location(location: &Location, lines: &mut PrintedLines) {
    let name = if location.is_pattern {
        "LocationMatch"
    } else {
        "Location"
    };
    lines.open(name, &[&location.path]);
    settings(&location.settings, PrintContext::Location, lines);
    access(&location.settings.access, lines);
    lines.close(name);
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum PrintContext {
    Host,
    Location,
}

fn settings(settings: &HostSettings, context: PrintContext, lines: &mut PrintedLines) {
    for mapping in &settings.mappings {
        print_mapping(mapping, context, lines);
    }
    for reverse in &settings.reverse {
        match context {
            PrintContext::Host => lines.put("ProxyPassReverse", &[&reverse.path, &reverse.url]),
            PrintContext::Location => lines.put("ProxyPassReverse", &[&reverse.url]),
        }
    }
    for cookie in &settings.cookie_paths {
        lines.put(
            "ProxyPassReverseCookiePath",
            &[&cookie.internal, &cookie.public],
        );
    }
    for cookie in &settings.cookie_domains {
        lines.put(
            "ProxyPassReverseCookieDomain",
            &[&cookie.internal, &cookie.public],
        );
    }
    lines.maybe(
        "ProxyPreserveHost",
        settings.preserve_host.map(print_switch),
    );
    lines.maybe(
        "ProxyAddHeaders",
        settings.forwarded_headers.map(print_switch),
    );
    match &settings.error_override {
        None => {}
        Some(ErrorOverride::Off) => lines.put("ProxyErrorOverride", &["Off"]),
        Some(ErrorOverride::On) => lines.put("ProxyErrorOverride", &["On"]),
        Some(ErrorOverride::Statuses(statuses)) => {
            let mut words = vec!["On".to_owned()];
            words.extend(statuses.iter().map(u16::to_string));
            lines.put("ProxyErrorOverride", &words);
        }
    }
    for (name, value) in &settings.variables {
        match value.as_str() {
            "" => lines.put("SetEnv", &[name.as_str()]),
            value => lines.put("SetEnv", &[name.as_str(), value]),
        }
    }
    for rule in &settings.request_headers {
        header("RequestHeader", rule, lines);
    }
    for rule in &settings.response_headers {
        header("Header", rule, lines);
    }
    lines.maybe(
        "SetHandler",
        settings.handler.map(|handler| match handler {
            Handler::Heartbeat => "heartbeat",
            Handler::Manager => "balancer-manager",
        }),
    );
}

fn print_mapping(mapping: &Mapping, context: PrintContext, lines: &mut PrintedLines) {
    let mut words = Vec::new();
    if context == PrintContext::Host {
        words.push(mapping.path.clone());
    }
    words.push(mapping.target.to_string());
    if mapping.raw_path {
        words.push("nocanon".to_owned());
    }
    if matches!(mapping.target, ProxyTarget::Member { .. }) {
        words.extend(print_all(&MEMBER, &mapping.member));
    }
    let name = match mapping.kind {
        MappingKind::Pattern => "ProxyPassMatch",
        MappingKind::Prefix => "ProxyPass",
    };
    lines.put(name, &words);
}

fn header(name: &str, rule: &HeaderRule, lines: &mut PrintedLines) {
    let mut words = Vec::new();
    if rule.when == HeaderWhen::Always && name == "Header" {
        words.push("always".to_owned());
    }
    let action = match rule.action {
        HeaderAction::Add => "add",
        HeaderAction::Append => "append",
        HeaderAction::Set => "set",
        HeaderAction::Unset => "unset",
    };
    words.extend([action.to_owned(), rule.name.clone()]);
    if rule.action != HeaderAction::Unset {
        words.push(rule.value.clone());
    }
    words.extend(rule.condition.as_ref().map(|name| format!("env={name}")));
    lines.put(name, &words);
}

fn access(rules: &[AccessRule], lines: &mut PrintedLines) {
    for rule in rules {
        match rule {
            AccessRule::Denied => lines.raw("Require all denied"),
            AccessRule::Granted => lines.raw("Require all granted"),
            AccessRule::Local => lines.raw("Require local"),
            AccessRule::Networks(networks) => {
                let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
                lines.raw(&format!("Require ip {}", networks.join(" ")));
            }
        }
    }
}
