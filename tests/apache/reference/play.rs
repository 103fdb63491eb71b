//! Plays a case's events one after the other and says after each what Apache will have recorded.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::heartbeat::read_message;
use super::member::Backend;
use super::params::SECOND;
use super::predicted::Predicted;
use super::running::Running;
use super::site::Site;

/// A case in play.
pub struct Play {
    site: Site,
    held: BTreeMap<String, Running>,
    /// Bytes are counted, so the pages show them.
    traffic: bool,
    /// Who was elected how often is not known any more: a burst has left it to chance.
    uncounted: bool,
}

impl Play {
    pub fn new(site: Site, traffic: bool) -> Self {
        Self {
            site,
            held: BTreeMap::new(),
            traffic,
            uncounted: false,
        }
    }

    /// Plays one event.
    pub fn event(&mut self, event: &Value) -> Predicted {
        self.site.now += SECOND / 1000;
        self.expire();
        let mut fields = Map::new();
        let mut seen = Vec::new();
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        match text("do") {
            "request" => {
                let mut running = self.site.begin(event);
                self.site.conclude(&mut running);
                self.site.report(&running, &mut fields);
                self.after(&mut fields);
                seen = running.seen;
            }
            "sequence" => self.sequence(event, &mut fields),
            "start" => {
                let mut running = self.site.begin(event);
                self.site.conclude(&mut running);
                self.site.report_start(&running, &mut fields);
                self.after(&mut fields);
                seen.clone_from(&running.seen);
                self.held.insert(text("id").to_owned(), running);
            }
            "finish" | "release" => {
                let finishes = text("do") == "finish";
                if let Some(mut running) = self.held.remove(text("id")) {
                    self.finish(&mut running);
                    if finishes {
                        self.site.report(&running, &mut fields);
                    }
                    seen = running.seen;
                }
                self.after(&mut fields);
            }
            // Its client may still read: it only ended its side.
            "abandon" => self.after(&mut fields),
            "wait" => {
                let seconds = event["seconds"].as_f64().unwrap_or(0.0);
                self.site.now += (seconds * SECOND as f64) as i64;
                self.expire();
            }
            "backend" => self.change_backend(text("member"), Backend::of(text("state"))),
            "manager" => {
                let status = self.site.manage(event);
                fields.insert("status".to_owned(), json!(status));
                fields.insert("members".to_owned(), self.members());
            }
            "snapshot" => {
                fields.insert("members".to_owned(), self.members());
            }
            "burst" => self.uncounted = true,
            "heartbeat_file" => {
                let lines = event["lines"].as_array().map_or(&[][..], Vec::as_slice);
                self.site
                    .read_heartbeats(lines, event["final_newline"] != false);
            }
            "heartbeat" => self.heartbeat(event, &mut fields),
            _ => {}
        }
        self.count_bytes(&event["expect"]["bytes"], &seen);
        if self.site.waits_without_end {
            return Predicted::default();
        }
        Predicted { fields }
    }

    fn sequence(&mut self, event: &Value, fields: &mut Map<String, Value>) {
        let (mut served, mut rows) = (Vec::new(), Vec::new());
        let mut last = Map::new();
        let mut random = false;
        for number in 0..event["count"].as_u64().unwrap_or(0) {
            let mut one = event.clone();
            let recorded = event["expect"]["served_by"][number as usize].clone();
            one["expect"] = json!({"tried": [recorded]});
            let mut running = self.site.begin(&one);
            self.site.conclude(&mut running);
            random |= running.random;
            let ending = running.ending.as_ref();
            served.push(ending.and_then(|ending| ending.served_by.clone()));
            let members = 0..self.site.members.len();
            let lbstatus = members.map(|at| self.site.election.standing(at));
            rows.push(lbstatus.collect::<Vec<_>>());
            last = Map::new();
            self.site.report(&running, &mut last);
        }
        let names = self.site.members.iter().map(|member| member.name.clone());
        fields.insert("lbstatus_members".to_owned(), names.collect());
        fields.insert("lbstatus".to_owned(), json!(rows));
        let mut after = Map::new();
        self.after(&mut after);
        for key in ["error", "busy"] {
            if let Some(value) = after["after"].get(key) {
                fields.insert(key.to_owned(), value.clone());
            }
        }
        if random {
            return;
        }
        fields.insert("served_by".to_owned(), json!(served));
        if let Some(status) = last.remove("status") {
            fields.insert("status".to_owned(), status);
        }
        if let Some(Value::Object(mut env)) = last.remove("env") {
            env.remove("BALANCER_WORKER_NAME");
            env.remove("BALANCER_WORKER_ROUTE");
            if !env.is_empty() {
                fields.insert("env".to_owned(), env.into());
            }
        }
    }

