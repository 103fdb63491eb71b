//! One pass over the tree: sections, scopes and complaints.
//!
//! What does not live here: what single directives mean (the files that `names` calls).

use std::collections::BTreeSet;

use super::balancer_parameters::BALANCER;
use super::found::{Found, Ordered};
use super::member_parameters::MEMBER;
use super::names::{DIRECTIVES, Known, Meaning, SECTIONS, Within};
use super::others::{other, others};
use super::parameter::{Moot, Parameter, Read, Remark, nearest};
use super::{afterwards, balancers, host, mappings};
use crate::config::complaints::Complaints;
use crate::config::model::{
    CheckTemplate, Condition, Config, Host, Location, Settings, VirtualHost,
};
use crate::config::syntax::{Directive, Node, Section, Sources, Span, Word};
use crate::config::{Diagnostic, Severity, secret};

/// What is read so far, and what there is to say about it.
pub(super) struct Reading<'a> {
    sources: &'a Sources,
    complaints: &'a mut Complaints,
    /// What is said once, and not again for each line.
    said: BTreeSet<String>,
    pub(super) config: Config,
    /// The targets of mappings and where they were read, for `afterwards`.
    pub(super) targets: Vec<afterwards::Mapped>,
    /// Which balancers have a section or members, by host.
    pub(super) defined: BTreeSet<(Option<usize>, String)>,
    /// Which virtual host is read; `None` for the main server.
    pub(super) virtual_host: Option<usize>,
    pub(super) found: Found,
    /// What must not be shown of the directive that is read.
    secrets: Vec<String>,
    pub(super) conditions: Ordered<Condition>,
    /// By their names in lower case.
    pub(super) templates: Ordered<CheckTemplate>,
}

/// Where a directive stands.
pub(super) struct Scope<'s> {
    pub(super) within: Within,
    pub(super) host: &'s mut Host,
    pub(super) location: Option<Location>,
    /// The balancer whose section it is.
    pub(super) balancer: Option<String>,
    /// What `SetEnv` sets in the host or location.
    pub(super) variables: Ordered<String>,
}

impl Scope<'_> {
    /// What holds for all that the scope is about.
    pub(super) fn settings(&mut self) -> &mut Settings {
        match &mut self.location {
            Some(location) => &mut location.settings,
            None => &mut self.host.settings,
        }
    }
}

/// A `key=value`, and where both of them stand.
#[derive(Clone, Debug)]
pub(super) struct Pair<'w> {
    pub(super) key: &'w str,
    pub(super) value: &'w str,
    pub(super) key_span: Span,
    pub(super) value_span: Span,
}

impl<'w> Pair<'w> {
    /// Splits a word at its first `=`.
    pub(super) fn of(word: &'w Word) -> Option<Self> {
        let (key, value) = word.text.split_once('=')?;
        let (mut key_span, mut value_span) = (word.span, word.span);
        let length = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        // With quotes or variables in it, columns do not tell where the parts are.
        if length(&word.text) == word.span.length {
            key_span.length = length(key);
            value_span.column += key_span.length + 1;
            value_span.length = length(value);
            if value.is_empty() {
                value_span = word.span;
            }
        }
        Some(Self {
            key,
            value,
            key_span,
            value_span,
        })
    }
}

impl<'a> Reading<'a> {
    pub(super) fn new(sources: &'a Sources, complaints: &'a mut Complaints) -> Self {
        Self {
            sources,
            complaints,
            said: BTreeSet::new(),
            config: Config::default(),
            targets: Vec::new(),
            defined: BTreeSet::new(),
            virtual_host: None,
            found: Found::default(),
            secrets: Vec::new(),
            conditions: Ordered::default(),
            templates: Ordered::default(),
        }
    }

