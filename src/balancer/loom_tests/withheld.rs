//! Room that a scheduler withholds: the end that frees it is not missed.

use super::{check, empty, in_line, join, picked, spawn};
use crate::member::MemberSpec;
use crate::scheduler::{Candidates, Needs, Pick, PickContext, Scheduler};

/// One request at a time, though its members have no caps.
#[derive(Debug)]
struct OneAtATime;

impl Scheduler for OneAtATime {
    fn name(&self) -> &'static str {
        "one at a time"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        if candidates.iter().all(|one| one.state().in_flight() == 0) {
            candidates.claim_first(candidates.iter())
        } else {
            Pick::AtCapacity
        }
    }

    fn needs(&self) -> Needs {
        Needs::WAKE_ON_END
    }
}

#[test]
fn loom_a_waiter_that_joins_while_withheld_room_becomes_free_is_served() {
    check(|| {
        let balancer = empty()
            .scheduler(OneAtATime)
            .member("a", (), MemberSpec::new())
            .build()
            .unwrap();
        let lease = picked(&balancer);
        let ending = spawn(move || drop(lease));
        let mut waiter = in_line(&balancer);
        let mut served = waiter.poll();
        join(ending);

        if served.is_pending() {
            assert!(waiter.is_woken());
            served = waiter.poll();
        }
        assert!(served.is_ready());
    });
}
