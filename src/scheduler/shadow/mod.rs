//! [`Shadow`]: a second scheduler that is judged on live traffic and picks nothing.
//!
//! Not here: what is counted (`report`).

mod report;

#[cfg(all(test, not(equipoise_loom)))]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use report::{MemberShadow, ShadowReport, ShadowSummary};

use report::{Compared, MILLION, ShadowState};

use super::{
    Candidate, Candidates, GroupChange, Needs, Pick, PickContext, PickDetails, Plan, PlanMembers,
    Scheduler,
};
use crate::member::{EffectiveWeight, Ended, MemberId, MemberState, Weight};
use crate::random::Random;

/// The most scores of the shadow that an explanation shows.
const SCORES: usize = 20;

/// Picks by the active scheduler, and compares each of its picks with the member that
/// another scheduler, the shadow, would have picked. A [`ShadowReport`] has the results.
///
/// Use it to answer "what would that scheduler do with my traffic?" before you use it.
///
/// # What the shadow does
///
/// * Before the active scheduler picks, the shadow is asked by [`Scheduler::peek`], with the
///   same candidates. It claims nothing.
/// * Its state follows what really happened: [`Scheduler::on_session_pick`] notifies it of
///   each pick, as if it had picked that member. It is notified of the group, of sessions and
///   of ends, too, and has a plan of its own.
/// * It draws from random numbers of its own, which follow from the balancer's seed. The
///   active scheduler draws the same numbers as without a shadow.
/// * A panic of the shadow is caught. From then on it is not called any more; the report
///   shows that.
/// * It does not withhold room, and requests do not wait for it.
/// * If both are of [`ByBusyness`](super::ByBusyness) and [`ByTraffic`](super::ByTraffic), a
///   session's pick of a member that was at its cap may count twice, or not at all, in a
///   standing that settles ties.
///
/// # What it costs
///
/// A pick takes as long as one of the active scheduler, a `peek` of the shadow, and one hook
/// of the shadow, with the locks that these take. The comparison takes no lock and allocates
/// nothing. Some schedulers compute more in `peek` than in `pick`.
///
/// # What it does not show
///
/// The members have the load that the active scheduler gave them. Under its own picks, the
/// shadow would find other loads, and pick other members. So the report shows how the picks
/// differ, one by one. It does not show the latencies that the shadow would lead to; for that,
/// simulate both, or use the shadow in a part of your balancers.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{ByBusyness, ByRequests, Shadow};
/// use equipoise::{Balancer, MemberSpec, PickRequest};
///
/// let shadow = Shadow::new(ByRequests::new(), ByBusyness::new());
/// let report = shadow.report();
/// let balancer = Balancer::builder()
///     .scheduler(shadow)
///     .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
///     .build()?;
///
/// let long = balancer.pick(&PickRequest::new())?; // a for both
/// drop(balancer.pick(&PickRequest::new())?); // b for both
/// drop(balancer.pick(&PickRequest::new())?); // a by turn, b by requests in flight
/// let summary = report.summary();
/// assert_eq!((summary.compared, summary.agreed), (3, 2));
/// assert_eq!(summary.regret, 1.0, "a had one request in flight more than b");
/// println!("{report}");
/// # drop(long);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Shadow<A, B> {
    active: A,
    shadow: B,
    report: ShadowReport,
}

