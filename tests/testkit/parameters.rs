//! Laws that are called with a bound which cannot be exceeded: they panic, because a test with
//! such a bound would always pass.

use std::panic::{AssertUnwindSafe, catch_unwind};

use equipoise::ByRequests;
use equipoise::scheduler::Maglev;
use equipoise::testkit::laws::{self, Violation};

#[track_caller]
fn assert_refused(law: impl FnOnce() -> Result<(), Violation>, why: &str) {
    let panic = catch_unwind(AssertUnwindSafe(law)).unwrap_err();
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    assert!(text.is_some_and(|text| text.contains(why)), "{text:?}");
}

const NAN: f64 = f64::NAN;
const INFINITY: f64 = f64::INFINITY;

#[test]
fn a_tolerance_that_is_no_part_is_refused() {
    let make = ByRequests::new;
    for wrong in [NAN, INFINITY, 1.0] {
        let why = format!("`tolerance` must be below 1, not {wrong}");
        assert_refused(|| laws::shares_by_weight(make, 1, wrong), &why);
        assert_refused(|| laws::honours_ramps(make, 1, wrong), &why);
        assert_refused(|| laws::is_monotone_in_weight(make, 1, wrong), &why);
        let why = format!("`bound` must be below 1, not {wrong}");
        assert_refused(|| laws::moves_few_keys(Maglev::new, wrong), &why);
    }
}

#[test]
fn no_requests_in_flight_are_refused() {
    let (make, why) = (ByRequests::new, "`in_flight` must be at least 1");
    assert_refused(|| laws::shares_by_weight(make, 0, 0.1), why);
    assert_refused(|| laws::honours_ramps(make, 0, 0.1), why);
    assert_refused(|| laws::is_monotone_in_weight(make, 0, 0.1), why);
}

#[test]
fn a_multiple_that_no_share_reaches_is_refused() {
    let make = ByRequests::new;
    for wrong in [NAN, INFINITY, 0.0, -1.0, 1e9] {
        let why = format!("not {wrong}");
        assert_refused(|| laws::starves_none(make, wrong), &why);
        assert_refused(|| laws::shares_failovers(make, wrong), &why);
        assert_refused(|| laws::is_no_sinkhole(make, 0, wrong), &why);
        assert_refused(|| laws::survives_silence(make, wrong), &why);
    }
}

#[test]
fn a_distance_from_the_quota_that_no_member_reaches_is_refused() {
    let make = ByRequests::new;
    for wrong in [NAN, INFINITY, 1_000.0] {
        // Only for some numbers of members.
        let some = move |members| if members == 7 { wrong } else { 1.2 };
        let lag = || laws::is_smooth(make, some, |_| 1.2);
        assert_refused(lag, &format!("`lag` must be below 1000, not {wrong}"));
        let lead = || laws::is_smooth(make, |_| 1.2, some);
        assert_refused(lead, &format!("`lead` must be below 1000, not {wrong}"));
    }
}

#[test]
fn a_count_of_allocations_that_counts_none_is_refused() {
    let make = ByRequests::new;
    let counts_none = |pick: &mut dyn FnMut()| {
        pick();
        0
    };
    let law = || laws::allocates_nothing(make, counts_none);
    assert_refused(law, "`measure` counts no allocations");
    let law = || laws::allocates_nothing(make, |_| 1);
    assert_refused(law, "`measure` does not call its function");
}
