//! Named health checks and heartbeats: `ProxyHCExpr`, `ProxyHCTemplate`, `HeartbeatListen`
//! and related directives.

use std::net::SocketAddr;

use super::member_parameters::CHECK;
use super::parameter::{Remark, nearest, number, text};
use super::reading::{DirectiveContext, DirectiveScope, Pair};
use crate::config::model::{CheckCondition, CheckConfig, CheckTemplate};
use crate::config::syntax::{ConfigWord, Directive, Span};
use crate::config::{ExpressionError, Severity, check_terms};

pub(super) fn condition(
    reading: &mut DirectiveContext<'_>,
    _: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let usage = "ProxyHCExpr name {expression}";
    let Some(words) = reading.words(directive, 2..=2, usage) else {
        return;
    };
    let read = text("ProxyHCExpr", &words[0].text, 15);
    let Some(name) = reading.checked(words[0].span, read) else {
        return;
    };
    // The braces are quotes, and have been removed already.
    let expression = words[1].text.trim().to_owned();
    if let Err(error) = check_terms::read(&expression) {
        let remark = Remark::new(error.message()).with_hint(check_terms::TERMS);
        reading.error(place_in(&words[1], &error), remark);
        // The name is defined even so, to avoid a second diagnostic where it is used.
    }
    let key = name.to_ascii_lowercase();
    let condition = CheckCondition { name, expression };
    if reading.conditions.set(&key, condition) {
        let message = format!(
            "`{}` is defined twice; this definition is used",
            words[0].text
        );
        reading.warning(words[0].span, Remark::new(message));
    }
}

/// Returns the position of an error in an expression, if the expression stands on one line
/// without escapes.
fn place_in(word: &ConfigWord, error: &ExpressionError) -> Span {
    let span = word.span;
    let lead = word.text.chars().take_while(|c| c.is_whitespace()).count();
    let lead = u32::try_from(lead).unwrap_or(u32::MAX);
    let written = span.length.saturating_sub(2);
    let is_verbatim = u32::try_from(word.text.chars().count()) == Ok(written);
    if error.line() > 1 || !is_verbatim {
        return span;
    }
    // One more for the brace.
    let before = lead.saturating_add(error.column());
    Span {
        column: span.column.saturating_add(before),
        length: 1,
        ..span
    }
}

pub(super) fn template(
    reading: &mut DirectiveContext<'_>,
    _: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let usage = "ProxyHCTemplate name key=value ..";
    let Some(words) = reading.words(directive, 1..=usize::MAX, usage) else {
        return;
    };
    let mut pairs = Vec::new();
    for word in &words[1..] {
        match Pair::of(word) {
            Some(pair) => pairs.push(pair),
            None => not_a_pair(reading, word.span, &directive.name.text),
        }
    }
    let mut check = CheckConfig::default();
    reading.pairs("a template of health checks", &pairs, &CHECK, &mut check);
    look_up(reading, &pairs, &check);
    let name = words[0].text.clone();
    let key = name.to_ascii_lowercase();
    if reading.templates.set(&key, CheckTemplate { name, check }) {
        let message = format!(
            "`{}` is defined twice; this definition is used",
            words[0].text
        );
        reading.warning(words[0].span, Remark::new(message));
    }
}

pub(super) fn not_a_pair(reading: &mut DirectiveContext<'_>, span: Span, directive: &str) {
    let remark = Remark::new(format!("`{directive}` takes parameters as `key=value`"));
    reading.error(span, remark);
}

/// Adds a diagnostic for conditions and templates that have not been defined before.
pub(super) fn look_up(reading: &mut DirectiveContext<'_>, pairs: &[Pair<'_>], check: &CheckConfig) {
    let span = |key: &str| {
        let is_it = |pair: &&Pair<'_>| pair.key.eq_ignore_ascii_case(key);
        pairs.iter().rfind(is_it).map(|pair| pair.value_span)
    };
    if let (Some(name), Some(span)) = (&check.condition, span("hcexpr")) {
        if !reading.conditions.contains(&name.to_ascii_lowercase()) {
            let known = reading.conditions.values().map(|it| it.name.as_str());
            let near = nearest(name, known).map(str::to_owned);
            undefined(reading, span, name, "ProxyHCExpr", near);
        }
    }
    if let (Some(name), Some(span)) = (&check.template, span("hctemplate")) {
        if reading.templates.contains(&name.to_ascii_lowercase()) {
            after_others(reading, pairs);
        } else {
            let known = reading.templates.values().map(|it| it.name.as_str());
            let near = nearest(name, known).map(str::to_owned);
            undefined(reading, span, name, "ProxyHCTemplate", near);
        }
    }
}

