//! Balancing for requests of any type.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use equipoise::service::{Affinity, BoxError, CloneRequest, KeepRequest, Timeouts};
use equipoise::{Balancer, Flag, MemberSpec, Outcome};
use tower::{Service, ServiceExt};

use crate::books::{Books, in_flight};
use crate::timer::TestTimer;

/// Multiplies by its factor, or does what it is told.
#[derive(Clone, Debug)]
struct Times {
    factor: u64,
    ready: bool,
    fails: Option<io::ErrorKind>,
    got: Arc<Mutex<Vec<u64>>>,
}

impl Service<u64> for Times {
    type Response = u64;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<u64, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.ready {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn call(&mut self, number: u64) -> Self::Future {
        self.got.lock().unwrap().push(number);
        let result = match self.fails {
            Some(kind) => Err(io::Error::from(kind).into()),
            None => Ok(number * self.factor),
        };
        Box::pin(std::future::ready(result))
    }
}

fn times(factor: u64) -> Times {
    Times {
        factor,
        ready: true,
        fails: None,
        got: Arc::default(),
    }
}

fn failing(kind: io::ErrorKind) -> Times {
    Times {
        fails: Some(kind),
        ..times(0)
    }
}

#[tokio::test]
async fn an_answer_is_in_flight_as_long_as_it_lives() {
    let books = Books::default();
    let balancer = Balancer::builder()
        .observer(books.clone())
        .member("a", times(2), MemberSpec::new())
        .build()
        .unwrap();
    let service = balancer.clone().into_call_service();
    let answer = service.clone().oneshot(21).await.unwrap();
    assert_eq!((*answer, in_flight(&balancer)), (42, 1));
    drop(answer);
    assert_eq!(in_flight(&balancer), 0);
    assert_eq!(books.take()[0].1, Outcome::Success);

    let mut answer = service.clone().oneshot(1).await.unwrap();
    *answer += 1;
    answer.finish(Outcome::Failure);
    assert_eq!((*answer, in_flight(&balancer)), (3, 0));
    assert!(answer.member().is_none());
    drop(answer);
    assert_eq!(books.take().len(), 1);

    let (number, guard) = service.oneshot(4).await.unwrap().into_parts();
    assert_eq!((number, in_flight(&balancer)), (8, 1));
    drop(guard);
    assert_eq!(books.take()[0].1, Outcome::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_not_handed_over_goes_to_another() {
    let unready = Times {
        ready: false,
        ..times(0)
    };
    let balancer = Balancer::new([("a", unready), ("b", times(3))]).unwrap();
    let service = balancer.into_call_service().timeouts(
        TestTimer,
        Timeouts::new().with_ready_timeout(Duration::from_secs(1)),
    );
    assert_eq!(*service.oneshot(5).await.unwrap(), 15);
}

#[tokio::test]
async fn a_request_that_was_handed_over_needs_a_copy_to_go_on() {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset};
    let two = |kind| Balancer::new([("a", failing(kind)), ("b", times(3))]).unwrap();
    let once = two(ConnectionRefused).into_call_service();
    assert!(once.oneshot(5).await.is_err());

    let cloned = two(ConnectionRefused)
        .into_call_service()
        .keep(CloneRequest::default());
    assert_eq!(*cloned.oneshot(5).await.unwrap(), 15);
    let cloned = two(ConnectionReset)
        .into_call_service()
        .keep(CloneRequest::default());
    assert!(cloned.oneshot(5).await.is_err(), "it may have been sent");
    let idempotent = CloneRequest::default().idempotent();
    let cloned = two(ConnectionReset).into_call_service().keep(idempotent);
    assert_eq!(*cloned.oneshot(5).await.unwrap(), 15);

    let copied = two(ConnectionRefused).into_call_service();
    let copied = copied.keep(|number: &u64| Some(*number));
    assert_eq!(*copied.oneshot(5).await.unwrap(), 15);

    /// Even numbers may be repeated.
    #[derive(Clone)]
    struct Even;
    impl KeepRequest<u64> for Even {
        fn copy(&self, request: &u64) -> Option<u64> {
            Some(*request)
        }
        fn is_idempotent(&self, request: &u64) -> bool {
            request % 2 == 0
        }
    }
    let even = two(ConnectionReset).into_call_service().keep(Even);
    assert!(even.clone().oneshot(5).await.is_err());
    assert_eq!(*even.oneshot(6).await.unwrap(), 18);
}

struct ByParity;

impl Affinity<u64> for ByParity {
    fn route<'r>(&self, request: &'r u64) -> Option<&'r str> {
        Some(if request % 2 == 0 { "even" } else { "odd" })
    }
}

#[tokio::test]
async fn a_request_goes_to_the_member_that_it_wants() {
    let routed = |route| MemberSpec::new().with_route(route);
    let balancer = Balancer::builder()
        .member("a", times(2), routed("even"))
        .member("b", times(3), routed("odd"))
        .build()
        .unwrap();
    let service = balancer.clone().into_call_service().affinity(ByParity);
    for (number, answer) in [(2, 4), (4, 8), (6, 12), (1, 3), (3, 9)] {
        assert_eq!(*service.clone().oneshot(number).await.unwrap(), answer);
    }
    balancer.set_flag("a", Flag::Disabled).unwrap();
    assert_eq!(*service.oneshot(2).await.unwrap(), 6);
}
