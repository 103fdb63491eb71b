//! Changes to headers, and the variables in their conditions: `Header`, `RequestHeader`,
//! `SetEnv`.

use http::header::HeaderName;

use super::parameter::Remark;
use super::reading::{DirectiveContext, DirectiveScope};
use crate::config::model::{HeaderAction, HeaderRule, HeaderWhen, INITIAL_NOT_POOLED};
use crate::config::syntax::{ConfigWord, Directive};
use crate::config::text::is_framing;

const ACTIONS: &str = "supported are `set`, `add`, `append` and `unset`";

pub(super) fn response(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let mut words = directive.words.as_slice();
    let mut when = HeaderWhen::Delivered;
    if let Some(first) = words.first() {
        let always = first.text.eq_ignore_ascii_case("always");
        if always || first.text.eq_ignore_ascii_case("onsuccess") {
            words = &words[1..];
        }
        if always {
            when = HeaderWhen::Always;
        }
    }
    let rule = rule(reading, directive, words, when);
    scope.settings().response_headers.extend(rule);
}

pub(super) fn request(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let rule = rule(reading, directive, &directive.words, HeaderWhen::Delivered);
    scope.settings().request_headers.extend(rule);
}

fn rule(
    reading: &mut DirectiveContext<'_>,
    directive: &Directive,
    words: &[ConfigWord],
    when: HeaderWhen,
) -> Option<HeaderRule> {
    let directive_name = &directive.name.text;
    let incomplete = |reading: &mut DirectiveContext<'_>| {
        let remark = Remark::new(format!("`{directive_name}` is incomplete"));
        let hint = format!(
            "write `{directive_name} set|add|append name value` or `{directive_name} unset name`"
        );
        reading.error(directive.name.span, remark.with_hint(hint));
        None
    };
    let [action_word, rest @ ..] = words else {
        return incomplete(reading);
    };
    let action = match action_word.text.to_ascii_lowercase().as_str() {
        "add" => HeaderAction::Add,
        "append" => HeaderAction::Append,
        "set" => HeaderAction::Set,
        "unset" => HeaderAction::Unset,
        _ => {
            let message = format!("`{directive_name}` does not support `{}`", action_word.text);
            reading.error(action_word.span, Remark::new(message).with_hint(ACTIONS));
            return None;
        }
    };
    let [name_word, rest @ ..] = rest else {
        return incomplete(reading);
    };
    let name = name_word.text.strip_suffix(':').unwrap_or(&name_word.text);
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        let message = format!("`{}` is not a header name", name_word.text);
        reading.error(name_word.span, Remark::new(message));
        return None;
    }
    if action != HeaderAction::Unset && is_framing(name) {
        let message = format!("`{name}` determines the length of a body and cannot be changed");
        let hint = "remove this line: the header is set by the proxy";
        reading.error(name_word.span, Remark::new(message).with_hint(hint));
        return None;
    }
    let mut value = String::new();
    let mut rest = rest;
    if action != HeaderAction::Unset {
        let [value_word, after @ ..] = rest else {
            return incomplete(reading);
        };
        check_value(reading, value_word)?;
        value.clone_from(&value_word.text);
        rest = after;
    }
    let condition = condition(reading, directive_name, rest)?;
    Some(HeaderRule {
        action,
        name: name.to_owned(),
        value,
        when,
        condition,
    })
}

/// Parses `env=NAME`; the inner `None` means that there is no condition.
#[expect(clippy::option_option, reason = "outside: a diagnostic was made")]
fn condition(
    reading: &mut DirectiveContext<'_>,
    directive_name: &str,
    words: &[ConfigWord],
) -> Option<Option<String>> {
    let Some(word) = words.first() else {
        return Some(None);
    };
    if let Some(surplus) = words.get(1) {
        let message = format!("`{directive_name}` has too many words");
        reading.error(surplus.span, Remark::new(message));
        return None;
    }
    let name = match word.text.get(..4) {
        Some(start) if start.eq_ignore_ascii_case("env=") => &word.text[4..],
        _ => "",
    };
    if name.trim_start_matches('!').is_empty() {
        let remark = Remark::new(format!("`{}` is not a supported condition", word.text));
        reading.error(
            word.span,
            remark.with_hint("write `env=NAME` or `env=!NAME`"),
        );
        return None;
    }
    Some(Some(name.to_owned()))
}

