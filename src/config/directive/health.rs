//! Health checks and heartbeats, as far as they are named on their own: `ProxyHCExpr`,
//! `ProxyHCTemplate`, `HeartbeatListen` and its like.

use super::member_parameters::CHECK;
use super::parameter::{Remark, nearest, number, text};
use super::reading::{Pair, Reading, Scope};
use crate::config::model::{CheckConfig, CheckTemplate, Condition};
use crate::config::syntax::{Directive, Span};

pub(super) fn condition(reading: &mut Reading<'_>, _: &mut Scope<'_>, directive: &Directive) {
    let usage = "ProxyHCExpr name {expression}";
    let Some(words) = reading.words(directive, 2..=2, usage) else {
        return;
    };
    let read = text("ProxyHCExpr", &words[0].text, 15);
    let Some(name) = reading.checked(words[0].span, read) else {
        return;
    };
    // The braces are quotes, and gone already.
    let expression = words[1].text.trim().to_owned();
    let condition = Condition {
        name: name.clone(),
        expression,
    };
    if reading.conditions.set(&name, condition) {
        let message = format!("`{}` is defined twice, and this one counts", words[0].text);
        reading.warning(words[0].span, Remark::new(message));
    }
}

pub(super) fn template(reading: &mut Reading<'_>, _: &mut Scope<'_>, directive: &Directive) {
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
        let message = format!("`{}` is defined twice, and this one counts", words[0].text);
        reading.warning(words[0].span, Remark::new(message));
    }
}

pub(super) fn not_a_pair(reading: &mut Reading<'_>, span: Span, directive: &str) {
    let remark = Remark::new(format!("`{directive}` takes parameters as `key=value`"));
    reading.error(span, remark);
}

/// Complains of conditions and templates that nobody has defined so far.
pub(super) fn look_up(reading: &mut Reading<'_>, pairs: &[Pair<'_>], check: &CheckConfig) {
    let span = |key: &str| {
        let is_it = |pair: &&Pair<'_>| pair.key.eq_ignore_ascii_case(key);
        pairs.iter().rfind(is_it).map(|pair| pair.value_span)
    };
    if let (Some(name), Some(span)) = (&check.condition, span("hcexpr")) {
        if !reading.conditions.contains(name) {
            let known = reading.conditions.values().map(|it| it.name.as_str());
            let near = nearest(name, known).map(str::to_owned);
            undefined(reading, span, name, "ProxyHCExpr", near);
        }
    }
    if let (Some(name), Some(span)) = (&check.template, span("hctemplate")) {
        if reading.templates.contains(&name.to_ascii_lowercase()) {
            let message = "health is not checked yet by this version";
            reading.warning(span, Remark::new(message));
        } else {
            let known = reading.templates.values().map(|it| it.name.as_str());
            let near = nearest(name, known).map(str::to_owned);
            undefined(reading, span, name, "ProxyHCTemplate", near);
        }
    }
}

fn undefined(
    reading: &mut Reading<'_>,
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
    reading: &mut Reading<'_>,
    _: &mut Scope<'_>,
    directive: &Directive,
) {
    let Some(words) = reading.words(directive, 1..=1, "HeartbeatListen address:port") else {
        return;
    };
    let Ok(address) = words[0].text.parse() else {
        let remark = Remark::new(format!("`{}` is no address with a port", words[0].text));
        return reading.error(words[0].span, remark.with_hint("write `239.0.0.1:27999`"));
    };
    let message = "this version does not listen to reports";
    let hint = "put them in by `System::heartbeat_readings`";
    reading.warning(words[0].span, Remark::new(message).with_hint(hint));
    reading.config.heartbeats.listen = Some(address);
}

pub(super) fn heartbeat_storage(
    reading: &mut Reading<'_>,
    _: &mut Scope<'_>,
    directive: &Directive,
) {
    if let Some(words) = reading.words(directive, 1..=1, "HeartbeatStorage file") {
        let message = "this version does not read reports from a file";
        let hint = "put them in by `System::heartbeat_readings`";
        reading.warning(words[0].span, Remark::new(message).with_hint(hint));
        reading.config.heartbeats.storage = Some(words[0].text.clone());
    }
}

pub(super) fn heartbeat_max(reading: &mut Reading<'_>, _: &mut Scope<'_>, directive: &Directive) {
    let Some(words) = reading.words(directive, 1..=1, "HeartbeatMaxServers number") else {
        return;
    };
    let read = number("HeartbeatMaxServers", &words[0].text, &(0..=u32::MAX));
    let Some(members) = reading.checked(words[0].span, read) else {
        return;
    };
    if members != 0 && members < 10 {
        let message = "`HeartbeatMaxServers` is 0, for the file, or 10 and more";
        return reading.error(words[0].span, Remark::new(message));
    }
    reading.config.heartbeats.max_members = Some(members);
}
