//! Whether what differs is explained.

use std::collections::BTreeSet;

use serde_json::Value;

use super::case::{Case, Object};
use super::compare::{Difference, compare};
use super::play::Played;
use super::reference::{Fix, Predicted, Reference};
use super::rules::Rules;
use super::scene::Scene;
use super::verdict::Verdict;

/// All in which what was played differs from what was recorded.
pub(crate) fn differences(case: &Case, played: &Played) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut random = is_random(case);
    let mut bursts = 0;
    for (at, event) in case.events.iter().enumerate() {
        let ours = &played.observed[at];
        if let Some(method) = event
            .fields()
            .get("set")
            .and_then(|set| set.get("lbmethod"))
        {
            random = method == "heartbeat";
        }
        let mut expect = played.filled(&event.expect);
        for (name, value) in &ours.instead {
            if let Some(recorded) = expect.get_mut(name) {
                *recorded = value.clone();
            }
        }
        let shares = match case.notes.get("expected") {
            Some(Value::Array(all)) => all.get(bursts),
            shares => shares,
        };
        if event.kind == "burst" {
            bursts += 1;
        }
        let found = compare(at, event, &expect, &ours.fields, random, shares);
        differences.extend(found);
    }
    differences
}

fn is_random(case: &Case) -> bool {
    let config = case.config.as_ref();
    let method = config.and_then(|config| config.balancer.params.get("lbmethod"));
    method.is_some_and(|method| method == "heartbeat")
}

/// What is left when the rules have explained what they can.
pub(crate) fn judge(
    case: &Case,
    text: &str,
    differences: Vec<Difference>,
    played: Option<&Played>,
    rules: &Rules,
) -> Verdict {
    if differences.is_empty() {
        return Verdict::Agrees;
    }
    let mut used = BTreeSet::new();
    let mut left = Vec::new();
    for difference in differences {
        match excuse(case, rules, &difference) {
            Some(rule) => {
                used.insert(rule);
            }
            None => left.push(difference),
        }
    }
    let mut remarks = Vec::new();
    if let (false, Some(played)) = (left.is_empty(), played) {
        let model = Model::new(case, text, played, rules);
        match model.explains() {
            Ok(fixes) => {
                let elsewhere = model.elsewhere(&left);
                left.retain(|difference| {
                    !follows(difference, &elsewhere) && !model.is_explained(difference)
                });
                used.extend(fixes);
            }
            Err(why) => remarks = why,
        }
    }
    match left.is_empty() {
        true => Verdict::Deviates(used),
        false => Verdict::Differs(left, remarks),
    }
}

/// Whether this follows from requests having gone elsewhere: what their members got and
/// said, and then, which connections are idle.
fn follows(difference: &Difference, elsewhere: &BTreeSet<usize>) -> bool {
    let field = difference.field.split('.').next().unwrap_or_default();
    match field {
        "backend_connection_reused" => elsewhere.first().is_some_and(|at| *at <= difference.event),
        "backend_body_bytes" | "backend_headers" | "backend_method" | "backend_version"
        | "body_bytes" | "reason" | "response_headers" | "target" => {
            elsewhere.contains(&difference.event)
        }
        _ => false,
    }
}

fn excuse(case: &Case, rules: &Rules, difference: &Difference) -> Option<usize> {
    let scene = Scene {
        case,
        at: difference.event,
        field: &difference.field,
    };
    let mut rules = rules.0.iter();
    rules.position(|rule| rule.excuses(scene, difference))
}

/// The plain reference model of Apache, whose switches stand for rows of the ledger.
struct Model<'a> {
    case: &'a Case,
    json: Value,
    /// The same, but that bytes went, and chance fell, to whom we chose.
    as_played: Value,
    played: &'a Played,
    rules: &'a Rules,
    /// The rules that switch something, and the first event at which they hold.
    switches: Vec<(usize, Fix, usize)>,
    predicted: Vec<Predicted>,
}

impl<'a> Model<'a> {
    fn new(case: &'a Case, text: &str, played: &'a Played, rules: &'a Rules) -> Self {
        let mut switches = Vec::new();
        for (number, rule) in rules.0.iter().enumerate() {
            let Some(fix) = rule.fix else { continue };
            let first = (0..case.events.len()).find(|&at| {
                rule.holds(Scene {
                    case,
                    at,
                    field: "",
                })
            });
            switches.extend(first.map(|first| (number, fix, first)));
        }
        let mut model = Self {
            case,
            as_played: as_played(text, case, played),
            json: serde_json::from_str(text).unwrap_or_default(),
            played,
            rules,
            switches,
            predicted: Vec::new(),
        };
        let all = model.switches.iter().map(|(_, fix, _)| *fix);
        model.predicted = Reference::run(&model.as_played, &all.collect());
        model
    }

