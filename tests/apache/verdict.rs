//! How a case ended, and the report of all.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::Value;

use super::case::Case;
use super::compare::Difference;
use super::rules::Rules;

/// So many differences of one case are shown.
const SHOWN: usize = 40;

#[derive(Debug)]
pub(crate) enum Verdict {
    Agrees,
    /// It could not be played to its end.
    Broken(String),
    /// As the rules of these numbers say.
    Deviates(BTreeSet<usize>),
    /// In a way that no rule explains; and what the reference model has to say of it.
    Differs(Vec<Difference>, Vec<String>),
    /// What it needs does not exist yet.
    Pending(&'static str),
}

/// What a case needs that does not exist yet.
pub(crate) fn pending(case: &Case) -> Option<&'static str> {
    let needs = |kinds: &[&str]| {
        let mut events = case.events.iter();
        events.any(|event| kinds.contains(&&*event.kind))
    };
    match &*case.kind {
        "hcheck" => Some("health checks"),
        "manager" => Some("the manager"),
        _ if needs(&["heartbeat"]) => Some("heartbeats over the network"),
        _ if needs(&["health", "wait_checks", "wait_status", "health_request"]) => {
            Some("health checks")
        }
        _ => None,
    }
}

impl Verdict {
    pub(crate) fn broken(why: String) -> Self {
        Self::Broken(why)
    }

    pub(crate) fn has_failed(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Differs(..))
    }

    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Agrees => "agrees  ",
            Self::Broken(_) => "BROKEN  ",
            Self::Deviates(_) => "deviates",
            Self::Differs(..) => "DIFFERS ",
            Self::Pending(_) => "pending ",
        }
    }
}

/// Everything that was found.
#[derive(Debug)]
pub(crate) struct Report {
    rules: Arc<Rules>,
    verdicts: BTreeMap<String, Verdict>,
}

impl Report {
    pub(crate) fn new(rules: Arc<Rules>) -> Self {
        Self {
            rules,
            verdicts: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, name: String, verdict: Verdict) {
        self.verdicts.insert(name, verdict);
    }

    /// Prints it. `all` says that these are all the project's own cases, so that each
    /// rule has to be of use.
    pub(crate) fn tell(&self, all: bool) -> ExitCode {
        let (mut agree, mut deviate, mut failed) = (0, 0, false);
        let mut pending: BTreeMap<&str, usize> = BTreeMap::new();
        let mut used: BTreeSet<usize> = BTreeSet::new();
        println!();
        for (name, verdict) in &self.verdicts {
            match verdict {
                Verdict::Agrees => agree += 1,
                Verdict::Deviates(rules) => {
                    deviate += 1;
                    used.extend(rules);
                }
                Verdict::Pending(what) => *pending.entry(what).or_default() += 1,
                Verdict::Broken(why) => {
                    failed = true;
                    println!("{name}: cannot be played: {why}\n");
                }
                Verdict::Differs(differences, remarks) => {
                    failed = true;
                    self.differences(name, differences, remarks);
                }
            }
        }
        for (what, count) in &pending {
            println!("pending, for want of {what}: {count}");
        }
        for (number, rule) in self.rules.0.iter().enumerate() {
            if all && used.contains(&number) == rule.unseen {
                failed = true;
                let what = match rule.unseen {
                    true => "is not unseen any more",
                    false => "explains nothing",
                };
                println!(
                    "deviations.toml: a rule of row {} {what}: {}",
                    rule.row, rule.reason
                );
            }
        }
        let pending: usize = pending.values().sum();
        println!(
            "{} cases, {agree} agree, {deviate} deviate as documented, {pending} pending",
            self.verdicts.len()
        );
        match failed {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        }
    }

    fn differences(&self, name: &str, differences: &[Difference], remarks: &[String]) {
        println!("{name} differs:");
        for difference in differences.iter().take(SHOWN) {
            println!("  event {}, {}", difference.event, difference.field);
            println!("    Apache: {}", short(&difference.apache));
            println!("    ours:   {}", short(&difference.ours));
        }
        if differences.len() > SHOWN {
            println!("  and {} more", differences.len() - SHOWN);
        }
        for remark in remarks {
            println!("  {remark}");
        }
        println!();
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
