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
    (case.kind == "manager").then_some("the manager")
}

impl Verdict {
    pub(crate) fn broken(why: String) -> Self {
        Self::Broken(why)
    }

    pub(crate) fn has_failed(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Differs(..))
    }

    /// What it needs that does not exist yet.
    pub(crate) fn waits_for(&self) -> Option<&'static str> {
        match self {
            Self::Pending(what) => Some(what),
            _ => None,
        }
    }

    /// What is wrong, if anything is.
    pub(crate) fn complaint(&self) -> Option<String> {
        match self {
            Self::Agrees | Self::Deviates(_) | Self::Pending(_) => None,
            Self::Broken(why) => Some(format!("it cannot be played: {why}")),
            Self::Differs(differences, remarks) => Some(told(differences, remarks)),
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

    /// Of how many cases.
    pub(crate) fn len(&self) -> usize {
        self.verdicts.len()
    }

    /// Prints its sums. `all` says that these are all the project's own cases, so that each
    /// rule has to be of use.
    pub(crate) fn tell(&self, all: bool) -> ExitCode {
        let (mut agree, mut deviate, mut failed) = (0, 0, false);
        let mut pending: BTreeMap<&str, usize> = BTreeMap::new();
        let mut used: BTreeSet<usize> = BTreeSet::new();
        for verdict in self.verdicts.values() {
            match verdict {
                Verdict::Agrees => agree += 1,
                Verdict::Broken(_) | Verdict::Differs(..) => failed = true,
                Verdict::Deviates(rules) => {
                    deviate += 1;
                    used.extend(rules);
                }
                Verdict::Pending(what) => *pending.entry(what).or_default() += 1,
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
}

fn told(differences: &[Difference], remarks: &[String]) -> String {
    let mut lines = vec!["it differs:".to_owned()];
    for difference in differences.iter().take(SHOWN) {
        lines.push(format!(
            "  event {}, {}",
            difference.event, difference.field
        ));
        lines.push(format!("    Apache: {}", short(&difference.apache)));
        lines.push(format!("    ours:   {}", short(&difference.ours)));
    }
    if differences.len() > SHOWN {
        lines.push(format!("  and {} more", differences.len() - SHOWN));
    }
    lines.extend(remarks.iter().map(|remark| format!("  {remark}")));
    lines.join("\n")
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