    /// Whether the model is Apache without the rules, and we with them; then, the rules
    /// that matter.
    fn explains(&self) -> Result<Vec<usize>, Vec<String>> {
        let plain = Reference::run(&self.json, &BTreeSet::new());
        let apache = |at: usize| self.played.filled(&self.case.events[at].expect);
        let unlike_apache = self.differences(&plain, apache);
        if !unlike_apache.is_empty() {
            return Err(told(
                "the plain reference model is not Apache",
                &unlike_apache,
            ));
        }
        let ours = |at: usize| self.played.observed[at].fields.clone();
        let mut unlike_us = self.differences(&self.predicted, ours);
        unlike_us.retain(|difference| excuse(self.case, self.rules, difference).is_none());
        if !unlike_us.is_empty() {
            let fixes: Vec<_> = self.switches.iter().map(|(_, fix, _)| fix.name()).collect();
            let what = format!("the reference model with {fixes:?} is not we");
            return Err(told(&what, &unlike_us));
        }
        let matters = |fix: Fix| {
            let others = self.switches.iter().map(|(_, fix, _)| *fix);
            let others = others.filter(|other| *other != fix).collect();
            let without = Reference::run(&self.as_played, &others);
            let pairs = without.iter().zip(&self.predicted);
            pairs
                .into_iter()
                .any(|(one, other)| one.fields != other.fields)
        };
        let switches = self.switches.iter().filter(|(_, fix, _)| matters(*fix));
        Ok(switches.map(|(number, _, _)| *number).collect())
    }

    /// Where the model says one thing and somebody does another.
    fn differences(
        &self,
        predicted: &[Predicted],
        done: impl Fn(usize) -> Object,
    ) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (at, predicted) in predicted.iter().enumerate() {
            let event = &self.case.events[at];
            let says = self.played.filled(&predicted.fields);
            let mut does = done(at);
            does.retain(|name, _| predicts(&says, name));
            let found = compare(at, event, &says, &does, false, None);
            let known = found.into_iter().filter(|difference| {
                let field = &difference.field;
                predicts(&says, field) && (!difference.apache.is_null() || is_told(field))
            });
            differences.extend(known);
        }
        differences
    }

    /// The events whose requests went elsewhere, or came to another end, as is explained.
    fn elsewhere(&self, differences: &[Difference]) -> BTreeSet<usize> {
        let who = ["tried", "seen_by", "served_by"];
        let went = differences.iter().filter(|difference| {
            who.contains(&&*difference.field) && self.is_explained(difference)
        });
        went.map(|difference| difference.event).collect()
    }

    fn is_explained(&self, difference: &Difference) -> bool {
        let predicted = self.predicted.get(difference.event);
        predicted.is_some_and(|predicted| predicts(&predicted.fields, &difference.field))
            && self.switches.iter().any(|(number, _, first)| {
                *first <= difference.event && self.rules.0[*number].is_about(&difference.field)
            })
    }
}

/// Whether the model says anything of a field; what happens in a sequence besides is
/// told only if it happens.
fn predicts(predicted: &Object, field: &str) -> bool {
    let mut parts = field.split('.');
    let top = parts.next().unwrap_or_default();
    match (top, predicted.get(top)) {
        ("busy" | "error", None) => predicted.contains_key("lbstatus"),
        (_, None) => false,
        // A row of a member has what can be predicted of it.
        ("members", Some(rows)) => {
            let mut value = Some(rows);
            for part in parts {
                value = value.and_then(|value| value.get(part));
            }
            value.is_some()
        }
        (_, Some(_)) => true,
    }
}

/// Fields whose absence is a prediction.
fn is_told(field: &str) -> bool {
    let whole = matches!(field, "served_by" | "busy" | "error" | "status");
    whole || field.starts_with("env.") || field.starts_with("after.")
}

/// The model takes from a recording how many bytes went where, and whom chance chose.
/// What it has to say of us follows from our bytes and our chances.
fn as_played(text: &str, case: &Case, played: &Played) -> Value {
    let mut json: Value = serde_json::from_str(text).unwrap_or_default();
    let joins = joined(&mut json);
    for (at, observed) in played.observed.iter().enumerate() {
        let expect = &mut json["events"][at]["expect"];
        let seen_by = observed.fields.get("seen_by").and_then(Value::as_array);
        let last = seen_by.and_then(|seen_by| seen_by.last()?.as_str());
        if let (Some(last), Some(Value::Object(bytes))) = (last, expect.get_mut("bytes")) {
            if let (1, Some(moved)) = (bytes.len(), bytes.values().next().cloned()) {
                bytes.clear();
                bytes.insert(last.to_owned(), moved);
            }
        }
        if case.kind != "heartbeat" {
            // Whether a request reaches members is a matter of rules then, not of elections.
            if let (true, Some(tried)) = (joins, observed.fields.get("tried")) {
                expect["tried"] = tried.clone();
            }
            continue;
        }
        for field in ["tried", "served_by", "seen_by"] {
            if let (Some(recorded), Some(ours)) =
                (expect.get_mut(field), observed.fields.get(field))
            {
                *recorded = ours.clone();
            }
        }
    }
    json
}

/// Where nothing stands between a path and what it is joined to, we have a slash; tells
/// whether there is such a place.
fn joined(json: &mut Value) -> bool {
    let mut joins = false;
    let mappings = json["config"]["mapping"].as_array_mut();
    for mapping in mappings.into_iter().flatten() {
        let target = mapping["target"].as_str().unwrap_or("!");
        let slash = mapping["path"]
            .as_str()
            .is_some_and(|path| path.ends_with('/'));
        if slash && !target.ends_with('/') && target != "!" {
            mapping["target"] = format!("{target}/").into();
            joins = true;
        }
    }
    joins
}

fn told(what: &str, differences: &[Difference]) -> Vec<String> {
    let shown = differences.iter().take(4).map(|difference| {
        let Difference {
            event,
            field,
            apache,
            ours,
        } = difference;
        format!("{what}: event {event}, {field}: model {apache}, played {ours}")
    });
    shown.collect()
}
