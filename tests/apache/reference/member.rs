//! One member as Apache keeps it: its status flags, its counters, and the state of its backend.
//!
//! Specification 1.2, 1.4 and 2.2. Which member is elected, and its books, are in `election`.

use equipoise::testkit::models::ModelMember;
use serde_json::{Value, json};

use super::params::{Params, SECOND, hundredths_cut, hundredths_exact, int};

/// The status letters of specification 1.4.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flags {
    pub ignore_errors: bool,
    pub draining: bool,
    pub shutdown: bool,
    pub disabled: bool,
    pub stopped: bool,
    pub error: bool,
    pub standby: bool,
    pub failed_check: bool,
    pub spare: bool,
}

impl Flags {
    /// Sets or clears the flag of a letter; an unknown letter changes nothing.
    pub fn set(&mut self, letter: char, value: bool) {
        match letter.to_ascii_uppercase() {
            'I' => self.ignore_errors = value,
            'N' => self.draining = value,
            'U' => self.shutdown = value,
            'D' => self.disabled = value,
            'S' => self.stopped = value,
            'E' => self.error = value,
            'H' => self.standby = value,
            'C' => self.failed_check = value,
            'R' => self.spare = value,
            _ => {}
        }
    }

    /// `status=`: a sign holds for all letters after it.
    fn parse(text: &str) -> Self {
        let mut flags = Self::default();
        let mut value = true;
        for letter in text.chars() {
            match letter {
                '+' => value = true,
                '-' => value = false,
                letter => flags.set(letter, value),
            }
        }
        flags
    }
}

/// What happens to whoever connects to a backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Backend {
    Blackhole,
    CloseOnAccept,
    Down,
    HangOnAccept,
    Up,
}

impl Backend {
    pub fn of(name: &str) -> Self {
        match name {
            "blackhole" => Self::Blackhole,
            "close_on_accept" => Self::CloseOnAccept,
            "down" => Self::Down,
            "hang_on_accept" => Self::HangOnAccept,
            _ => Self::Up,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    pub ip: String,
    pub path: String,
    pub route: String,
    pub redirect: String,
    pub set: i64,
    /// Hundredths.
    pub factor: i64,
    pub flags: Flags,
    pub error_time: i64,
    pub retry: i64,
    pub timeout: Option<i64>,
    pub connect_timeout: Option<i64>,
    pub ping: Option<i64>,
    pub reuse: bool,
    /// `max`: connections in Apache, requests in flight under
    /// [`Fix::FullIsPassedOver`](super::Fix::FullIsPassedOver).
    pub most: Option<i64>,
    /// How long Apache waits for one of them; `None`: without end.
    pub acquire: Option<i64>,
    pub elected: i64,
    pub busy: i64,
    /// Connections that held requests have.
    pub connections: i64,
    pub transferred: i64,
    pub read: i64,
    pub backend: Backend,
    /// Idle connections in the pool.
    pub idle: usize,
}

impl Member {
    pub fn new(config: &Value, exact_weights: bool) -> Self {
        let params = Params::of(&config["params"]);
        let text = |key| params.text(key).unwrap_or_default().to_owned();
        let hundredths = if exact_weights {
            hundredths_exact
        } else {
            hundredths_cut
        };
        Self {
            name: config["name"].as_str().unwrap_or_default().to_owned(),
            ip: config["ip"].as_str().unwrap_or("127.0.0.1").to_owned(),
            path: config["path"].as_str().unwrap_or_default().to_owned(),
            route: text("route"),
            redirect: text("redirect"),
            set: params.int("lbset").unwrap_or(0),
            factor: params.text("loadfactor").map_or(100, hundredths),
            flags: Flags::parse(params.text("status").unwrap_or_default()),
            error_time: 0,
            retry: params.seconds("retry").unwrap_or(60_000_000),
            timeout: params.seconds("timeout"),
            connect_timeout: params.duration("connectiontimeout", SECOND),
            ping: params.duration("ping", SECOND),
            most: params.int("max").filter(|&most| most > 0),
            acquire: params.duration("acquire", SECOND / 1000),
            reuse: !params.on("disablereuse") && !params.off("enablereuse"),
            elected: 0,
            busy: 0,
            connections: 0,
            transferred: 0,
            read: 0,
            backend: Backend::Up,
            idle: 0,
        }
    }

    /// A member that the manager has added.
    pub fn added(name: &str) -> Self {
        let mut member = Self::new(&json!({"name": name, "params": {}}), false);
        member.flags.disabled = true;
        member
    }

    pub fn usable(&self) -> bool {
        let flags = &self.flags;
        !(flags.shutdown || flags.disabled || flags.stopped || flags.error || flags.failed_check)
    }

    /// Specification 2.2: clears the error once its time has passed (strictly), or at once for a
    /// member that ignores errors; never for a stopped one.
    pub fn retry(&mut self, now: i64) {
        let due = self.flags.ignore_errors || now > self.error_time + self.retry;
        if self.flags.error && !self.flags.stopped && due {
            self.flags.error = false;
        }
    }

    pub fn fail(&mut self, now: i64) {
        self.flags.error = true;
        self.error_time = now;
    }

    /// Whether it has as many requests as it may have.
    pub fn is_full(&self) -> bool {
        self.most.is_some_and(|most| self.busy >= most)
    }

    /// What its place in the group follows from.
    pub fn place(&self) -> (i64, i64, bool) {
        let may_compete = self.usable() && !self.flags.draining;
        (self.factor, self.set, may_compete)
    }

    /// What an election reads of it; `full_is_passed_over` says whether its `max` matters.
    pub fn contender(&self, full_is_passed_over: bool) -> ModelMember {
        let mut contender = ModelMember::new(self.factor as u64);
        contender.in_flight = self.busy as u64;
        contender.is_full = full_is_passed_over && self.is_full();
        contender.sent = self.transferred as u64;
        contender.received = self.read as u64;
        contender
    }

    pub fn worker_name(&self) -> String {
        format!("http://{{{{addr:{}}}}}{}", self.name, self.path)
    }

    /// The member's row on the manager's page.
    pub fn row(&self, lbstatus: i64, with_traffic: bool) -> Value {
        let mut row = json!({
            "status": self.status(),
            "elected": self.elected,
            "busy": self.busy,
            "lbstatus": lbstatus,
            "loadfactor": format!("{}.{:02}", self.factor / 100, self.factor % 100),
            "route": self.route,
            "redirect": self.redirect,
            "lbset": self.set,
        });
        if with_traffic {
            row["to"] = json!(self.transferred);
            row["from"] = json!(self.read);
        }
        row
    }

    fn status(&self) -> String {
        let flags = &self.flags;
        let tokens = [
            (true, "Init"),
            (flags.ignore_errors, "Ign"),
            (flags.draining, "Drn"),
            (flags.shutdown, "Shut"),
            (flags.disabled, "Dis"),
            (flags.stopped, "Stop"),
            (flags.error, "Err"),
            (flags.standby, "Stby"),
            (flags.spare, "Spar"),
            (flags.failed_check, "HcFl"),
            (self.usable(), "Ok"),
        ];
        let shown: Vec<_> = tokens
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, token)| *token)
            .collect();
        shown.join(" ")
    }

    /// A flag that the manager's form sets: any number but 0 is on.
    pub fn set_flag(&mut self, letter: char, text: &str) {
        self.flags.set(letter, int(text) != 0);
    }
}
