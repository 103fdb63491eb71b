//! The state while a tree is converted into a configuration: [`DirectiveContext`].
//!
//! Not here: walking the tree (`walk`), and single directives (the functions listed in
//! `names`).

use std::collections::BTreeSet;
use std::fmt;

use super::balancer_parameters::BALANCER;
use super::definitions::{Definitions, Ordered, ParsedMapping};
use super::member_parameters::MEMBER;
use super::parameter::{Parameter, ParameterEffect, ReadOutcome, Remark, nearest};
use crate::config::diagnostic_list::DiagnosticList;
use crate::config::model::{CheckCondition, CheckTemplate, Config, Host, HostSettings, Location};
use crate::config::syntax::{ConfigWord, Directive, Sources, Span};
use crate::config::{Diagnostic, Severity, secret};

/// The configuration so far, and its diagnostics.
pub(super) struct DirectiveContext<'a> {
    sources: &'a Sources,
    diagnostics: &'a mut DiagnosticList,
    /// Messages that are reported once, and not for each line.
    reported: BTreeSet<String>,
    pub(super) config: Config,
    /// The targets of mappings and their positions, for `final_checks`.
    pub(super) targets: Vec<ParsedMapping>,
    /// Balancers that have a section or members, by host.
    pub(super) defined: BTreeSet<(Option<usize>, String)>,
    /// The virtual host that is being read; `None` for the main server.
    pub(super) virtual_host: Option<usize>,
    pub(super) definitions: Definitions,
    /// The positions where a balancer is set to pick by heartbeats, for `final_checks`.
    pub(super) picks_by_heartbeats: Vec<Span>,
    pub(super) storage_span: Option<Span>,
    /// The secrets of the directive that is being read.
    secrets: Vec<String>,
    pub(super) conditions: Ordered<CheckCondition>,
    /// The keys are names in lower case.
    pub(super) templates: Ordered<CheckTemplate>,
}

/// The context in which a directive stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Within {
    Location,
    Main,
    Proxy,
    VirtualHost,
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Location => "inside `<Location>`",
            Self::Main => "outside of sections",
            Self::Proxy => "inside `<Proxy>`",
            Self::VirtualHost => "inside `<VirtualHost>`",
        })
    }
}

/// The context in which a directive stands, and the values it applies to.
pub(super) struct DirectiveScope<'s> {
    pub(super) within: Within,
    pub(super) host: &'s mut Host,
    pub(super) location: Option<Location>,
    /// The balancer of the section.
    pub(super) balancer: Option<String>,
    /// The variables that `SetEnv` sets in the host or location.
    pub(super) variables: Ordered<String>,
}

impl DirectiveScope<'_> {
    /// Returns the settings that directives in this context change.
    pub(super) fn settings(&mut self) -> &mut HostSettings {
        match &mut self.location {
            Some(location) => &mut location.settings,
            None => &mut self.host.settings,
        }
    }
}

/// A `key=value` parameter, with the positions of both.
#[derive(Clone, Debug)]
pub(super) struct Pair<'w> {
    pub(super) key: &'w str,
    pub(super) value: &'w str,
    pub(super) key_span: Span,
    pub(super) value_span: Span,
}

