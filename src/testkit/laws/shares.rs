//! The laws of shares: how many requests each member gets.
//!
//! All members are eligible and have no caps; requests have neither keys nor tried members.
//! Weights are whole numbers up to eight, ten or thirty in half of the cases, in the others they
//! are fractions or large. In every second case the members change before they are measured.
//!
//! Not here: the changes and the picks (`share_count.rs`).

use super::case::{LawCase, name};
use super::parameter::{assert_bound, assert_in_flight, assert_times};
use super::search::search_among;
use super::share_count::ShareCount;
use super::violation::{Breach, Violation};
use crate::scheduler::Scheduler;

/// How many picks a share is measured over.
const PICKS: usize = 4_000;

/// How many picks there are at most until each member must be close to its quota.
const SMOOTH_PICKS: u32 = 1_000;

/// The greatest number of members in most cases.
const MEMBERS: usize = 8;

/// The cases with more members.
const MANY_MEMBERS: [usize; 2] = [20, 40];

/// Rounding errors of the comparison of a sum with a bound.
const ROUNDING: f64 = 1e-9;

/// Weights that are lost if they are kept as whole numbers, in hundredths.
const FRACTIONS: [u32; 8] = [3, 10, 33, 50, 75, 99, 150, 250];

/// Weights that wrap if they are kept in a byte, or in two bytes once they are in hundredths
/// or in finer units, and others that wrap if they are doubled. The members of a case
/// have these, in hundredths.
const HEAVY: [&[u32]; 2] = [&[51_200, 20_000, 65_600], &[25_600, 45_000]];

/// Members with weights: from few members to many. Half of the cases have whole weights from
/// 1 to `heaviest`, and most of the others [`FRACTIONS`]. Each eighth has [`HEAVY`] weights:
/// few members, as a table of them may be large. In every second case the members change
/// before shares are measured.
fn weighted(cases: usize, heaviest: u32) -> impl Iterator<Item = LawCase> {
    let few = (0..cases).map(move |at| (at, 1 + at * MEMBERS / cases));
    // Their weights are whole.
    let many = (0..).zip(MANY_MEMBERS);
    let cases = few.chain(many).zip(0..);
    cases.map(move |((at, members), seed)| LawCase {
        changes: seed % 2 == 1,
        ..match at % 8 {
            0..=3 => LawCase::weighted(seed, members, heaviest),
            6 if members > 1 => LawCase::weighing(seed, HEAVY[at / 8 % 2]),
            _ => LawCase::weighted_from(seed, members, &FRACTIONS),
        }
    })
}

#[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// Checks that over 4 000 picks each member's share differs from its share of the weights by
/// at most `tolerance`, such as 0.01 for one request in a hundred.
///
/// `in_flight` requests are in flight at a time, and the oldest ends first. With 1, each
/// request ends before the next pick. Schedulers that compare requests in flight give shares
/// by weight only under load, so check those with some requests for each member.
///
/// A scheduler that draws members has a share with a standard deviation of at most 0.008
/// here; five of these are a tolerance that no other seed exceeds.
///
/// # Errors
///
/// A share that differs by more.
///
/// # Panics
///
/// If `in_flight` is 0, or the tolerance is not below 1.
///
/// # Examples
///
/// ```
/// use equipoise::ByRequests;
/// use equipoise::testkit::laws;
///
/// laws::shares_by_weight(ByRequests::new, 1, 0.001)?;
/// # Ok::<(), equipoise::testkit::laws::Violation>(())
/// ```
#[track_caller]
pub fn shares_by_weight<S: Scheduler>(
    make: impl Fn() -> S,
    in_flight: usize,
    tolerance: f64,
) -> Result<(), Violation> {
    assert_in_flight(in_flight);
    assert_bound("tolerance", tolerance, 1.0);
    let law = "each member gets a share by its weight";
    search_among(law, make().name(), weighted(16, 10), &|case| {
        let mut shares = ShareCount::start(&make, case, in_flight)?;
        let counts = shares.counts(PICKS)?;
        for (at, (&count, member)) in counts.iter().zip(&case.members).enumerate() {
            let share = ratio(count as u64, PICKS as u64);
            let fair = ratio(member.weight.into(), case.total());
            if (share - fair).abs() > tolerance + ROUNDING {
                return Err(Breach::new(
                    format!("m{at} gets {fair:.4} of {PICKS} requests, give or take {tolerance}"),
                    format!("{share:.4}, which is {count} requests"),
                )
                .after(shares.course.trace));
            }
        }
        Ok(())
    })
}

