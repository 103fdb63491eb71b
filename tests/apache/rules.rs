//! The rules of `deviations.toml`: when we differ from Apache on purpose, in which field,
//! and how.
//!
//! A rule never names a case. It says what in a configuration or an event makes the
//! difference (`when`), which fields it explains, and how our value follows from
//! Apache's: by a `relation`, by exact values (`apache`, `ours`), or by a `fix` of the
//! reference model. It belongs to a row of the ledger.

use std::path::Path;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::case::{Asked, Behaviour, State};
use super::compare::Difference;
use super::reference::Fix;
use super::relation::{self, Relation};
use super::scene::Scene;

#[derive(Debug)]
pub(crate) struct Rules(pub(crate) Vec<Rule>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rule: Vec<Written>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    row: u32,
    reason: String,
    #[serde(default)]
    when: When,
    #[serde(default)]
    fields: Vec<String>,
    fix: Option<String>,
    relation: Option<String>,
    /// We answer the request ourselves with this status, and no member hears of it.
    refused: Option<u16>,
    /// We pass the request on to a member, and the client gets its answer.
    #[serde(default)]
    passed_on: bool,
    apache: Option<Value>,
    ours: Option<Value>,
    /// No case of the project shows it; other recordings may.
    #[serde(default)]
    unseen: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) row: u32,
    pub(crate) reason: String,
    pub(crate) fix: Option<Fix>,
    when: When,
    fields: Vec<String>,
    refused: Option<u16>,
    passed_on: bool,
    pub(crate) unseen: bool,
    relation: Option<Relation>,
    apache: Option<Value>,
    ours: Option<Value>,
}

/// A condition; all that is named has to hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct When {
    /// The kind of the case.
    kind: Option<String>,
    // The configuration.
    balancer_param: Option<Param>,
    member_param: Option<Param>,
    directive: Option<Pattern>,
    mapping_slash_mismatch: Option<bool>,
    members: Option<usize>,
    /// A module that a check loads besides the usual ones.
    module: Option<String>,
    // The event.
    event: Option<String>,
    method: Option<Pattern>,
    path: Option<Pattern>,
    query: Option<Pattern>,
    host: Option<Pattern>,
    cookie: Option<Pattern>,
    header: Option<Param>,
    body: Option<bool>,
    chunked: Option<bool>,
    kept_connection: Option<bool>,
    behaviour: Option<Param>,
    /// A backend that is in this state now.
    state: Option<State>,
    /// What the manager sets.
    set: Option<Param>,
    add_member: Option<bool>,
    full_form: Option<bool>,
    /// The message of the last heartbeat that was sent, in this event or before it.
    last_heartbeat: Option<Pattern>,
    /// The heartbeat file is read otherwise than by Apache.
    reads_otherwise: Option<bool>,
    /// What was recorded of this event.
    recorded: Option<Param>,
    /// This event, or one before it.
    so_far: Option<Box<Self>>,
    // Logic.
    any: Vec<Self>,
    not: Option<Box<Self>>,
}

/// Something with a name (or one of several, `a|b`), and maybe a value: exact, or one that
/// a pattern finds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Param {
    name: String,
    value: Option<Value>,
    pattern: Option<Pattern>,
}

/// A regular expression.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Pattern(Regex);

impl TryFrom<String> for Pattern {
    type Error = regex::Error;

    fn try_from(text: String) -> Result<Self, regex::Error> {
        Regex::new(&text).map(Self)
    }
}

impl Rules {
    /// Reads the rules, and holds them against the ledger.
    pub(crate) fn read(project: &Path) -> Result<Self, String> {
        let read = |name: &str| {
            let text = std::fs::read_to_string(project.join(name));
            text.map_err(|error| format!("{name}: {error}"))
        };
        let ledger = rows(&read("docs/deviations.md")?);
        let file: File = toml::from_str(&read("tests/apache/deviations.toml")?)
            .map_err(|error| error.to_string())?;
        let rules = file.rule.into_iter().map(|rule| rule.understood(&ledger));
        Ok(Self(rules.collect::<Result<_, _>>()?))
    }
}

/// The numbers of the ledger's rows.
fn rows(ledger: &str) -> Vec<u32> {
    let mut rows = Vec::new();
    for line in ledger.lines().filter_map(|line| line.strip_prefix("| ")) {
        let number = line.split('|').next().unwrap_or_default().trim();
        let (first, last) = number.split_once('–').unwrap_or((number, number));
        if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
            rows.extend(first..=last);
        }
    }
    rows
}

