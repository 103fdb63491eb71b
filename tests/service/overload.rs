//! Members behind limits of tower: one that has no room for a request says so, and another is
//! asked.

use std::convert::Infallible;
use std::error::Error;
use std::io;

use equipoise::service::{BalanceError, BalanceService, CloneRequest, Fault, ServedBy, cause};
use equipoise::{Balancer, Flag, MemberSpec, Outcome};
use http::{Request, Response, StatusCode};
use tower::limit::ConcurrencyLimit;
use tower::load_shed::LoadShed;
use tower::load_shed::error::Overloaded;
use tower::util::BoxCloneService;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use crate::books::{Books, in_flight};
use crate::member::Act::{Answer, Fail, Hang};
use crate::member::{Act, Member, get, post};

/// A member that takes one request at a time, and sheds the others.
type Limited = LoadShed<ConcurrencyLimit<Member>>;

fn limited(acts: impl IntoIterator<Item = Act>) -> Limited {
    ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(1)
        .service(Member::new(acts))
}

struct Limits {
    balancer: Balancer<Limited>,
    books: Books,
}

impl Limits {
    fn new<const N: usize>(acts: [&[Act]; N]) -> Self {
        let books = Books::default();
        let mut builder = Balancer::builder().observer(books.clone());
        for (name, acts) in ["a", "b", "c"].into_iter().zip(acts) {
            builder = builder.member(name, limited(acts.to_vec()), MemberSpec::new());
        }
        let balancer = builder.build().unwrap();
        Self { balancer, books }
    }

    fn service(&self) -> BalanceService<Limited> {
        BalanceService::over(self.balancer.clone())
    }

    fn in_error(&self) -> usize {
        let members = self.balancer.members();
        let in_error = members.iter();
        in_error
            .filter(|member| member.status().contains(Flag::InError))
            .count()
    }
}

/// Polls once what then goes on and on.
macro_rules! keep_busy {
    ($service:expr) => {{
        let mut request = Box::pin($service.oneshot(get("/")));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(request.as_mut().poll(&mut context).is_pending());
        request
    }};
}

