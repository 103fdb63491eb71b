//! The laws that each shipped scheduler keeps, with its bounds.
//!
//! A law that a scheduler does not promise is asserted too, with `unwrap_err` and the
//! reason: so a change of the scheduler that makes it keep the law is noticed.

mod apache;
mod hashing;
mod sampling;
mod wrapping;

use equipoise::scheduler::Scheduler;
use equipoise::testkit::laws;

fn measure(pick: &mut dyn FnMut()) -> u64 {
    allocation_counter::measure(pick).count_total
}

/// Checks the laws that every scheduler keeps.
fn keeps_the_contract<S: Scheduler>(make: impl Fn() -> S) {
    laws::check_all(&make).unwrap();
    laws::allocates_nothing(&make, measure).unwrap();
}

/// The proven bound of a smooth rotation of so many members.
fn tijdeman(members: usize) -> f64 {
    if members < 2 {
        return 0.0;
    }
    1.0 - 1.0 / (2.0 * members as f64 - 2.0)
}
