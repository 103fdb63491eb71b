//! A request takes the same course, whether the state machine attends to it from its
//! beginning or only once it is needed. All its picks know the same about it. And however
//! many times it was polled when its client goes away, its member is free afterwards.

#![allow(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, and helpers have none"
)]

use std::fmt::Write as _;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::Full;
use tower_service::Service;

use crate::balancer::events::{EventKind, Interest};
use crate::balancer::{Lease, PickRequest};
use crate::scheduler::{Candidates, Pick, PickContext, Scheduler};
use crate::service::capacity::Capacity;
use crate::service::{
    BalanceLayer, BoxError, BufferUpTo, Failover, FreshConnection, Idempotent, ReplayBody,
    RouteCookie, ServedBy, Timeouts, UpgradeLease,
};
use crate::sync::Mutex;
use crate::timer::{Sleep, Timer};
use crate::{Balancer, Event, MemberSpec, Observer, StickySession};

type Body = Full<Bytes>;
type Layer = BalanceLayer<Member, BufferUpTo>;

/// What a member does with a request.
#[derive(Clone, Copy, Debug)]
enum Act {
    Answer(u16),
    /// It is at its limit of requests at the same time.
    Full,
    Panic,
    Refuse,
    Reset,
    /// Its connection is closed, unless the request requires a new one.
    Stale,
    /// The response does not begin before this number of polls.
    Late(u8),
    /// It is not ready before this number of polls.
    Unready(u8),
    NeverReady,
}

use Act::{Answer, Late, NeverReady, Refuse, Reset, Stale, Unready};

#[derive(Debug, thiserror::Error)]
#[error("stale")]
struct Closed;

/// What members have received, and how requests ended.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn note(&self, line: std::fmt::Arguments<'_>) {
        let mut log = self.0.lock();
        log.write_fmt(line).unwrap();
        log.push('\n');
    }
}

impl Observer for Log {
    fn observe(&self, event: &Event<'_>) {
        if let (EventKind::Ended(ended), Some(member)) = (event.kind, event.member) {
            let (outcome, sent) = (ended.outcome, ended.bytes_sent);
            self.note(format_args!("{} ended {outcome:?} {sent}", member.name()));
        }
    }

    fn interest(&self) -> Interest {
        Interest::ENDED
    }
}

#[derive(Clone)]
struct Member {
    name: &'static str,
    act: Act,
    unready: u8,
    log: Log,
}

impl Service<Request<ReplayBody<Body>>> for Member {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.act {
            NeverReady => Poll::Ready(Err("it is never ready".into())),
            Unready(_) if self.unready > 0 => {
                self.unready -= 1;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: Request<ReplayBody<Body>>) -> Self::Future {
        let (head, mut body) = request.into_parts();
        let mark = head.extensions.get::<u8>();
        let fresh = head.extensions.get::<FreshConnection>().is_some();
        let line = format!("{} {} {:?} {mark:?}", head.method, head.uri, head.headers);
        let line = format!("{line} {fresh}");
        self.log.note(format_args!("{} got {line}", self.name));
        let (act, name, log) = (self.act, self.name, self.log.clone());
        let mut left = if let Late(polls) = act { polls } else { 0 };
        Box::pin(std::future::poll_fn(move |context| {
            if left > 0 {
                left -= 1;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            match act {
                Act::Full => return Poll::Ready(Err(Capacity::default().exceeded(1).into())),
                Act::Panic => panic!("as told"),
                Refuse => {
                    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
                    return Poll::Ready(Err(refused.into()));
                }
                _ => {}
            }
            while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(context) {
                let length = frame.data_ref().map_or(0, Bytes::len);
                log.note(format_args!("{name} read {length}"));
            }
            if matches!(act, Stale) && !fresh {
                return Poll::Ready(Err(Closed.into()));
            }
            if let Reset = act {
                let reset = io::Error::from(io::ErrorKind::ConnectionReset);
                return Poll::Ready(Err(reset.into()));
            }
            let status = if let Answer(status) = act {
                status
            } else {
                200
            };
            let mut response = Response::new(Body::from("hello"));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Poll::Ready(Ok(response))
        }))
    }
}

/// Notes what each pick knows of the request, and picks the first member.
#[derive(Debug)]
struct Noting(Log);

impl Scheduler for Noting {
    fn name(&self) -> &'static str {
        "noting"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let (hash, facts) = (context.hash(), context.facts::<String>());
        self.0.note(format_args!("pick {hash:?} {facts:?}"));
        candidates.claim_first(candidates.iter())
    }
}

/// Each of its sleeps ends with the third poll.
#[derive(Debug)]
struct ThreePolls;

impl Timer for ThreePolls {
    fn sleep(&self, _: Duration) -> Sleep {
        let mut left = 2;
        Box::pin(std::future::poll_fn(move |_| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            Poll::Pending
        }))
    }
}

