//! What Apache did, and what we did: the differences, field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::case::{ENV, Event, Object};
use super::chance;

/// One field in which we differ.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    pub(crate) event: usize,
    /// Its path, as in `after.lbstatus` or `members.a.elected`.
    pub(crate) field: String,
    pub(crate) apache: Value,
    pub(crate) ours: Value,
}

/// Fields that are recorded only if there is something to record.
const OPTIONAL: [&str; 6] = [
    "client",
    "interim",
    "location",
    "content_location",
    "set_cookie",
    "env",
];

/// Fields that are not compared: what depends on Apache's pools, on its logs, and on
/// the bytes of its heads.
const NOT_COMPARED: [&str; 4] = ["apache_log", "bytes", "lbstatus_members", "after_s_runs"];
const NOT_COMPARED_OF_MEMBERS: [&str; 3] = ["retries", "to", "from"];

/// How much later an answer may come than it came to Apache, in seconds and as a factor.
const LATER: (f64, f64) = (2.0, 1.5);

/// Finds the differences of one event. `random` says that chance elects, and `shares`
/// how, if that is known.
pub(crate) fn compare(
    at: usize,
    event: &Event,
    expect: &Object,
    ours: &Object,
    random: bool,
    shares: Option<&Value>,
) -> Vec<Difference> {
    let mut found = Found {
        at,
        differences: Vec::new(),
    };
    let asks = matches!(&*event.kind, "request" | "finish");
    let mut names: BTreeSet<&str> = expect.keys().map(String::as_str).collect();
    if asks {
        names.extend(OPTIONAL);
    }
    if event.kind == "sequence" {
        names.extend(["env", "error", "busy"]);
    }
    let nothing = Value::Null;
    for name in names {
        let apache = expect.get(name).unwrap_or(&nothing);
        let ours = ours.get(name).unwrap_or(&nothing);
        match name {
            name if NOT_COMPARED.contains(&name) => {}
            "env" => found.env(apache, ours, event.kind == "sequence"),
            "after" => {
                for name in ["lbstatus", "error", "busy"] {
                    found.note(&format!("after.{name}"), &apache[name], &ours[name]);
                }
            }
            "backend_headers" | "headers" | "response_headers" => found.headers(name, apache, ours),
            "members" => found.members(apache, ours),
            "counts_runs" => found.counts(apache, ours, random, shares),
            "elapsed_s" => {
                let limit = apache["max"].as_f64().unwrap_or_default() * LATER.1 + LATER.0;
                if ours.as_f64().is_some_and(|seconds| seconds > limit) {
                    found.note(name, apache, ours);
                }
            }
            _ => found.note(name, apache, ours),
        }
    }
    found.differences
}

#[derive(Debug)]
struct Found {
    at: usize,
    differences: Vec<Difference>,
}

impl Found {
    fn note(&mut self, field: &str, apache: &Value, ours: &Value) {
        if apache != ours {
            self.differences.push(Difference {
                event: self.at,
                field: field.to_owned(),
                apache: apache.clone(),
                ours: ours.clone(),
            });
        }
    }

    fn env(&mut self, apache: &Value, ours: &Value, of_many: bool) {
        if apache.is_array() || ours.is_array() {
            return self.note("env", apache, ours);
        }
        for name in ENV {
            if !(of_many && name.starts_with("BALANCER_WORKER_")) {
                self.note(&format!("env.{name}"), &apache[name], &ours[name]);
            }
        }
    }

    /// By name; letter case does not count, nor does the order of different names.
    fn headers(&mut self, field: &str, apache: &Value, ours: &Value) {
        let (Some(apache), Some(ours)) = (by_name(apache), by_name(ours)) else {
            return self.note(field, apache, ours);
        };
        let names: BTreeSet<_> = apache.keys().chain(ours.keys()).collect();
        for name in names {
            let values = |of: &BTreeMap<String, Vec<Value>>| {
                let values = of.get(name).cloned();
                values.map_or(Value::Null, Value::from)
            };
            self.note(&format!("{field}.{name}"), &values(&apache), &values(&ours));
        }
    }

    fn members(&mut self, apache: &Value, ours: &Value) {
        let of = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let (apache, ours) = (of(apache), of(ours));
        let names: BTreeSet<_> = apache.keys().chain(ours.keys()).collect();
        for name in names {
            let (Some(theirs), Some(mine)) = (apache.get(name), ours.get(name)) else {
                let value = |of: &Object| of.get(name).cloned().unwrap_or_default();
                self.note(&format!("members.{name}"), &value(&apache), &value(&ours));
                continue;
            };
            for field in of(theirs).keys() {
                if !NOT_COMPARED_OF_MEMBERS.contains(&field.as_str()) {
                    let path = format!("members.{name}.{field}");
                    self.note(&path, &theirs[field], &mine[field]);
                }
            }
        }
    }

    fn counts(&mut self, apache: &Value, ours: &Value, random: bool, shares: Option<&Value>) {
        let counts = |run: &Value| {
            let run = run.as_object().cloned().unwrap_or_default();
            let counts = run.into_iter();
            let counts = counts.map(|(name, count)| (name, count.as_u64().unwrap_or_default()));
            counts.collect::<BTreeMap<_, _>>()
        };
        let runs: Vec<_> = apache
            .as_array()
            .into_iter()
            .flatten()
            .map(counts)
            .collect();
        let mine = counts(&ours[0]);
        let alike = match random {
            false => runs.contains(&mine),
            true => {
                let mut all = BTreeMap::new();
                for (name, count) in runs.iter().flatten() {
                    *all.entry(name.clone()).or_insert(0) += count;
                }
                let fits = shares.is_none_or(|shares| chance::fits(&mine, shares));
                fits && chance::alike(&mine, &all)
            }
        };
        if !alike {
            self.differences.push(Difference {
                event: self.at,
                field: "counts_runs".to_owned(),
                apache: apache.clone(),
                ours: ours[0].clone(),
            });
        }
    }
}

fn by_name(pairs: &Value) -> Option<BTreeMap<String, Vec<Value>>> {
    let mut by_name: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for pair in pairs.as_array()? {
        let name = pair[0].as_str()?.to_ascii_lowercase();
        by_name.entry(name).or_default().push(pair[1].clone());
    }
    Some(by_name)
}
