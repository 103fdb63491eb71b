//! The law of a member that falls silent: it takes requests and never answers.

use std::collections::VecDeque;
use std::time::Duration;

use super::case::{LawCase, name};
use super::course::LawCourse;
use super::parameter::assert_times;
use super::search::search_among;
use super::violation::{Breach, Violation};
use crate::balancer::PickRequest;
use crate::clock::Timestamp;
use crate::member::{MemberId, Outcome};
use crate::scheduler::Scheduler;

/// How many members there are.
const MEMBERS: [usize; 3] = [3, 5, 10];

/// How many clients there are for each member.
const CLIENTS: usize = 4;

/// How long no client sends a request before the member falls silent, in seconds.
const IDLE: [u64; 4] = [0, 20, 100, 300];

/// How long the other members take for a request.
const SERVICE: Duration = Duration::from_millis(200);

/// How many requests each client makes before the member falls silent, and how many afterwards
/// unless it is stuck. The latter take 40 s.
const ROUNDS: [usize; 2] = [20, 200];

/// Clients that send one request after another. A client whose request the silent member has
/// is stuck.
struct LawClients<S> {
    course: LawCourse<S>,
    /// Requests that will be answered, and when; the oldest first.
    waiting: VecDeque<(Timestamp, MemberId)>,
}

impl<S: Scheduler> LawClients<S> {
    /// Each of so many clients makes requests for some rounds. Returns how many are stuck with
    /// the silent member.
    fn run(
        &mut self,
        clients: usize,
        rounds: usize,
        silent: Option<MemberId>,
    ) -> Result<usize, Breach> {
        let end = self.course.group.now() + SERVICE * u32::try_from(rounds).unwrap_or(u32::MAX);
        let mut stuck = 0;
        // They begin one after the other.
        let gap = SERVICE / u32::try_from(clients).unwrap_or(u32::MAX);
        for _ in 0..clients {
            self.course.group.advance(gap);
            stuck += usize::from(self.pick(silent)?);
        }
        while let Some((due, member)) = self.waiting.pop_front() {
            let group = &mut self.course.group;
            group.advance(due.since(group.now()));
            group.end(member, Outcome::Success);
            if due < end {
                stuck += usize::from(self.pick(silent)?);
            }
        }
        Ok(stuck)
    }

    /// Sends a request; returns whether it is stuck.
    fn pick(&mut self, silent: Option<MemberId>) -> Result<bool, Breach> {
        let group = &mut self.course.group;
        let picked = group.pick(&PickRequest::new());
        let member = picked
            .map_err(|error| Breach::new("a pick of one of the members", error.to_string()))?;
        let is_stuck = silent == Some(member);
        if !is_stuck {
            self.waiting.push_back((group.now() + SERVICE, member));
        }
        Ok(is_stuck)
    }
}

/// Checks that a member which falls silent keeps few clients waiting: after 40 s at most
/// `times` its fair share of them.
///
/// Such a member takes requests and answers none; no request to it fails, as without a
/// timeout. A client is stuck once it has sent a request there. A scheduler that compares
/// latencies alone forgets the bad ones while none are added, and a scheduler that does not
/// read the load sends each client there in the end. So the law is for those that compare
/// requests in flight, and is not part of [`check_all`](super::check_all).
///
/// There are 3, 5 and 10 equal members and four clients for each of them. The other members
/// answer in 200 ms. Before, all members answer for some rounds, and no client sends a request
/// for 0, 20, 100 or 300 s. The fair share of the silent member is four clients: as many as it
/// has in flight before. 1.5 is a bound for schedulers that compare all members, and 2.5 for
/// those that compare two which they draw.
///
/// # Errors
///
/// A member that keeps more clients waiting.
///
/// # Panics
///
/// If `times` is not above 0 and below 3, the number of members of the smallest case.
///
/// # Examples
///
/// ```
/// use equipoise::ByBusyness;
/// use equipoise::testkit::laws;
///
/// laws::survives_silence(ByBusyness::new, 1.5)?;
/// # Ok::<(), equipoise::testkit::laws::Violation>(())
/// ```
#[track_caller]
pub fn survives_silence<S: Scheduler>(make: impl Fn() -> S, times: f64) -> Result<(), Violation> {
    assert_times(times, 3.0);
    let law = "a member that falls silent keeps few clients waiting";
    let cases = MEMBERS.map(|members| LawCase::plain(members as u64, members));
    search_among(law, make().name(), cases, &|case| {
        // A member without others gets all requests.
        if case.members.len() < 2 {
            return Ok(());
        }
        IDLE.iter()
            .try_for_each(|&idle| stuck(&make, case, idle, times))
    })
}

fn stuck<S: Scheduler>(
    make: &impl Fn() -> S,
    case: &LawCase,
    idle: u64,
    times: f64,
) -> Result<(), Breach> {
    let members = case.members.len();
    let clients = CLIENTS * members;
    let course = LawCourse::start(make(), case);
    let silent = course.ids(&[0]).first().copied();
    let mut run = LawClients {
        course,
        waiting: VecDeque::new(),
    };
    let [before, after] = ROUNDS;
    run.run(clients, before, None)?;
    run.course.group.advance(Duration::from_secs(idle));
    let stuck = run.run(clients, after, silent)?;
    #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
    let is_much = stuck as f64 > times * CLIENTS as f64;
    if is_much {
        return Err(Breach::new(
            format!(
                "{}, which falls silent after {idle} s without requests, keeps at most {times} \
                 times its fair share, {CLIENTS} of {clients} clients, waiting",
                name(0)
            ),
            format!("{stuck} clients"),
        ));
    }
    Ok(())
}
