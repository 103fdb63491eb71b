//! The schema of a recorded case: what is in a file, and nothing that is not.
//!
//! Not here: what is done with it (`play`), and what is compared
//! (`compare`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// An object of JSON.
pub(crate) type Object = Map<String, Value>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    schema: u32,
    #[serde(rename = "name")]
    _name: String,
    pub(crate) kind: String,
    #[serde(rename = "about")]
    _about: String,
    #[serde(rename = "apache_version")]
    _apache_version: String,
    #[serde(rename = "runs")]
    _runs: u32,
    pub(crate) nondeterministic: Vec<String>,
    #[serde(default)]
    pub(crate) notes: Object,
    #[serde(default)]
    pub(crate) config: Option<Configured>,
    #[serde(default)]
    pub(crate) apache_conf: Option<String>,
    #[serde(default)]
    pub(crate) events: Vec<Event>,
    #[serde(default)]
    pub(crate) checks: Vec<Check>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configured {
    pub(crate) balancer: Named,
    pub(crate) members: Vec<Named>,
    #[serde(default)]
    pub(crate) spare_members: Vec<String>,
    pub(crate) mapping: Vec<Mapped>,
    #[serde(default)]
    pub(crate) reverse: Vec<Mapped>,
    // These stand in `apache_conf`, which is what is read.
    #[serde(default, rename = "server")]
    _server: Vec<String>,
    #[serde(default, rename = "extra")]
    _extra: Vec<String>,
    #[serde(default, rename = "modules")]
    _modules: Vec<String>,
    #[serde(default)]
    pub(crate) initial_state: BTreeMap<String, State>,
    #[serde(default)]
    pub(crate) heartbeat_file: Option<Vec<String>>,
}

/// A balancer or a member.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) params: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) ip: Option<String>,
    #[serde(default)]
    pub(crate) path: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mapped {
    pub(crate) path: String,
    pub(crate) target: String,
    #[serde(default, rename = "flags")]
    _flags: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    #[serde(default)]
    pub(crate) member_params: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) balancer_params: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) members: Option<Vec<Named>>,
    #[serde(default)]
    pub(crate) extra: Vec<String>,
    #[serde(default)]
    pub(crate) modules: Vec<String>,
    pub(crate) accepted: bool,
    #[serde(default, rename = "message")]
    _message: Option<String>,
}

/// What a backend's listener does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Blackhole,
    CloseOnAccept,
    Down,
    HangOnAccept,
    Up,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Behaviour {
    pub(crate) status: Option<u16>,
    pub(crate) reason: Option<String>,
    pub(crate) body: Option<usize>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) framing: Framing,
    pub(crate) connection_close: bool,
    pub(crate) delay: f64,
    pub(crate) hold: bool,
    pub(crate) hang: bool,
    pub(crate) hang_mid_body: bool,
    pub(crate) close: Option<Close>,
    pub(crate) raw: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Framing {
    Chunked,
    Close,
    #[default]
    Length,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Close {
    BeforeResponse,
    MidBody,
    MidHeaders,
    Reset,
}

impl Behaviour {
    /// What is out of the ordinary, by name.
    pub(crate) fn told(&self) -> Vec<(&'static str, Value)> {
        let mut told = Vec::new();
        let mut put = |name, value: Option<Value>| told.extend(value.map(|value| (name, value)));
        let on = |flag: bool| flag.then_some(Value::from(true));
        put("status", self.status.map(Value::from));
        put("reason", self.reason.clone().map(Value::from));
        put("body", self.body.map(Value::from));
        let framing = match self.framing {
            Framing::Chunked => Some("chunked"),
            Framing::Close => Some("close"),
            Framing::Length => None,
        };
        put("framing", framing.map(Value::from));
        put("connection_close", on(self.connection_close));
        put("delay", (self.delay > 0.0).then(|| self.delay.into()));
        put("hold", on(self.hold));
        put("hang", on(self.hang));
        put("hang_mid_body", on(self.hang_mid_body));
        let close = self.close.map(|close| match close {
            Close::BeforeResponse => "before_response",
            Close::MidBody => "mid_body",
            Close::MidHeaders => "mid_headers",
            Close::Reset => "reset",
        });
        put("close", close.map(Value::from));
        put("raw", self.raw.clone().map(Value::from));
        for (name, value) in &self.headers {
            told.push(("header", format!("{name}: {value}").into()));
        }
        told
    }
}

pub(crate) type Behaviours = BTreeMap<String, Behaviour>;

/// What a client asks for. One struct has all fields of all events, and
/// [`Event::fields`] says which of them an event may have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) query: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) host: Option<String>,
    pub(crate) body: Option<usize>,
    pub(crate) body_chunked: Option<usize>,
    pub(crate) connection: Option<String>,
    pub(crate) backend: Behaviours,
}

const ASKED: [&str; 9] = [
    "method",
    "path",
    "query",
    "headers",
    "host",
    "body",
    "body_chunked",
    "connection",
    "backend",
];

/// An event: what is done, with its fields as they were written, and what was observed.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Object")]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) expect: Object,
    fields: Object,
}

impl From<Object> for Event {
    fn from(mut fields: Object) -> Self {
        let kind = fields.remove("do").unwrap_or_default();
        let expect = match fields.remove("expect") {
            Some(Value::Object(expect)) => expect,
            _ => Object::new(),
        };
        Self {
            kind: kind.as_str().unwrap_or_default().to_owned(),
            expect,
            fields,
        }
    }
}

