//! The hand-over of a body that no attempt has read, under a model checker: a connection to
//! a member reads or drops it in a task of its own while the next attempt asks for it.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, and helpers have none"
)]

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame};
use loom::thread;

use super::{Counted, CountedBody, KeptBody, KeptUntilRead, RequestBody};
use crate::balancer::{Balancer, Lease, PickRequest};
use crate::clock::{Clock, Timestamp};
use crate::member::MemberSpec;
use crate::service::BoxError;

/// A clock without an atomic, so that reading it is no step of the model.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::ORIGIN
    }
}

/// A body of one frame, which may be polled for it once.
struct Once(Option<Bytes>);

impl Body for Once {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }
}

/// What an attempt reads from its body at first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Got {
    All,
    Error,
    End,
}

fn read(mut body: CountedBody<Once>) -> Got {
    let mut context = Context::from_waker(Waker::noop());
    match Pin::new(&mut body).poll_frame(&mut context) {
        Poll::Ready(Some(Ok(_))) => Got::All,
        Poll::Ready(Some(Err(_))) => Got::Error,
        Poll::Ready(None) => Got::End,
        Poll::Pending => panic!("it is never pending"),
    }
}

fn check(model: impl Fn(KeptUntilRead<Once>, Lease<()>) + Send + Sync + 'static) {
    let mut checker = loom::model::Builder::new();
    checker.preemption_bound.get_or_insert(3);
    checker.max_branches = 10_000;
    checker.check(move || {
        let balancer = Balancer::builder().clock(Still).seed(1);
        let balancer = balancer.member("a", (), MemberSpec::new()).build().unwrap();
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        let body = Once(Some(Bytes::from_static(b"hello")));
        model(Counted::default().keep(body, true), lease);
    });
}

#[test]
fn loom_one_of_two_attempts_reads_a_body() {
    check(|mut kept, mut lease| {
        let first = kept.next(|| lease.sent_meter()).unwrap();
        let reader = thread::spawn(move || read(first));
        let was_left = kept.is_available();
        let second = kept.next(|| lease.sent_meter()).map(read);
        let first = reader.join().expect("a panic of a model ends it");

        let expected = match second {
            Some(_) => (Got::Error, Some(Got::All)),
            None => (Got::All, None),
        };
        assert_eq!((first, second), expected);
        assert!(was_left || second.is_none());
        assert!(second.is_some() || !kept.is_available());
    });
}

#[test]
fn loom_a_body_that_an_attempt_drops_unread_goes_to_the_next() {
    check(|mut kept, mut lease| {
        let first = kept.next(|| lease.sent_meter()).unwrap();
        let dropping = thread::spawn(move || drop(first));
        assert!(kept.is_available());
        let second = kept.next(|| lease.sent_meter()).map(read);
        dropping.join().expect("a panic of a model ends it");
        assert_eq!(second, Some(Got::All));
    });
}

#[test]
fn loom_a_body_that_is_looked_at_goes_to_one_attempt() {
    check(|mut kept, mut lease| {
        let first = kept.next(|| lease.sent_meter()).unwrap();
        let second = kept.next(|| lease.sent_meter()).unwrap();
        // A task still holds the body of the attempt that has ended.
        let reader = thread::spawn(move || read(first));
        assert_eq!(second.look(|body| body.0.is_some()), Some(true));
        assert_eq!(read(second), Got::All);
        assert_eq!(
            reader.join().expect("a panic of a model ends it"),
            Got::Error
        );
    });
}
