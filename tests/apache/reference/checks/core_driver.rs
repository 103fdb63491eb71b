//! Plays a case with the library's core, without any network: a refused connection is an error and
//! the next pick, everything else is an answer. What it reports has the shape of a recording.
//!
//! Not here: the service, so neither standbys that a request reaches for, nor
//! waiting, nor broken connections. Cases with those are not [`playable`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use equipoise::clock::ManualClock;
use equipoise::{
    Balancer, ByBusyness, ByRequests, ByTraffic, Flag, Lease, MemberSpec, Outcome, PickRequest,
    StickySession,
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use serde_json::{Map, Value, json};

use super::super::Fix;
use super::super::params::{Params, int};
use super::specs::{LETTERS, spec, weight};

/// Whether this driver can play a case.
pub(super) fn playable(case: &Value) -> bool {
    let kind = case["kind"].as_str().unwrap_or_default();
    let kinds = [
        "byrequests",
        "bybusyness",
        "bytraffic",
        "manager",
        "sets",
        "sticky",
    ];
    let waits = case["config"]["balancer"]["params"]
        .get("timeout")
        .is_some();
    let known = [
        "status",
        "reason",
        "body",
        "headers",
        "framing",
        "connection_close",
        "hold",
    ];
    let plain = |event: &Value| {
        let state = event["state"].as_str().unwrap_or("up");
        let behaviours = event["backend"].as_object().into_iter().flatten();
        let mut keys = behaviours.flat_map(|(_, behaviour)| behaviour.as_object());
        let sets_wait = event["form"].get("b_tmo").is_some();
        matches!(state, "up" | "down")
            && keys.all(|keys| keys.keys().all(|key| known.contains(&key.as_str())))
            && !sets_wait
            && event.get("connection").is_none()
    };
    kinds.contains(&kind)
        && !waits
        && case["events"]
            .as_array()
            .is_some_and(|it| it.iter().all(plain))
}

/// What a request has come to so far.
struct Sent {
    tried: Vec<String>,
    lease: Option<Lease<()>>,
    served_by: Option<String>,
}

impl Sent {
    /// Counts the bytes that were recorded with an event, whoever's they were.
    fn count(&mut self, event: &Value) {
        if let Some(lease) = &mut self.lease {
            let bytes = event["expect"]["bytes"].as_object().into_iter().flatten();
            for (_, bytes) in bytes {
                lease.record_sent(bytes["to"].as_u64().unwrap_or(0));
                lease.record_received(bytes["from"].as_u64().unwrap_or(0));
            }
        }
    }
}

pub(super) struct Core {
    balancer: Balancer<()>,
    clock: ManualClock,
    method: String,
    /// Under bytraffic, whoever joins is lifted to the minimum.
    lifts: bool,
    sticky: Option<StickySession>,
    no_failover: bool,
    params: Params,
    max_attempts: Option<usize>,
    slots: i64,
    names: Vec<String>,
    down: BTreeSet<String>,
    held: BTreeMap<String, Sent>,
}

impl Core {
    pub(super) fn new(case: &Value, fixes: &BTreeSet<Fix>) -> Self {
        let config = &case["config"];
        let params = Params::of(&config["balancer"]["params"]);
        let clock = ManualClock::new();
        let mut builder = Balancer::builder().clock(clock.clone());
        let mut names = Vec::new();
        for member in config["members"].as_array().into_iter().flatten() {
            let name = member["name"].as_str().expect("a name").to_owned();
            builder = builder.member(name.clone(), (), spec(&Params::of(&member["params"])));
            names.push(name);
        }
        if params.off("forcerecovery") {
            builder = builder.forced_recovery(false);
        }
        let down = config["initial_state"].as_object().into_iter().flatten();
        let mut core = Self {
            balancer: builder.build().expect("a balancer"),
            clock,
            method: String::new(),
            lifts: fixes.contains(&Fix::JoinAtMinimum),
            sticky: None,
            no_failover: params.on("nofailover"),
            max_attempts: params.int("maxattempts").map(|most| most as usize),
            slots: params.int("growth").unwrap_or(5),
            names,
            down: down
                .filter(|(_, state)| *state == "down")
                .map(|(name, _)| name.clone())
                .collect(),
            held: BTreeMap::new(),
            params,
        };
        let text = |key, default: &str| core.params.text(key).unwrap_or(default).to_owned();
        let (method, sticky) = (text("lbmethod", "byrequests"), text("stickysession", ""));
        core.set_method(&method);
        core.set_sticky(&sticky);
        core
    }

    fn set_method(&mut self, method: &str) {
        if method == self.method {
            return;
        }
        match method {
            "bybusyness" => self.balancer.set_scheduler(ByBusyness::new()),
            "byrequests" => self.balancer.set_scheduler(ByRequests::new()),
            "bytraffic" if self.lifts => self.balancer.set_scheduler(ByTraffic::new()),
            "bytraffic" => self.balancer.set_scheduler(ByTraffic::catching_up()),
            _ => return,
        }
        self.method = method.to_owned();
    }

    fn set_sticky(&mut self, text: &str) {
        self.sticky = StickySession::new(text).ok().map(|mut sticky| {
            match self.params.text("stickysessionsep") {
                Some(text) if text.eq_ignore_ascii_case("off") => {
                    sticky = sticky.without_separator();
                }
                Some(text) => sticky = sticky.with_separator(text.chars().next().expect("one")),
                None => {}
            }
            if self.params.on("scolonpathdelim") {
                sticky = sticky.with_semicolon_path_delimiter();
            }
            sticky
        });
    }

    /// Plays an event; what it reports has the shape of a recording.
    pub(super) fn event(&mut self, event: &Value) -> Map<String, Value> {
        self.clock.advance(Duration::from_millis(1));
        let mut fields = Map::new();
        let id = event["id"].as_str().unwrap_or_default();
        match event["do"].as_str().unwrap_or_default() {
            "request" => {
                let sent = self.send(event);
                self.report(&sent, true, &mut fields);
                self.end(sent, event);
                self.after(&mut fields);
            }
            "sequence" => {
                let (mut served, mut rows) = (Vec::new(), Vec::new());
                for _ in 0..event["count"].as_u64().unwrap_or(0) {
                    let sent = self.send(event);
                    served.push(sent.served_by.clone());
                    self.end(sent, event);
                    let row = self.names.iter().map(|name| self.lbstatus(name));
                    rows.push(row.collect::<Vec<_>>());
                }
                fields.insert("served_by".to_owned(), json!(served));
                fields.insert("lbstatus".to_owned(), json!(rows));
            }
            "start" => {
                let mut sent = self.send(event);
                sent.count(event);
                self.report(&sent, false, &mut fields);
                self.held.insert(id.to_owned(), sent);
                self.after(&mut fields);
            }
            "finish" | "release" => {
                if let Some(sent) = self.held.remove(id) {
                    if event["do"] == "finish" {
                        self.report(&sent, sent.lease.is_some(), &mut fields);
                    }
                    self.end(sent, event);
                }
                self.after(&mut fields);
            }
            // Its client may still read: it only ended its side.
            "abandon" => self.after(&mut fields),
            "wait" => {
                let seconds = event["seconds"].as_f64().unwrap_or(0.0);
                self.clock.advance(Duration::from_secs_f64(seconds));
            }
            "backend" => self.backend(event),
            "manager" => {
                let status = self.manage(event);
                fields.insert("status".to_owned(), json!(status));
                fields.insert("members".to_owned(), self.members());
            }
            "snapshot" => {
                fields.insert("members".to_owned(), self.members());
            }
            _ => {}
        }
        fields
    }

    /// Picks until somebody is there who does not refuse.
    fn send(&mut self, event: &Value) -> Sent {
        let (path, query) = (event["path"].as_str(), event["query"].as_str());
        let uri = match query {
            Some(query) => format!("{}?{query}", path.unwrap_or("/")),
            None => path.unwrap_or("/").to_owned(),
        };
        let uri: Uri = uri.parse().expect("a URI");
        let mut headers = HeaderMap::new();
        for pair in event["headers"].as_array().into_iter().flatten() {
            let text = |at: usize| pair[at].as_str().unwrap_or_default().trim();
            let name: HeaderName = text(0).parse().expect("a header's name");
            headers.append(
                name,
                HeaderValue::from_str(text(1)).expect("a header's value"),
            );
        }
        let presented = self
            .sticky
            .as_ref()
            .and_then(|sticky| sticky.find(&uri, &headers));
        let route = presented.as_ref().and_then(|presented| presented.route());
        let most = self
            .max_attempts
            .unwrap_or(self.names.len().saturating_sub(1))
            + 1;
        let mut sent = Sent {
            tried: Vec::new(),
            lease: None,
            served_by: None,
        };
        let mut ids = Vec::new();
        // Nobody is asked for when everybody was tried.
        for _ in 0..most.min(self.names.len()) {
            self.clock.advance(Duration::from_millis(1));
            let mut request = PickRequest::new().with_tried(&ids);
            if self.sticky.is_some() {
                request = request.with_session(route);
            }
            if self.no_failover {
                request = request.with_no_failover();
            }
            let Ok(lease) = self.balancer.pick(&request) else {
                break;
            };
            let name = lease.member().name().to_owned();
            sent.tried.push(name.clone());
            if self.down.contains(&name) {
                lease.put_in_error();
                ids.push(lease.member().id());
                lease.finish(Outcome::Failure);
                continue;
            }
            sent.served_by = Some(name);
            sent.lease = Some(lease);
            break;
        }
        sent
    }

    /// The answer is over.
    fn end(&self, mut sent: Sent, event: &Value) {
        sent.count(event);
        let Some(lease) = sent.lease else {
            return;
        };
        let name = lease.member().name().to_owned();
        let behaviour = event["backend"]
            .get(&name)
            .or_else(|| event["backend"].get("*"));
        let status = behaviour
            .and_then(|it| it["status"].as_i64())
            .unwrap_or(200);
        let listed = self.params.text("failonstatus").unwrap_or_default();
        if listed.split([',', ' ']).any(|code| int(code) == status) {
            lease.put_in_error();
        }
        lease.finish(Outcome::Success);
    }

    fn report(&self, sent: &Sent, ended: bool, fields: &mut Map<String, Value>) {
        fields.insert("tried".to_owned(), json!(sent.tried));
        if ended {
            fields.insert("served_by".to_owned(), json!(sent.served_by));
        }
    }

    fn backend(&mut self, event: &Value) {
        let name = event["member"].as_str().unwrap_or_default();
        if event["state"] == "down" {
            self.down.insert(name.to_owned());
        } else {
            self.down.remove(name);
        }
        for sent in self.held.values_mut() {
            // Its connections are closed.
            let hit = sent.lease.take_if(|lease| lease.member().name() == name);
            if let Some(lease) = hit {
                lease.finish(Outcome::Failure);
                sent.served_by = None;
            }
        }
    }

    fn manage(&mut self, event: &Value) -> u16 {
        let field = |key: &str| event["form"][key].as_str();
        if event["nonce"] == "invalid" {
            return 200;
        }
        if let Some(name) = event["member"].as_str() {
            let fits = |text: &str| {
                if text.len() > 63 {
                    String::new()
                } else {
                    text.to_owned()
                }
            };
            self.balancer.override_member(name, |mut it| {
                if let Some(weight) = field("w_lf").and_then(weight) {
                    it = it.with_weight(weight);
                }
                if let Some(set) = field("w_ls").map(int).filter(|set| (0..=99).contains(set)) {
                    it = it.with_tier(set as u16);
                }
                if let Some(route) = field("w_wr") {
                    it = it.with_route(fits(route));
                }
                if let Some(redirect) = field("w_rr") {
                    it = it.with_redirect_route(fits(redirect));
                }
                for (letter, flag, _) in LETTERS {
                    it = match field(&format!("w_status_{letter}")).map(int) {
                        Some(0) => it.with_flag_off(flag),
                        Some(_) => it.with_flag(flag),
                        None => it,
                    };
                }
                it
            });
            // Of health, which is nothing to override, the manager knows the failed check.
            match field("w_status_C").map(int) {
                Some(0) => drop(self.balancer.clear_flag(name, Flag::FailedCheck)),
                Some(_) => drop(self.balancer.set_flag(name, Flag::FailedCheck)),
                None => {}
            }
        }
        if let Some(attempts) = field("b_max")
            .map(int)
            .filter(|number| (0..=99).contains(number))
        {
            self.max_attempts = Some(attempts as usize);
        }
        if let Some(text) = field("b_sforce") {
            self.no_failover = int(text) != 0;
        }
        if let Some(text) = field("b_ss").filter(|text| !text.is_empty()) {
            self.set_sticky(if text == "-" { "" } else { text });
        }
        if let Some(text) = field("b_lbm") {
            self.set_method(text);
        }
        let Some(name) = event["add_member"].as_str() else {
            return 200;
        };
        if self.names.iter().any(|known| known == name) || self.slots == 0 {
            return 400;
        }
        self.slots -= 1;
        self.names.push(name.to_owned());
        self.balancer
            .insert(name, (), MemberSpec::new().with_flag(Flag::Disabled))
            .unwrap();
        200
    }

    /// Of methods that elect by standings only.
    fn lbstatus(&self, name: &str) -> i64 {
        match self.method.as_str() {
            "bytraffic" => 0,
            _ => self.balancer.standing(name).unwrap_or(0),
        }
    }

    fn members(&self) -> Value {
        let row = |name: &String| {
            let state = self.balancer.member(name).expect("a member");
            let spec = self.balancer.spec(name).expect("a member");
            let status = state.status();
            let mut tokens = vec!["Init"];
            let shown = LETTERS.iter().filter(|(_, flag, _)| status.contains(*flag));
            tokens.extend(shown.map(|(.., token)| *token));
            tokens.extend(status.is_usable().then_some("Ok"));
            let row = json!({
                "status": tokens.join(" "),
                "elected": state.picked(),
                "busy": state.in_flight(),
                "lbstatus": self.lbstatus(name),
                "lbset": spec.tier(),
                "route": spec.route().unwrap_or_default(),
                "redirect": spec.redirect_route().unwrap_or_default(),
            });
            (name.clone(), row)
        };
        Value::Object(self.names.iter().map(row).collect())
    }

    fn after(&self, fields: &mut Map<String, Value>) {
        let names = || self.names.iter();
        let member = |name: &String| self.balancer.member(name).expect("a member");
        let lbstatus: Map<_, _> = names()
            .map(|it| (it.clone(), json!(self.lbstatus(it))))
            .collect();
        let mut after = json!({"lbstatus": lbstatus});
        let in_error = names().filter(|it| member(it).status().contains(Flag::InError));
        let in_error: Vec<_> = in_error.collect();
        if !in_error.is_empty() {
            after["error"] = json!(in_error);
        }
        let busy = names().map(|it| (it.clone(), member(it).in_flight()));
        let busy: Map<_, _> = busy
            .filter(|(_, n)| *n > 0)
            .map(|(it, n)| (it, json!(n)))
            .collect();
        if !busy.is_empty() {
            after["busy"] = busy.into();
        }
        fields.insert("after".to_owned(), after);
    }
}
