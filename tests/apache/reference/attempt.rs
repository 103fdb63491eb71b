//! One request: the loop of attempts (specification 4.3), what one attempt can come to (4.1), and
//! what is judged when the exchange is over (4.2).

use serde_json::{Map, Value, json};

use super::election::Elected;
use super::exchange::Outcome;
use super::fixes::Fix;
use super::params::SECOND;
use super::running::{Ending, Running};
use super::session::Session;
use super::site::Site;
use super::url::{Mapped, map};

impl Site {
    /// Sends a request, up to its end or until a member holds it.
    pub fn begin(&mut self, event: &Value) -> Running {
        let mut running = Running {
            event: event.clone(),
            reached: true,
            url: String::new(),
            tried: Vec::new(),
            seen: Vec::new(),
            env: Map::new(),
            busy: Vec::new(),
            last: None,
            timed_out: false,
            holding: None,
            ending: None,
            random: false,
        };
        let (path, query) = (running.text("path"), running.text("query"));
        let mapped = map(self.rules.as_deref(), &self.name, path, query);
        let recorded = event["expect"]["tried"].as_array();
        let recorded = recorded.is_some_and(|tried| !tried.is_empty());
        running.reached = match mapped {
            Mapped::Balancer(_) => recorded || !self.rules_are_the_question,
            Mapped::Elsewhere => false,
            Mapped::Undecided => recorded,
        };
        if let Mapped::Balancer(url) = mapped {
            running.url = url;
        }
        if running.reached {
            self.attempt(&mut running);
        }
        running
    }

    fn attempt(&mut self, running: &mut Running) {
        let mut attempts = 0;
        loop {
            // Whatever happens takes a moment: an error of this request is in the past.
            self.now += SECOND / 1000;
            running.last = None;
            let Some(at) = self.choose(running) else {
                running.ending = Some(Ending::of_proxy(503));
                return;
            };
            running.last = Some(at);
            running.tried.push(at);
            running.busy.push(at);
            self.members[at].busy += 1;
            match self.exchange(at, running) {
                Outcome::Ended(ending) => {
                    running.ending = Some(ending);
                    return;
                }
                Outcome::Held(holding) => {
                    running.holding = Some(holding);
                    return;
                }
                Outcome::NothingSent => {}
            }
            if !self.members[at].flags.ignore_errors {
                let now = self.now;
                self.members[at].fail(now);
            }
            if self.has(Fix::BusyReleasedAtAttemptEnd) {
                running.busy.pop();
                self.release(at);
            }
            let goes_on = !self.members[at].usable() || self.has(Fix::IgnoreErrorsSkips);
            let mut all = 0..self.members.len();
            let no_other = self.has(Fix::NeverTwice) && all.all(|at| running.tried.contains(&at));
            if !goes_on || no_other || attempts >= self.attempts_left() {
                running.ending = Some(Ending::of_proxy(503));
                return;
            }
            attempts += 1;
        }
    }

    /// One election (2.1), with what it exports (3.7).
    fn choose(&mut self, running: &mut Running) -> Option<usize> {
        self.recover();
        let session = self.session_of(running);
        let skipped = if self.has(Fix::NeverTwice) {
            running.tried.clone()
        } else {
            Vec::new()
        };
        let route = session.as_ref().map_or("", |session| &session.route);
        let mut changed = false;
        let hit = if route.is_empty() {
            None
        } else {
            self.find_route(route, 1, &skipped)
        };
        let at = if let Some(at) = hit {
            changed = self.members[at].route != route;
            self.hit(at);
            at
        } else {
            let owned = self.members.iter().any(|member| member.route == route);
            if self.no_failover && !route.is_empty() && owned {
                return None;
            }
            let at = self.elect_or_wait(running)?;
            changed |= self.sticky.is_on();
            at
        };
        let member = &self.members[at];
        let env = &mut running.env;
        let mut set = |key: &str, value: String| env.insert(key.to_owned(), value.into());
        set("BALANCER_WORKER_NAME", member.worker_name());
        set("BALANCER_WORKER_ROUTE", member.route.clone());
        if changed {
            set("BALANCER_ROUTE_CHANGED", "1".to_owned());
        }
        if let Some(session) = session {
            set("BALANCER_SESSION_STICKY", session.name);
            set("BALANCER_SESSION_ROUTE", session.route);
        }
        Some(at)
    }

