//! What a tree is read into, and what there is to say about it: [`DirectiveContext`].
//!
//! What does not live here: the way through the tree (`walk`), and what single directives
//! mean (the files that `names` calls).

use std::collections::BTreeSet;
use std::fmt;

use super::balancer_parameters::BALANCER;
use super::found::{Definitions, Ordered, ParsedMapping};
use super::member_parameters::MEMBER;
use super::parameter::{Moot, Parameter, ReadOutcome, Remark, nearest};
use crate::config::complaints::Complaints;
use crate::config::model::{CheckCondition, CheckTemplate, Config, Host, HostSettings, Location};
use crate::config::syntax::{ConfigWord, Directive, Sources, Span};
use crate::config::{Diagnostic, Severity, secret};

/// What is read so far, and what there is to say about it.
pub(super) struct DirectiveContext<'a> {
    sources: &'a Sources,
    complaints: &'a mut Complaints,
    /// What is said once, and not again for each line.
    said: BTreeSet<String>,
    pub(super) config: Config,
    /// The targets of mappings and where they were read, for `afterwards`.
    pub(super) targets: Vec<ParsedMapping>,
    /// Which balancers have a section or members, by host.
    pub(super) defined: BTreeSet<(Option<usize>, String)>,
    /// Which virtual host is read; `None` for the main server.
    pub(super) virtual_host: Option<usize>,
    pub(super) found: Definitions,
    /// Where balancers are told to pick by heartbeats, for `afterwards`.
    pub(super) elect_by_heartbeats: Vec<Span>,
    pub(super) storage_span: Option<Span>,
    /// What must not be shown of the directive that is read.
    secrets: Vec<String>,
    pub(super) conditions: Ordered<CheckCondition>,
    /// By their names in lower case.
    pub(super) templates: Ordered<CheckTemplate>,
}

/// In what a directive stands.
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

/// Where a directive stands, and what it is about.
pub(super) struct DirectiveScope<'s> {
    pub(super) within: Within,
    pub(super) host: &'s mut Host,
    pub(super) location: Option<Location>,
    /// The balancer whose section it is.
    pub(super) balancer: Option<String>,
    /// What `SetEnv` sets in the host or location.
    pub(super) variables: Ordered<String>,
}

impl DirectiveScope<'_> {
    /// What holds for all that the scope is about.
    pub(super) fn settings(&mut self) -> &mut HostSettings {
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
    pub(super) fn of(word: &'w ConfigWord) -> Option<Self> {
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

impl<'a> DirectiveContext<'a> {
    pub(super) fn new(sources: &'a Sources, complaints: &'a mut Complaints) -> Self {
        Self {
            sources,
            complaints,
            said: BTreeSet::new(),
            config: Config::default(),
            targets: Vec::new(),
            defined: BTreeSet::new(),
            virtual_host: None,
            found: Definitions::default(),
            elect_by_heartbeats: Vec::new(),
            storage_span: None,
            secrets: Vec::new(),
            conditions: Ordered::default(),
            templates: Ordered::default(),
        }
    }

    /// Notes what is secret of a directive, or of the head of a section.
    pub(super) fn hide_words(&mut self, name: &ConfigWord, words: &[ConfigWord]) {
        let words = std::iter::once(name).chain(words);
        let words: Vec<&str> = words.map(|word| word.text.as_str()).collect();
        self.hide(&words);
    }

    /// Notes what is secret of what is read now.
    pub(super) fn hide(&mut self, words: &[&str]) {
        let secrets = secret::of_words(words).into_iter();
        self.secrets = secrets.map(str::to_owned).collect();
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
    pub(super) fn value(&mut self, span: Span, read: ReadOutcome) {
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
    ) -> Option<&'d [ConfigWord]> {
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

    /// Whether so much is wrong that no more is read.
    pub(super) fn is_stopped(&self) -> bool {
        self.complaints.are_too_many()
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
