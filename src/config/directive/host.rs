//! Directives for a whole server: addresses, names, time limits and TLS.
//!
//! Not here: mappings of paths (`mappings`).

use std::net::IpAddr;
use std::time::Duration;

use super::parameter::{Remark, Unit, duration, number, switch};
use super::reading::{DirectiveContext, DirectiveScope};
use crate::config::model::{ErrorOverride, HostAddress, ListenAddress, ViaPolicy};
use crate::config::syntax::{ConfigWord, Directive, Section};

/// Parses the addresses of `<VirtualHost ..>`.
pub(super) fn addresses(reading: &mut DirectiveContext<'_>, section: &Section) -> Vec<HostAddress> {
    if section.words.is_empty() {
        let remark = Remark::new("`<VirtualHost>` needs an address");
        reading.error(
            section.name.span,
            remark.with_hint("write `<VirtualHost *:80>`"),
        );
    }
    let read = |word: &ConfigWord| reading.checked(word.span, host_address(&word.text));
    section.words.iter().filter_map(read).collect()
}

fn host_address(text: &str) -> Result<HostAddress, Remark> {
    let error = || {
        let remark = Remark::new(format!("`{text}` is not an address of this machine"));
        remark.with_hint("write `*:80`, `10.0.0.1:80` or `[::1]:80`; host names are not resolved")
    };
    let (ip, port) = split_port(text);
    let port = match port {
        None | Some("*") => None,
        Some(port) => Some(port.parse().map_err(|_| error())?),
    };
    if ip == "*" || ip.eq_ignore_ascii_case("_default_") {
        return Ok(HostAddress { ip: None, port });
    }
    let ip = Some(ip_address(ip).ok_or_else(error)?);
    Ok(HostAddress { ip, port })
}

/// Splits at the last colon that is not inside brackets or part of a bare IPv6 address.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if text.parse::<IpAddr>().is_ok() {
        return (text, None);
    }
    match text.rsplit_once(':') {
        Some((ip, port)) if !port.ends_with(']') => (ip, Some(port)),
        _ => (text, None),
    }
}

fn ip_address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    bare.unwrap_or(text).parse().ok()
}

pub(super) fn listen(
    reading: &mut DirectiveContext<'_>,
    _: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let Some(words) = reading.words(directive, 1..=2, "Listen [address:]port [http|https]") else {
        return;
    };
    let text = words[0].text.as_str();
    let (ip, port) = match split_port(text) {
        (port, None) => (None, port),
        ("*", Some(port)) => (None, port),
        (ip, Some(port)) => (Some(ip), port),
    };
    let address = ip.map(ip_address);
    let (Ok(port), None | Some(Some(_))) = (port.parse(), address) else {
        let remark = Remark::new(format!("`{text}` is not an address to listen on"));
        let hint = "write a port, `10.0.0.1:8080` or `[::1]:8080`; host names are not resolved";
        return reading.error(words[0].span, remark.with_hint(hint));
    };
    let mut protocol = None;
    if let Some(word) = words.get(1) {
        let text = word.text.to_ascii_lowercase();
        if text != "http" && text != "https" {
            let remark = Remark::new(format!("`{}` is not a supported protocol", word.text));
            return reading.error(word.span, remark.with_hint("use `http` or `https`"));
        }
        protocol = Some(text);
    }
    reading.config.listeners.push(ListenAddress {
        ip: address.flatten(),
        port,
        protocol,
    });
}

pub(super) fn server_name(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    if let Some(name) = one(reading, directive, "ServerName name[:port]") {
        scope.host.name = Some(name.text.clone());
    }
}

pub(super) fn server_alias(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    if let Some(words) = reading.words(directive, 1..=usize::MAX, "ServerAlias name ..") {
        let names = words.iter().map(|word| word.text.clone());
        scope.host.aliases.extend(names);
    }
}

pub(super) fn timeout(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    if let Some(duration) = time_limit(reading, directive, "Timeout") {
        scope.host.timeout = Some(duration);
    }
}

pub(super) fn proxy_timeout(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    if let Some(duration) = time_limit(reading, directive, "ProxyTimeout") {
        scope.host.member_timeout = Some(duration);
    }
}

fn time_limit(
    reading: &mut DirectiveContext<'_>,
    directive: &Directive,
    name: &str,
) -> Option<Duration> {
    let word = one(reading, directive, &format!("{name} seconds"))?;
    let range = Duration::from_millis(1)..=Duration::MAX;
    let read = duration(name, &word.text, Unit::WholeSeconds, &range);
    let (duration, warning) = reading.checked(word.span, read)?;
    reading.value(word.span, Ok(warning));
    Some(duration)
}

pub(super) fn growth(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    if let Some(word) = one(reading, directive, "BalancerGrowth number") {
        let read = number("BalancerGrowth", &word.text, &(0..=1000));
        if let Some(growth) = reading.checked(word.span, read) {
            scope.host.balancer_growth = u16::try_from(growth).ok();
        }
    }
}

pub(super) fn via(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let Some(word) = one(reading, directive, "ProxyVia On|Off|Full|Block") else {
        return;
    };
    scope.host.via = Some(match word.text.to_ascii_lowercase().as_str() {
        "block" => ViaPolicy::Block,
        "full" => ViaPolicy::Full,
        "off" => ViaPolicy::Off,
        "on" => ViaPolicy::On,
        _ => {
            let message = format!(
                "`ProxyVia` must be `On`, `Off`, `Full` or `Block`, not `{}`",
                word.text
            );
            return reading.error(word.span, Remark::new(message));
        }
    });
}

