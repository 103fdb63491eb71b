//! Each election is told once, and so is its end: whatever members do, and whatever their
//! clients do meanwhile.

use std::collections::BTreeMap;
use std::io::ErrorKind::{ConnectionRefused, ConnectionReset};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use equipoise::balancer::events::{EventKind, Interest};
use equipoise::random::Random;
use equipoise::service::{BalanceLayer, Failover, RetryBudget, Timeouts};
use equipoise::{
    Balancer, Event, Flag, MemberId, MemberSpec, Observer, PickRequest, StickySession,
};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::books::in_flight;
use crate::member::{Act, Cast, Member, get, outcome, post};
use crate::timer::TestTimer;

/// What was told of each member: elections, heads, ends, and changes of its flags.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<BTreeMap<MemberId, [u64; 4]>>>);

impl Observer for Told {
    fn observe(&self, event: &Event<'_>) {
        let Some(member) = event.member else { return };
        assert_eq!(event.balancer, Some("api"));
        assert!(event.generation > 0);
        let mut all = self.0.lock().unwrap();
        let counts = all.entry(member.id()).or_default();
        match event.kind {
            EventKind::Picked { .. } => counts[0] += 1,
            EventKind::Responded { .. } => counts[1] += 1,
            EventKind::Ended(_) => {
                counts[2] += 1;
                assert!(counts[2] <= counts[0], "an end before its election");
                assert!(counts[1] <= counts[0], "two heads of one answer");
            }
            EventKind::Changed { before, after, .. } => {
                let (before, after) = (before, after);
                assert_ne!(before, after);
                if after.contains(Flag::InError) && !before.contains(Flag::InError) {
                    counts[3] += 1;
                }
                if before.contains(Flag::InError) && !after.contains(Flag::InError) {
                    counts[3] -= 1;
                }
                assert!(counts[3] <= 1, "in error twice");
            }
            _ => {}
        }
    }

    fn interest(&self) -> Interest {
        Interest::PICKED | Interest::RESPONDED | Interest::ENDED | Interest::CHANGED
    }
}

fn acts(random: &Random) -> Vec<Act> {
    let act = |_| match random.below(8) {
        0 => Act::Fail(ConnectionRefused),
        1 => Act::Fail(ConnectionReset),
        2 => Act::FailAfter(1),
        3 => Act::FailAfterTime(Duration::from_millis(30)),
        4 => Act::Hang,
        5 => Act::Answer(503),
        6 => Act::AnswerAfter(Duration::from_millis(40), 200),
        _ => Act::Answer(200),
    };
    let mut acts: Vec<Act> = (0..40).map(act).collect();
    acts.push(Act::Answer(200));
    acts
}