impl<A, B> Shadow<A, B>
where
    A: Scheduler,
    B: Scheduler,
{
    /// Creates a scheduler that picks by `active`, and asks `shadow`.
    #[must_use]
    pub fn new(active: A, shadow: B) -> Self {
        let report = ShadowReport::new(active.name(), shadow.name());
        Self {
            active,
            shadow,
            report,
        }
    }

    /// Returns a handle of the results, which stays valid after the scheduler is passed to a
    /// balancer.
    #[must_use]
    pub fn report(&self) -> ShadowReport {
        self.report.clone()
    }

    fn state(&self) -> &ShadowState {
        self.report.state()
    }

    /// Calls the shadow, unless it has panicked.
    fn with_shadow<R>(&self, run: impl FnOnce(&B) -> R) -> Option<R> {
        if self.state().has_panicked() {
            return None;
        }
        // The shadow is not called again after a panic, so its state does not matter.
        match catch_unwind(AssertUnwindSafe(|| run(&self.shadow))) {
            Ok(result) => Some(result),
            Err(payload) => {
                self.state().note_panic();
                let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
                None
            }
        }
    }

    /// Returns the member that the shadow would pick.
    fn ask_shadow<'c>(
        &self,
        candidates: &Candidates<'c>,
        plans: Option<&'c ShadowPlans>,
        context: &PickContext<'_>,
        number: u64,
    ) -> Option<Candidate<'c>> {
        let random = random_of_shadow(context, number);
        let context = PickContext {
            random: &random,
            ..*context
        };
        let plan = plans.and_then(|plans| plans.shadow.as_ref());
        let chosen = candidates.planned(plan, |candidates| {
            self.with_shadow(|shadow| shadow.peek(candidates, &context))
        });
        candidates.get(chosen.flatten()?)
    }
}

/// Returns random numbers for the shadow, which differ from those that the active scheduler
/// draws: if both sample the same members, they agree too often. `number` counts the picks:
/// the active scheduler may draw nothing.
fn random_of_shadow(context: &PickContext<'_>, number: u64) -> Random {
    const ODD: u64 = 0xd134_2543_de82_ef95;
    let next = context.random().duplicate().next_u64();
    Random::seeded(next ^ number.wrapping_mul(ODD))
}

/// The plans of both schedulers.
struct ShadowPlans {
    active: Option<Plan>,
    shadow: Option<Plan>,
}

fn plans<'c>(candidates: &Candidates<'c>) -> (Option<&'c ShadowPlans>, Option<&'c Plan>) {
    let plans = candidates.plan::<ShadowPlans>();
    (plans, plans.and_then(|plans| plans.active.as_ref()))
}

