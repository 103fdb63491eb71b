//! What was seen, in the words of the recordings.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::backend::Seen;
use super::case::{Asked, Behaviour, ENV, Object};
use super::client::Got;
use super::wire::Head;
use super::world::World;

/// What the configuration of every case adds to answers, to show what is exported.
const EXPORT: &str = "x-env-";

/// All that is told of one answer, but for the state of the members after it.
pub(crate) fn answer(
    world: &World,
    id: &str,
    asked: &Asked,
    got: &Got,
    tried: Vec<String>,
) -> Object {
    let mut fields = Object::new();
    let mut put = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };
    let nothing = Head::default();
    let head = got.head.as_ref();
    put("status", head.and_then(Head::status).into());
    if let Some(fault) = got.fault {
        put("client", fault.into());
    }
    if !got.interim.is_empty() {
        put("interim", got.interim.clone().into());
    }
    let served_by = head.and_then(|head| head.get("x-backend"));
    put("served_by", served_by.into());
    put("tried", tried.into());
    let seen = world.stage.seen(id);
    put("seen_by", seen_by(&seen));
    put("env", exported(head.unwrap_or(&nothing)));
    let shown = head.unwrap_or(&nothing);
    for (name, header) in [
        ("location", "location"),
        ("content_location", "content-location"),
    ] {
        if let Some(value) = shown.get(header) {
            put(name, value.into());
        }
    }
    let cookies: Vec<_> = shown.all("set-cookie").collect();
    if !cookies.is_empty() {
        put("set_cookie", cookies.into());
    }
    let last = seen.last();
    let word = |at: usize| last.map(|seen| seen.head.word(at));
    put("backend_method", word(0).into());
    put("target", word(1).into());
    put("backend_version", word(2).into());
    let headers = last.map(|seen| pairs(&seen.head, |_| true));
    put("backend_headers", headers.into());
    let sizes = seen.iter().map(|seen| Value::from(seen.body_bytes));
    put("backend_body_bytes", sizes.collect());
    let reused = seen.iter().map(|seen| Value::from(seen.reused));
    put("backend_connection_reused", reused.collect());
    let by_backend = served_by.is_some();
    let shows = |name: &str| match name {
        "date" | "server" => sends(asked, name),
        _ => !name.starts_with(EXPORT),
    };
    put(
        "response_headers",
        by_backend.then(|| pairs(shown, shows)).into(),
    );
    let reason = shown.start.splitn(3, ' ').nth(2).unwrap_or_default();
    put("reason", reason.into());
    put("body_bytes", by_backend.then_some(got.body_bytes).into());
    fields
}

pub(crate) fn seen_by(seen: &[Seen]) -> Value {
    let names = seen.iter().map(|seen| Value::from(seen.member.clone()));
    names.collect()
}

/// Whether a backend says so itself, so that it may be seen in an answer.
fn sends(asked: &Asked, name: &str) -> bool {
    let says = |behaviour: &Behaviour| {
        let raw = behaviour.raw.as_deref().unwrap_or_default();
        let raw = raw.to_ascii_lowercase();
        let mut headers = behaviour.headers.iter();
        headers.any(|(header, _)| header.eq_ignore_ascii_case(name))
            || raw.contains(&format!("\n{name}:"))
    };
    asked.backend.values().any(says)
}

fn pairs(head: &Head, shows: impl Fn(&str) -> bool) -> Value {
    let fields = head.fields.iter();
    let shown = fields.filter(|(name, _)| shows(&name.to_ascii_lowercase()));
    shown.map(|(name, value)| json!([name, value])).collect()
}

/// The variables that come with an answer; their values are in brackets, so that an
/// empty one can be told from none.
fn exported(head: &Head) -> Value {
    let mut variables = Object::new();
    for (name, value) in &head.fields {
        let name = name.to_ascii_lowercase();
        let Some(name) = name.strip_prefix(EXPORT) else {
            continue;
        };
        let name = name.to_ascii_uppercase().replace('-', "_");
        let value = value.strip_prefix('[').and_then(|v| v.strip_suffix(']'));
        if let (true, Some(value)) = (ENV.contains(&&*name), value) {
            variables.insert(name, value.into());
        }
    }
    Value::Object(variables)
}

/// What a sequence of the same request shows.
#[derive(Debug)]
pub(crate) struct Rows {
    members: Vec<String>,
    statuses: Vec<Value>,
    served_by: Vec<Value>,
    env: Vec<Value>,
    standings: Vec<Value>,
    after: Value,
}

impl Rows {
    pub(crate) fn new(world: &World) -> Result<Self, String> {
        let members = world.members()?;
        Ok(Self {
            members: members.into_iter().map(|(name, _)| name).collect(),
            statuses: Vec::new(),
            served_by: Vec::new(),
            env: Vec::new(),
            standings: Vec::new(),
            after: Value::Null,
        })
    }

    pub(crate) fn add(&mut self, answer: &Object, after: &Value) {
        let field = |name: &str| answer.get(name).cloned().unwrap_or_default();
        let fault = answer.get("client").cloned();
        self.statuses.push(fault.unwrap_or_else(|| field("status")));
        self.served_by.push(field("served_by"));
        let mut env = field("env");
        if let Some(env) = env.as_object_mut() {
            env.retain(|name, _| !name.starts_with("BALANCER_WORKER_"));
        }
        self.env.push(env);
        let standing = |name: &String| after["lbstatus"][name].clone();
        self.standings
            .push(self.members.iter().map(standing).collect());
        self.after = after.clone();
    }

    pub(crate) fn told(self) -> Object {
        let mut fields = Object::new();
        fields.insert("status".to_owned(), one_or_all(self.statuses));
        fields.insert("served_by".to_owned(), self.served_by.into());
        let env = one_or_all(self.env);
        if env != json!({}) {
            fields.insert("env".to_owned(), env);
        }
        fields.insert("lbstatus_members".to_owned(), self.members.into());
        fields.insert("lbstatus".to_owned(), self.standings.into());
        for name in ["error", "busy"] {
            if let Some(value) = self.after.get(name) {
                fields.insert(name.to_owned(), value.clone());
            }
        }
        fields
    }
}

/// What all have in common, or all of them.
fn one_or_all(values: Vec<Value>) -> Value {
    match values.first() {
        Some(first) if values.iter().all(|value| value == first) => first.clone(),
        _ => values.into(),
    }
}

/// What many requests on one connection show.
#[derive(Debug, Default)]
pub(crate) struct Burst {
    statuses: BTreeMap<String, u64>,
    counts: BTreeMap<String, u64>,
}

impl Burst {
    pub(crate) fn add(&mut self, got: &Got) {
        let head = got.head.as_ref();
        let status = head.and_then(Head::status).map(|status| status.to_string());
        let status = match got.fault {
            Some(fault) => fault.to_owned(),
            None => status.unwrap_or_default(),
        };
        *self.statuses.entry(status).or_default() += 1;
        if let Some(member) = head.and_then(|head| head.get("x-backend")) {
            *self.counts.entry(member.to_owned()).or_default() += 1;
        }
    }

    pub(crate) fn told(self) -> Object {
        let told = json!({ "statuses": self.statuses, "counts_runs": [self.counts] });
        told.as_object().cloned().unwrap_or_default()
    }
}
