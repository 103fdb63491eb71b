//! What requests tell, on their own threads and without a lock: [`Watch`], the observer.
//!
//! What does not live here: what follows from it (`judge.rs`).

use std::sync::Arc;
use std::time::Duration;

use super::group::facts_of;
use super::judge::Judge;
use super::tally::{Reason, Standing};
use super::verdict::{Evidence, of_end, of_head};
use crate::balancer::events::{Event, EventKind, Observer, Wants};
use crate::member::{Flag, MemberId};

/// Watches the requests of a balancer.
pub(super) struct Watch(pub(super) Arc<Judge>);

impl Watch {
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
                return Reason::Nothing;
            }
            match tally.standing() {
                Standing::Away => Reason::Look,
                Standing::Serving => {
                    if let Some(time) = time {
                        tally.time(time);
                    }
                    tally.take(evidence, &judge.settings.runs)
                }
                Standing::Trial => match evidence {
                    Evidence::Good => Reason::Tried(true),
                    Evidence::BrokenAfterHead | Evidence::Failed(_) => Reason::Tried(false),
                    Evidence::GoodEnd => Reason::Nothing,
                },
            }
        });
        match reason {
            Some(Reason::Trip) => judge.trip(member),
            Some(Reason::Tried(is_good)) => judge.tried(member, is_good, time),
            Some(Reason::Look) => {}
            Some(Reason::Nothing) | None => return,
        }
        let now = judge.clock.now();
        if judge.is_due(now) {
            judge.evaluate(now);
        }
    }
}

impl Observer for Watch {
    fn observe(&self, event: &Event<'_>) {
        let Some(member) = event.member else {
            return;
        };
        let judge = &*self.0;
        let (id, generation) = (member.id(), event.generation);
        let is_failure = |status| judge.settings.is_failure(status);
        match event.kind {
            EventKind::Answered {
                time_to_head,
                status,
            } => self.take((id, generation), of_head(status, is_failure), time_to_head),
            EventKind::Changed { before, after, .. } => {
                let had = before.contains(Flag::FailedCheck);
                if had && !after.contains(Flag::FailedCheck) {
                    judge.passed_check(id);
                }
                // Not of ejections: they are decided with an eye on the others.
                let was = facts_of(before.without(Flag::Ejected));
                let is = facts_of(after.without(Flag::Ejected));
                if was.is_usable && !is.is_usable {
                    judge.look_again();
                }
            }
            EventKind::Ejected { until, .. } if judge.is_busy() => judge.prolonged(id, until),
            EventKind::Ended(ended) => {
                if let Some(evidence) = of_end(ended, is_failure) {
                    self.take((id, generation), evidence, None);
                }
            }
            EventKind::Left => judge.left(id),
            EventKind::Recovered => judge.recovered(id, generation),
            _ => {}
        }
    }

    fn wants(&self) -> Wants {
        Wants::ANSWERED
            .and(Wants::CHANGED)
            .and(Wants::EJECTED)
            .and(Wants::ENDED)
            .and(Wants::LEFT)
            .and(Wants::RECOVERED)
    }
}