impl Written {
    fn understood(self, ledger: &[u32]) -> Result<Rule, String> {
        let row = self.row;
        let error = |what: String| format!("the rule of row {row} ({}): {what}", self.reason);
        if !ledger.contains(&row) {
            return Err(error("docs/deviations.md has no such row".to_owned()));
        }
        let fix = self.fix.as_deref().map(|name| {
            Fix::from_name(name).ok_or_else(|| error(format!("there is no fix `{name}`")))
        });
        let relation = self.relation.as_deref().map(|name| {
            relation::named(name).ok_or_else(|| error(format!("there is no relation `{name}`")))
        });
        let exact = self.apache.is_some() && self.ours.is_some();
        let whole = self.refused.is_some() || self.passed_on;
        let how = fix.is_some() || relation.is_some() || exact;
        if !whole && (!how || self.fields.is_empty()) {
            let missing = "it does not say how our value follows from Apache's";
            return Err(error(missing.to_owned()));
        }
        Ok(Rule {
            fix: fix.transpose()?,
            relation: relation.transpose()?,
            row,
            reason: self.reason,
            when: self.when,
            fields: self.fields,
            refused: self.refused,
            passed_on: self.passed_on,
            unseen: self.unseen,
            apache: self.apache,
            ours: self.ours,
        })
    }
}

impl Rule {
    /// Whether the rule is about this field.
    pub(crate) fn is_about(&self, field: &str) -> bool {
        self.fields.iter().any(|pattern| {
            let mut parts = field.split('.');
            pattern.split('.').all(|wanted| {
                parts
                    .next()
                    .is_some_and(|part| wanted == "*" || wanted == part)
            })
        })
    }

    pub(crate) fn holds(&self, scene: Scene<'_>) -> bool {
        self.when.holds(scene)
    }

    /// Whether it explains a difference all by itself.
    pub(crate) fn excuses(&self, scene: Scene<'_>, difference: &Difference) -> bool {
        let same = |wanted: &Option<Value>, value| wanted.as_ref().is_none_or(|w| w == value);
        let (apache, ours) = (&difference.apache, &difference.ours);
        if let Some(status) = self.refused {
            return is_refusal(status, difference) && self.holds(scene);
        }
        if self.passed_on {
            return is_passed_on(difference) && self.holds(scene);
        }
        self.fix.is_none()
            && self.is_about(&difference.field)
            && same(&self.apache, apache)
            && same(&self.ours, ours)
            && self
                .relation
                .is_none_or(|relation| relation(apache, ours, scene))
            && self.holds(scene)
    }
}

/// Whether this is what a field shows of an answer that the proxy gives itself.
fn is_refusal(status: u16, difference: &Difference) -> bool {
    let ours = &difference.ours;
    match difference.field.split('.').next().unwrap_or_default() {
        "status" => *ours == status,
        "tried" | "seen_by" => ours.as_array().is_some_and(Vec::is_empty),
        "served_by" | "env" | "target" | "body_bytes" | "response_headers" => ours.is_null(),
        "location" | "content_location" | "set_cookie" => ours.is_null(),
        "backend_headers" | "backend_method" | "backend_version" => ours.is_null(),
        "backend_body_bytes" | "backend_connection_reused" => {
            ours.as_array().is_some_and(Vec::is_empty)
        }
        _ => false,
    }
}

/// Whether this is what a field shows of an answer that one member gave at once.
fn is_passed_on(difference: &Difference) -> bool {
    let ours = &difference.ours;
    match difference.field.split('.').next().unwrap_or_default() {
        "status" => *ours == 200,
        "tried" | "seen_by" => ours.as_array().is_some_and(|members| members.len() == 1),
        "served_by" | "env" | "target" | "backend_method" | "backend_version" => ours.is_string(),
        "backend_headers" | "response_headers" => ours.is_array(),
        "backend_body_bytes" | "backend_connection_reused" => ours.is_array(),
        "body_bytes" => ours.is_u64(),
        "reason" => ours.is_string(),
        _ => false,
    }
}

impl When {
    fn holds(&self, scene: Scene<'_>) -> bool {
        let so_far = |when: &Self| (0..=scene.at).any(|at| when.holds(Scene { at, ..scene }));
        self.configuration(scene)
            && self.event(scene)
            && self.so_far.as_deref().is_none_or(so_far)
            && (self.any.is_empty() || self.any.iter().any(|when| when.holds(scene)))
            && self.not.as_deref().is_none_or(|when| !when.holds(scene))
    }