pub(super) fn error_override(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let usage = "ProxyErrorOverride On|Off [status ..]";
    let Some(words) = reading.words(directive, 1..=usize::MAX, usage) else {
        return;
    };
    let read = switch("ProxyErrorOverride", &words[0].text);
    let Some(on) = reading.checked(words[0].span, read) else {
        return;
    };
    let mut statuses = Vec::new();
    for word in &words[1..] {
        let read = number("status", &word.text, &(400..=599));
        let status = reading.checked(word.span, read);
        statuses.extend(status.and_then(|status| u16::try_from(status).ok()));
    }
    scope.settings().error_override = Some(match on {
        true if words.len() == 1 => ErrorOverride::On,
        true => ErrorOverride::Statuses(statuses),
        false => ErrorOverride::Off,
    });
}

pub(super) fn proxy_requests(
    reading: &mut DirectiveContext<'_>,
    _: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let hint = "remove this line: a reverse proxy does not need it";
    off_only(
        reading,
        directive,
        "enables a forward proxy, which is not supported",
        hint,
    );
}

pub(super) fn rewrite_engine(
    reading: &mut DirectiveContext<'_>,
    _: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let hint = "use `ProxyPassMatch` to map paths by regular expressions";
    off_only(
        reading,
        directive,
        "is not supported: URLs are not rewritten",
        hint,
    );
}

pub(super) fn interpolate(
    reading: &mut DirectiveContext<'_>,
    _: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let hint = "`${NAME}` is expanded when the configuration is read";
    off_only(
        reading,
        directive,
        "is not supported: requests have no variables",
        hint,
    );
}

pub(super) fn verify_client(
    reading: &mut DirectiveContext<'_>,
    _: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let Some(word) = one(reading, directive, "SSLVerifyClient none") else {
        return;
    };
    if !word.text.eq_ignore_ascii_case("none") {
        let remark = Remark::new(
            "`SSLVerifyClient` is not supported: client certificates are not requested",
        );
        reading.error(
            word.span,
            remark.with_hint("use `Require ip` or `Require local` to restrict access"),
        );
    }
}

/// Accepts `Off` without a diagnostic.
fn off_only(reading: &mut DirectiveContext<'_>, directive: &Directive, message: &str, hint: &str) {
    if let Some((word, true)) = flag(reading, directive) {
        let remark = Remark::new(format!("`{}` {message}", directive.name.text));
        reading.error(word.span, remark.with_hint(hint));
    }
}

pub(super) fn canonical_name(
    reading: &mut DirectiveContext<'_>,
    _: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let Some(word) = one(reading, directive, "UseCanonicalName Off") else {
        return;
    };
    if !word.text.eq_ignore_ascii_case("off") {
        let message = "`UseCanonicalName` has no effect: URLs use the host name of the request";
        reading.warning(word.span, Remark::new(message));
    }
}

pub(super) fn member_tls_verify(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let Some(word) = one(reading, directive, "SSLProxyVerify none|require") else {
        return;
    };
    let verify = match word.text.to_ascii_lowercase().as_str() {
        "none" => false,
        "require" => true,
        "optional" | "optional_no_ca" => {
            let message = format!("`{}` is read as `require`", word.text);
            reading.warning(word.span, Remark::new(message));
            true
        }
        _ => {
            let message = format!(
                "`SSLProxyVerify` must be `none` or `require`, not `{}`",
                word.text
            );
            return reading.error(word.span, Remark::new(message));
        }
    };
    scope.host.member_tls.verify = Some(verify);
}

pub(super) fn tls_certificate(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    only_one(reading, directive, &mut scope.host.tls.certificate);
}

pub(super) fn tls_key(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    only_one(reading, directive, &mut scope.host.tls.key);
}

/// httpd accepts several, for several types of keys.
fn only_one(reading: &mut DirectiveContext<'_>, directive: &Directive, field: &mut Option<String>) {
    if let Some(word) = one(reading, directive, &format!("{} file", directive.name.text)) {
        if field.as_ref().is_some_and(|other| *other != word.text) {
            let message = format!("`{}` is set twice; this value is used", directive.name.text);
            reading.warning(directive.name.span, Remark::new(message));
        }
        *field = Some(word.text.clone());
    }
}

pub(super) fn member_tls_roots(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    if let Some(word) = one(reading, directive, "SSLProxyCACertificateFile file") {
        scope.host.member_tls.roots = Some(word.text.clone());
    }
}

pub(super) fn tls_engine(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    if let Some((_, on)) = flag(reading, directive) {
        scope.host.tls.enabled = Some(on);
    }
}

pub(super) fn member_tls_engine(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    if let Some((_, on)) = flag(reading, directive) {
        scope.host.member_tls.enabled = Some(on);
    }
}

pub(super) fn balancer_inherit(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    if let Some((_, on)) = flag(reading, directive) {
        scope.host.inherit_balancers = Some(on);
    }
}

pub(super) fn mapping_inherit(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    if let Some((_, on)) = flag(reading, directive) {
        scope.host.inherit_mappings = Some(on);
    }
}

pub(super) fn preserve_host(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    if let Some((_, on)) = flag(reading, directive) {
        scope.settings().preserve_host = Some(on);
    }
}

pub(super) fn add_headers(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    if let Some((_, on)) = flag(reading, directive) {
        scope.settings().forwarded_headers = Some(on);
    }
}

fn flag<'d>(
    reading: &mut DirectiveContext<'_>,
    directive: &'d Directive,
) -> Option<(&'d ConfigWord, bool)> {
    let name = &directive.name.text;
    let word = one(reading, directive, &format!("{name} On|Off"))?;
    let read = switch(name, &word.text);
    Some((word, reading.checked(word.span, read)?))
}

fn one<'d>(
    reading: &mut DirectiveContext<'_>,
    directive: &'d Directive,
    usage: &str,
) -> Option<&'d ConfigWord> {
    reading.words(directive, 1..=1, usage)?.first()
}