    /// Reads the whole tree.
    pub(super) fn whole(mut self, nodes: &[Node]) -> Config {
        let mut server = Host::default();
        self.host(nodes, Within::Main, &mut server);
        self.config.server = server;
        let conditions = std::mem::take(&mut self.conditions).into_values();
        self.config.conditions = conditions.map(|(_, condition)| condition).collect();
        let templates = std::mem::take(&mut self.templates).into_values();
        self.config.check_templates = templates.map(|(_, template)| template).collect();
        afterwards::look(&mut self);
        self.config
    }

    /// Reads all that stands in a host.
    fn host(&mut self, nodes: &[Node], within: Within, host: &mut Host) {
        let mut scope = Scope {
            within,
            host,
            location: None,
            balancer: None,
            variables: Ordered::default(),
        };
        self.nodes(nodes, &mut scope);
        host.settings.variables = scope.variables.into_values().collect();
    }

    fn nodes(&mut self, nodes: &[Node], scope: &mut Scope<'_>) {
        for node in nodes {
            if self.complaints.are_too_many() {
                return;
            }
            match node {
                Node::Directive(directive) => self.directive(directive, scope),
                Node::Section(section) => self.section(section, scope),
            }
        }
    }

    fn directive(&mut self, directive: &Directive, scope: &mut Scope<'_>) {
        let name = &directive.name;
        self.hide_words(name, &directive.words);
        let is_it = |row: &&Known| row.name.eq_ignore_ascii_case(&name.text);
        if let Some(known) = DIRECTIVES.iter().find(is_it) {
            return self.known(known.name, &known.meaning, directive, scope);
        }
        if let Some((known, meaning)) = other(&name.text) {
            return self.known(known, meaning, directive, scope);
        }
        let all = DIRECTIVES.iter().map(|row| row.name).chain(others());
        self.unknown(name, "directive", all);
    }

    fn known(
        &mut self,
        known: &str,
        meaning: &Meaning,
        directive: &Directive,
        scope: &mut Scope<'_>,
    ) {
        let name = &directive.name;
        match meaning {
            Meaning::Do(within, read) => {
                if within.contains(&scope.within) {
                    if scope.within == Within::Proxy && within.contains(&Within::Location) {
                        self.for_all_balancers(known, name);
                    }
                    read(self, scope, directive);
                } else {
                    let message = format!("`{known}` cannot stand {}", scope.within);
                    let places: Vec<_> = within.iter().map(Within::to_string).collect();
                    let hint = format!("it belongs {}", either(&places));
                    self.error(name.span, Remark::new(message).with_hint(hint));
                }
            }
            Meaning::Note(why) => {
                self.once(Severity::Note, name.span, format!("`{known}` {why}"));
            }
            Meaning::Refuse(message, hint) => {
                let remark = Remark::new(format!("`{known}` {message}"));
                self.error(name.span, remark.with_hint(*hint));
            }
            Meaning::Warn(what) => {
                self.once(Severity::Warning, name.span, format!("`{known}` {what}"));
            }
        }
    }

    /// Settings of paths in a section of a balancer hold for its whole host.
    fn for_all_balancers(&mut self, known: &str, name: &Word) {
        if known != "Require" {
            let message = format!("`{known}` inside `<Proxy>` is read as if it stood outside");
            let hint = "write it in a `<Location>` if other paths are not to have it";
            self.warning(name.span, Remark::new(message).with_hint(hint));
        }
    }

    fn hide_words(&mut self, name: &Word, words: &[Word]) {
        let words = std::iter::once(name).chain(words);
        let words: Vec<&str> = words.map(|word| word.text.as_str()).collect();
        self.hide(&words);
    }

    /// Notes what is secret of what is read now.
    pub(super) fn hide(&mut self, words: &[&str]) {
        let secrets = secret::of_words(words).into_iter();
        self.secrets = secrets.map(str::to_owned).collect();
    }

