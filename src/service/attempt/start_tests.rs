//! A request takes the same course, however its first attempt starts: with the first poll
//! of its future, with the call, or in the machine. And however many times it was polled
//! when its client goes away, its member is free afterwards.

#![allow(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, and helpers have none"
)]

use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::Full;
use tower_service::Service;

use crate::balancer::events::{EventKind, Interest};
use crate::service::{
    BalanceLayer, BoxError, BufferUpTo, Failover, Idempotent, ReplayBody, ServedBy, Timeouts,
};
use crate::sync::Mutex;
use crate::timer::{Sleep, Timer};
use crate::{Balancer, Event, Observer};

type Body = Full<Bytes>;

/// How the first attempt starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Start {
    WithPoll,
    AtOnce,
    /// In the machine, which waits for the time of a hedged attempt that never comes.
    InMachine,
    AtOnceInMachine,
}

const ALL: [Start; 4] = [
    Start::WithPoll,
    Start::AtOnce,
    Start::InMachine,
    Start::AtOnceInMachine,
];

/// What a member does with a request.
#[derive(Clone, Copy, Debug)]
enum Act {
    Answer(u16),
    Refuse,
    Reset,
    /// The response does not begin before this number of polls.
    Late(u8),
    /// It is not ready before this number of polls.
    Unready(u8),
    NeverReady,
}

use Act::{Answer, Late, NeverReady, Refuse, Reset, Unready};

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
        let line = format!("{} {} {:?} {mark:?}", head.method, head.uri, head.headers);
        self.log.note(format_args!("{} got {line}", self.name));
        let (act, name, log) = (self.act, self.name, self.log.clone());
        let mut left = if let Late(polls) = act { polls } else { 0 };
        Box::pin(std::future::poll_fn(move |context| {
            if left > 0 {
                left -= 1;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Refuse = act {
                let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
                return Poll::Ready(Err(refused.into()));
            }
            while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(context) {
                let length = frame.data_ref().map_or(0, Bytes::len);
                log.note(format_args!("{name} read {length}"));
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

#[derive(Debug)]
struct Never;

impl Timer for Never {
    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::pending())
    }
}

/// Sends one request to members that do this. After `polls` polls its client goes away.
/// Returns what happened, and whether the request was complete by then.
fn course(acts: &[Act], start: Start, request: Request<Body>, polls: u32) -> (String, bool) {
    let log = Log::default();
    let names = ["a", "b", "c"];
    let members = names.into_iter().zip(acts).map(|(name, &act)| {
        let unready = if let Unready(polls) = act { polls } else { 0 };
        let log = log.clone();
        let member = Member {
            name,
            act,
            unready,
            log,
        };
        (name, member)
    });
    let balancer = Balancer::new(members).unwrap();
    let _log = balancer.observe(log.clone());
    let failover = Failover::new().with_retry_on_status([StatusCode::SERVICE_UNAVAILABLE]);
    let mut layer = BalanceLayer::new(balancer.clone())
        .failover(failover)
        .request_body(BufferUpTo(100));
    if matches!(start, Start::InMachine | Start::AtOnceInMachine) {
        let hedged = Timeouts::new().with_hedge_delay(Duration::from_secs(1));
        layer = layer.timeouts(Never, hedged);
    }
    if matches!(start, Start::AtOnce | Start::AtOnceInMachine) {
        layer = layer.at_once();
    }
    let mut future = Box::pin(layer.over_members().call(request));
    let mut context = Context::from_waker(Waker::noop());
    let mut complete = false;
    for _ in 0..polls {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            match result {
                Ok(response) => {
                    let served = response.extensions().get::<ServedBy>();
                    let status = response.status();
                    log.note(format_args!("{status} {served:?}"));
                }
                Err(error) => log.note(format_args!("{error}")),
            }
            complete = true;
            break;
        }
    }
    drop(future);
    for member in balancer.members() {
        assert_eq!(member.in_flight(), 0, "{acts:?} {start:?} {polls}");
    }
    let log = log.0.lock().clone();
    (log, complete)
}

fn request(method: Method, body: &'static str) -> Request<Body> {
    let request = Request::builder().method(method).uri("http://h/a?b=c");
    let request = request.header("x", "1").header("y", "2").header("x", "3");
    let mut secret = http::HeaderValue::from_bytes(b"z\xe9").unwrap();
    secret.set_sensitive(true);
    let request = request.header("authorization", secret).extension(7_u8);
    request.body(Body::from(body)).unwrap()
}

const SCRIPTS: [&[Act]; 12] = [
    &[Answer(200)],
    &[Late(3)],
    &[Refuse, Answer(200)],
    &[Refuse, Refuse, Late(2)],
    &[Refuse, Refuse],
    &[Reset, Answer(204)],
    &[Reset, Reset, Answer(200)],
    &[Answer(503), Late(1)],
    &[Answer(503)],
    &[Unready(3), Answer(200)],
    &[NeverReady, Unready(1)],
    &[Late(2), NeverReady, Refuse],
];

#[test]
fn a_request_takes_the_same_course_however_it_starts() {
    for acts in SCRIPTS {
        for (method, body) in [
            (Method::GET, ""),
            (Method::POST, "hello"),
            (Method::PUT, "hi"),
        ] {
            let of = |start| course(acts, start, request(method.clone(), body), 100);
            let (expected, complete) = of(Start::WithPoll);
            assert!(complete, "{acts:?}");
            for start in ALL {
                assert_eq!(of(start).0, expected, "{acts:?} {method} {start:?}");
            }
        }
    }
}

#[test]
fn a_marked_request_takes_the_same_course_however_it_starts() {
    let marked = || {
        let mut request = request(Method::POST, "hello");
        request.extensions_mut().insert(Idempotent::new());
        request
    };
    for acts in SCRIPTS {
        let expected = course(acts, Start::WithPoll, marked(), 100);
        for start in ALL {
            assert_eq!(
                course(acts, start, marked(), 100),
                expected,
                "{acts:?} {start:?}"
            );
        }
    }
}

#[test]
fn a_member_is_free_whenever_the_client_goes_away() {
    for acts in SCRIPTS {
        for start in ALL {
            for body in ["", "hello"] {
                let mut polls = 0;
                // It asserts that nothing is in flight.
                while !course(acts, start, request(Method::PUT, body), polls).1 {
                    polls += 1;
                    assert!(polls < 100, "{acts:?} {start:?}");
                }
            }
        }
    }
}