/// In httpd a template replaces the parameters before it. In this crate the parameters of
/// the member itself win, wherever they stand.
fn after_others(reading: &mut DirectiveContext<'_>, pairs: &[Pair<'_>]) {
    let is_own = |pair: &Pair<'_>| pair.key.len() > 2 && pair.key[..2].eq_ignore_ascii_case("hc");
    let is_template = |pair: &Pair<'_>| pair.key.eq_ignore_ascii_case("hctemplate");
    let template = pairs.iter().rposition(is_template).unwrap_or(0);
    let before = pairs[..template]
        .iter()
        .find(|pair| is_own(pair) && !is_template(pair));
    if let Some(before) = before {
        let message = format!(
            "`{}` overrides the template after it; in httpd the template would win",
            before.key
        );
        let remark = Remark::new(message);
        reading.warning(
            before.key_span,
            remark.with_hint("write `hctemplate` first"),
        );
    }
}

fn undefined(
    reading: &mut DirectiveContext<'_>,
    span: Span,
    name: &str,
    directive: &str,
    near: Option<String>,
) {
    let remark = Remark::new(format!(
        "no `{directive}` before this line defines `{name}`"
    ));
    reading.error(
        span,
        match near {
            Some(near) => remark.with_hint(format!("did you mean `{near}`?")),
            None => remark,
        },
    );
}

pub(super) fn heartbeat_listen(
    reading: &mut DirectiveContext<'_>,
    _: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let usage = "HeartbeatListen address:port";
    let Some(listen) = address(reading, directive, usage) else {
        return;
    };
    if reading.config.heartbeats.listen.is_some() {
        return twice(reading, directive);
    }
    reading.config.heartbeats.listen = Some(listen);
}

pub(super) fn heartbeat_address(
    reading: &mut DirectiveContext<'_>,
    _: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let usage = "HeartbeatAddress address:port";
    let Some(send_to) = address(reading, directive, usage) else {
        return;
    };
    if reading.config.heartbeats.send_to.is_some() {
        return twice(reading, directive);
    }
    reading.config.heartbeats.send_to = Some(send_to);
}

fn twice(reading: &mut DirectiveContext<'_>, directive: &Directive) {
    let name = &directive.name.text;
    let remark = Remark::new(format!("`{name}` occurs twice"));
    reading.error(directive.name.span, remark.with_hint("remove one of them"));
}

fn address(
    reading: &mut DirectiveContext<'_>,
    directive: &Directive,
    usage: &str,
) -> Option<SocketAddr> {
    let words = reading.words(directive, 1..=1, usage)?;
    let address = words[0].text.parse().ok();
    if address.is_none() {
        let remark = Remark::new(format!("`{}` is not an address with a port", words[0].text));
        reading.error(words[0].span, remark.with_hint("write `239.0.0.1:27999`"));
    }
    address
}

pub(super) fn capacity(
    reading: &mut DirectiveContext<'_>,
    _: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let Some(words) = reading.words(directive, 1..=1, "MaxRequestWorkers number") else {
        return;
    };
    let read = number("MaxRequestWorkers", &words[0].text, &(1..=u32::MAX));
    let capacity = reading.checked(words[0].span, read);
    let known = &mut reading.config.heartbeats.capacity;
    *known = capacity.or(*known);
    let message = "`MaxRequestWorkers` is not a limit: it only sets the capacity that \
        `HeartbeatAddress` reports";
    reading.once(Severity::Note, directive.name.span, message.to_owned());
}

pub(super) fn heartbeat_storage(
    reading: &mut DirectiveContext<'_>,
    _: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    if let Some(words) = reading.words(directive, 1..=1, "HeartbeatStorage file") {
        reading.storage_span = Some(words[0].span);
        reading.config.heartbeats.storage = Some(words[0].text.clone());
    }
}

pub(super) fn heartbeat_max(
    reading: &mut DirectiveContext<'_>,
    _: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let Some(words) = reading.words(directive, 1..=1, "HeartbeatMaxServers number") else {
        return;
    };
    let read = number("HeartbeatMaxServers", &words[0].text, &(0..=u32::MAX));
    let Some(members) = reading.checked(words[0].span, read) else {
        return;
    };
    if members != 0 && members < 10 {
        let message = "`HeartbeatMaxServers` must be 0, to write the file, or at least 10";
        return reading.error(words[0].span, Remark::new(message));
    }
    reading.config.heartbeats.max_members = Some(members);
}
