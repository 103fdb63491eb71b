//! Walks the tree once: checks where directives and sections are allowed, and calls the
//! function for each of them.
//!
//! Not here: the configuration so far and its diagnostics (`reading`); single directives
//! (the functions listed in `names`).

use super::definitions::Ordered;
use super::names::{DIRECTIVES, KnownDirective, Meaning, SECTIONS};
use super::others::{other, others};
use super::parameter::{Remark, nearest};
use super::reading::{DirectiveContext, DirectiveScope, Within};
use super::{balancers, final_checks, host, mappings};
use crate::config::Severity;
use crate::config::model::{Config, Host, HostSettings, Location, VirtualHost};
use crate::config::syntax::{ConfigWord, Directive, Section, SyntaxNode};

/// Reads a whole tree.
pub(super) fn read_whole(mut reading: DirectiveContext<'_>, nodes: &[SyntaxNode]) -> Config {
    let mut server = Host::default();
    read_host(&mut reading, nodes, Within::Main, &mut server);
    reading.config.server = server;
    let conditions = std::mem::take(&mut reading.conditions).into_values();
    reading.config.conditions = conditions.map(|(_, condition)| condition).collect();
    let templates = std::mem::take(&mut reading.templates).into_values();
    reading.config.check_templates = templates.map(|(_, template)| template).collect();
    final_checks::check(&mut reading);
    reading.config
}

/// Reads the content of a host.
fn read_host(
    reading: &mut DirectiveContext<'_>,
    nodes: &[SyntaxNode],
    within: Within,
    host: &mut Host,
) {
    let mut scope = DirectiveScope {
        within,
        host,
        location: None,
        balancer: None,
        variables: Ordered::default(),
    };
    read_nodes(reading, nodes, &mut scope);
    host.settings.variables = scope.variables.into_values().collect();
}

fn read_nodes(
    reading: &mut DirectiveContext<'_>,
    nodes: &[SyntaxNode],
    scope: &mut DirectiveScope<'_>,
) {
    for node in nodes {
        if reading.is_stopped() {
            return;
        }
        match node {
            SyntaxNode::Directive(directive) => read_directive(reading, directive, scope),
            SyntaxNode::Section(section) => read_section(reading, section, scope),
        }
    }
}

fn read_directive(
    reading: &mut DirectiveContext<'_>,
    directive: &Directive,
    scope: &mut DirectiveScope<'_>,
) {
    let name = &directive.name;
    reading.hide_words(name, &directive.words);
    let is_it = |row: &&KnownDirective| row.name.eq_ignore_ascii_case(&name.text);
    if let Some(known) = DIRECTIVES.iter().find(is_it) {
        return read_as(reading, known.name, &known.meaning, directive, scope);
    }
    if let Some((known, meaning)) = other(&name.text) {
        return read_as(reading, known, meaning, directive, scope);
    }
    let all = DIRECTIVES.iter().map(|row| row.name).chain(others());
    unknown(reading, name, "directive", all);
}

fn read_as(
    reading: &mut DirectiveContext<'_>,
    known: &str,
    meaning: &Meaning,
    directive: &Directive,
    scope: &mut DirectiveScope<'_>,
) {
    let name = &directive.name;
    match meaning {
        Meaning::Do(within, read) => {
            if within.contains(&scope.within) {
                if scope.within == Within::Proxy && within.contains(&Within::Location) {
                    warn_whole_host(reading, known, name);
                }
                read(reading, scope, directive);
            } else {
                let message = format!("`{known}` is not allowed {}", scope.within);
                let places: Vec<_> = within.iter().map(Within::to_string).collect();
                let hint = format!("it is allowed {}", either(&places));
                reading.error(name.span, Remark::new(message).with_hint(hint));
            }
        }
        Meaning::Note(why) => {
            reading.once(Severity::Note, name.span, format!("`{known}` {why}"));
        }
        Meaning::Refuse(message, hint) => {
            let remark = Remark::new(format!("`{known}` {message}"));
            reading.error(name.span, remark.with_hint(*hint));
        }
        Meaning::Warn(what) => {
            reading.once(Severity::Warning, name.span, format!("`{known}` {what}"));
        }
    }
}

/// Path settings inside a balancer's section apply to its whole host.
fn warn_whole_host(reading: &mut DirectiveContext<'_>, known: &str, name: &ConfigWord) {
    if known != "Require" {
        let message = format!("`{known}` inside `<Proxy>` applies to the whole host");
        let hint = "write it in a `<Location>` to limit it to some paths";
        reading.warning(name.span, Remark::new(message).with_hint(hint));
    }
}

