//! The law that a pick allocates no memory.

use std::hint::black_box;

use super::case::{LawCase, name};
use super::course::{LawCourse, request};
use super::search::search_among;
use super::violation::{Breach, Violation};
use crate::member::Outcome;
use crate::scheduler::Scheduler;

/// How many picks are measured.
const PICKS: usize = 300;

/// Members of which each third one has a cap of 1, and with weights of several sizes.
fn members(members: usize) -> LawCase {
    let mut case = LawCase::weighted_from(1, members, &[100, 100, 50, 333, 70_000]);
    let capped = case.members.iter_mut().skip(2).step_by(3);
    capped.for_each(|member| member.cap = Some(1));
    case
}

/// Checks that a pick allocates no memory.
///
/// `measure` runs the function that it is given and returns how many allocations the thread
/// made meanwhile. The crate [`allocation-counter`] does this; as it replaces the global
/// allocator, it is a dev-dependency of yours, and the kit has none.
///
/// The first picks after a change are not measured. Later ones are, with and without hash
/// keys and tried members (one, some, all), for 1 to 40 members, equal ones and others with
/// different weights, some of which are at their caps.
///
/// # Errors
///
/// A pick that allocates.
///
/// # Panics
///
/// If `measure` does not call the function that it is given, or counts no allocation when one
/// is made.
///
/// # Examples
///
/// ```
/// use equipoise::ByRequests;
/// use equipoise::testkit::laws;
///
/// laws::allocates_nothing(ByRequests::new, |pick| {
///     allocation_counter::measure(pick).count_total
/// })?;
/// # Ok::<(), equipoise::testkit::laws::Violation>(())
/// ```
///
/// [`allocation-counter`]: https://crates.io/crates/allocation-counter
#[track_caller]
pub fn allocates_nothing<S: Scheduler>(
    make: impl Fn() -> S,
    measure: impl Fn(&mut dyn FnMut()) -> u64,
) -> Result<(), Violation> {
    assert_measures(&measure);
    let law = "a pick allocates no memory";
    let plain = [1, 8, 40].map(|members| LawCase::plain(1, members));
    let cases = plain.into_iter().chain([3, 5, 14, 40].map(members));
    search_among(law, make().name(), cases, &|case| {
        let mut course = LawCourse::start(make(), case);
        let members: Vec<usize> = (0..case.members.len()).collect();
        let all = course.ids(&members);
        for pick in 0..2 * PICKS {
            let key = (pick % 3 == 1).then_some(pick as u64);
            let tried = match pick % 7 {
                1 => 1,
                2 => 2,
                3 => all.len() / 2,
                4 => all.len() - 1,
                5 if pick % 2 == 0 => all.len(),
                _ => 0,
            };
            let tried = tried.min(all.len());
            let mut allocations = 0;
            let request = request(key, &all[..tried]);
            let group = &mut course.group;
            let _ = group.pick_within(&request, |pick| allocations = measure(pick));
            if allocations > 0 && pick >= PICKS {
                let of = match (key, tried) {
                    (None, 0) => String::new(),
                    (Some(_), 0) => " of a request with a hash key".to_owned(),
                    (_, 1) => format!(" of a request that has tried {}", name(0)),
                    _ => format!(" of a request that has tried {tried} members"),
                };
                return Err(Breach::new(
                    format!("a pick{of} without allocations"),
                    format!("allocations: {allocations}"),
                ));
            }
            while group.in_flight() > case.members.len() {
                group.end_oldest(Outcome::Success);
            }
        }
        Ok(())
    })
}

#[track_caller]
fn assert_measures(measure: &impl Fn(&mut dyn FnMut()) -> u64) {
    let mut made = None;
    let count = measure(&mut || made = Some(Box::new(black_box(1))));
    assert!(made.is_some(), "`measure` does not call its function");
    assert!(count > 0, "`measure` counts no allocations");
}