    /// Lets a held request be answered, if it has not ended meanwhile.
    fn finish(&mut self, running: &mut Running) {
        if let Some(holding) = self.site.let_go(running) {
            running.ending = Some(self.site.answer(holding.member, running));
            self.site.conclude(running);
        }
    }

    /// Held requests whose member's time is over end.
    fn expire(&mut self) {
        for running in self.held.values_mut() {
            let due = running
                .holding
                .filter(|holding| holding.deadline <= self.site.now);
            if let Some(holding) = due {
                self.site.let_go(running);
                running.ending = Some(self.site.note_timeout(holding.member, running));
                self.site.conclude(running);
            }
        }
    }

    /// A backend that changes closes all its connections, also those of held requests.
    fn change_backend(&mut self, name: &str, backend: Backend) {
        let Some(at) = self.site.find(name) else {
            self.site.strangers.insert(name.to_owned(), backend);
            return;
        };
        self.site.members[at].backend = backend;
        self.site.members[at].idle = 0;
        for running in self.held.values_mut() {
            let hit = running.holding.filter(|holding| holding.member == at);
            if let Some(holding) = hit {
                self.site.let_go(running);
                running.ending = Some(self.site.closed(at, running, holding.reused));
                self.site.conclude(running);
            }
        }
    }

    fn heartbeat(&mut self, event: &Value, fields: &mut Map<String, Value>) {
        let over_udp = event["via"] == "udp";
        let message = event["message"].as_str().unwrap_or_default();
        let name = event["member"].as_str().unwrap_or_default();
        let ip = self
            .site
            .find(name)
            .map(|at| self.site.members[at].ip.clone());
        let report = read_message(message, over_udp, self.site.now);
        let status = match (self.site.heartbeats_monitored, &report) {
            (false, _) => 503,
            (true, None) => 400,
            (true, Some(_)) => 200,
        };
        if let (Some(ip), Some(report), true) = (ip, report, status == 200) {
            self.site.reports.insert(ip, report);
        }
        if !over_udp {
            fields.insert("status".to_owned(), json!(status));
        }
    }

    /// Feeds the recorded traffic: what bytes there were is not for this model to say. Where a fix
    /// has sent the request to another member than the recorded one, they are that one's.
    fn count_bytes(&mut self, bytes: &Value, seen: &[usize]) {
        for (name, counted) in bytes.as_object().into_iter().flatten() {
            let recorded = self.site.find(name);
            let as_recorded = self.site.fixes.is_empty();
            let same = recorded.filter(|at| as_recorded || seen.contains(at));
            if let Some(at) = same.or(seen.last().copied()) {
                let member = &mut self.site.members[at];
                member.transferred += counted["to"].as_i64().unwrap_or(0);
                member.read += counted["from"].as_i64().unwrap_or(0);
            }
        }
    }

    fn members(&self) -> Value {
        let mut rows = Map::new();
        for (at, member) in self.site.members.iter().enumerate() {
            let mut row = member.row(self.site.election.standing(at), self.traffic);
            if let (Some(row), true) = (row.as_object_mut(), self.uncounted) {
                row.remove("elected");
            }
            rows.insert(member.name.clone(), row);
        }
        rows.into()
    }

    fn after(&self, fields: &mut Map<String, Value>) {
        let members = &self.site.members;
        let standing = |at| json!(self.site.election.standing(at));
        let lbstatus = members.iter().enumerate();
        let lbstatus = lbstatus.map(|(at, member)| (member.name.clone(), standing(at)));
        let mut after = json!({"lbstatus": lbstatus.collect::<Map<_, _>>()});
        let in_error = members.iter().filter(|member| member.flags.error);
        let in_error: Vec<_> = in_error.map(|member| &member.name).collect();
        if !in_error.is_empty() {
            after["error"] = json!(in_error);
        }
        let busy = members.iter().filter(|member| member.busy > 0);
        let busy: Map<_, _> = busy.map(|it| (it.name.clone(), json!(it.busy))).collect();
        if !busy.is_empty() {
            after["busy"] = busy.into();
        }
        fields.insert("after".to_owned(), after);
    }
}
