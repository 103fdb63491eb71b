//! The laws of members that fail: which member a request fails over to, and how many
//! requests a member gets that fails all of them at once.

use std::time::Duration;

use super::case::{LawCase, name};
use super::course::{LawCourse, request};
use super::parameter::assert_times;
use super::search::search_among;
use super::violation::{Breach, Violation};
use crate::member::{MemberId, Outcome};
use crate::scheduler::Scheduler;

/// How many requests are counted, for up to eight members.
const REQUESTS: usize = 4_000;

/// How many requests fail over one after the other, for up to eight members.
const FAILOVERS: usize = 500;

/// How many of the requests of each kind there are for each member, if there are more
/// members.
const FOR_EACH: [usize; 2] = [500, 200];

/// The numbers of requests of both kinds.
fn requests(members: usize) -> [usize; 2] {
    if members <= 8 {
        [REQUESTS, FAILOVERS]
    } else {
        FOR_EACH.map(|each| each * members)
    }
}

/// Equal members, of which the last ones fail each request at once. All others answer after
/// some time.
struct FailingMembers<S> {
    course: LawCourse<S>,
    ids: Vec<MemberId>,
    /// How many members fail.
    failing: usize,
    /// Requests in flight of the members that work.
    waiting: usize,
}

impl<S: Scheduler> FailingMembers<S> {
    fn start(make: &impl Fn() -> S, case: &LawCase, failing: usize) -> Self {
        let course = LawCourse::start(make(), case);
        let members: Vec<usize> = (0..case.members.len()).collect();
        let ids = course.ids(&members);
        Self {
            course,
            waiting: 2 * ids.len(),
            ids,
            failing,
        }
    }

    /// The number of the first member that fails, and so how many do not.
    fn working(&self) -> usize {
        self.ids.len() - self.failing
    }

    /// Picks once; returns the number of the member. A request of the failing member fails
    /// at once; of all other requests the oldest ends if there are too many.
    fn pick(&mut self, tried: &[MemberId]) -> Result<usize, Breach> {
        let group = &mut self.course.group;
        group.advance(Duration::from_millis(1));
        let picked = group.pick(&request(None, tried));
        let at = picked
            .ok()
            .and_then(|id| self.ids.iter().position(|&it| it == id));
        let Some(at) = at else {
            let found = picked.map_or_else(|error| error.to_string(), |id| id.to_string());
            return Err(Breach::new("a pick of one of the members", found));
        };
        if at >= self.working() {
            self.course.group.end(self.ids[at], Outcome::Failure);
        }
        while self.course.group.in_flight() > self.waiting {
            self.course.group.end_oldest(Outcome::Success);
        }
        Ok(at)
    }

    /// Picks until a member works, and returns its number. Members that fail are tried.
    fn serve(&mut self) -> Result<usize, Breach> {
        let mut tried = Vec::new();
        loop {
            let at = self.pick(&tried)?;
            if at < self.working() {
                return Ok(at);
            }
            tried.push(self.ids[at]);
        }
    }

    /// Whether no member serves more than `times` its fair share.
    fn is_fair(&self, times: f64, served: &[usize], of: &str) -> Result<(), Breach> {
        let fair = number(served.iter().sum()) / number(served.len());
        for (at, &count) in served.iter().enumerate() {
            if number(count) > times * fair {
                let member = name(at);
                let failing: Vec<_> = (self.working()..self.ids.len()).map(name).collect();
                let fails = if self.failing == 1 { "fails" } else { "fail" };
                let failing = failing.join(" and ");
                return Err(Breach::new(
                    format!(
                        "{member} serves at most {times} times its fair share, {fair:.0} of {of} \
                         ({failing} {fails} each request at once)"
                    ),
                    format!("{count} requests"),
                ));
            }
        }
        Ok(())
    }
}

/// From three members to eight, and two cases with more.
fn cases() -> impl Iterator<Item = LawCase> {
    (3..=8)
        .chain([20, 40])
        .map(|members| LawCase::plain(members as u64, members))
}

#[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
fn number(count: usize) -> f64 {
    count as f64
}

