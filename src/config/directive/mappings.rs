//! Mappings of paths to members, and rewriting of responses: `ProxyPass` and related
//! directives.
//!
//! Not here: checks that need all mappings (`final_checks`).

use regex::Regex;

use super::balancers::{self, pairs};
use super::definitions::ParsedMapping;
use super::health::look_up;
use super::member_parameters::MEMBER;
use super::member_url::normalised;
use super::parameter::Remark;
use super::reading::{DirectiveContext, DirectiveScope, Within};
use crate::config::model::{CookieMapping, Mapping, MappingKind, ProxyTarget, ReverseMapping};
use crate::config::syntax::{ConfigWord, Directive, Section};

/// Parses the head of `<Location ..>`: its path, and whether it is a regular expression.
pub(super) fn location(
    reading: &mut DirectiveContext<'_>,
    section: &Section,
    is_match: bool,
) -> Option<(String, bool)> {
    let mut words = section.words.as_slice();
    let mut is_pattern = is_match;
    if words.first().is_some_and(|word| word.text == "~") {
        words = &words[1..];
        is_pattern = true;
    }
    let [word] = words else {
        let name = &section.name.text;
        let remark = Remark::new(format!("`<{name}>` needs exactly one path"));
        reading.error(
            section.name.span,
            remark.with_hint(format!("write `<{name} /path>`")),
        );
        return None;
    };
    if is_pattern {
        check_pattern(reading, word)?;
    } else {
        check_path(reading, word, "<LocationMatch>")?;
        if word.text.contains(['*', '?', '[']) {
            let remark = Remark::new("`<Location>` does not support wildcards");
            reading.error(
                word.span,
                remark.with_hint("write `<LocationMatch>` and a regular expression"),
            );
            return None;
        }
    }
    Some((word.text.clone(), is_pattern))
}

fn check_pattern(reading: &mut DirectiveContext<'_>, word: &ConfigWord) -> Option<Regex> {
    let differs = |part: &&str| word.text.contains(part);
    let in_brackets = ["&&", "~~", "--"].iter().copied();
    let bracket = in_brackets.filter(|_| word.text.contains('['));
    if let Some(part) = bracket.chain(["\\<", "\\>"]).find(|part| differs(part)) {
        let message = format!("`{part}` has another meaning than in httpd");
        let hint = "escape the two characters, or separate them";
        reading.error(word.span, Remark::new(message).with_hint(hint));
        return None;
    }
    match Regex::new(&word.text) {
        Ok(regex) => Some(regex),
        Err(_) => {
            let message = format!("`{}` is not a supported regular expression", word.text);
            let hint = "write it for the crate `regex`, without look-around and back-references";
            reading.error(word.span, Remark::new(message).with_hint(hint));
            None
        }
    }
}

fn check_path(reading: &mut DirectiveContext<'_>, word: &ConfigWord, instead: &str) -> Option<()> {
    if word.text.starts_with('/') {
        return Some(());
    }
    let remark = Remark::new(format!(
        "`{}` is not a path: it does not begin with a slash",
        word.text
    ));
    reading.error(
        word.span,
        remark.with_hint(format!("write a regular expression in `{instead}`")),
    );
    None
}

pub(super) fn pass(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    mapping(reading, scope, directive, MappingKind::Prefix);
}

pub(super) fn pass_match(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    mapping(reading, scope, directive, MappingKind::Pattern);
}