    fn section(&mut self, section: &Section, scope: &mut Scope<'_>) {
        let name = &section.name;
        self.hide_words(name, &section.words);
        let is_it = |known: &&&str| known.eq_ignore_ascii_case(&name.text);
        let Some(known) = SECTIONS.iter().find(is_it) else {
            return self.unknown(name, "section", SECTIONS.iter().copied());
        };
        let top = matches!(scope.within, Within::Main | Within::VirtualHost);
        match *known {
            "VirtualHost" if scope.within == Within::Main => self.virtual_host(section),
            "Location" | "LocationMatch" if top => {
                let is_match = *known == "LocationMatch";
                self.location(section, is_match, scope);
            }
            "Proxy" if top => self.proxy(section, scope),
            "Directory" | "DirectoryMatch" | "Files" | "FilesMatch" => {
                let message = format!("`<{known}>` concerns files, and none are served");
                self.once(Severity::Note, name.span, message);
            }
            "RequireAny" if scope.within != Within::Main => {
                self.nodes(&section.children, scope);
            }
            "VirtualHost" | "Location" | "LocationMatch" | "Proxy" | "RequireAny" => {
                let message = format!("`<{known}>` cannot stand {}", scope.within);
                self.error(name.span, Remark::new(message));
            }
            _ => {
                let remark = Remark::new(format!("`<{known}>` cannot be carried out"));
                self.error(name.span, remark.with_hint(match *known {
                    "Limit" | "LimitExcept" | "RequireAll" | "RequireNone" => {
                        "who may ask is said by `Require` in `<Location>`, of which one has to hold"
                    }
                    "ProxyMatch" => "name the balancer: `<Proxy balancer://name>`",
                    _ => "write what is to hold without a condition",
                }));
            }
        }
    }

    fn virtual_host(&mut self, section: &Section) {
        let mut host = Host::default();
        let addresses = host::addresses(self, section);
        self.virtual_host = Some(self.config.virtual_hosts.len());
        self.host(&section.children, Within::VirtualHost, &mut host);
        self.virtual_host = None;
        self.config
            .virtual_hosts
            .push(VirtualHost { addresses, host });
    }

    fn location(&mut self, section: &Section, is_match: bool, scope: &mut Scope<'_>) {
        let Some((path, is_pattern)) = mappings::location(self, section, is_match) else {
            return;
        };
        let mut inner = Scope {
            within: Within::Location,
            host: &mut *scope.host,
            location: Some(Location {
                path,
                is_pattern,
                settings: Settings::default(),
            }),
            balancer: None,
            variables: Ordered::default(),
        };
        self.nodes(&section.children, &mut inner);
        let Scope {
            location,
            variables,
            ..
        } = inner;
        if let Some(mut location) = location {
            location.settings.variables = variables.into_values().collect();
            scope.host.locations.push(location);
        }
    }

    fn proxy(&mut self, section: &Section, scope: &mut Scope<'_>) {
        let balancer = balancers::section(self, section, scope.host);
        let mut inner = Scope {
            within: Within::Proxy,
            host: &mut *scope.host,
            location: None,
            balancer,
            // Inside of it, they are the host's.
            variables: std::mem::take(&mut scope.variables),
        };
        self.nodes(&section.children, &mut inner);
        scope.variables = inner.variables;
    }

