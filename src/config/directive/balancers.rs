//! Balancers and their members: `<Proxy balancer://..>`, `BalancerMember`, `ProxySet`.
//!
//! Not here: the list of parameters (`balancer_parameters`, `member_parameters`).

use super::balancer_parameters::BALANCER;
use super::health::{look_up, not_a_pair};
use super::member_parameters::MEMBER;
use super::member_url::normalised;
use super::parameter::{Remark, nearest};
use super::reading::{DirectiveContext, DirectiveScope, Pair, Within};
use crate::config::member_url::MemberUrl;
use crate::config::model::{BalancerConfig, Host, MemberConfig};
use crate::config::syntax::{ConfigWord, Directive, Section};

/// Returns the name in `balancer://name/path`; `None` for other URLs.
pub(super) fn name_of(text: &str) -> Option<String> {
    let start = text.get(.."balancer://".len())?;
    if !start.eq_ignore_ascii_case("balancer://") {
        return None;
    }
    let name = text[start.len()..].split('/').next()?;
    Some(name.to_ascii_lowercase())
}

/// Parses the head of `<Proxy ..>`; returns the name of its balancer, if it is for a
/// balancer.
pub(super) fn section(
    reading: &mut DirectiveContext<'_>,
    section: &Section,
    host: &mut Host,
) -> Option<String> {
    let Some(word) = section.words.first() else {
        let remark = Remark::new("`<Proxy>` needs a balancer");
        reading.error(
            section.name.span,
            remark.with_hint("write `<Proxy balancer://name>`"),
        );
        return None;
    };
    // A section for anything else has an effect only with `Require`, which checks it.
    let name = name_of(&word.text)?;
    let name = checked_name(reading, word, name)?;
    let pairs = pairs(reading, "<Proxy>", &section.words[1..]);
    set(reading, host, &name, &pairs);
    reading.defined.insert((reading.virtual_host, name.clone()));
    Some(name)
}

fn checked_name(
    reading: &mut DirectiveContext<'_>,
    word: &ConfigWord,
    name: String,
) -> Option<String> {
    if name.is_empty() || name.contains(['*', '?', '$', '#']) {
        let remark = Remark::new(format!("`{}` is not the URL of a balancer", word.text));
        reading.error(word.span, remark.with_hint("write `balancer://name`"));
        return None;
    }
    Some(name)
}

/// Returns the balancer of that name; creates it if necessary.
fn balancer<'h>(
    reading: &mut DirectiveContext<'_>,
    host: &'h mut Host,
    name: &str,
) -> &'h mut BalancerConfig {
    let known = reading.definitions.balancer(reading.virtual_host, name);
    let place = known.unwrap_or_else(|| {
        let place = host.balancers.len();
        host.balancers.push(BalancerConfig {
            name: name.to_owned(),
            ..BalancerConfig::default()
        });
        let at = reading.virtual_host;
        reading.definitions.add_balancer(at, name, place);
        place
    });
    &mut host.balancers[place]
}

/// Sets parameters of a balancer; creates it if necessary.
pub(super) fn set(
    reading: &mut DirectiveContext<'_>,
    host: &mut Host,
    name: &str,
    pairs: &[Pair<'_>],
) {
    let balancer = balancer(reading, host, name);
    let before = balancer.session.names.clone();
    reading.pairs("a balancer", pairs, &BALANCER, balancer);
    let method = pairs
        .iter()
        .rfind(|it| it.key.eq_ignore_ascii_case("lbmethod"));
    let by_heartbeats = method.filter(|it| it.value == "heartbeat");
    let spans = by_heartbeats.map(|it| it.value_span);
    reading.picks_by_heartbeats.extend(spans);
    let after = &balancer.session.names;
    let is_it = |pair: &&Pair<'_>| pair.key.eq_ignore_ascii_case("stickysession");
    if let (Some(before), Some(pair)) = (before, pairs.iter().rfind(is_it)) {
        if after.as_ref() != Some(&before) {
            let message = format!("`stickysession` was `{before}` before; this value replaces it");
            let remark = Remark::new(message);
            let hint = "it is a setting of the balancer and applies to all its mappings";
            reading.warning(pair.value_span, remark.with_hint(hint));
        }
    }
}

/// Splits words at `=`, and adds a diagnostic for words without one.
pub(super) fn pairs<'w>(
    reading: &mut DirectiveContext<'_>,
    directive: &str,
    words: &'w [ConfigWord],
) -> Vec<Pair<'w>> {
    let mut pairs = Vec::new();
    for word in words {
        match Pair::of(word) {
            Some(pair) => pairs.push(pair),
            None => not_a_pair(reading, word.span, directive),
        }
    }
    pairs
}