fn mapping(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
    kind: MappingKind,
) {
    let name = &directive.name;
    let mut words = directive.words.as_slice();
    let mut config = Mapping {
        kind,
        ..Mapping::default()
    };
    let mut groups = 0;
    let mut from = None;
    if scope.within == Within::Location {
        let location = scope.location.as_ref();
        if location.is_some_and(|l| l.is_pattern) && kind == MappingKind::Prefix {
            let remark = Remark::new(
                "inside `<LocationMatch>`, `ProxyPass` would treat the expression as a path",
            );
            return reading.error(name.span, remark.with_hint("write `ProxyPassMatch`"));
        }
        if location.is_some_and(|l| !l.settings.mappings.is_empty()) {
            let remark = Remark::new("a location can have only one `ProxyPass`");
            return reading.error(
                name.span,
                remark.with_hint("write a separate `<Location>` for each"),
            );
        }
        if let Some(location) = location {
            let as_pattern = Regex::new(&location.path);
            groups = as_pattern.map_or(1, |regex| regex.captures_len());
            from = Some(location.path.clone());
        }
        if words.get(1).is_some_and(|word| is_target(&word.text)) {
            let remark = Remark::new(format!("inside a location, `{}` takes no path", name.text));
            return reading.error(
                words[0].span,
                remark.with_hint("remove the path: the location's path is used"),
            );
        }
    } else {
        let Some((path, rest)) = words.split_first() else {
            return incomplete(reading, directive);
        };
        words = rest;
        let fine = match kind {
            MappingKind::Pattern => check_pattern(reading, path).map(|r| groups = r.captures_len()),
            MappingKind::Prefix => check_path(reading, path, "ProxyPassMatch"),
        };
        if fine.is_none() {
            return;
        }
        config.path.clone_from(&path.text);
        from = Some(path.text.clone());
    }
    let Some((target, parameters)) = words.split_first() else {
        return incomplete(reading, directive);
    };
    let Some(to) = read_target(reading, target) else {
        return;
    };
    config.target = to;
    let from = from.unwrap_or_default();
    check_join(reading, &config, &from, groups, target);
    let mut rest = Vec::new();
    for word in parameters {
        match word.text.to_ascii_lowercase().as_str() {
            "nocanon" => config.raw_path = true,
            "noquery" => {
                let remark = Remark::new("`noquery` is not supported: queries are forwarded");
                reading.error(word.span, remark);
            }
            "interpolate" => {
                let remark = Remark::new("`interpolate` has no effect: requests have no variables");
                reading.warning(word.span, remark);
            }
            // Paths are always compared in encoded form.
            "mapping=encoded" => {}
            "mapping=servlet" => {
                let message = "`mapping=servlet` is treated as `mapping=encoded`: \
                    parameters are part of their segment, and `..` is refused";
                reading.warning(word.span, Remark::new(message));
            }
            _ => rest.push(word.clone()),
        }
    }
    let pairs = pairs(reading, &name.text, &rest);
    match &config.target {
        ProxyTarget::Balancer { name, .. } => {
            if !pairs.is_empty() {
                balancers::set(reading, scope.host, name, &pairs);
            }
        }
        ProxyTarget::Exclude => {
            if let Some(pair) = pairs.first() {
                let remark = Remark::new("an exclusion has no parameters");
                reading.error(pair.key_span, remark);
            }
        }
        ProxyTarget::Member { .. } => {
            reading.pairs("a member", &pairs, &MEMBER, &mut config.member);
            look_up(reading, &pairs, &config.member.check);
        }
    }
    reading.targets.push(ParsedMapping {
        host: reading.virtual_host,
        from,
        kind,
        in_location: scope.within == Within::Location,
        target: config.target.clone(),
        path_span: directive.words[0].span,
        target_span: target.span,
    });
    scope.settings().mappings.push(config);
}

fn incomplete(reading: &mut DirectiveContext<'_>, directive: &Directive) {
    let name = &directive.name.text;
    let remark = Remark::new(format!("`{name}` needs a target"));
    let hint = format!("write `{name} path url`, and in a location `{name} url`");
    reading.error(directive.name.span, remark.with_hint(hint));
}

fn is_target(text: &str) -> bool {
    let starts = |start: &str| {
        text.get(..start.len())
            .is_some_and(|s| s.eq_ignore_ascii_case(start))
    };
    text == "!" || starts("unix:") || (text.contains("://") && !text.contains('='))
}

fn read_target(reading: &mut DirectiveContext<'_>, word: &ConfigWord) -> Option<ProxyTarget> {
    let text = &word.text;
    if text == "!" {
        return Some(ProxyTarget::Exclude);
    }
    if balancers::name_of(text).is_some() {
        let target = text
            .parse::<ProxyTarget>()
            .map_err(|error| Remark::new(error.to_string()));
        return reading.checked(word.span, target);
    }
    // The groups of the expression begin where the path begins, or after that.
    let at = text.find('$').unwrap_or(text.len());
    let after_scheme = text.find("://").map_or(0, |at| at + 3);
    let slash = text[after_scheme..]
        .find('/')
        .map_or(text.len(), |at| at + after_scheme);
    let (url, path) = if at < slash && !text.starts_with("unix:") {
        text.split_at(at)
    } else {
        (text.as_str(), "")
    };
    let url = reading.checked(word.span, normalised(url))?;
    Some(ProxyTarget::Member {
        url: url.origin(),
        path: url.path + path,
    })
}

