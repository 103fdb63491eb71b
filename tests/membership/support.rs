//! Futures polled by hand, and an observer that writes everything down.

use equipoise::balancer::events::{EventKind, Interest};
use equipoise::clock::ManualClock;
use equipoise::{
    Balancer, Event, Lease, MemberSpec, MemberState, Observer, PickError, PickRequest, Session,
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
#[derive(Clone, Debug)]
pub(crate) struct Scribe {
    lines: Arc<Mutex<Vec<String>>>,
    wants: Interest,
}

impl Default for Scribe {
    /// One that wants requests and changes of flags, and no times.
    fn default() -> Self {
        let kinds = [
            Interest::CHANGED,
            Interest::EJECTED,
            Interest::PICKED,
            Interest::ENDED,
            Interest::FAILED_OVER,
            Interest::REFUSED,
            Interest::SESSION,
        ];
        Self::of(kinds.into_iter().fold(Interest::NONE, Interest::union))
    }
}

impl Scribe {
    pub(crate) fn of(wants: Interest) -> Self {
        let lines = Arc::default();
        Self { lines, wants }
    }

    /// One that asks for elapsed times, or does not.
    pub(crate) fn with_elapsed(self, with_elapsed: bool) -> Self {
        let elapsed = if with_elapsed {
            Interest::ELAPSED
        } else {
            Interest::NONE
        };
        Self {
            wants: self.wants | elapsed,
            ..self
        }
    }

    /// What was written since the last look.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

impl Observer for Scribe {
    fn observe(&self, event: &Event<'_>) {
        let name = event.member.map_or("", MemberState::name);
        let line = match event.kind {
            EventKind::Responded { status, .. } => format!("answered {name} {status:?}"),
            EventKind::Changed {
                before,
                after,
                layer,
                cause,
            } => {
                let cause = cause.map_or(String::new(), |cause| format!(", {cause}"));
                format!("{name}: {before} -> {after} ({layer:?}{cause})")
            }
            EventKind::Picked { session } => format!("elected {name} {session:?}"),
            EventKind::Ended(ended) => format!(
                "ended {name} {:?} {:?} {}/{} with {} left",
                ended.outcome,
                ended.elapsed.map(|elapsed| elapsed.as_secs()),
                ended.bytes_sent,
                ended.bytes_received,
                event.member.map_or(0, MemberState::in_flight),
            ),
            EventKind::FailedOver { from, tried, .. } => {
                let from = from.map(MemberState::name);
                format!("failed over to {name} from {from:?} after {tried}")
            }
            EventKind::Joined => format!("joined {name}"),
            EventKind::Left => format!("left {name}"),
            EventKind::PassedCheck => format!("passed {name}"),
            EventKind::Refused { members, tried, .. } => {
                format!("nobody left of {members}, {tried} tried")
            }
            EventKind::Session { session, route } => match session {
                Session::Hit => format!("hit {name}"),
                Session::New => format!("new {name}"),
                _ => format!("lost {} to {name}", route.unwrap_or_default()),
            },
            EventKind::Waiting { in_line } => format!("{in_line} in line"),
            _ => event.to_string(),
        };
        self.lines.lock().unwrap().push(line);
    }

    fn interest(&self) -> Interest {
        self.wants
    }
}