fn sticky() -> StickySession {
    StickySession::new("S").unwrap()
}

/// The settings that affect the course of a request.
const SETTINGS: [fn(Layer) -> Layer; 9] = [
    |layer| layer,
    |layer| layer.sticky(sticky()),
    |layer| layer.sticky(sticky().with_no_failover()),
    |layer| layer.sticky_with_cookie(sticky(), RouteCookie::new()),
    |layer| layer.failover(Failover::new().with_max_attempts(1)),
    |layer| layer.stale_if(|_: &Closed| true),
    |layer| layer.timeouts(ThreePolls, Timeouts::new().with_per_try_timeout(SECOND)),
    |layer| layer.timeouts(ThreePolls, Timeouts::new().with_hedge_delay(SECOND)),
    |layer| {
        let waits = Timeouts::new().with_pick_timeout(SECOND);
        let strict = sticky().with_no_failover();
        layer.sticky(strict).timeouts(ThreePolls, waits)
    },
];

/// The one of them that lets requests wait for a member.
const WAITING: usize = SETTINGS.len() - 1;

const SECOND: Duration = Duration::from_secs(1);

/// A request, and what it meets.
#[derive(Clone, Copy, Debug)]
struct Case {
    acts: &'static [Act],
    method: &'static str,
    body: &'static str,
    /// It may be sent twice, whatever its method.
    marked: bool,
    /// The index of its [`SETTINGS`].
    setting: usize,
    /// All members are full until it has been polled once.
    waits: bool,
}

/// Sends one request. After `polls` polls its client goes away. Returns what happened, and
/// whether the request was complete by then.
fn course(case: Case, machine_first: bool, polls: u32) -> (String, bool) {
    let log = Log::default();
    let mut builder = Balancer::builder().scheduler(Noting(log.clone()));
    for (name, &act) in ["a", "b", "c"].into_iter().zip(case.acts) {
        let unready = if let Unready(polls) = act { polls } else { 0 };
        let log = log.clone();
        let member = Member {
            name,
            act,
            unready,
            log,
        };
        let spec = MemberSpec::new().with_route(name).with_max_in_flight(1);
        builder = builder.member(name, member, spec);
    }
    let balancer = builder.build().unwrap();
    let mut held: Vec<Lease<Member>> = Vec::new();
    if case.waits {
        let picks = case.acts.iter().map(|_| balancer.pick(&PickRequest::new()));
        held = picks.map(Result::unwrap).collect();
    }
    log.0.lock().clear();
    let _log = balancer.observe(log.clone());
    let failover = Failover::new().with_retry_on_status([StatusCode::SERVICE_UNAVAILABLE]);
    let layer = BalanceLayer::new(balancer.clone())
        .failover(failover)
        .request_body(BufferUpTo(100))
        .hash_by(|head| Some(head.headers.len() as u64))
        .facts_by(|head| Some(head.uri.to_string()));
    let mut layer = SETTINGS[case.setting](layer);
    if machine_first {
        layer = layer.machine_first();
    }
    let mut future = Box::pin(layer.over_members().call(request(case)));
    let mut context = Context::from_waker(Waker::noop());
    let mut complete = false;
    for _ in 0..polls {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context)));
        complete = !matches!(polled, Ok(Poll::Pending));
        match polled {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(Ok(response))) => {
                let extensions = response.extensions();
                let tunnel = extensions.get::<UpgradeLease>().is_some();
                let served = extensions.get::<ServedBy>();
                let (status, headers) = (response.status(), response.headers());
                log.note(format_args!("{status} {headers:?} {served:?} {tunnel}"));
            }
            Ok(Poll::Ready(Err(error))) => log.note(format_args!("{error:?}")),
            Err(_) => log.note(format_args!("panic")),
        }
        if complete {
            break;
        }
        held.clear();
    }
    drop((future, held));
    for member in balancer.members() {
        assert_eq!(member.in_flight(), 0, "{case:?} {machine_first} {polls}");
    }
    let log = log.0.lock().clone();
    (log, complete)
}

