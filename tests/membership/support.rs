//! Futures polled by hand, and an observer that writes everything down.

use equipoise::clock::ManualClock;
use equipoise::{
    Balancer, Ended, Lease, MemberSpec, MemberState, Observer, PickError, PickRequest, Session,
    Status,
};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

/// Members of these names by requests, on a clock that stands still.
pub(crate) fn fleet<const N: usize>(
    members: [(&'static str, MemberSpec); N],
) -> (Balancer<&'static str>, ManualClock) {
    let clock = ManualClock::new();
    let members = members.map(|(name, spec)| (name, name, spec));
    let builder = Balancer::builder().clock(clock.clone()).members(members);
    (builder.build().unwrap(), clock)
}

/// Ordinary members of these names.
pub(crate) fn plain<const N: usize>(names: [&'static str; N]) -> Balancer<&'static str> {
    fleet(names.map(|name| (name, MemberSpec::new()))).0
}

pub(crate) fn capped(cap: u32) -> MemberSpec {
    MemberSpec::new().with_max_in_flight(cap)
}

pub(crate) fn pick<W>(balancer: &Balancer<W>) -> Result<Lease<W>, PickError> {
    balancer.pick(&PickRequest::new())
}

/// Who serves so many requests, one after the other; `!` is nobody.
pub(crate) fn picks<W>(balancer: &Balancer<W>, count: usize) -> String {
    let name = |lease: Lease<W>| lease.member().name().to_owned();
    (0..count)
        .map(|_| pick(balancer).map_or_else(|_| "!".to_owned(), name))
        .collect()
}

pub(crate) fn in_flight<W>(balancer: &Balancer<W>, name: &str) -> u32 {
    balancer.member(name).unwrap().in_flight()
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A future that is polled only by hand, and remembers whether it was woken since.
pub(crate) struct Task<F> {
    future: Pin<Box<F>>,
    alarm: Arc<Alarm>,
}

#[derive(Default)]
struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl<F: Future> Task<F> {
    /// A task that is polled once and has nothing yet.
    pub(crate) fn pending(future: F) -> Self {
        let mut task = Self::new(future);
        assert!(task.poll().is_pending(), "it should have to wait");
        task
    }

    pub(crate) fn new(future: F) -> Self {
        Self {
            future: Box::pin(future),
            alarm: Arc::default(),
        }
    }

    pub(crate) fn poll(&mut self) -> Poll<F::Output> {
        self.alarm.0.store(false, Ordering::SeqCst);
        let waker = self.alarm.clone().into();
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.alarm.0.load(Ordering::SeqCst)
    }

    /// What an executor would get: nothing, unless the task was woken.
    pub(crate) fn run(&mut self) -> Option<F::Output> {
        if !self.is_woken() {
            return None;
        }
        match self.poll() {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }
}

/// An observer that writes down every event as a line; clones share the book.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scribe {
    lines: Arc<Mutex<Vec<String>>>,
    with_elapsed: bool,
}

impl Scribe {
    /// One that asks for elapsed times.
    pub(crate) fn with_elapsed(self, with_elapsed: bool) -> Self {
        Self {
            with_elapsed,
            ..self
        }
    }

    fn note(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }

    /// What was written since the last look.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

impl Observer for Scribe {
    fn elected(&self, member: &MemberState, session: Session) {
        self.note(format!("elected {} {session:?}", member.name()));
    }

    fn ended(&self, member: &MemberState, ended: &Ended) {
        let elapsed = ended.elapsed.map(|elapsed| elapsed.as_secs());
        self.note(format!(
            "ended {} {:?} {elapsed:?} {}/{} with {} left",
            member.name(),
            ended.outcome,
            ended.bytes_sent,
            ended.bytes_received,
            member.in_flight(),
        ));
    }

    fn status_changed(&self, member: &MemberState, before: Status, after: Status) {
        self.note(format!("{}: {before} -> {after}", member.name()));
    }

    fn session_hit(&self, member: &MemberState) {
        self.note(format!("hit {}", member.name()));
    }

    fn session_lost(&self, route: &str, member: &MemberState) {
        self.note(format!("lost {route} to {}", member.name()));
    }

    fn session_new(&self, member: &MemberState) {
        self.note(format!("new {}", member.name()));
    }

    fn failed_over(&self, member: &MemberState, tried: usize) {
        self.note(format!("failed over to {} after {tried}", member.name()));
    }

    fn ejected(&self, member: &MemberState) {
        self.note(format!("ejected {}", member.name()));
    }

    fn nobody_left(&self, members: usize, tried: usize) {
        self.note(format!("nobody left of {members}, {tried} tried"));
    }

    fn wants_elapsed(&self) -> bool {
        self.with_elapsed
    }
}
