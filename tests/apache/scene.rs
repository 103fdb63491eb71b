//! Where a rule is looked at: the configuration, the event, and what came before it. [`Scene`]

use std::collections::BTreeMap;

use equipoise::scheduler::HeartbeatReading;

use super::case::{Case, Check, Event, Named, State};
use super::heartbeat;

/// Where a condition is looked at: an event or a check of a case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) case: &'a Case,
    pub(crate) at: usize,
    /// The field that differs, if one does.
    pub(crate) field: &'a str,
}

impl<'a> Scene<'a> {
    pub(crate) fn event(self) -> Option<&'a Event> {
        self.case.events.get(self.at)
    }

    pub(crate) fn check(self) -> Option<&'a Check> {
        self.case.checks.get(self.at)
    }

    pub(crate) fn members(self) -> impl Iterator<Item = &'a Named> {
        let configured = self.case.config.iter().flat_map(|config| &config.members);
        let checked = self.check().and_then(|check| check.members.as_ref());
        configured.chain(checked.into_iter().flatten())
    }

    pub(crate) fn member_params(self) -> impl Iterator<Item = (&'a String, &'a String)> {
        let checked = self.check().into_iter();
        let members = self.members().flat_map(|member| &member.params);
        members.chain(checked.flat_map(|check| &check.member_params))
    }

    pub(crate) fn balancer_params(self) -> impl Iterator<Item = (&'a String, &'a String)> {
        let configured = self.case.config.iter();
        let checked = self.check().into_iter();
        configured
            .flat_map(|config| &config.balancer.params)
            .chain(checked.flat_map(|check| &check.balancer_params))
    }

    pub(crate) fn directives(self) -> impl Iterator<Item = &'a str> {
        let text = self.case.apache_conf.as_deref().unwrap_or_default();
        let checked = self.check().into_iter();
        let extra = checked.flat_map(|check| &check.extra).map(String::as_str);
        text.lines().chain(extra)
    }

    pub(crate) fn slashes_differ(self) -> bool {
        let config = self.case.config.iter();
        let mappings = config.flat_map(|config| config.mapping.iter().chain(&config.reverse));
        let mut mapped = mappings.filter(|mapping| mapping.target != "!");
        let mut paths = self.members().filter_map(|member| member.path.as_ref());
        mapped.any(|mapping| mapping.path.ends_with('/') != mapping.target.ends_with('/'))
            || paths.any(|path| path.ends_with('/'))
    }

    /// The reports that are in the heartbeat file now, as we read it.
    pub(crate) fn reports(self) -> Vec<(String, HeartbeatReading)> {
        let (lines, newline) = self.heartbeat_file();
        heartbeat::reports(&lines, newline)
    }

    /// Whether Apache and we read the heartbeat file otherwise.
    pub(crate) fn reads_otherwise(self) -> bool {
        let (lines, newline) = self.heartbeat_file();
        let idle = |reports: Vec<(String, HeartbeatReading)>| -> BTreeMap<String, u32> {
            let idle = reports.into_iter().map(|(ip, it)| (ip, it.idle()));
            idle.filter(|(_, idle)| *idle > 0).collect()
        };
        idle(heartbeat::parse(&lines, newline)) != idle(heartbeat::reports(&lines, newline))
    }

    /// The lines of the heartbeat file with addresses in them, and whether the last has an end.
    pub(crate) fn heartbeat_file(self) -> (Vec<String>, bool) {
        let config = self.case.config.as_ref();
        let mut lines = config.and_then(|config| config.heartbeat_file.clone());
        let mut newline = true;
        let events = self.case.events.iter().take(self.at + 1);
        for event in events.filter(|event| event.kind == "heartbeat_file") {
            lines = event.get("lines").ok();
            newline = event.get("final_newline").ok().flatten().unwrap_or(true);
        }
        let mut lines = lines.unwrap_or_default();
        for member in self.members() {
            let ip = member.ip.as_deref().unwrap_or("127.0.0.1");
            let place = format!("{{{{ip:{}}}}}", member.name);
            lines
                .iter_mut()
                .for_each(|line| *line = line.replace(&place, ip));
        }
        (lines, newline)
    }

    /// The message of the last heartbeat that was sent.
    pub(crate) fn last_heartbeat(self) -> &'a str {
        let events = self.case.events.iter().take(self.at + 1);
        let mut sent = events.filter(|event| event.kind == "heartbeat");
        sent.next_back().map_or("", |event| event.text("message"))
    }

    /// The states that backends are in.
    pub(crate) fn states(self) -> Vec<State> {
        let config = self.case.config.iter();
        let mut states: BTreeMap<_, _> = config
            .flat_map(|config| &config.initial_state)
            .map(|(name, state)| (name.as_str(), *state))
            .collect();
        let events = self.case.events.iter().take(self.at + 1);
        for event in events.filter(|event| event.kind == "backend") {
            if let Ok(state) = event.get("state") {
                states.insert(event.text("member"), state);
            }
        }
        states.into_values().collect()
    }
}
