//! Observes requests on their own threads and without a lock: [`OutlierObserver`].
//!
//! Not here: what follows from them (`judge.rs`).

use std::sync::Arc;
use std::time::Duration;

use super::evidence::{Evidence, of_end, of_head};
use super::judge::OutlierJudge;
use super::tally::{FollowUp, TallyState};
use super::watched_balancer::facts_of;
use crate::balancer::events::{Event, EventKind, Interest, Observer};
use crate::member::{Flag, MemberId};

/// Observes the requests of a balancer.
pub(super) struct OutlierObserver(pub(super) Arc<OutlierJudge>);

impl OutlierObserver {
    #[inline]
    fn take(
        &self,
        (member, generation): (MemberId, u64),
        evidence: Evidence,
        time: Option<Duration>,
    ) {
        let judge = &*self.0;
        let reason = judge.with_tally(member, |tally| {
            if !tally.counts(generation) {
                return FollowUp::Nothing;
            }
            match tally.state() {
                TallyState::Ejected => FollowUp::Look,
                TallyState::Serving => {
                    if let Some(time) = time {
                        tally.time(time);
                    }
                    tally.take(evidence, &judge.settings.runs)
                }
                TallyState::Trial => match evidence {
                    Evidence::Good => FollowUp::Tried(true),
                    Evidence::BrokenAfterHead | Evidence::Failed(_) => FollowUp::Tried(false),
                    Evidence::GoodEnd => FollowUp::Nothing,
                },
            }
        });
        match reason {
            Some(FollowUp::Trip) => judge.trip(member),
            Some(FollowUp::Tried(is_good)) => judge.tried(member, is_good, time),
            Some(FollowUp::Look) => {}
            Some(FollowUp::Nothing) | None => return,
        }
        let now = judge.clock.now();
        if judge.is_due(now) {
            judge.evaluate(now);
        }
    }
}

impl OutlierObserver {
    /// Returns whether a request of this snapshot began before the ejection of its member,
    /// if that is ejected or on trial now.
    fn began_before(&self, member: MemberId, generation: u64) -> bool {
        let is_older = self.0.with_tally(member, |tally| match tally.state() {
            TallyState::Ejected => true,
            TallyState::Serving => false,
            TallyState::Trial => !tally.counts(generation),
        });
        is_older.unwrap_or(false)
    }
}

impl Observer for OutlierObserver {
    fn observe(&self, event: &Event<'_>) {
        let Some(member) = event.member else {
            return;
        };
        let judge = &*self.0;
        let (id, generation) = (member.id(), event.generation);
        let is_failure = |status| judge.settings.is_failure(status);
        match event.kind {
            EventKind::Responded {
                time_to_head,
                status,
            } => self.take((id, generation), of_head(status, is_failure), time_to_head),
            EventKind::Changed { before, after, .. } => {
                let had = before.contains(Flag::FailedCheck);
                let ends = had && !after.contains(Flag::FailedCheck);
                if ends && judge.settings.checks_end_ejections {
                    judge.passed_check(id);
                }
                // Ejections do not count: their decision has considered the other members.
                let was = facts_of(before.without(Flag::Ejected));
                let is = facts_of(after.without(Flag::Ejected));
                if was.is_usable && !is.is_usable {
                    judge.recheck(generation);
                }
            }
            EventKind::Ejected { until, .. } if judge.is_busy() => judge.prolonged(id, until),
            EventKind::Ended(ended) => {
                if judge.is_busy() && self.began_before(id, generation) {
                    judge.ended_older(member);
                }
                if let Some(evidence) = of_end(ended, is_failure) {
                    self.take((id, generation), evidence, None);
                }
            }
            EventKind::Left => judge.left(id),
            EventKind::PassedCheck if judge.is_busy() => judge.end_ejection_by_check(id),
            EventKind::Recovered => judge.recovered(id, generation),
            _ => {}
        }
    }

    fn interest(&self) -> Interest {
        let settings = &self.0.settings;
        let heads = match settings.slow_members {
            Some(_) => Interest::TIME_TO_HEAD,
            None => Interest::RESPONDED,
        };
        let checks = if settings.checks_end_ejections {
            Interest::PASSED_CHECK
        } else {
            Interest::NONE
        };
        heads
            | checks
            | Interest::CHANGED
            | Interest::EJECTED
            | Interest::ENDED
            | Interest::LEFT
            | Interest::RECOVERED
    }
}
