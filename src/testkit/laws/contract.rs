//! The laws that follow from the contract of [`Scheduler`], so that each scheduler keeps
//! them.

use super::case::{LawCase, LawMix, LawStep, name};
use super::course::{LawCourse, NamedPick, told};
use super::search::search;
use super::violation::{Breach, Violation};
use crate::member::{Flag, MemberSpec};
use crate::scheduler::Scheduler;

/// Checks all laws of this file: each of them follows from the contract of [`Scheduler`].
///
/// A scheduler that withholds room ([`Pick::AtCapacity`](crate::scheduler::Pick::AtCapacity))
/// on purpose breaks [`picks_candidates_only`]; check the other laws one by one.
///
/// # Errors
///
/// The first law that is broken.
///
/// # Examples
///
/// ```
/// use equipoise::ByRequests;
/// use equipoise::testkit::laws;
///
/// laws::check_all(ByRequests::new)?;
/// # Ok::<(), equipoise::testkit::laws::Violation>(())
/// ```
pub fn check_all<S: Scheduler>(make: impl Fn() -> S) -> Result<(), Violation> {
    picks_candidates_only(&make)?;
    honours_tried(&make)?;
    respects_caps(&make)?;
    is_deterministic(&make)?;
    peek_agrees(&make)?;
    survives_churn(&make)
}

/// Checks that a pick claims one of the candidates whenever it can, ends with this claim, and
/// returns it.
///
/// The cases have members that join, leave, and become unusable and usable again. A pick
/// that finds no candidate returns [`Pick::NoneUsable`](crate::scheduler::Pick::NoneUsable).
///
/// # Errors
///
/// A pick without a claim although a member could be claimed, a claim that was not
/// returned, a claim that was asked for after one that succeeded, or
/// [`Pick::Stale`](crate::scheduler::Pick::Stale) with present candidates.
pub fn picks_candidates_only<S: Scheduler>(make: impl Fn() -> S) -> Result<(), Violation> {
    let mix = LawMix {
        changes: true,
        ..LawMix::default()
    };
    let law = "a pick claims one of the candidates";
    search(law, make().name(), mix, &|case| every_pick(&make, case))
}

/// Checks that a pick skips the members that the request has tried, and picks another one
/// if there is one.
///
/// # Errors
///
/// A pick without a claim although an untried member could be claimed.
pub fn honours_tried<S: Scheduler>(make: impl Fn() -> S) -> Result<(), Violation> {
    let mix = LawMix {
        keys: true,
        tried: true,
        ..LawMix::default()
    };
    let law = "a pick honours the members that a request has tried";
    search(law, make().name(), mix, &|case| every_pick(&make, case))
}

/// Checks that a pick skips full members, and returns
/// [`Pick::AtCapacity`](crate::scheduler::Pick::AtCapacity) if only full ones are left.
///
/// # Errors
///
/// Another result.
pub fn respects_caps<S: Scheduler>(make: impl Fn() -> S) -> Result<(), Violation> {
    let mix = LawMix {
        caps: true,
        tried: true,
        ..LawMix::default()
    };
    let law = "a pick skips members at their caps";
    search(law, make().name(), mix, &|case| every_pick(&make, case))
}

fn every_pick<S: Scheduler>(make: &impl Fn() -> S, case: &LawCase) -> Result<(), Breach> {
    let mut course = LawCourse::start(make(), case);
    let mut steps = case.steps.iter();
    steps.try_for_each(|step| course.checked_step(step).map(drop))
}

/// Checks that the same calls with the same seed give the same picks.
///
/// # Errors
///
/// Two runs of one case that differ.
pub fn is_deterministic<S: Scheduler>(make: impl Fn() -> S) -> Result<(), Violation> {
    let law = "the same calls with the same seed give the same picks";
    search(law, make().name(), LawMix::ALL, &|case| {
        let first = picks(&make, case, true);
        let mut course = LawCourse::start(make(), case);
        let mut first = first.into_iter();
        for step in &case.steps {
            if let Some(picked) = course.step(step) {
                let before = first.next();
                if before.as_ref() != Some(&picked) {
                    let expected = before.as_ref().map_or_else(String::new, told);
                    let expected = format!("{expected}, as in the first run");
                    return Err(Breach::new(expected, told(&picked)).after(course.trace));
                }
            }
        }
        Ok(())
    })
}