#[tokio::test]
async fn a_member_that_sheds_load_is_passed_over_without_an_error() {
    let limits = Limits::new([&[Hang], &[Answer(200)]]);
    let busy = keep_busy!(limits.service());
    for _ in 0..4 {
        // Also what is not idempotent: nothing was sent.
        let answer = limits.service().oneshot(post("x")).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(limits.in_error(), 0);
    drop(busy);
    assert_eq!(in_flight(&limits.balancer), 0);
    let shed = limits.books.take().into_iter();
    let shed = shed.filter(|(name, outcome, ..)| name == "a" && *outcome == Outcome::Failure);
    assert!(shed.count() >= 2, "schedulers that heed it know");
}

#[tokio::test]
async fn when_all_members_shed_load_the_answer_is_503() {
    let limits = Limits::new([&[Hang], &[Hang]]);
    let busy = [keep_busy!(limits.service()), keep_busy!(limits.service())];
    let error = limits.service().oneshot(get("/")).await.unwrap_err();
    assert!(matches!(
        error,
        BalanceError::Overloaded { attempts: 2, .. }
    ));
    assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(cause::<Overloaded>(&error).is_some(), "the cause is kept");
    assert_eq!(
        Fault::of(&error),
        Fault::OVERLOADED,
        "for a balancer outside"
    );
    assert_eq!(limits.in_error(), 0);
    let answer = limits.service().into_infallible().oneshot(get("/")).await;
    assert_eq!(answer.unwrap().status(), 503);
    drop(busy);
    assert_eq!(in_flight(&limits.balancer), 0);
}

#[tokio::test]
async fn a_member_that_sheds_load_is_no_reason_to_ask_one_in_error() {
    let limits = Limits::new([&[Answer(200)], &[Hang]]);
    limits.balancer.set_flag("a", Flag::InError).unwrap();
    let busy = keep_busy!(limits.service());
    let error = limits.service().oneshot(get("/")).await.unwrap_err();
    assert_eq!(error.status(), 503);
    assert_eq!(limits.in_error(), 1);
    drop(busy);
}

#[tokio::test]
async fn what_broke_off_before_the_others_shed_load_is_no_503() {
    // It may have been sent, so nobody is told that it was not.
    let reset = Fail(io::ErrorKind::ConnectionReset);
    let limits = Limits::new([&[Hang], &[reset]]);
    let busy = keep_busy!(limits.service());
    // Elected first, so that the other comes second.
    let error = limits.service().oneshot(get("/")).await.unwrap_err();
    assert_eq!(error.status(), 502);
    drop(busy);
}

#[tokio::test]
async fn the_same_holds_for_requests_of_any_type() {
    let busy = service_fn(|_: u64| async { Err::<u64, _>(Overloaded::new()) });
    let fine = service_fn(|number: u64| async move { Ok::<_, Overloaded>(number) });
    let members = [
        ("a", BoxCloneService::new(busy)),
        ("b", BoxCloneService::new(fine)),
    ];
    let balancer = Balancer::new(members).unwrap();
    let service = balancer
        .clone()
        .into_call_service()
        .keep(CloneRequest::default());
    for number in 0..4 {
        assert_eq!(*service.clone().oneshot(number).await.unwrap(), number);
    }
    let a = balancer.member("a").unwrap();
    assert!(!a.status().contains(Flag::InError));
}

#[tokio::test]
async fn a_balancer_that_is_overloaded_is_not_put_in_error_by_the_one_before_it() {
    let inner = Limits::new([&[Hang]]);
    let busy = keep_busy!(inner.service());
    let outer = Balancer::new([("zone", inner.service())]).unwrap();
    let service = BalanceService::over(outer.clone());
    let error = service.oneshot(get("/")).await.unwrap_err();
    assert_eq!(error.status(), 503);
    let zone = outer.member("zone").unwrap();
    assert!(!zone.status().contains(Flag::InError));
    drop(busy);
}

/// Is never ready, and says why.
#[derive(Clone, Copy)]
struct Refuses;

impl<B> Service<Request<B>> for Refuses {
    type Response = Response<String>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Err(Overloaded::new().into()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        std::future::ready(Err("called though it was not ready".into()))
    }
}

#[tokio::test]
async fn a_member_that_says_so_instead_of_getting_ready_is_not_put_in_error_either() {
    let balancer = Balancer::new([("a", Refuses)]).unwrap();
    let service = BalanceService::over(balancer.clone());
    let error = service.oneshot(get("/")).await.unwrap_err();
    assert_eq!(error.status(), 503);
    let a = balancer.member("a").unwrap();
    assert!(!a.status().contains(Flag::InError));
}

#[tokio::test]
async fn a_buffer_whose_worker_has_ended_is_put_in_error_and_another_is_asked() {
    let answer = |text: &'static str| {
        service_fn(move |_: Request<_>| async move {
            Ok::<_, Infallible>(Response::new(String::from(text)))
        })
    };
    let (ended, worker) = tower::buffer::Buffer::pair(answer("a"), 1);
    drop(worker);
    let (fine, worker) = tower::buffer::Buffer::pair(answer("b"), 1);
    let worker = tokio::spawn(worker);
    let balancer = Balancer::new([("a", ended), ("b", fine)]).unwrap();
    let service = BalanceService::over(balancer.clone());
    for _ in 0..3 {
        let answer = service.clone().oneshot(post("x")).await.unwrap();
        let served = answer.extensions().get::<ServedBy>();
        assert_eq!(&*served.unwrap().member, "b");
    }
    let a = balancer.member("a").unwrap();
    assert!(a.status().contains(Flag::InError));
    worker.abort();
}