    fn unknown<'k>(&mut self, name: &Word, what: &str, known: impl Iterator<Item = &'k str>) {
        let remark = Remark::new(if what == "section" {
            format!("there is no section `<{}>`", name.text)
        } else {
            format!("there is no {what} `{}`", name.text)
        });
        let near = nearest(&name.text, known);
        self.error(
            name.span,
            match near {
                Some(near) => remark.with_hint(format!("did you mean `{near}`?")),
                None => remark,
            },
        );
    }

    /// Reads the pairs into `target`, by the table.
    pub(super) fn pairs<T: Clone>(
        &mut self,
        what: &str,
        pairs: &[Pair<'_>],
        table: &[Parameter<T>],
        target: &mut T,
    ) {
        let mut seen = BTreeSet::new();
        for pair in pairs {
            let is_it = |row: &&Parameter<T>| row.key.eq_ignore_ascii_case(pair.key);
            let Some(row) = table.iter().find(is_it) else {
                let remark = Remark::new(format!("{what} has no parameter `{}`", pair.key));
                let remark = if is_key(&MEMBER, pair.key) {
                    remark.with_hint("it is a parameter of members")
                } else if is_key(&BALANCER, pair.key) {
                    remark.with_hint("it is a parameter of balancers")
                } else {
                    match nearest(pair.key, table.iter().map(|row| row.key)) {
                        Some(near) => remark.with_hint(format!("did you mean `{near}`?")),
                        None => remark,
                    }
                };
                self.error(pair.key_span, remark);
                continue;
            };
            // Letters of a status add up, over pairs as well.
            if !seen.insert(row.key) && row.key != "status" {
                let message = format!("`{}` is said twice, and this one counts", row.key);
                self.warning(pair.key_span, Remark::new(message));
            }
            let read = row.read(target, pair.value);
            let refused = read.is_err();
            self.value(pair.value_span, read);
            if refused {
                continue;
            }
            let moot = |why: &str| format!("`{}` {why}", row.key);
            match row.moot {
                Moot::No => {}
                Moot::Note(why) => self.once(Severity::Note, pair.key_span, moot(why)),
                Moot::Warning(why) => {
                    self.once(Severity::Warning, pair.key_span, moot(why));
                }
            }
        }
    }

    /// Says what there is to say of a value.
    pub(super) fn value(&mut self, span: Span, read: Read) {
        match read {
            Ok(None) => {}
            Ok(Some(remark)) => self.warning(span, remark),
            Err(remark) => self.error(span, remark),
        }
    }

    /// The value, or a complaint.
    pub(super) fn checked<V>(&mut self, span: Span, read: Result<V, Remark>) -> Option<V> {
        match read {
            Ok(value) => Some(value),
            Err(remark) => {
                self.error(span, remark);
                None
            }
        }
    }

    /// The words of a directive, if their number is right.
    pub(super) fn words<'d>(
        &mut self,
        directive: &'d Directive,
        number: std::ops::RangeInclusive<usize>,
        usage: &str,
    ) -> Option<&'d [Word]> {
        let words = &directive.words;
        if number.contains(&words.len()) {
            return Some(words);
        }
        let (span, message) = match words.get(*number.end()) {
            Some(surplus) => (surplus.span, "has a word too many"),
            None => (directive.name.span, "is not complete"),
        };
        let remark = Remark::new(format!("`{}` {message}", directive.name.text));
        self.error(span, remark.with_hint(format!("write `{usage}`")));
        None
    }

    /// Whether another warning would be shown: what it says may not be cheap to find.
    pub(super) fn take_warnings(&self) -> bool {
        self.complaints.take_warnings()
    }

    pub(super) fn error(&mut self, span: Span, remark: Remark) {
        self.say(Diagnostic::error(remark.message), span, remark.hint);
    }

    pub(super) fn warning(&mut self, span: Span, remark: Remark) {
        self.say(Diagnostic::warning(remark.message), span, remark.hint);
    }

    /// Says something once, where it is first to be said.
    pub(super) fn once(&mut self, severity: Severity, span: Span, message: String) {
        if self.said.insert(message.clone()) {
            let diagnostic = match severity {
                Severity::Error => Diagnostic::error(message),
                Severity::Note => Diagnostic::note(message),
                Severity::Warning => Diagnostic::warning(message),
            };
            self.say(diagnostic, span, None);
        }
    }

    fn say(&mut self, mut diagnostic: Diagnostic, span: Span, hint: Option<String>) {
        diagnostic.hint = hint;
        let variables = self.sources.secrets.iter();
        let secrets = self.secrets.iter().chain(variables);
        let secrets = secrets.map(String::as_str);
        self.complaints
            .add(diagnostic, secrets, || self.sources.place(span));
    }
}

fn is_key<T>(table: &[Parameter<T>], key: &str) -> bool {
    table.iter().any(|row| row.key.eq_ignore_ascii_case(key))
}

/// `a, b or c`
fn either(words: &[String]) -> String {
    match words {
        [before @ .., last] if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        words => words.concat(),
    }
}