async fn life(seed: u64) {
    let random = Arc::new(Random::seeded(seed));
    let told = Told::default();
    let members = ["a", "b", "c"].map(|name| {
        let spec = MemberSpec::new()
            .with_max_in_flight(3)
            .with_recovery_delay(Duration::from_millis(5));
        (name, Member::new(acts(&random)), spec)
    });
    let balancer = Balancer::builder()
        .name("api")
        .observer(told.clone())
        .members(members)
        .build()
        .unwrap();
    let timeouts = Timeouts::new()
        .with_hedge_delay(Duration::from_millis(15))
        .with_per_try_timeout(Duration::from_millis(60))
        .with_ready_timeout(Duration::from_millis(30))
        .with_pick_timeout(Duration::from_millis(50));
    let failover = Failover::new()
        .with_budget(RetryBudget::new().with_percent(100))
        .with_retry_on_status([http::StatusCode::SERVICE_UNAVAILABLE]);
    let service = BalanceLayer::new(balancer.clone())
        .failover(failover)
        .timeouts(TestTimer, timeouts)
        .over_members();
    let clients: Vec<_> = (0..40)
        .map(|client| {
            let (service, random) = (service.clone(), random.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(random.below(200))).await;
                let request = if client % 3 == 0 { post("x") } else { get("/") };
                let patience = Duration::from_millis(1 + random.below(120));
                let answered = tokio::time::timeout(patience, service.oneshot(request)).await;
                if let Ok(Ok(answer)) = answered {
                    if random.below(2) == 0 {
                        let _ = answer.into_body().collect().await;
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(in_flight(&balancer), 0, "seed {seed}");
    let told = told.0.lock().unwrap();
    for member in balancer.members() {
        let [elected, _, ended, _] = told.get(&member.id()).copied().unwrap_or_default();
        assert_eq!(elected, ended, "seed {seed}, {}", member.name());
        assert_eq!(elected, member.picked(), "seed {seed}, {}", member.name());
    }
}

#[tokio::test(start_paused = true)]
async fn each_election_is_told_once_and_so_is_its_end() {
    for seed in 0..60 {
        life(seed).await;
    }
}

/// The errors that picks without a member were told with.
#[derive(Clone, Debug, Default)]
struct Refusals(Arc<Mutex<Vec<String>>>);

impl Refusals {
    fn of(cast: &Cast) -> Self {
        let refusals = Self::default();
        cast.balancer.observe(refusals.clone()).detach();
        refusals
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Refusals {
    fn observe(&self, event: &Event<'_>) {
        if let EventKind::Refused { error, tried, .. } = event.kind {
            let line = format!("{error}, {tried} tried");
            self.0.lock().unwrap().push(line);
        }
    }

    fn interest(&self) -> Interest {
        Interest::REFUSED
    }
}

const FULL: &str = "all usable members are at their capacity, 1 tried";

#[tokio::test(start_paused = true)]
async fn a_failover_that_finds_all_others_full_is_told_once() {
    let cast = || {
        let spec = MemberSpec::new().with_max_in_flight(1);
        let acts: [&[Act]; 2] = [&[Act::Hang], &[Act::Fail(ConnectionRefused)]];
        Cast::with_specs(acts.map(|acts| (acts, spec.clone())))
    };
    let failed = "member \"b\" failed";
    let first = cast();
    let refusals = Refusals::of(&first);
    let lease = first.balancer.pick(&PickRequest::new()).unwrap();
    assert!(outcome(first.service(), get("/")).await.contains(failed));
    assert_eq!(refusals.take(), [FULL]);
    drop(lease);

    let second = cast();
    let refusals = Refusals::of(&second);
    let _lease = second.balancer.pick(&PickRequest::new()).unwrap();
    let timeouts = Timeouts::new().with_pick_timeout(Duration::from_secs(1));
    let patient = second.layer().timeouts(TestTimer, timeouts).over_members();
    assert!(outcome(patient, get("/")).await.contains(failed));
    assert_eq!(refusals.take(), [FULL], "after the wait, and only then");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_lost_is_told_as_a_refusal_wherever_it_is_noticed() {
    let session = StickySession::new("sid").unwrap().with_no_failover();
    let cast = || {
        let acts: [&[Act]; 2] = [&[Act::Fail(ConnectionRefused)], &[Act::Answer(200)]];
        let spec = |route| MemberSpec::new().with_route(route).with_max_in_flight(1);
        let [a, b] = acts;
        Cast::with_specs([(a, spec("a")), (b, spec("b"))])
    };
    let request = || {
        let mut request = get("/");
        let cookie = http::HeaderValue::from_static("sid=x.a");
        request.headers_mut().insert(http::header::COOKIE, cookie);
        request
    };
    let first = cast();
    let refusals = Refusals::of(&first);
    let service = first.layer().sticky(session.clone()).over_members();
    outcome(service, request()).await;
    assert_eq!(refusals.take().len(), 1, "after its member has failed");

    let second = cast();
    let refusals = Refusals::of(&second);
    let _lease = second.balancer.pick(&PickRequest::new()).unwrap();
    let timeouts = Timeouts::new().with_pick_timeout(Duration::from_secs(9));
    let service = second
        .layer()
        .sticky(session)
        .timeouts(TestTimer, timeouts)
        .over_members();
    let waiting = tokio::spawn(outcome(service, request()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(refusals.take(), [""; 0]);
    second.balancer.set_flag("a", Flag::Disabled).unwrap();
    waiting.await.unwrap();
    assert_eq!(refusals.take().len(), 1, "while it waits for its member");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_beside_a_late_one_has_no_cause_of_an_earlier_attempt() {
    let cast = Cast::new([
        &[Act::FailAfterTime(Duration::from_millis(500))],
        &[Act::Hang],
        &[Act::Answer(200)],
    ]);
    let causes = Arc::new(Mutex::new(Vec::new()));
    let book = causes.clone();
    let observing = cast.balancer.observe(move |event: &Event<'_>| {
        if let EventKind::FailedOver { from, cause, .. } = event.kind {
            let from = from.unwrap().name().to_owned();
            let cause = cause.map(ToString::to_string);
            book.lock().unwrap().push((from, cause));
        }
    });
    let timeouts = Timeouts::new().with_hedge_delay(Duration::from_secs(1));
    let failover = Failover::new().with_budget(RetryBudget::new().with_percent(100));
    let service = cast
        .layer()
        .failover(failover)
        .timeouts(TestTimer, timeouts)
        .over_members();
    assert_eq!(outcome(service, get("/")).await, "200 c 3");
    let broken = "connection broken".to_owned();
    let expected = [("a".to_owned(), Some(broken)), ("b".to_owned(), None)];
    assert_eq!(*causes.lock().unwrap(), expected);
    drop(observing);
}