/// Refuses values with expressions, unknown formats, or characters that a header cannot
/// contain.
fn check_value(reading: &mut DirectiveContext<'_>, word: &ConfigWord) -> Option<()> {
    if word
        .text
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("expr="))
    {
        let remark = Remark::new("expressions are not supported in values");
        reading.error(
            word.span,
            remark.with_hint("write `%{NAME}e` for a variable"),
        );
        return None;
    }
    if http::HeaderValue::from_bytes(word.text.as_bytes()).is_err() {
        reading.error(
            word.span,
            Remark::new("the value contains characters that a header cannot contain"),
        );
        return None;
    }
    let mut rest = word.text.as_str();
    while let Some((_, after)) = rest.split_once('%') {
        if let Some(after) = after.strip_prefix('%') {
            rest = after;
            continue;
        }
        let variable = after
            .strip_prefix('{')
            .and_then(|name| name.split_once('}'));
        match variable.and_then(|(_, after)| after.strip_prefix('e')) {
            Some(after) => rest = after,
            None => {
                let remark =
                    Remark::new("a percent sign in a value must be part of `%{NAME}e` or `%%`");
                reading.error(word.span, remark.with_hint("write `%%` for a percent sign"));
                return None;
            }
        }
    }
    Some(())
}

/// The variables that change how httpd treats members, and what this crate does. Of httpd's
/// variables, only `proxy-initial-not-pooled` has an effect here.
const HONOURED_BY_HTTPD: [(&str, &str); 7] = [
    (
        "force-proxy-request-1.0",
        "requests to members use HTTP/1.1",
    ),
    ("proxy-chain-auth", "`Proxy-Authorization` is not forwarded"),
    (
        "proxy-interim-response",
        "interim responses are not forwarded",
    ),
    (
        "proxy-nokeepalive",
        "connections are reused unless the member has `disablereuse=On`",
    ),
    (
        "proxy-sendchunked",
        "a body keeps the framing of the client",
    ),
    ("proxy-sendchunks", "a body keeps the framing of the client"),
    ("proxy-sendcl", "a body keeps the framing of the client"),
];

pub(super) fn set_env(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let Some(words) = reading.words(directive, 1..=2, "SetEnv NAME [value]") else {
        return;
    };
    let name = &words[0];
    if name.text.eq_ignore_ascii_case("no-proxy") {
        let remark = Remark::new(
            "`no-proxy` is not supported: requests that it excludes would be forwarded",
        );
        return reading.error(name.span, remark.with_hint("write `ProxyPass path !`"));
    }
    let is_initial = name.text.eq_ignore_ascii_case(INITIAL_NOT_POOLED);
    let row = HONOURED_BY_HTTPD.iter().find(|row| row.0 == name.text);
    if let Some((_, instead)) = row {
        let message = format!("`{}` has no effect: {instead}", name.text);
        reading.warning(name.span, Remark::new(message));
    } else if name.text.starts_with("proxy-") && !is_initial {
        let message = format!("`{}` has no effect", name.text);
        reading.warning(name.span, Remark::new(message));
    }
    let value = words.get(1).map(|word| word.text.clone());
    scope.variables.set(&name.text, value.unwrap_or_default());
}

pub(super) fn unset_env(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let Some(words) = reading.words(directive, 1..=usize::MAX, "UnsetEnv NAME ..") else {
        return;
    };
    for word in words {
        if !scope.variables.remove(&word.text) {
            let remark = Remark::new(format!("`{}` was not set in this section", word.text));
            let hint = "variables from outside of the section stay set: set the variable \
                only where it is needed";
            reading.error(word.span, remark.with_hint(hint));
        }
    }
}