impl<'w> Pair<'w> {
    /// Splits a word at its first `=`.
    pub(super) fn of(word: &'w ConfigWord) -> Option<Self> {
        let (key, value) = word.text.split_once('=')?;
        let (mut key_span, mut value_span) = (word.span, word.span);
        let length = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        // With quotes or variables in the word, the positions of its parts are unknown.
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

impl<'a> DirectiveContext<'a> {
    pub(super) fn new(sources: &'a Sources, diagnostics: &'a mut DiagnosticList) -> Self {
        Self {
            sources,
            diagnostics,
            reported: BTreeSet::new(),
            config: Config::default(),
            targets: Vec::new(),
            defined: BTreeSet::new(),
            virtual_host: None,
            definitions: Definitions::default(),
            picks_by_heartbeats: Vec::new(),
            storage_span: None,
            secrets: Vec::new(),
            conditions: Ordered::default(),
            templates: Ordered::default(),
        }
    }

    /// Records the secrets of a directive, or of the head of a section.
    pub(super) fn hide_words(&mut self, name: &ConfigWord, words: &[ConfigWord]) {
        let words = std::iter::once(name).chain(words);
        let words: Vec<&str> = words.map(|word| word.text.as_str()).collect();
        self.hide(&words);
    }

    /// Records the secrets of these words.
    pub(super) fn hide(&mut self, words: &[&str]) {
        let secrets = secret::of_words(words).into_iter();
        self.secrets = secrets.map(str::to_owned).collect();
    }

    /// Parses the pairs into `target`, using the table.
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
                let remark = Remark::new(format!("unknown parameter `{}` for {what}", pair.key));
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
            // The letters of `status` accumulate, also over several pairs.
            if !seen.insert(row.key) && row.key != "status" {
                let message = format!("`{}` is set twice; this value is used", row.key);
                self.warning(pair.key_span, Remark::new(message));
            }
            let read = row.read(target, pair.value);
            let refused = read.is_err();
            self.value(pair.value_span, read);
            if refused {
                continue;
            }
            let effect = |why: &str| format!("`{}` {why}", row.key);
            match row.effect {
                ParameterEffect::Full => {}
                ParameterEffect::Note(why) => self.once(Severity::Note, pair.key_span, effect(why)),
                ParameterEffect::Warning(why) => {
                    self.once(Severity::Warning, pair.key_span, effect(why));
                }
            }
        }
    }

    /// Adds the diagnostic of a value, if there is one.
    pub(super) fn value(&mut self, span: Span, read: ReadOutcome) {
        match read {
            Ok(None) => {}
            Ok(Some(remark)) => self.warning(span, remark),
            Err(remark) => self.error(span, remark),
        }
    }

    /// Returns the value, or adds a diagnostic.
    pub(super) fn checked<V>(&mut self, span: Span, read: Result<V, Remark>) -> Option<V> {
        match read {
            Ok(value) => Some(value),
            Err(remark) => {
                self.error(span, remark);
                None
            }
        }
    }

    /// Returns the words of a directive if their number is correct.
    pub(super) fn words<'d>(
        &mut self,
        directive: &'d Directive,
        number: std::ops::RangeInclusive<usize>,
        usage: &str,
    ) -> Option<&'d [ConfigWord]> {
        let words = &directive.words;
        if number.contains(&words.len()) {
            return Some(words);
        }
        let (span, message) = match words.get(*number.end()) {
            Some(surplus) => (surplus.span, "has too many words"),
            None => (directive.name.span, "is incomplete"),
        };
        let remark = Remark::new(format!("`{}` {message}", directive.name.text));
        self.error(span, remark.with_hint(format!("write `{usage}`")));
        None
    }

    /// Returns whether there are so many errors that reading should stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.diagnostics.are_too_many()
    }

    /// Returns whether another warning would be kept; its message may be slow to compute.
    pub(super) fn take_warnings(&self) -> bool {
        self.diagnostics.take_warnings()
    }

    pub(super) fn error(&mut self, span: Span, remark: Remark) {
        self.say(Diagnostic::error(remark.message), span, remark.hint);
    }

    pub(super) fn warning(&mut self, span: Span, remark: Remark) {
        self.say(Diagnostic::warning(remark.message), span, remark.hint);
    }

    /// Adds a diagnostic once, at its first position.
    pub(super) fn once(&mut self, severity: Severity, span: Span, message: String) {
        if self.reported.insert(message.clone()) {
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
        self.diagnostics
            .add(diagnostic, secrets, || self.sources.place(span));
    }
}

fn is_key<T>(table: &[Parameter<T>], key: &str) -> bool {
    table.iter().any(|row| row.key.eq_ignore_ascii_case(key))
}
