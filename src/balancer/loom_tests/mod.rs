//! The protocols between two atomics, under a model checker: every interleaving of two
//! threads up to a number of preemptions, and every value that a relaxed load may see.
//!
//! ```text
//! RUSTFLAGS="--cfg equipoise_loom" LOOM_MAX_PREEMPTIONS=3 \
//!     cargo test --release --lib loom_ --target-dir target/loom
//! ```
//!
//! A model is one small balancer, two threads (the test's own is one of them), and a check
//! of the counters after both have ended. What does not live here: anything that one thread
//! can show.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, and helpers have none"
)]

mod ahead;
mod bounded;
mod capacity;
mod drain;
mod keeping;
mod looks;
mod membership;
mod observers;
mod plans;
mod recovery;
mod schedulers;
mod waiting;
mod withheld;

use std::future::{self, Pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use loom::thread::{self, JoinHandle};

use super::{Balancer, Builder, Lease, PickError, PickRequest, PickWait};
use crate::clock::{Clock, Timestamp};
use crate::member::MemberSpec;

/// Checks `model` in every interleaving with up to `LOOM_MAX_PREEMPTIONS` preemptions, 3
/// unless it is set.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut checker = loom::model::Builder::new();
    checker.preemption_bound.get_or_insert(3);
    checker.max_branches = 10_000;
    checker.check(model);
}

fn spawn<T: 'static>(run: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    thread::spawn(run)
}

fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("a panic of a model ends it")
}

/// A clock without an atomic, so that reading it is no step of the model.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::ORIGIN
    }
}

fn empty() -> Builder<()> {
    Balancer::builder().clock(Still).seed(1)
}

/// One member with the name "a".
fn one(spec: MemberSpec) -> Balancer<()> {
    empty().member("a", (), spec).build().unwrap()
}

fn capped(cap: u32) -> MemberSpec {
    MemberSpec::new().with_max_in_flight(cap)
}

fn pick(balancer: &Balancer<()>) -> Result<Lease<()>, PickError> {
    balancer.pick(&PickRequest::new())
}

fn picked(balancer: &Balancer<()>) -> Lease<()> {
    pick(balancer).expect("a member can be picked")
}

fn in_flight(balancer: &Balancer<()>, name: &str) -> u32 {
    balancer.member(name).unwrap().in_flight()
}

/// A future that is polled by hand, and a record of whether it was woken.
///
/// The record is not modelled: it is read only after the threads have ended.
struct Task<F> {
    future: Pin<Box<F>>,
    wakes: Arc<Wakes>,
    seen: usize,
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl<F: Future> Task<F> {
    fn new(future: F) -> Self {
        Self {
            future: Box::pin(future),
            wakes: Arc::default(),
            seen: 0,
        }
    }

    fn poll(&mut self) -> Poll<F::Output> {
        self.seen = self.wakes.0.load(Relaxed);
        let waker = Waker::from(self.wakes.clone());
        self.poll_with(&waker)
    }

    /// Polls with another waker, whose wakes are not recorded.
    fn poll_with(&mut self, waker: &Waker) -> Poll<F::Output> {
        self.future.as_mut().poll(&mut Context::from_waker(waker))
    }

    /// Whether it was woken since it was polled last.
    fn is_woken(&self) -> bool {
        self.wakes.0.load(Relaxed) > self.seen
    }

    /// Polls again as an executor would: only if woken.
    fn resume(&mut self) -> Poll<F::Output> {
        if self.is_woken() {
            self.poll()
        } else {
            Poll::Pending
        }
    }
}

/// A request in line that waits without a deadline.
type InLine = Task<PickWait<'static, (), Pending<()>>>;

fn in_line(balancer: &Balancer<()>) -> InLine {
    Task::new(balancer.pick_wait(&PickRequest::new(), future::pending()))
}
