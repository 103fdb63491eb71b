//! What the laws are called with: a parameter with which nothing could be checked is refused,
//! as a test whose tolerance is computed wrongly would always pass. A bound that no scheduler
//! keeps is not refused.

/// Panics unless a number can exceed this bound, whose values end at `end`.
#[track_caller]
pub(super) fn assert_bound(name: &str, bound: f64, end: f64) {
    assert!(bound < end, "`{name}` must be below {end}, not {bound}");
}

/// Panics unless this is a multiple of a share that can be exceeded.
#[track_caller]
pub(super) fn assert_times(times: f64, end: f64) {
    let is_checkable = times > 0.0 && times < end;
    assert!(
        is_checkable,
        "`times` must be above 0 and below {end}, not {times}"
    );
}

/// Panics unless requests are in flight.
#[track_caller]
pub(super) fn assert_in_flight(in_flight: usize) {
    assert!(in_flight > 0, "`in_flight` must be at least 1");
}