fn read_section(
    reading: &mut DirectiveContext<'_>,
    section: &Section,
    scope: &mut DirectiveScope<'_>,
) {
    let name = &section.name;
    reading.hide_words(name, &section.words);
    let is_it = |known: &&&str| known.eq_ignore_ascii_case(&name.text);
    let Some(known) = SECTIONS.iter().find(is_it) else {
        return unknown(reading, name, "section", SECTIONS.iter().copied());
    };
    let top = matches!(scope.within, Within::Main | Within::VirtualHost);
    match *known {
        "VirtualHost" if scope.within == Within::Main => read_virtual_host(reading, section),
        "Location" | "LocationMatch" if top => {
            let is_match = *known == "LocationMatch";
            read_location(reading, section, is_match, scope);
        }
        "Proxy" if top => read_proxy(reading, section, scope),
        "Directory" | "DirectoryMatch" | "Files" | "FilesMatch" => {
            let message = format!("`<{known}>` has no effect: files are not served");
            reading.once(Severity::Note, name.span, message);
        }
        "RequireAny" if scope.within != Within::Main => {
            read_nodes(reading, &section.children, scope);
        }
        "VirtualHost" | "Location" | "LocationMatch" | "Proxy" | "RequireAny" => {
            let message = format!("`<{known}>` is not allowed {}", scope.within);
            reading.error(name.span, Remark::new(message));
        }
        _ => {
            let remark = Remark::new(format!("`<{known}>` is not supported"));
            reading.error(
                name.span,
                remark.with_hint(match *known {
                    "Limit" | "LimitExcept" | "RequireAll" | "RequireNone" => {
                        "write `Require` in a `<Location>`: a client needs to match one of them"
                    }
                    "ProxyMatch" => "name the balancer: `<Proxy balancer://name>`",
                    _ => "write the content without a condition",
                }),
            );
        }
    }
}

fn read_virtual_host(reading: &mut DirectiveContext<'_>, section: &Section) {
    let mut host = Host::default();
    let addresses = host::addresses(reading, section);
    reading.virtual_host = Some(reading.config.virtual_hosts.len());
    read_host(reading, &section.children, Within::VirtualHost, &mut host);
    reading.virtual_host = None;
    reading
        .config
        .virtual_hosts
        .push(VirtualHost { addresses, host });
}

fn read_location(
    reading: &mut DirectiveContext<'_>,
    section: &Section,
    is_match: bool,
    scope: &mut DirectiveScope<'_>,
) {
    let Some((path, is_pattern)) = mappings::location(reading, section, is_match) else {
        return;
    };
    let mut inner = DirectiveScope {
        within: Within::Location,
        host: &mut *scope.host,
        location: Some(Location {
            path,
            is_pattern,
            settings: HostSettings::default(),
        }),
        balancer: None,
        variables: Ordered::default(),
    };
    read_nodes(reading, &section.children, &mut inner);
    let DirectiveScope {
        location,
        variables,
        ..
    } = inner;
    if let Some(mut location) = location {
        location.settings.variables = variables.into_values().collect();
        scope.host.locations.push(location);
    }
}

fn read_proxy(
    reading: &mut DirectiveContext<'_>,
    section: &Section,
    scope: &mut DirectiveScope<'_>,
) {
    let balancer = balancers::section(reading, section, scope.host);
    let mut inner = DirectiveScope {
        within: Within::Proxy,
        host: &mut *scope.host,
        location: None,
        balancer,
        // Inside the section, the variables of the host apply.
        variables: std::mem::take(&mut scope.variables),
    };
    read_nodes(reading, &section.children, &mut inner);
    scope.variables = inner.variables;
}

fn unknown<'k>(
    reading: &mut DirectiveContext<'_>,
    name: &ConfigWord,
    what: &str,
    known: impl Iterator<Item = &'k str>,
) {
    let remark = Remark::new(if what == "section" {
        format!("unknown section `<{}>`", name.text)
    } else {
        format!("unknown {what} `{}`", name.text)
    });
    let near = nearest(&name.text, known);
    reading.error(
        name.span,
        match near {
            Some(near) => remark.with_hint(format!("did you mean `{near}`?")),
            None => remark,
        },
    );
}

/// Joins words: `a, b or c`.
fn either(words: &[String]) -> String {
    match words {
        [before @ .., last] if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        words => words.concat(),
    }
}