/// Checks that a member that ramps up gets a share by its reduced weight: a quarter of the
/// weight counts of every second member. Shares are of 4 000 picks.
///
/// A scheduler with a table breaks this if a member keeps a quarter of its own keys: the
/// weights of all would give it a little more.
///
/// For `in_flight` and the tolerance see [`shares_by_weight`].
///
/// # Errors
///
/// A share that differs by more.
///
/// # Panics
///
/// If `in_flight` is 0, or the tolerance is not below 1.
///
/// # Examples
///
/// ```
/// use equipoise::ByRequests;
/// use equipoise::testkit::laws;
///
/// laws::honours_ramps(ByRequests::new, 1, 0.002)?;
/// # Ok::<(), equipoise::testkit::laws::Violation>(())
/// ```
#[track_caller]
pub fn honours_ramps<S: Scheduler>(
    make: impl Fn() -> S,
    in_flight: usize,
    tolerance: f64,
) -> Result<(), Violation> {
    assert_in_flight(in_flight);
    assert_bound("tolerance", tolerance, 1.0);
    let law = "a member that ramps up gets a share by its reduced weight";
    search_among(law, make().name(), weighted(16, 10), &|case| {
        let mut shares = ShareCount::start(&make, case, in_flight)?;
        let sixteenths = |at: usize| if at % 2 == 1 { 4 } else { 16_u32 };
        for at in 0..case.members.len() {
            shares.course.group.thin(&name(at), sixteenths(at));
        }
        let weights = case.members.iter().enumerate();
        let weights: Vec<u64> = weights
            .map(|(at, member)| u64::from(member.weight * sixteenths(at)))
            .collect();
        let total = weights.iter().sum();
        let counts = shares.counts(PICKS)?;
        for (at, (&count, &weight)) in counts.iter().zip(&weights).enumerate() {
            let (share, fair) = (ratio(count as u64, PICKS as u64), ratio(weight, total));
            if (share - fair).abs() > tolerance + ROUNDING {
                let part = sixteenths(at);
                return Err(Breach::new(
                    format!(
                        "with {part}/16 of its weight, m{at} gets {fair:.4} of {PICKS} requests, \
                         give or take {tolerance}"
                    ),
                    format!("{share:.4}, which is {count} requests"),
                )
                .after(shares.course.trace));
            }
        }
        Ok(())
    })
}

/// Checks that after each pick no member is more than `lag` requests behind its quota, and
/// none more than `lead` requests ahead of it.
///
/// The quota of a member after *k* picks is *k* times its share of the weights. Both bounds
/// are functions of the number of members, which is at least 2. Each request ends before the next pick. After a
/// change of the members the scheduler is [reset](Scheduler::reset), so that all members
/// start equal.
///
/// Known bounds: the lead of Apache's and nginx's smooth weighted rotation is below 1, and
/// its lag has exceeded 1.1 in searches; no deterministic order can keep both below
/// 1 − 1/(2n − 2) for all weights of *n* members, which Tijdeman's rotation attains
/// (R. Tijdeman: *The chairman assignment problem*, 1980).
///
/// # Errors
///
/// The first prefix of the picks that breaks a bound.
///
/// # Panics
///
/// If a bound is not below 1 000, the number of picks.
///
/// # Examples
///
/// ```
/// use equipoise::ByRequests;
/// use equipoise::testkit::laws;
///
/// laws::is_smooth(ByRequests::new, |_| 1.2, |_| 1.0)?;
/// # Ok::<(), equipoise::testkit::laws::Violation>(())
/// ```
#[track_caller]
pub fn is_smooth<S: Scheduler>(
    make: impl Fn() -> S,
    lag: impl Fn(usize) -> f64,
    lead: impl Fn(usize) -> f64,
) -> Result<(), Violation> {
    for members in (2..=MEMBERS).chain(MANY_MEMBERS) {
        assert_bound("lag", lag(members), SMOOTH_PICKS.into());
        assert_bound("lead", lead(members), SMOOTH_PICKS.into());
    }
    let law = "after each pick, each member is close to its quota";
    search_among(law, make().name(), weighted(64, 30), &|case| {
        let members = case.members.len();
        // One member is always at its quota, and bounds are those of two members or more.
        if members < 2 {
            return Ok(());
        }
        let (lag, lead) = (lag(members), lead(members));
        let mut shares = ShareCount::start(&make, case, 1)?;
        shares.start_equal();
        let mut counts = vec![0_u64; members];
        let mut order = Vec::new();
        // Two periods, and a bit.
        let picks = (2 * case.period() + 5).min(SMOOTH_PICKS.into());
        for pick in 1..=picks {
            let member = shares.pick()?;
            counts[member] += 1;
            order.push(format!("m{member}"));
            for (at, (&count, member)) in counts.iter().zip(&case.members).enumerate() {
                let quota = ratio(pick * u64::from(member.weight), case.total());
                let ahead = ratio(count, 1) - quota;
                if ahead > lead + ROUNDING || -ahead > lag + ROUNDING {
                    let expected = format!(
                        "m{at} at most {lag:.3} behind and {lead:.3} ahead of {quota:.3} requests"
                    );
                    let found = format!("{count} requests after {pick} picks: {}", order.join(" "));
                    return Err(Breach::new(expected, found).after(shares.course.trace));
                }
            }
        }
        Ok(())
    })
}