fn request(case: Case) -> Request<Body> {
    let request = Request::builder().method(case.method).uri("http://h/a?b=c");
    let request = request.header("x", "1").header("y", "2").header("x", "3");
    let mut secret = http::HeaderValue::from_bytes(b"z\xe9").unwrap();
    secret.set_sensitive(true);
    let request = request.header("authorization", secret).extension(7_u8);
    let request = request.header("cookie", "S=x.a");
    let mut request = request.body(Body::from(case.body)).unwrap();
    if case.marked {
        request.extensions_mut().insert(Idempotent::new());
    }
    request
}

const SCRIPTS: [&[Act]; 22] = [
    &[Answer(200)],
    &[Answer(101)],
    &[Answer(204)],
    &[Late(3)],
    &[Late(5), Answer(200)],
    &[Refuse, Answer(200)],
    &[Refuse, Refuse, Late(2)],
    &[Refuse, Refuse],
    &[Reset, Answer(204)],
    &[Reset, Reset, Answer(200)],
    &[Answer(503), Late(1)],
    &[Answer(503)],
    &[Answer(503), Refuse, Answer(200)],
    &[Unready(3), Answer(200)],
    &[NeverReady, Unready(1)],
    &[Late(2), NeverReady, Refuse],
    &[Act::Full, Answer(200)],
    &[Act::Full, Act::Full],
    &[Act::Panic, Answer(200)],
    &[Refuse, Act::Panic],
    &[Stale, Answer(200)],
    &[Refuse, Stale, Answer(200)],
];

/// All requests with all settings.
fn cases() -> impl Iterator<Item = Case> {
    let requests = [
        ("GET", "", false),
        ("HEAD", "", false),
        ("CONNECT", "", false),
        ("PUT", "hi", false),
        ("POST", "hello", false),
        ("POST", "hello", true),
    ];
    let whole = SCRIPTS.into_iter().flat_map(move |acts| {
        let settings = 0..SETTINGS.len();
        settings.flat_map(move |setting| requests.map(|request| (acts, setting, request)))
    });
    whole.flat_map(|(acts, setting, (method, body, marked))| {
        let waits = [false, true]
            .into_iter()
            .take(1 + usize::from(setting == WAITING));
        waits.map(move |waits| Case {
            acts,
            method,
            body,
            marked,
            setting,
            waits,
        })
    })
}

#[test]
fn a_request_takes_the_same_course_however_it_starts() {
    for case in cases() {
        let (expected, complete) = course(case, false, 100);
        assert!(complete, "{case:?}");
        assert_eq!(course(case, true, 100).0, expected, "{case:?}");
    }
}

#[test]
fn all_picks_know_the_same_of_the_request() {
    for case in cases() {
        for machine_first in [false, true] {
            let (log, _) = course(case, machine_first, 100);
            let picks = log.lines().filter(|line| line.starts_with("pick"));
            for pick in picks {
                let known = "pick Some(5) Some(\"http://h/a?b=c\")";
                assert_eq!(pick, known, "{case:?} {machine_first}\n{log}");
            }
        }
    }
}

#[test]
fn a_session_that_may_not_fail_over_is_lost_however_it_starts() {
    for (setting, waits) in [(2, false), (WAITING, false), (WAITING, true)] {
        for machine_first in [false, true] {
            let case = Case {
                acts: &[Refuse, Answer(200)],
                method: "GET",
                body: "",
                marked: false,
                setting,
                waits,
            };
            let (log, _) = course(case, machine_first, 100);
            assert!(log.contains("SessionLost"), "{case:?}\n{log}");
        }
    }
}

#[test]
fn a_member_is_free_whenever_the_client_goes_away() {
    for case in cases().filter(|case| matches!(case.method, "GET" | "PUT")) {
        for machine_first in [false, true] {
            let mut polls = 0;
            // It asserts that nothing is in flight.
            while !course(case, machine_first, polls).1 {
                polls += 1;
                assert!(polls < 100, "{case:?} {machine_first}");
            }
        }
    }
}