impl<A, B> Scheduler for Shadow<A, B>
where
    A: Scheduler,
    B: Scheduler,
{
    fn name(&self) -> &'static str {
        "shadow"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let (plans, active) = plans(candidates);
        let number = self.state().next_number();
        let chosen = self.ask_shadow(candidates, plans, context, number);
        // Before the active scheduler claims a member, which may be the same.
        let chosen = chosen.map(|one| (one.id(), load(one.state().in_flight() + 1, &one)));
        let pick = candidates.planned(active, |candidates| self.active.pick(candidates, context));
        if let Pick::Claimed(claim) = &pick {
            let member = claim.member();
            let load = candidates
                .get(member.id())
                .map(|one| load(claim.in_flight(), &one));
            self.state().count(Compared {
                picked: (member.id(), load.unwrap_or(0)),
                chosen,
            });
            let plan = plans.and_then(|plans| plans.shadow.as_ref());
            candidates.planned(plan, |candidates| {
                self.with_shadow(|shadow| shadow.on_session_pick(candidates, member));
            });
        }
        pick
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        let (_, active) = plans(candidates);
        candidates.planned(active, |candidates| self.active.peek(candidates, context))
    }

    /// Returns what the active scheduler compares and draws. Notes show the member that the
    /// shadow would pick, and its scores.
    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        let (plans, active) = plans(candidates);
        // First, as in a pick: its numbers follow from those that the active one draws next.
        let number = self.state().number();
        let chosen = self.ask_shadow(candidates, plans, context, number);
        let random = random_of_shadow(context, number);
        let details = candidates.planned(active, |candidates| {
            self.active.explain(candidates, context)
        });
        let name = self.shadow.name();
        if self.state().has_panicked() {
            return details.note(format!("the shadow {name} has panicked and is not asked"));
        }
        let chosen = chosen.map_or("a member that is not known", |one| one.state().name());
        let details = details.note(format!("the shadow {name} picks {chosen}"));
        let context = PickContext {
            random: &random,
            ..*context
        };
        let plan = plans.and_then(|plans| plans.shadow.as_ref());
        let shadow = candidates.planned(plan, |candidates| {
            self.with_shadow(|shadow| shadow.explain(candidates, &context))
        });
        shadow.map_or(details.clone(), |shadow| {
            with_notes(details, &shadow, candidates)
        })
    }

    fn on_session_pick(&self, candidates: &Candidates<'_>, member: &MemberState) {
        let (plans, active) = plans(candidates);
        candidates.planned(active, |candidates| {
            self.active.on_session_pick(candidates, member);
        });
        let plan = plans.and_then(|plans| plans.shadow.as_ref());
        candidates.planned(plan, |candidates| {
            self.with_shadow(|shadow| shadow.on_session_pick(candidates, member));
        });
    }

    fn on_ended(&self, member: &MemberState, ended: &Ended) {
        if self.active.needs().contains(Needs::ENDED) {
            self.active.on_ended(member, ended);
        }
        self.with_shadow(|shadow| {
            if shadow.needs().contains(Needs::ENDED) {
                shadow.on_ended(member, ended);
            }
        });
    }

    fn on_room(&self, member: &MemberState) {
        self.active.on_room(member);
        self.with_shadow(|shadow| shadow.on_room(member));
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.state().follow(group);
        self.active.on_group_change(group);
        self.with_shadow(|shadow| shadow.on_group_change(group));
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        let active = self.active.needs().contains(Needs::PLAN);
        let active = active.then(|| self.active.plan(members)).flatten();
        let shadow = self.with_shadow(|shadow| {
            let needs_plan = shadow.needs().contains(Needs::PLAN);
            needs_plan.then(|| shadow.plan(members)).flatten()
        });
        Some(Plan::new(ShadowPlans {
            active,
            shadow: shadow.flatten(),
        }))
    }

    fn reset(&self) {
        self.active.reset();
        self.with_shadow(B::reset);
    }

    /// Returns the standing with the active scheduler.
    fn standing(&self, member: MemberId) -> Option<i64> {
        self.active.standing(member)
    }

    fn needs(&self) -> Needs {
        let shadow = self.with_shadow(B::needs).unwrap_or(Needs::NONE);
        self.active.needs() | shadow.difference(Needs::WAKE_ON_END)
    }
}

/// Returns requests in flight for each unit of weight, in millionths.
fn load(in_flight: u32, member: &Candidate<'_>) -> u64 {
    let one = u64::from(EffectiveWeight::from(Weight::ONE).units());
    // At most 2^24 requests, 1600 units, and a million.
    u64::from(in_flight) * one * MILLION / u64::from(member.weight().units())
}

/// Adds what the shadow compares and draws.
fn with_notes(
    details: PickDetails,
    shadow: &PickDetails,
    candidates: &Candidates<'_>,
) -> PickDetails {
    let name = |member| {
        let candidate = candidates.get(member);
        candidate.map_or("a former member", |one| one.state().name())
    };
    let mut details = details;
    if !shadow.samples.is_empty() {
        let drawn: Vec<_> = shadow.samples.iter().map(|&member| name(member)).collect();
        details = details.note(format!("the shadow draws {}", drawn.join(", ")));
    }
    if let Some(measure) = shadow.measure.filter(|_| !shadow.scores.is_empty()) {
        let scores = shadow.scores.iter().take(SCORES);
        let scores = scores.map(|one| format!("{} {}", name(one.member), one.score));
        let scores = scores.collect::<Vec<_>>().join(", ");
        details = details.note(format!("the shadow compares {measure}: {scores}"));
    }
    let notes = shadow.notes.iter();
    notes.fold(details, |details, note| {
        details.note(format!("of the shadow: {note}"))
    })
}
