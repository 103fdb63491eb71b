//! Times what is too short to be timed alone.

use std::time::Instant;

/// Returns the nanoseconds of one call, in the fastest of 200 rounds of `round` calls each.
/// Each call gets a number of its own.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the time")]
pub(crate) fn fastest(round: u32, mut one: impl FnMut(u32)) -> f64 {
    let mut timed = |number: u32| {
        let first = number * round;
        let start = Instant::now();
        (first..first + round).for_each(&mut one);
        start.elapsed().as_secs_f64() * 1e9 / f64::from(round)
    };
    (0..200).map(&mut timed).fold(f64::INFINITY, f64::min)
}