pub(super) fn member(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let name = &directive.name;
    let mut words = directive.words.as_slice();
    let balancer_name = if scope.within == Within::Proxy {
        let Some(balancer) = scope.balancer.clone() else {
            let remark = Remark::new("`BalancerMember` is in a section that is not for a balancer");
            return reading.error(
                name.span,
                remark.with_hint("write `<Proxy balancer://name>`"),
            );
        };
        balancer
    } else {
        let first = words.first();
        let Some((word, balancer)) = first.and_then(|word| Some((word, name_of(&word.text)?)))
        else {
            let remark = Remark::new("`BalancerMember` needs a balancer");
            let hint = "write it inside `<Proxy balancer://name>`, or `BalancerMember \
                balancer://name http://host`";
            return reading.error(name.span, remark.with_hint(hint));
        };
        words = &words[1..];
        let Some(balancer) = checked_name(reading, word, balancer) else {
            return;
        };
        balancer
    };
    let url = words.iter().position(|word| !word.text.contains('='));
    let Some(url) = url else {
        let remark = Remark::new("`BalancerMember` needs the URL of a member");
        let with_sign = words.iter().any(|word| word.text.contains("://"));
        let hint = if with_sign {
            "a word with `=` is a parameter, not a URL"
        } else {
            "write `BalancerMember http://host key=value ..`"
        };
        return reading.error(name.span, remark.with_hint(hint));
    };
    let others = words.iter().enumerate().filter(|(at, _)| *at != url);
    let others: Vec<ConfigWord> = others.map(|(_, word)| word.clone()).collect();
    let pairs = pairs(reading, "BalancerMember", &others);
    let mut config = MemberConfig::default();
    reading.pairs("a member", &pairs, &MEMBER, &mut config);
    look_up(reading, &pairs, &config.check);
    let Some(normal) = reading.checked(words[url].span, normalised(&words[url].text)) else {
        return;
    };
    config.url = normal.origin() + &normal.path;
    let balancer = balancer(reading, scope.host, &balancer_name);
    let host = reading.virtual_host;
    reading.defined.insert((host, balancer_name));
    add(reading, balancer, config, &words[url]);
}

fn add(
    reading: &mut DirectiveContext<'_>,
    balancer: &mut BalancerConfig,
    member: MemberConfig,
    word: &ConfigWord,
) {
    let host = reading.virtual_host;
    let known = reading
        .definitions
        .member(host, &balancer.name, &member.url);
    if known.is_some_and(|known| known == member.url) {
        let message = format!("`{}` is already a member: this line is ignored", member.url);
        return reading.warning(word.span, Remark::new(message));
    }
    // httpd treats a URL that begins with another member's URL as that member.
    let origin = MemberUrl::parse(&member.url).map_or(0, |url| url.origin().len());
    if let Some(other) = known.filter(|known| known.len() >= origin) {
        let message = format!("this is a separate member; httpd would treat it as `{other}`");
        reading.warning(word.span, Remark::new(message));
    }
    let host = reading.virtual_host;
    reading
        .definitions
        .add_member(host, &balancer.name, &member.url);
    balancer.members.push(member);
}

pub(super) fn proxy_set(
    reading: &mut DirectiveContext<'_>,
    scope: &mut DirectiveScope<'_>,
    directive: &Directive,
) {
    let name = &directive.name;
    let mut words = directive.words.as_slice();
    let balancer_name = if scope.within == Within::Proxy {
        let Some(balancer) = scope.balancer.clone() else {
            let remark = Remark::new("`ProxySet` is in a section that is not for a balancer");
            let hint = "write the parameters of a single member on the line of its `ProxyPass`";
            return reading.error(name.span, remark.with_hint(hint));
        };
        balancer
    } else {
        let first = words.first();
        let Some((word, balancer)) = first.and_then(|word| Some((word, name_of(&word.text)?)))
        else {
            let remark = Remark::new("`ProxySet` needs a balancer");
            let hint = "write it inside `<Proxy balancer://name>`, or `ProxySet \
                balancer://name key=value`";
            return reading.error(name.span, remark.with_hint(hint));
        };
        words = &words[1..];
        let known = reading
            .definitions
            .balancer(reading.virtual_host, &balancer);
        if known.is_none() {
            let names = scope.host.balancers.iter().map(|it| it.name.as_str());
            let message = format!("balancer `{balancer}` is not defined before this line");
            let remark = Remark::new(message);
            let remark = match nearest(&balancer, names) {
                Some(near) => remark.with_hint(format!("did you mean `{near}`?")),
                None => remark,
            };
            return reading.error(word.span, remark);
        }
        balancer
    };
    if words.is_empty() {
        let remark = Remark::new("`ProxySet` needs a parameter");
        return reading.error(name.span, remark.with_hint("write `ProxySet key=value ..`"));
    }
    let pairs = pairs(reading, "ProxySet", words);
    set(reading, scope.host, &balancer_name, &pairs);
}
