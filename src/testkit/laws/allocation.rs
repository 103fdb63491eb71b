//! The law that a pick allocates no memory.

use super::case::{LawCase, name};
use super::course::{LawCourse, request};
use super::search::search_among;
use super::violation::{Breach, Violation};
use crate::member::Outcome;
use crate::scheduler::Scheduler;

/// How many picks are measured.
const PICKS: usize = 300;

/// Checks that a pick allocates no memory.
///
/// `measure` runs the function that it is given and returns how many allocations the thread
/// made meanwhile. The crate [`allocation-counter`] does this; as it replaces the global
/// allocator, it is a dev-dependency of yours, and the kit has none.
///
/// The first picks after a change are not measured. Later ones are, with and without hash
/// keys and tried members, for 1, 8 and 40 members.
///
/// # Errors
///
/// A pick that allocates.
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
pub fn allocates_nothing<S: Scheduler>(
    make: impl Fn() -> S,
    measure: impl Fn(&mut dyn FnMut()) -> u64,
) -> Result<(), Violation> {
    let law = "a pick allocates no memory";
    let cases = [1, 8, 40].map(|members| LawCase::plain(1, members));
    search_among(law, make().name(), cases, &|case| {
        let mut course = LawCourse::start(make(), case);
        let first = course.ids(&[0]);
        for pick in 0..2 * PICKS {
            let key = (pick % 3 == 1).then_some(pick as u64);
            let tried = if pick % 5 == 1 { &first[..] } else { &[] };
            let mut allocations = 0;
            let group = &mut course.group;
            let _ = group.pick_within(&request(key, tried), |pick| allocations = measure(pick));
            if allocations > 0 && pick >= PICKS {
                let of = match (key, tried.is_empty()) {
                    (_, false) => format!(" of a request that has tried {}", name(0)),
                    (Some(_), true) => " of a request with a hash key".to_owned(),
                    (None, true) => String::new(),
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