    fn session_of(&self, running: &Running) -> Option<Session> {
        let cookies = running.cookies();
        if self.has(Fix::SessionText) {
            let (path, query) = (running.text("path"), running.text("query"));
            return super::text::session(&self.sticky, path, query, &cookies);
        }
        self.sticky.session(&running.url, &cookies.join(", "))
    }

    /// The method's election; if there is nobody, again a hundred times while the balancer's
    /// timeout passes (2.8). Forced recovery does not run again, unless it is ours.
    fn elect_or_wait(&mut self, running: &mut Running) -> Option<usize> {
        let deadline = self.now + self.wait;
        for look in 0..=100 {
            if look > 0 && self.has(Fix::RecoveryOfAll) {
                // Whose delay ends first is elected at once.
                let due = self.members.iter().filter(|member| member.flags.error);
                let next = due.map(|member| member.error_time + member.retry).min();
                self.now = next.unwrap_or(deadline).clamp(self.now, deadline);
                self.recover();
            } else if look > 0 {
                self.now += self.wait / 100;
            }
            match self.elect(&running.tried) {
                Elected::Member(at) => return Some(at),
                Elected::Random => {
                    running.random = true;
                    let at = running.recorded_member(self)?;
                    self.members[at].elected += 1;
                    return Some(at);
                }
                Elected::Nobody if self.wait == 0 => return None,
                Elected::Nobody => {}
            }
        }
        None
    }

    /// Gives a member back; a reset may have taken the count already.
    pub fn release(&mut self, at: usize) {
        let busy = &mut self.members[at].busy;
        *busy = (*busy - 1).max(0);
    }

    /// The client's request is over: what its ending says of the member (4.2), and the counts.
    pub fn conclude(&mut self, running: &mut Running) {
        let Some(ending) = running.ending.clone() else {
            return;
        };
        let judged = ending.from_member || !self.has(Fix::FailOnMembersStatuses);
        let listed = ending
            .status
            .is_some_and(|status| self.fail_on.contains(&status));
        let timed_out = running.timed_out && self.fail_on_timeout;
        let late = timed_out && !self.has(Fix::TimeoutBlame);
        if let Some(at) = running.last {
            let spared = self.members[at].flags.ignore_errors;
            if !spared && ((judged && listed) || late) {
                let now = self.now;
                self.members[at].fail(now);
            }
        }
        for at in std::mem::take(&mut running.busy) {
            self.release(at);
        }
        if let Some(connection) = running.connection().map(str::to_owned) {
            let drops = matches!(
                ending.status,
                Some(400 | 408 | 411 | 413 | 414 | 500 | 501 | 503)
            );
            if drops || ending.closes {
                self.kept.remove(&connection);
            } else {
                *self.kept.entry(connection).or_default() += 1;
            }
        }
    }

    /// The fields of a request's end.
    pub fn report(&self, running: &Running, fields: &mut Map<String, Value>) {
        if running.random {
            return;
        }
        self.report_start(running, fields);
        // They are exported with an answer, so without one nobody has seen them.
        let answered = running
            .ending
            .as_ref()
            .is_some_and(|it| it.status.is_some());
        let env = if answered {
            running.env.clone()
        } else {
            Map::new()
        };
        fields.insert("env".to_owned(), Value::Object(env));
        if let Some(ending) = running.ending.as_ref().filter(|_| running.reached) {
            fields.insert("status".to_owned(), json!(ending.status));
            fields.insert("served_by".to_owned(), json!(ending.served_by));
        }
    }

    /// The fields of a request that is held.
    pub fn report_start(&self, running: &Running, fields: &mut Map<String, Value>) {
        let names = |list: &[usize]| -> Vec<&str> {
            list.iter()
                .map(|&at| self.members[at].name.as_str())
                .collect()
        };
        fields.insert("tried".to_owned(), json!(names(&running.tried)));
        fields.insert("seen_by".to_owned(), json!(names(&running.seen)));
    }
}