fn check_join(
    reading: &mut DirectiveContext<'_>,
    mapping: &Mapping,
    from: &str,
    groups: usize,
    word: &ConfigWord,
) {
    let (ProxyTarget::Balancer { path: to, .. } | ProxyTarget::Member { path: to, .. }) =
        &mapping.target
    else {
        return;
    };
    if mapping.kind == MappingKind::Prefix {
        // The same rule as in `PathMap::lint`.
        let fine = to.is_empty() && !from.ends_with('/');
        if from.ends_with('/') != to.ends_with('/') && !fine {
            let httpd = if to.ends_with('/') {
                "two slashes"
            } else {
                "none"
            };
            let message = format!(
                "only one of `{from}` and `{}` ends with a slash: one slash is sent; \
                    httpd sends {httpd}",
                mapping.target
            );
            reading.warning(word.span, Remark::new(message));
        }
        if to.contains('$') {
            let remark = Remark::new("`$` is literal in `ProxyPass`");
            reading.warning(
                word.span,
                remark.with_hint("use `ProxyPassMatch` for groups"),
            );
        }
        return;
    }
    let bytes = to.as_bytes();
    for (at, _) in to.match_indices('$') {
        let digit = bytes.get(at + 1).filter(|byte| byte.is_ascii_digit());
        let escaped = at > 0 && bytes[at - 1] == b'\\';
        let group = digit.map(|digit| usize::from(digit - b'0'));
        if let Some(group) = group.filter(|group| !escaped && *group >= groups) {
            let message = format!("the regular expression has no group {group}");
            reading.error(word.span, Remark::new(message));
        }
    }
}

pub(super) fn reverse(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let name = &directive.name.text;
    let mut words = directive.words.as_slice();
    if let Some((last, before)) = words.split_last() {
        if last.text.eq_ignore_ascii_case("interpolate") && !before.is_empty() {
            let remark = Remark::new("`interpolate` has no effect: requests have no variables");
            reading.warning(last.span, remark);
            words = before;
        }
    }
    let (path, url) = match (scope.within, words) {
        (Within::Location, [url]) => (None, url),
        (Within::Location, [path, _, ..]) => {
            let remark = Remark::new(format!("inside a location, `{name}` takes no path"));
            return reading.error(
                path.span,
                remark.with_hint("remove the path: the location's path is used"),
            );
        }
        (_, [path, url]) => (Some(path), url),
        _ => {
            let remark = Remark::new(format!("`{name}` takes a path and a URL"));
            let hint = format!("write `{name} path url`, and in a location `{name} url`");
            return reading.error(directive.name.span, remark.with_hint(hint));
        }
    };
    if scope
        .location
        .as_ref()
        .is_some_and(|location| location.is_pattern)
    {
        let remark = Remark::new(format!(
            "`{name}` needs a path, but `<LocationMatch>` has none"
        ));
        return reading.error(
            directive.name.span,
            remark.with_hint("write it outside of the location, with a path"),
        );
    }
    if let Some(path) = path {
        if check_path(reading, path, "ProxyPassMatch").is_none() {
            return;
        }
    }
    let Some(url) = reverse_url(reading, url) else {
        return;
    };
    let path = path.map(|path| path.text.clone()).unwrap_or_default();
    scope.settings().reverse.push(ReverseMapping { path, url });
}

/// Parses a balancer, a path, or a URL, which need not be the URL of a member.
fn reverse_url(reading: &mut DirectiveContext<'_>, word: &ConfigWord) -> Option<String> {
    if word.text.starts_with('/') {
        return Some(word.text.clone());
    }
    match word.text.parse::<ProxyTarget>() {
        Ok(ProxyTarget::Exclude) | Err(_) => {
            let message = format!("`{}` is neither a URL nor a path", word.text);
            reading.error(word.span, Remark::new(message));
            None
        }
        Ok(target) => Some(target.to_string()),
    }
}

pub(super) fn cookie_path(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let cookie = cookie(reading, directive);
    scope.settings().cookie_paths.extend(cookie);
}

pub(super) fn cookie_domain(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let cookie = cookie(reading, directive);
    scope.settings().cookie_domains.extend(cookie);
}

fn cookie(reading: &mut DirectiveContext<'_>, directive: &Directive) -> Option<CookieMapping> {
    let usage = format!("{} internal public", directive.name.text);
    let mut words = directive.words.as_slice();
    if let [inside, outside, last] = words {
        if last.text.eq_ignore_ascii_case("interpolate") {
            let remark = Remark::new("`interpolate` has no effect: requests have no variables");
            reading.warning(last.span, remark);
            let _ = (inside, outside);
            words = &words[..2];
        }
    }
    if let [internal, public] = words {
        return Some(CookieMapping {
            internal: internal.text.clone(),
            public: public.text.clone(),
        });
    }
    reading.words(directive, 2..=2, &usage)?;
    None
}
