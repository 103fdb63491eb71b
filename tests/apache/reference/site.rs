//! The balancer of one case, with everything around it that decides: clock, backends, reports,
//! client connections; and how it is made from the case's configuration.

use std::collections::{BTreeMap, BTreeSet};

use equipoise::testkit::models::{Election, ElectionMethod};
use serde_json::Value;

use super::fixes::Fix;
use super::heartbeat::{Report, read_file};
use super::member::{Backend, Member};
use super::params::{Params, SECOND, int};
use super::session::Sticky;
use super::url::{Rule, rules};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    ByBusyness,
    ByRequests,
    ByTraffic,
    Heartbeat,
}

impl Method {
    /// Names are exact; an unknown one is none.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "bybusyness" => Some(Self::ByBusyness),
            "byrequests" => Some(Self::ByRequests),
            "bytraffic" => Some(Self::ByTraffic),
            "heartbeat" => Some(Self::Heartbeat),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub struct Site {
    pub fixes: BTreeSet<Fix>,
    /// Microseconds; it starts far from 0, which is when a configured error began (1.4).
    pub now: i64,
    pub name: String,
    pub members: Vec<Member>,
    pub method: Method,
    pub sticky: Sticky,
    pub no_failover: bool,
    /// How long a request waits for a member.
    pub wait: i64,
    /// `None`: neither configured nor fixed at the start (1.3).
    pub max_attempts: Option<i64>,
    pub max_attempts_configured: bool,
    pub force_recovery: bool,
    pub fail_on: Vec<i64>,
    pub fail_on_timeout: bool,
    /// Members that the manager may still add.
    pub slots: i64,
    /// The election, with the members' books.
    pub election: Election,
    pub reports: BTreeMap<String, Report>,
    pub heartbeats_monitored: bool,
    pub io_timeout: i64,
    /// Statuses whose pages are replaced; `None`: no page is.
    pub error_override: Option<Vec<i64>>,
    /// Backends that are no members yet.
    pub strangers: BTreeMap<String, Backend>,
    pub initial_not_pooled: bool,
    pub rules: Option<Vec<Rule>>,
    /// The case is about rules or headers, and may have requests that are refused before there is
    /// a question of members: the recording says which.
    pub rules_are_the_question: bool,
    /// A request waits for a connection of a full member, for ever as far as the model knows:
    /// what comes after that is not for it to say.
    pub waits_without_end: bool,
    /// Requests answered on each client connection that is open.
    pub kept: BTreeMap<String, u32>,
}

const START: i64 = 1_000_000 * SECOND;

impl Site {
    pub fn new(config: &Value, fixes: &BTreeSet<Fix>) -> Self {
        let params = Params::of(&config["balancer"]["params"]);
        let exact = fixes.contains(&Fix::ExactWeights);
        let members = config["members"].as_array().into_iter().flatten();
        let mut members: Vec<Member> = members.map(|member| Member::new(member, exact)).collect();
        for member in &mut members {
            if fixes.contains(&Fix::ConfiguredError) && member.flags.error {
                member.error_time = START;
            }
            if let Some(state) = config["initial_state"][&member.name].as_str() {
                member.backend = Backend::of(state);
            }
        }
        let directives: Vec<String> = ["server", "extra"]
            .into_iter()
            .flat_map(|key| config[key].as_array())
            .flatten()
            .filter_map(|line| Some(line.as_str()?.trim().to_ascii_lowercase()))
            .collect();
        let directive = |name: &str| {
            let lines = directives.iter();
            lines
                .rev()
                .find_map(|line| line.strip_prefix(&format!("{name} ")))
        };
        let mut sticky = Sticky {
            cookie: String::new(),
            parameter: String::new(),
            separator: Some('.'),
            semicolon_delimits: params.on("scolonpathdelim"),
        };
        sticky.name(params.text("stickysession").unwrap_or_default());
        if let Some(separator) = params.text("stickysessionsep") {
            let off = separator.eq_ignore_ascii_case("off");
            sticky.separator = separator.chars().next().filter(|_| !off);
        }
        let default_attempts = (members.len() >= 2).then_some(members.len() as i64 - 1);
        let mut site = Self {
            fixes: fixes.clone(),
            now: START,
            name: config["balancer"]["name"]
                .as_str()
                .unwrap_or("c")
                .to_owned(),
            method: params
                .text("lbmethod")
                .and_then(Method::of)
                .unwrap_or(Method::ByRequests),
            sticky,
            no_failover: params.on("nofailover"),
            wait: params.seconds("timeout").unwrap_or(0),
            max_attempts: params.int("maxattempts").or(default_attempts),
            max_attempts_configured: params.int("maxattempts").is_some(),
            force_recovery: !params.off("forcerecovery"),
            fail_on: params
                .text("failonstatus")
                .map(|text| text.split([',', ' ']).map(int).collect())
                .unwrap_or_default(),
            fail_on_timeout: params.on("failontimeout"),
            slots: params
                .int("growth")
                .or_else(|| directive("balancergrowth").map(int))
                .unwrap_or(5),
            election: Election::new(ElectionMethod::Requests),
            reports: BTreeMap::new(),
            heartbeats_monitored: directive("heartbeatlisten").is_some(),
            io_timeout: directive("proxytimeout")
                .or_else(|| directive("timeout"))
                .map_or(60, int)
                * SECOND,
            error_override: directive("proxyerroroverride")
                .filter(|text| text.starts_with("on"))
                .map(|text| text.split(' ').skip(1).map(int).collect()),
            strangers: BTreeMap::new(),
            initial_not_pooled: directives
                .iter()
                .any(|line| line.contains("proxy-initial-not-pooled")),
            rules: rules(config),
            rules_are_the_question: false,
            waits_without_end: false,
            kept: BTreeMap::new(),
            members,
        };
        for (name, state) in config["initial_state"].as_object().into_iter().flatten() {
            let state = state.as_str().unwrap_or_default();
            site.strangers.insert(name.clone(), Backend::of(state));
        }
        if let Some(lines) = config["heartbeat_file"].as_array() {
            site.read_heartbeats(lines, true);
        }
        site.election = site.new_election();
        site.recover_by_fixes();
        site
    }