    fn configuration(&self, scene: Scene<'_>) -> bool {
        let is_kind = |kind: &String| scene.case.kind == *kind;
        let of_balancer = |param: &Param| scene.balancer_params().any(|had| param.is(had));
        let of_member = |param: &Param| scene.member_params().any(|had| param.is(had));
        let directive = |line: &Pattern| {
            scene
                .directives()
                .any(|written| line.0.is_match(written.trim()))
        };
        self.kind.as_ref().is_none_or(is_kind)
            && self.balancer_param.as_ref().is_none_or(of_balancer)
            && self.member_param.as_ref().is_none_or(of_member)
            && self.directive.as_ref().is_none_or(directive)
            && self
                .mapping_slash_mismatch
                .is_none_or(|wanted| wanted == scene.slashes_differ())
            && self
                .members
                .is_none_or(|count| scene.members().count() == count)
            && self
                .module
                .as_ref()
                .is_none_or(|module| scene.check().is_some_and(|c| c.modules.contains(module)))
    }

    fn event(&self, scene: Scene<'_>) -> bool {
        let Some(event) = scene.event() else {
            return !self.is_about_an_event();
        };
        let asked = event.asked().unwrap_or_default();
        let finds = |pattern: &Option<Pattern>, text: &str| {
            let pattern = pattern.as_ref();
            pattern.is_none_or(|pattern| pattern.0.is_match(text))
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let kinds = |kinds: &String| kinds.split('|').any(|kind| kind == event.kind);
        let headers = || asked.headers.iter();
        let header = |param: &Param| {
            headers().any(|(name, value)| param.is((&name.to_ascii_lowercase(), value)))
        };
        let cookie = |pattern: &Pattern| {
            let mut cookies = headers().filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
            cookies.any(|(_, value)| pattern.0.is_match(value))
        };
        let has_body = asked.body.or(asked.body_chunked).is_some();
        let set = |param: &Param| {
            let set = event.fields().get("set").and_then(Value::as_object);
            set.is_some_and(|set| set.iter().any(|(name, value)| param.has(name, value)))
        };
        let recorded = |param: &Param| {
            let value = event.expect.get(&param.name).unwrap_or(&Value::Null);
            param.has(&param.name, value)
        };
        self.event.as_ref().is_none_or(kinds)
            && finds(&self.method, asked.method.as_deref().unwrap_or("GET"))
            && finds(&self.path, &text(&asked.path))
            && finds(&self.query, &text(&asked.query))
            && finds(&self.host, &text(&asked.host))
            && self.cookie.as_ref().is_none_or(cookie)
            && self.header.as_ref().is_none_or(header)
            && self.body.is_none_or(|wanted| wanted == has_body)
            && self
                .chunked
                .is_none_or(|wanted| wanted == asked.body_chunked.is_some())
            && self
                .kept_connection
                .is_none_or(|wanted| wanted == asked.connection.is_some())
            && self
                .behaviour
                .as_ref()
                .is_none_or(|param| behaves(&asked, param))
            && self
                .state
                .is_none_or(|state| scene.states().contains(&state))
            && self.set.as_ref().is_none_or(set)
            && self
                .add_member
                .is_none_or(|wanted| wanted != event.text("add_member").is_empty())
            && self
                .full_form
                .is_none_or(|wanted| event.fields().get("full_form").is_some() == wanted)
            && self.recorded.as_ref().is_none_or(recorded)
            && self
                .last_heartbeat
                .as_ref()
                .is_none_or(|pattern| pattern.0.is_match(scene.last_heartbeat()))
            && self
                .reads_otherwise
                .is_none_or(|wanted| scene.reads_otherwise() == wanted)
    }

    fn is_about_an_event(&self) -> bool {
        let patterns = [
            &self.method,
            &self.path,
            &self.query,
            &self.host,
            &self.cookie,
        ];
        let params = [&self.header, &self.behaviour, &self.set, &self.recorded];
        patterns.iter().any(|pattern| pattern.is_some())
            || params.iter().any(|param| param.is_some())
            || self.event.is_some()
            || self.body.or(self.chunked).is_some()
            || self.kept_connection.is_some()
            || self.state.is_some()
            || self.last_heartbeat.is_some()
            || self.reads_otherwise.is_some()
            || self.add_member.is_some()
            || self.full_form.is_some()
    }
}

/// Whether a backend is told to behave so.
fn behaves(asked: &Asked, param: &Param) -> bool {
    asked.backend.values().any(|behaviour: &Behaviour| {
        let told = behaviour.told();
        told.iter().any(|(name, value)| param.has(name, value))
    })
}

impl Param {
    fn is(&self, (name, value): (&String, &String)) -> bool {
        self.has(name, &Value::from(value.as_str()))
    }

    fn has(&self, name: &str, value: &Value) -> bool {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let found = |pattern: &Pattern| pattern.0.is_match(&text);
        self.name.split('|').any(|wanted| wanted == name)
            && self.value.as_ref().is_none_or(|wanted| wanted == value)
            && self.pattern.as_ref().is_none_or(found)
    }
}