impl Event {
    pub(crate) fn fields(&self) -> &Object {
        &self.fields
    }

    /// A field, read as what it has to be.
    pub(crate) fn get<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<T, String> {
        let value = self.fields.get(name).cloned().unwrap_or_default();
        serde_json::from_value(value).map_err(|error| format!("{}: `{name}`: {error}", self.kind))
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        let value = self.fields.get(name).and_then(Value::as_str);
        value.unwrap_or_default()
    }

    /// What is asked for, if this event is one that asks.
    pub(crate) fn asked(&self) -> Result<Asked, String> {
        let fields = self.fields.iter();
        let asked: Object = fields
            .filter(|(name, _)| ASKED.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        serde_json::from_value(Value::Object(asked))
            .map_err(|error| format!("{}: {error}", self.kind))
    }

    fn own_fields(&self) -> Option<(&'static [&'static str], bool)> {
        Some(match &*self.kind {
            "request" | "start" => (&["id"], true),
            "sequence" | "burst" => (&["count"], true),
            "finish" | "abandon" | "release" => (&["id"], false),
            "wait" => (&["seconds"], false),
            "backend" => (&["member", "state"], false),
            "manager" => (
                &["member", "set", "add_member", "full_form", "nonce", "form"],
                false,
            ),
            "snapshot" => (&[], false),
            "heartbeat_file" => (&["lines", "final_newline"], false),
            "heartbeat" => (&["member", "via", "message"], false),
            "health" => (&["member", "script", "answer"], false),
            "wait_checks" => (&["member", "count"], false),
            "wait_status" => (&["member", "flag", "present", "timeout"], false),
            "health_request" => (&["member"], false),
            _ => return None,
        })
    }

    fn expected_fields(&self) -> &'static [&'static str] {
        match &*self.kind {
            "request" | "finish" => REQUEST,
            "start" => &["tried", "seen_by", "after", "bytes", "apache_log"],
            "abandon" | "release" => &["after", "bytes", "apache_log"],
            "sequence" => &[
                "status",
                "served_by",
                "env",
                "lbstatus_members",
                "lbstatus",
                "error",
                "busy",
                "apache_log",
            ],
            "burst" => &["statuses", "counts_runs"],
            "snapshot" => &["members"],
            "manager" => &["status", "members"],
            "heartbeat" => &["status"],
            "wait_status" => &["reached", "after_s_runs", "members"],
            "wait_checks" => &["checks", "members"],
            "health_request" => &["line", "headers"],
            _ => &[],
        }
    }

    fn check(&self) -> Result<(), String> {
        let kind = &self.kind;
        let (own, asks) = self
            .own_fields()
            .ok_or_else(|| format!("there is no event `{kind}`"))?;
        let strange = self.fields.keys().find(|name| {
            let name = name.as_str();
            !(own.contains(&name) || asks && ASKED.contains(&name))
        });
        if let Some(name) = strange {
            return Err(format!("{kind}: there is no field `{name}`"));
        }
        let known = self.expected_fields();
        if let Some(name) = self.expect.keys().find(|name| !known.contains(&&***name)) {
            return Err(format!("{kind}: nothing is known of `expect.{name}`"));
        }
        for (name, inner) in [("after", AFTER), ("env", ENV)] {
            let Some(Value::Object(fields)) = self.expect.get(name) else {
                continue;
            };
            if let Some(name) = fields.keys().find(|name| !inner.contains(&&***name)) {
                return Err(format!("{kind}: nothing is known of `{name}`"));
            }
        }
        if asks {
            self.asked()?;
        }
        Ok(())
    }
}

const AFTER: &[&str] = &["lbstatus", "error", "busy"];

/// The variables that are exported with an answer.
pub(crate) const ENV: &[&str] = &[
    "BALANCER_WORKER_NAME",
    "BALANCER_WORKER_ROUTE",
    "BALANCER_SESSION_STICKY",
    "BALANCER_SESSION_ROUTE",
    "BALANCER_ROUTE_CHANGED",
];

const REQUEST: &[&str] = &[
    "status",
    "client",
    "interim",
    "served_by",
    "tried",
    "seen_by",
    "env",
    "after",
    "location",
    "content_location",
    "set_cookie",
    "target",
    "backend_headers",
    "backend_method",
    "backend_version",
    "backend_body_bytes",
    "response_headers",
    "reason",
    "body_bytes",
    "bytes",
    "backend_connection_reused",
    "elapsed_s",
    "apache_log",
];

impl Case {
    /// Reads a case; what is in it and not in the schema is an error.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let case: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if case.schema != 1 {
            return Err(format!("schema {} is not known", case.schema));
        }
        if !case.nondeterministic.is_empty() {
            return Err("fields that differ between runs are not known".to_owned());
        }
        if case.kind == "config-check" {
            return Ok(case);
        }
        if case.config.is_none() || case.apache_conf.is_none() {
            return Err("there is no configuration".to_owned());
        }
        for (at, event) in case.events.iter().enumerate() {
            event
                .check()
                .map_err(|error| format!("event {at}: {error}"))?;
        }
        Ok(case)
    }
}