/// Checks that no member waits too long: a member of share *s* is picked at least once in
/// each `times`/*s* consecutive picks, rounded up.
///
/// An exact rotation keeps this with 2. A scheduler that draws members by weight misses a
/// member for `times`/*s* picks with a probability of e^−`times`, so 20 is safe.
///
/// # Errors
///
/// The first member that waits longer.
///
/// # Panics
///
/// If `times` is not above 0 and below 1 000.
///
/// # Examples
///
/// ```
/// use equipoise::ByRequests;
/// use equipoise::testkit::laws;
///
/// laws::starves_none(ByRequests::new, 2.0)?;
/// # Ok::<(), equipoise::testkit::laws::Violation>(())
/// ```
#[track_caller]
pub fn starves_none<S: Scheduler>(make: impl Fn() -> S, times: f64) -> Result<(), Violation> {
    assert_times(times, 1_000.0);
    let law = "each member is picked again after a number of picks";
    search_among(law, make().name(), weighted(24, 10), &|case| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small positive number"
        )]
        let bound = |weight: u32| (times * ratio(case.total(), weight.into())).ceil() as usize;
        let bounds: Vec<usize> = case.members.iter().map(|one| bound(one.weight)).collect();
        let picks = 3 * bounds.iter().copied().max().unwrap_or(0);
        let mut shares = ShareCount::start(&make, case, 1)?;
        let mut last = vec![0; bounds.len()];
        for pick in 1..=picks {
            last[shares.pick()?] = pick;
            for (at, (&last, &bound)) in last.iter().zip(&bounds).enumerate() {
                if pick - last >= bound {
                    return Err(Breach::new(
                        format!("m{at} is picked at least once in {bound} picks"),
                        format!("it is not picked in the {bound} picks up to pick {pick}"),
                    )
                    .after(shares.course.trace));
                }
            }
        }
        Ok(())
    })
}

/// Checks that a member whose weight is doubled gets no smaller share, and that no other
/// member gets a larger one. Shares are of 4 000 picks; they may differ by `tolerance` in the
/// wrong direction.
///
/// For `in_flight` and the tolerance see [`shares_by_weight`].
///
/// # Errors
///
/// A share that changes in the wrong direction.
///
/// # Panics
///
/// If `in_flight` is 0, or the tolerance is not below 1.
///
/// # Examples
///
/// ```
/// use equipoise::ByRequests;
/// use equipoise::testkit::laws;
///
/// laws::is_monotone_in_weight(ByRequests::new, 1, 0.001)?;
/// # Ok::<(), equipoise::testkit::laws::Violation>(())
/// ```
#[track_caller]
pub fn is_monotone_in_weight<S: Scheduler>(
    make: impl Fn() -> S,
    in_flight: usize,
    tolerance: f64,
) -> Result<(), Violation> {
    assert_in_flight(in_flight);
    assert_bound("tolerance", tolerance, 1.0);
    let law = "more weight gives no smaller share";
    let cases = weighted(10, 8).filter(|case| case.members.len() > 1);
    search_among(law, make().name(), cases, &|case| {
        let mut heavier = case.clone();
        heavier.members[0].weight *= 2;
        let counts = |case| ShareCount::start(&make, case, in_flight)?.counts(PICKS);
        let (before, after) = (counts(case)?, counts(&heavier)?);
        for (at, (&before, &after)) in before.iter().zip(&after).enumerate() {
            let share = |count: usize| ratio(count as u64, PICKS as u64);
            let grown = share(after) - share(before);
            let (is_wrong, which) = if at == 0 {
                (grown < -tolerance - ROUNDING, "at least")
            } else {
                (grown > tolerance + ROUNDING, "at most")
            };
            if is_wrong {
                return Err(Breach::new(
                    format!(
                        "once m0 has twice its weight, m{at} gets {which} the {before} of {PICKS} \
                         requests that it got before, give or take {tolerance} of all"
                    ),
                    format!("{after} requests"),
                ));
            }
        }
        Ok(())
    })
}
