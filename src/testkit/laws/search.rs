//! Looking for a case that breaks a law, and making it small.
//!
//! Cases are tried from small to large, so that the first one found is small. Then members,
//! steps and settings are taken away as long as the law stays broken.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::case::{LawCase, LawMember, LawMix, LawStep, name};
use super::violation::{Breach, LawReport, Violation};
use super::watch::Watch;

/// How many cases with steps and few members a law is checked on.
const CASES: usize = 120;

/// How many more cases have 14 to 43 members.
const MANY_MEMBERS: usize = 60;

/// How many smaller cases are tried.
const SHRINKS: usize = 3_000;

/// As [`SHRINKS`], if the scheduler panics: each panic is printed.
const SHRINKS_OF_PANICS: usize = 200;

/// As [`SHRINKS`], for a case without steps, divided by its number of members: such a case
/// makes thousands of picks.
const SHRINKS_OF_MEMBERS: usize = 1_200;

type LawCheck<'k> = &'k dyn Fn(&LawCase) -> Result<(), Breach>;

/// Checks a law on made-up cases with steps.
pub(super) fn search(
    law: &'static str,
    scheduler: &'static str,
    mix: LawMix,
    check: LawCheck<'_>,
) -> Result<(), Violation> {
    let few = (0..CASES).map(|at| {
        let size = 1 + at * 100 / CASES;
        LawCase::random(at as u64, 1 + size / 12, size, mix)
    });
    let many = (0..MANY_MEMBERS).map(|at| {
        let most = 14 + at * 30 / MANY_MEMBERS;
        let size = 20 + at * 80 / MANY_MEMBERS;
        LawCase::random((CASES + at) as u64, most, size, mix)
    });
    search_among(law, scheduler, few.chain(many), check)
}

/// Checks a law on the given cases, in their order.
pub(super) fn search_among(
    law: &'static str,
    scheduler: &'static str,
    cases: impl IntoIterator<Item = LawCase>,
    check: LawCheck<'_>,
) -> Result<(), Violation> {
    Watch::over(law, scheduler, |watch| {
        let check = |case: &LawCase| {
            watch.begin(case);
            check(case)
        };
        search_watched(law, scheduler, cases, &check)
    })
}

fn search_watched(
    law: &'static str,
    scheduler: &'static str,
    cases: impl IntoIterator<Item = LawCase>,
    check: LawCheck<'_>,
) -> Result<(), Violation> {
    for case in cases {
        let Err(breach) = guarded(check, &case) else {
            continue;
        };
        let (case, breach) = smallest(case, breach, check);
        let members = case.members.iter().enumerate();
        let report = LawReport {
            law,
            scheduler,
            seed: case.seed,
            members: members
                .map(|(at, member)| format!("{}: {member}", name(at)))
                .collect(),
            breach,
        };
        return Err(report.into());
    }
    Ok(())
}

/// What is expected of a scheduler that panics.
const NO_PANIC: &str = "no panic";

/// A panic of the scheduler breaks every law.
fn guarded(check: LawCheck<'_>, case: &LawCase) -> Result<(), Breach> {
    catch_unwind(AssertUnwindSafe(|| check(case))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let steps = case.steps.iter().map(ToString::to_string);
        let found = format!("the panic `{}`", text.unwrap_or("of another type"));
        Err(Breach::new(NO_PANIC, found).after(steps.collect()))
    })
}

/// Takes parts of the case away while it breaks the law.
fn smallest(mut case: LawCase, mut breach: Breach, check: LawCheck<'_>) -> (LawCase, Breach) {
    let mut effort = 0;
    'again: loop {
        for smaller in smaller(&case) {
            let (cost, most) = if breach.expected == NO_PANIC {
                (1, SHRINKS_OF_PANICS)
            } else if smaller.steps.is_empty() {
                (smaller.members.len(), SHRINKS_OF_MEMBERS)
            } else {
                (1, SHRINKS)
            };
            effort += cost;
            if effort > most {
                return (case, breach);
            }
            if let Err(found) = guarded(check, &smaller) {
                (case, breach) = (smaller, found);
                continue 'again;
            }
        }
        return (case, breach);
    }
}

/// Smaller cases, the smallest first.
fn smaller(case: &LawCase) -> Vec<LawCase> {
    let mut all = Vec::new();
    if case.changes {
        all.push(LawCase {
            changes: false,
            ..case.clone()
        });
    }
    let mut chunk = case.steps.len();
    while chunk > 0 {
        for from in (0..case.steps.len()).step_by(chunk).rev() {
            let mut less = case.clone();
            less.steps.drain(from..(from + chunk).min(case.steps.len()));
            all.push(less);
        }
        chunk /= 2;
    }
    if case.members.iter().any(|it| *it != LawMember::PLAIN) {
        all.push(LawCase {
            members: vec![LawMember::PLAIN; case.members.len()],
            ..case.clone()
        });
    }
    let mut chunk = case.members.len() / 2;
    while chunk > 0 {
        for from in (0..case.members.len()).step_by(chunk) {
            let mut less = case.clone();
            less.members
                .drain(from..(from + chunk).min(case.members.len()));
            if !less.members.is_empty() {
                all.push(less);
            }
        }
        chunk /= 2;
    }
    for at in 0..case.members.len() {
        for plainer in plainer_member(case.members[at]) {
            let mut less = case.clone();
            less.members[at] = plainer;
            all.push(less);
        }
    }
    for at in 0..case.steps.len() {
        for plainer in plainer_step(&case.steps[at]) {
            let mut less = case.clone();
            less.steps[at] = plainer;
            all.push(less);
        }
    }
    all
}

fn plainer_member(member: LawMember) -> Vec<LawMember> {
    let mut plainer = Vec::new();
    if member.cap.is_some() {
        plainer.push(LawMember {
            cap: None,
            ..member
        });
    }
    if member.weight < 100 {
        plainer.push(LawMember {
            weight: 100,
            ..member
        });
    }
    if member.weight > 100 {
        plainer.push(LawMember {
            weight: 100,
            ..member
        });
        let half = (member.weight / 200).max(1) * 100;
        if half > 100 {
            plainer.push(LawMember {
                weight: half,
                ..member
            });
        }
        if member.weight > 200 {
            plainer.push(LawMember {
                weight: member.weight - 100,
                ..member
            });
        }
    }
    plainer
}

fn plainer_step(step: &LawStep) -> Vec<LawStep> {
    match step {
        LawStep::Pick { key, tried } => {
            let mut plainer = Vec::new();
            if key.is_some() {
                plainer.push(LawStep::Pick {
                    key: None,
                    tried: tried.clone(),
                });
            }
            for at in 0..tried.len() {
                let mut tried = tried.clone();
                tried.remove(at);
                plainer.push(LawStep::Pick { key: *key, tried });
            }
            plainer
        }
        LawStep::End(at, outcome) if *at > 0 => vec![LawStep::End(0, *outcome)],
        LawStep::Insert(member, it) if *it != LawMember::PLAIN => {
            vec![LawStep::Insert(*member, LawMember::PLAIN)]
        }
        _ => Vec::new(),
    }
}