/// Returns the results of all picks of a case, with or without the explanations between.
fn picks<S: Scheduler>(make: &impl Fn() -> S, case: &LawCase, explains: bool) -> Vec<NamedPick> {
    let mut course = LawCourse::start(make(), case);
    let mut picks = Vec::new();
    for step in &case.steps {
        if !explains && matches!(step, LawStep::Explain(_)) {
            continue;
        }
        picks.extend(course.step(step));
    }
    picks
}

/// Checks that [`Scheduler::peek`] returns the member of the next pick, or `None`, and that
/// neither it nor [`Scheduler::explain`] changes anything.
///
/// # Errors
///
/// A pick of another member than `peek` returned, or a pick that is another one because of
/// an earlier `peek` or `explain`.
pub fn peek_agrees<S: Scheduler>(make: impl Fn() -> S) -> Result<(), Violation> {
    let law = "`peek` returns the member of the next pick, without side effects";
    search(law, make().name(), LawMix::ALL, &|case| {
        let mut unseen = picks(&make, case, false).into_iter();
        let mut course = LawCourse::start(make(), case);
        for step in &case.steps {
            let peeked = match step {
                LawStep::Pick { key, tried } => course.peek(*key, tried),
                _ => None,
            };
            let Some(picked) = course.step(step) else {
                continue;
            };
            let expected = match (peeked, unseen.next()) {
                (Some(peeked), _) if picked.as_ref().ok() != Some(&peeked) => {
                    format!("{peeked}, which `peek` has returned")
                }
                (_, Some(unseen)) if unseen != picked => {
                    format!(
                        "{}, as without calls of `peek` and `explain`",
                        told(&unseen)
                    )
                }
                _ => continue,
            };
            return Err(Breach::new(expected, told(&picked)).after(course.trace));
        }
        Ok(())
    })
}

/// Checks that a scheduler works through random changes: members that join, leave and
/// return, weights and caps that change, drains, errors, tried members, sessions, resets,
/// explanations, plans that are old or missing, and ends of all kinds.
///
/// Each pick must have the result that the contract requires. When all requests have ended,
/// no member has a request in flight. When all members are usable again, each request is
/// served.
///
/// # Errors
///
/// A panic, another result of a pick, or a request that stays in flight.
pub fn survives_churn<S: Scheduler>(make: impl Fn() -> S) -> Result<(), Violation> {
    let law = "a scheduler works through changes of its members";
    search(law, make().name(), LawMix::ALL, &|case| {
        let mut course = LawCourse::start(make(), case);
        for step in &case.steps {
            course.checked_step(step)?;
        }
        course.end_all();
        let left = course.group.counted_in_flight();
        if left > 0 {
            let found = format!("{left} in flight");
            return Err(Breach::new("no request in flight", found).after(course.trace));
        }
        course.trace.push("all requests end".to_owned());
        recover(&mut course, case);
        for _ in 0..2 * course.group.len() {
            let pick = LawStep::Pick {
                key: None,
                tried: Vec::new(),
            };
            course.checked_step(&pick)?;
        }
        Ok(())
    })
}

/// Makes each member usable, and gives it room.
fn recover<S: Scheduler>(course: &mut LawCourse<S>, case: &LawCase) {
    for at in 0..case.members.len() + 2 {
        for flag in Flag::ALL {
            if course.group.clear_flag(&name(at), flag) {
                let change = |spec: MemberSpec| spec.without_max_in_flight();
                course.group.update(&name(at), change);
            }
        }
    }
    course
        .trace
        .push("all members are usable, without caps".to_owned());
}