    /// An election by the method, as the fixes want it, without books.
    fn new_election(&self) -> Election {
        let method = match self.method {
            Method::ByBusyness => ElectionMethod::Busyness,
            Method::ByTraffic => ElectionMethod::Traffic,
            // That of heartbeats elects only while there are none.
            Method::ByRequests | Method::Heartbeat => ElectionMethod::Requests,
        };
        Election::new(method)
            .lifting(self.has(Fix::JoinAtMinimum))
            .starting_with_nothing(self.has(Fix::JoinWithNothing))
            .dividing_first(!self.has(Fix::ExactTraffic))
    }

    pub fn has(&self, fix: Fix) -> bool {
        self.fixes.contains(&fix)
    }

    pub fn find(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| member.name == name)
    }

    /// Replaces what the heartbeat file says.
    pub fn read_heartbeats(&mut self, lines: &[Value], final_newline: bool) {
        let lines = lines
            .iter()
            .filter_map(|line| Some(line.as_str()?.to_owned()));
        let lines: Vec<String> = lines.collect();
        let ips = self
            .members
            .iter()
            .map(|member| (member.name.clone(), member.ip.clone()));
        self.reports = read_file(&lines, final_newline, &ips.collect());
    }

    /// How many more attempts than one a request has.
    pub fn attempts_left(&self) -> i64 {
        if self.has(Fix::DynamicAttempts) && !self.max_attempts_configured {
            return self.members.len() as i64 - 1;
        }
        self.max_attempts.unwrap_or(0)
    }

    /// Changes the method (2.6): the new one resets what it elects by.
    pub fn change_method(&mut self, method: Method) {
        self.method = method;
        let next = self.new_election();
        let mut former = std::mem::replace(&mut self.election, next);
        for (at, member) in self.members.iter_mut().enumerate() {
            let books = self.election.books(at);
            if self.fixes.contains(&Fix::MethodChangeKeepsCounters) {
                books.credit = -i128::from(member.transferred + member.read);
                continue;
            }
            books.clone_from(former.books(at));
            books.is_parked = false;
            match method {
                Method::ByRequests => books.standing = 0,
                Method::ByBusyness => {
                    books.standing = 0;
                    member.busy = 0;
                }
                Method::ByTraffic => {
                    member.transferred = 0;
                    member.read = 0;
                }
                Method::Heartbeat => {}
            }
        }
    }
}