/// Checks that requests that fail over are shared by the other members: none gets more than
/// `times` its fair share.
///
/// One of several equal members fails each request at once, and the request is picked again
/// with this member as tried. Of 4 000 such requests, each other member serves its share; and
/// again of 500 requests that come one after the other and have all tried the failing
/// member. With more than eight members these are 500 and 200 requests for each member. A
/// common fault is a scheduler that takes the first untried member: it sends the
/// load of a failed member to one other.
///
/// What counts is the number of requests that a member serves, whether picked at once or
/// after a failover: an exact rotation may send all requests that fail over to one member,
/// and make up for it with the others. 1.3 is a bound with a margin for schedulers that draw.
///
/// # Errors
///
/// A member that serves more.
///
/// # Panics
///
/// If `times` is not above 0 and below 39, the number of members that share the requests of
/// the largest case.
///
/// # Examples
///
/// ```
/// use equipoise::ByRequests;
/// use equipoise::testkit::laws;
///
/// laws::shares_failovers(ByRequests::new, 1.5)?;
/// # Ok::<(), equipoise::testkit::laws::Violation>(())
/// ```
#[track_caller]
pub fn shares_failovers<S: Scheduler>(make: impl Fn() -> S, times: f64) -> Result<(), Violation> {
    assert_times(times, 39.0);
    let law = "requests that fail over are shared";
    search_among(law, make().name(), cases(), &|case| {
        // At least two members work: one alone serves all requests.
        let most = case.members.len().saturating_sub(2).min(2);
        (1..=most).try_for_each(|failing| shared_failovers(&make, case, failing, times))
    })
}

fn shared_failovers<S: Scheduler>(
    make: &impl Fn() -> S,
    case: &LawCase,
    failing: usize,
    times: f64,
) -> Result<(), Breach> {
    let mut failing = FailingMembers::start(make, case, failing);
    let working = failing.working();
    let [requests, failovers] = requests(case.members.len());
    let mut served = vec![0; working];
    for _ in 0..requests {
        served[failing.serve()?] += 1;
    }
    let of = format!("{requests} requests, some of them after a failover");
    failing.is_fair(times, &served, &of)?;
    let tried = failing.ids[working..].to_vec();
    let mut served = vec![0; working];
    for _ in 0..failovers {
        served[failing.pick(&tried)?] += 1;
    }
    let of = format!("{failovers} requests that fail over, one after the other");
    failing.is_fair(times, &served, &of)
}

/// Checks that a member that fails each request at once attracts no load: after the first
/// `after` requests, it gets at most `times` its fair share of the next 4 000, or of the next
/// 500 for each member if there are more than eight.
///
/// Such a member has the fewest requests in flight and the shortest times. A scheduler that
/// compares those needs a memory of failures, otherwise the member draws most of the
/// requests. The other members answer in the order of arrival, with two requests for each
/// member in flight. The clock advances by 1 ms with each request. The member stays
/// eligible throughout: no error is recorded.
///
/// # Errors
///
/// A larger share.
///
/// # Panics
///
/// If `times` is not above 0 and below 40, the number of members of the largest case.
///
/// # Examples
///
/// ```
/// use equipoise::ByRequests;
/// use equipoise::testkit::laws;
///
/// laws::is_no_sinkhole(ByRequests::new, 0, 1.01)?;
/// # Ok::<(), equipoise::testkit::laws::Violation>(())
/// ```
#[track_caller]
pub fn is_no_sinkhole<S: Scheduler>(
    make: impl Fn() -> S,
    after: usize,
    times: f64,
) -> Result<(), Violation> {
    assert_times(times, 40.0);
    let law = "a member that fails at once gets no more than its share";
    search_among(law, make().name(), cases(), &|case| {
        // A member without others gets all requests.
        if case.members.len() < 2 {
            return Ok(());
        }
        let mut failing = FailingMembers::start(&make, case, 1);
        for _ in 0..after {
            failing.pick(&[])?;
        }
        let last = failing.working();
        let mut count = 0;
        let [requests, _] = requests(case.members.len());
        for _ in 0..requests {
            count += usize::from(failing.pick(&[])? == last);
        }
        let fair = number(requests) / number(failing.ids.len());
        if number(count) > times * fair {
            return Err(Breach::new(
                format!(
                    "{}, which fails at once, gets at most {times} times its fair share, \
                     {fair:.0} of {requests} requests, after the first {after}",
                    name(last)
                ),
                format!("{count} requests"),
            ));
        }
        Ok(())
    })
}
