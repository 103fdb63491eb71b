//! A scheduler that takes long when it is told of a change: what waits for it, and what
//! does not.
//!
//! It takes exactly as long as the test wants: it waits at a gate. So each assertion that
//! comes before the gate is opened shows that a call did not wait for the change.

use crate::support::{fleet, pick};
use equipoise::scheduler::{ByRequests, Candidates, GroupChange, Pick, PickContext, Scheduler};
use equipoise::{Balancer, MemberId, MemberSpec, PickError};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

#[derive(Debug, Default)]
struct Gate {
    /// Whether it is shut, and whether something waits at it.
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Gate {
    fn shut(&self) {
        *self.state.lock().unwrap() = (true, false);
    }

    fn open(&self) {
        self.state.lock().unwrap().0 = false;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 = true;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |it| it.0).unwrap());
    }

    fn wait_until_something_waits(&self) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |it| !it.1).unwrap());
    }
}

/// Opens the gate in any case, so that a test that fails ends.
struct Opens<'g>(&'g Gate);

impl Drop for Opens<'_> {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[derive(Debug)]
struct Slow {
    inner: ByRequests,
    gate: Arc<Gate>,
}

impl Scheduler for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        self.inner.pick(candidates, context)
    }

    fn standing(&self, id: MemberId) -> Option<i64> {
        self.inner.standing(id)
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.gate.pass();
        self.inner.on_group_change(group);
    }
}

/// Runs `meanwhile` while `change` is held up in the scheduler.
fn while_slow(
    change: impl FnOnce(&Balancer<&'static str>) + Send,
    meanwhile: impl FnOnce(&Balancer<&'static str>),
) -> Balancer<&'static str> {
    let gate = Arc::new(Gate::default());
    let (balancer, _) = fleet([("a", MemberSpec::new()), ("b", MemberSpec::new())]);
    balancer.set_scheduler(Slow {
        inner: ByRequests::new(),
        gate: gate.clone(),
    });
    gate.shut();
    thread::scope(|scope| {
        scope.spawn(|| change(&balancer));
        let _opens = Opens(&gate);
        gate.wait_until_something_waits();
        meanwhile(&balancer);
    });
    balancer
}

#[test]
fn readers_of_one_member_do_not_wait_for_a_change() {
    let insert = |balancer: &Balancer<&'static str>| {
        balancer.insert("c", "c", MemberSpec::new()).unwrap();
    };
    let balancer = while_slow(insert, |balancer| {
        assert_eq!(balancer.member("a").unwrap().name(), "a");
        assert_eq!(balancer.spec("a"), Some(MemberSpec::new()));
        assert_eq!(balancer.source_spec("a"), Some(MemberSpec::new()));
        assert_eq!(balancer.payload("a").as_deref(), Some(&"a"));
        assert_eq!(balancer.standing("a"), Some(0));
        assert!(balancer.learned_limit("a").is_some());
        assert!(balancer.source_of("a").is_some());
        assert!(balancer.member("c").is_none(), "it is not there yet");
        assert_eq!(balancer.members().len(), 2);
    });
    assert!(balancer.member("c").is_some(), "once `insert` has returned");
}

#[test]
fn a_pick_that_finds_a_member_does_not_wait_for_a_change() {
    let insert = |balancer: &Balancer<&'static str>| {
        balancer.insert("c", "c", MemberSpec::new()).unwrap();
    };
    while_slow(insert, |balancer| {
        for _ in 0..100 {
            assert_ne!(pick(balancer).unwrap().member().name(), "c");
        }
    });
}

#[test]
fn a_pick_that_fails_does_not_wait_for_as_long_as_a_change_takes() {
    let replace = |balancer: &Balancer<&'static str>| {
        balancer
            .replace_all([("c", "c", MemberSpec::new())])
            .unwrap();
    };
    let balancer = while_slow(replace, |balancer| {
        // The gate is still shut: that it returns at all shows that its wait is bounded.
        let error = pick(balancer).map(|lease| lease.member().name().to_owned());
        assert!(
            matches!(error, Err(PickError::NoneUsable { .. })),
            "{error:?}"
        );
    });
    assert_eq!(pick(&balancer).unwrap().member().name(), "c");
}

#[test]
fn a_pick_that_fails_finds_what_a_change_under_way_brings() {
    let gate = Arc::new(Gate::default());
    let (balancer, _) = fleet([("a", MemberSpec::new())]);
    balancer.set_scheduler(Slow {
        inner: ByRequests::new(),
        gate: gate.clone(),
    });
    gate.shut();
    thread::scope(|scope| {
        scope.spawn(|| {
            balancer
                .replace_all([("c", "c", MemberSpec::new())])
                .unwrap()
        });
        gate.wait_until_something_waits();
        let picking = scope.spawn(|| pick(&balancer).map(|it| it.member().name().to_owned()));
        thread::yield_now();
        gate.open();
        assert_eq!(picking.join().unwrap(), Ok("c".to_owned()));
    });
}
