//! How flows end: by their answers, by idleness, because their member refuses or is lost, or
//! because the forwarder stops; and that the counts return to zero.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use equipoise::balancer::DrainOutcome;
use equipoise::balancer::events::{EventKind, Interest};
use equipoise::forward::{Address, Dropped, OnMemberLoss, UdpForwarder};
use equipoise::member::Cause;
use equipoise::{Balancer, Event, Flag, Observer, Outcome};
use tokio::time::{Instant, sleep, timeout};

use super::udp::{Front, Server, balancer, until};
use super::within;

const SHORT: Duration = Duration::from_millis(50);

/// The outcomes of the flows, in their order.
#[derive(Default)]
struct Outcomes(Mutex<Vec<(Outcome, Option<Cause>)>>);

impl Outcomes {
    fn seen(&self) -> Vec<(Outcome, Option<Cause>)> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Outcomes {
    fn observe(&self, event: &Event<'_>) {
        if let EventKind::Ended(ended) = event.kind {
            let mut seen = self.0.lock().unwrap();
            seen.push((ended.outcome, ended.cause.clone()));
        }
    }

    fn interest(&self) -> Interest {
        Interest::ENDED
    }
}

fn in_flight(balancer: &Balancer<Address>) -> u32 {
    balancer.members().iter().map(|it| it.in_flight()).sum()
}

#[tokio::test]
async fn a_quiet_flow_ends_and_the_next_datagram_begins_another() {
    within(async {
        let server = Server::echo().await;
        let balancer = balancer([&server]);
        let outcomes = Arc::new(Outcomes::default());
        let _observing = balancer.observe(outcomes.clone());
        let front = Front::start(UdpForwarder::new(balancer.clone()).idle_timeout(SHORT)).await;
        let client = front.client().await;
        for flows in 1..4 {
            assert_eq!(client.ask(b"hello").await, b"hello");
            assert_eq!(front.statistics.opened(), flows);
            until(|| in_flight(&balancer) == 0 && front.statistics.flows() == 0).await;
        }
        assert_eq!(outcomes.seen(), vec![(Outcome::Success, None); 3]);
    })
    .await;
}

#[tokio::test]
async fn a_flow_that_is_used_does_not_end() {
    within(async {
        let server = Server::echo().await;
        let idle = Duration::from_millis(400);
        let front = Front::start(UdpForwarder::new(balancer([&server])).idle_timeout(idle)).await;
        let client = front.client().await;
        let begun = Instant::now();
        while begun.elapsed() < 3 * idle {
            client.ask(b"hello").await;
            sleep(SHORT).await;
        }
        assert_eq!(front.statistics.opened(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_flow_of_one_answer_ends_with_it() {
    within(async {
        let server = Server::echo().await;
        let balancer = balancer([&server]);
        let outcomes = Arc::new(Outcomes::default());
        let _observing = balancer.observe(outcomes.clone());
        let front = Front::start(UdpForwarder::new(balancer.clone()).responses(1)).await;
        let client = front.client().await;
        for flows in 1..4 {
            client.ask(b"query").await;
            until(|| in_flight(&balancer) == 0 && front.statistics.flows() == 0).await;
            assert_eq!(front.statistics.opened(), flows);
        }
        assert_eq!(outcomes.seen(), vec![(Outcome::Success, None); 3]);
    })
    .await;
}

/// As resolvers ask for the addresses of both versions of IP.
#[tokio::test]
async fn a_client_that_asks_twice_at_once_gets_both_answers() {
    within(async {
        let server = Server::echo().await;
        let front = Front::start(UdpForwarder::new(balancer([&server])).responses(1)).await;
        for _ in 0..200 {
            let client = front.client().await;
            client.send(b"A").await;
            client.send(b"AAAA").await;
            let mut answers = [client.answer().await, client.answer().await];
            answers.sort();
            assert_eq!(answers, [&b"A"[..], b"AAAA"]);
        }
        until(|| front.statistics.flows() == 0).await;
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_failure_where_one_is_expected() {
    within(async {
        let server = Server::silent().await;
        let balancer = balancer([&server]);
        let outcomes = Arc::new(Outcomes::default());
        let _observing = balancer.observe(outcomes.clone());
        let forwarder = UdpForwarder::new(balancer.clone()).idle_timeout(SHORT);
        let strict = Front::start(forwarder.clone().responses(1)).await;
        strict.client().await.send(b"query").await;
        until(|| !outcomes.seen().is_empty()).await;
        let lax = Front::start(forwarder).await;
        lax.client().await.send(b"a line of a log").await;
        until(|| outcomes.seen().len() == 2).await;
        let late = (Outcome::Failure, Some(Cause::TimedOut));
        assert_eq!(outcomes.seen(), [late, (Outcome::Success, None)]);
        let member = balancer.member("a").unwrap();
        assert!(!member.status().contains(Flag::InError));
    })
    .await;
}

#[tokio::test]
async fn a_member_that_does_not_answer_is_put_in_error_by_choice() {
    within(async {
        let (silent, b) = (Server::silent().await, Server::named("b").await);
        let balancer = balancer([&silent, &b]);
        let forwarder = UdpForwarder::new(balancer.clone()).idle_timeout(SHORT);
        let front = Front::start(forwarder.responses(1).fail_silent_members()).await;
        // By turns, until the first has left one without an answer.
        front.client().await.send(b"query").await;
        until(|| {
            let member = balancer.member("a").unwrap();
            member.status().contains(Flag::InError)
        })
        .await;
        for _ in 0..4 {
            assert_eq!(front.client().await.ask(b"query").await, b"b");
        }
    })
    .await;
}

#[tokio::test]
async fn a_member_that_refuses_is_put_in_error_and_the_client_goes_elsewhere() {
    within(async {
        let (a, b) = (Server::named("a").await, Server::named("b").await);
        let balancer = balancer([&a, &b]);
        a.end().await;
        let outcomes = Arc::new(Outcomes::default());
        let _observing = balancer.observe(outcomes.clone());
        let front = Front::start(UdpForwarder::new(balancer.clone())).await;
        let client = front.client().await;
        client.send(b"lost").await;
        until(|| front.statistics.refused() == 1).await;
        until(|| front.statistics.flows() == 0).await;
        let member = balancer.member("a").unwrap();
        assert!(member.status().contains(Flag::InError));
        assert_eq!(outcomes.seen(), [(Outcome::Failure, Some(Cause::Refused))]);
        assert_eq!(client.ask(b"again").await, b"b");
        assert_eq!(front.client().await.ask(b"another").await, b"b");
    })
    .await;
}

#[tokio::test]
async fn a_member_that_dies_loses_no_more_than_what_was_on_its_way() {
    within(async {
        let (a, b) = (Server::named("a").await, Server::named("b").await);
        let balancer = balancer([&a, &b]);
        let front = Front::start(UdpForwarder::new(balancer.clone())).await;
        let mut clients = Vec::new();
        for number in 0..100 {
            let client = front.client().await;
            let name = if number % 2 == 0 { b"a" } else { b"b" };
            assert_eq!(client.ask(b"hello").await, name);
            clients.push(client);
        }
        a.end().await;
        for client in &clients {
            assert_eq!(client.ask_until_answered(b"again").await, b"b");
        }
        assert_eq!(balancer.member("b").unwrap().in_flight(), 100);
        until(|| balancer.member("a").unwrap().in_flight() == 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_drained_member_keeps_its_flows_and_gets_no_new_ones() {
    within(async {
        let (a, b) = (Server::named("a").await, Server::named("b").await);
        let balancer = balancer([&a, &b]);
        let idle = Duration::from_millis(300);
        let front = Front::start(UdpForwarder::new(balancer.clone()).idle_timeout(idle)).await;
        let client = front.client().await;
        assert_eq!(client.ask(b"hello").await, b"a");
        let drain = balancer.drain("a").unwrap().then_remove();
        assert_eq!(client.ask(b"still").await, b"a");
        for _ in 0..4 {
            assert_eq!(front.client().await.ask(b"new").await, b"b");
        }
        // Its flow ends by idleness.
        assert_eq!(drain.await, DrainOutcome::Removed);
        assert!(balancer.member("a").is_none());
        assert_eq!(client.ask(b"hello").await, b"b");
    })
    .await;
}

#[tokio::test]
async fn flows_of_a_member_that_is_removed_stay_by_default() {
    within(async {
        let (a, b) = (Server::named("a").await, Server::named("b").await);
        let balancer = balancer([&a, &b]);
        let front = Front::start(UdpForwarder::new(balancer.clone())).await;
        let client = front.client().await;
        assert_eq!(client.ask(b"hello").await, b"a");
        let removed = balancer.remove("a").unwrap();
        assert_eq!(client.ask(b"hello").await, b"a");
        front.stop().await.unwrap().unwrap();
        removed.drained().await;
    })
    .await;
}

#[tokio::test]
async fn flows_of_a_member_that_is_lost_end_where_that_is_chosen() {
    within(async {
        let (a, b) = (Server::named("a").await, Server::named("b").await);
        for is_removed in [false, true] {
            let balancer = balancer([&a, &b]);
            let forwarder = UdpForwarder::new(balancer.clone()).on_member_loss(OnMemberLoss::End);
            let front = Front::start(forwarder).await;
            let client = front.client().await;
            let other = front.client().await;
            assert_eq!(client.ask(b"hello").await, b"a");
            assert_eq!(other.ask(b"hello").await, b"b");
            if is_removed {
                drop(balancer.remove("a"));
            } else {
                balancer.set_flag("a", Flag::Disabled).unwrap();
            }
            until(|| front.statistics.flows() == 1).await;
            assert_eq!(client.ask(b"hello").await, b"b");
            assert_eq!(other.ask(b"hello").await, b"b");
            assert_eq!(front.statistics.opened(), 3);
        }
    })
    .await;
}

#[tokio::test]
async fn flows_of_a_member_that_is_back_in_time_go_on() {
    within(async {
        let server = Server::echo().await;
        let balancer = balancer([&server]);
        let grace = Duration::from_millis(200);
        let forwarder =
            UdpForwarder::new(balancer.clone()).on_member_loss(OnMemberLoss::EndAfter(grace));
        let front = Front::start(forwarder).await;
        let client = front.client().await;
        client.ask(b"hello").await;
        balancer.set_flag("a", Flag::Disabled).unwrap();
        client.ask(b"hello").await;
        balancer.clear_flag("a", Flag::Disabled).unwrap();
        sleep(2 * grace).await;
        client.ask(b"hello").await;
        assert_eq!(front.statistics.opened(), 1);
        balancer.set_flag("a", Flag::Disabled).unwrap();
        until(|| front.statistics.flows() == 0).await;
    })
    .await;
}

#[tokio::test]
async fn flows_of_a_member_that_is_lost_twice_have_all_of_their_time_again() {
    within(async {
        let server = Server::echo().await;
        let balancer = balancer([&server]);
        let grace = Duration::from_millis(1_500);
        let forwarder =
            UdpForwarder::new(balancer.clone()).on_member_loss(OnMemberLoss::EndAfter(grace));
        let front = Front::start(forwarder).await;
        let client = front.client().await;
        client.ask(b"hello").await;
        balancer.set_flag("a", Flag::Disabled).unwrap();
        sleep(grace / 3).await;
        balancer.clear_flag("a", Flag::Disabled).unwrap();
        sleep(grace / 3).await;
        balancer.set_flag("a", Flag::Disabled).unwrap();
        let lost = Instant::now();
        until(|| front.statistics.flows() == 0).await;
        assert!(lost.elapsed() >= grace * 9 / 10, "{:?}", lost.elapsed());
    })
    .await;
}

#[tokio::test]
async fn after_the_stop_answers_still_come_and_no_flow_begins() {
    within(async {
        let server = Server::echo().await;
        let balancer = balancer([&server]);
        let front = Front::start(UdpForwarder::new(balancer.clone())).await;
        let client = front.client().await;
        client.ask(b"before").await;
        let late = front.client().await;
        let statistics = front.statistics.clone();
        let ended = front.stop();
        assert_eq!(client.ask(b"after").await, b"after");
        while statistics.dropped(Dropped::Stopping) == 0 && !ended.is_finished() {
            late.send(b"late").await;
            sleep(Duration::from_millis(1)).await;
            if statistics.flows() > 1 {
                // It came before the stop was noticed.
                break;
            }
        }
        // It is quiet for a second, and ends by itself.
        let stopped = timeout(Duration::from_secs(10), ended).await;
        assert_eq!(stopped.unwrap().unwrap().unwrap().cut(), 0);
        assert_eq!((statistics.flows(), in_flight(&balancer)), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn what_has_not_ended_at_the_deadline_is_cut_and_counted() {
    within(async {
        let server = Server::echo().await;
        let balancer = balancer([&server]);
        let forwarder = UdpForwarder::new(balancer.clone()).drain_timeout(SHORT);
        let front = Front::start(forwarder).await;
        let clients = [front.client().await, front.client().await];
        for client in &clients {
            client.ask(b"hello").await;
        }
        let statistics = front.statistics.clone();
        assert_eq!(front.stop().await.unwrap().unwrap().cut(), 2);
        assert_eq!((statistics.flows(), in_flight(&balancer)), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_forwarder_that_is_dropped_cuts_its_flows() {
    within(async {
        let server = Server::echo().await;
        let balancer = balancer([&server]);
        let front = Front::start(UdpForwarder::new(balancer.clone())).await;
        front.client().await.ask(b"hello").await;
        assert_eq!(in_flight(&balancer), 1);
        front.ended.abort();
        until(|| in_flight(&balancer) == 0 && front.statistics.flows() == 0).await;
    })
    .await;
}

#[tokio::test]
async fn an_observer_that_panics_ends_its_flow_and_no_other() {
    within(async {
        let server = Server::echo().await;
        let balancer = balancer([&server]);
        let _observing = balancer.observe(|event: &Event<'_>| {
            assert!(
                !matches!(event.kind, EventKind::Responded { .. }),
                "it panics"
            );
        });
        let forwarder = UdpForwarder::new(balancer.clone())
            .max_flows(1)
            .max_flows_per_client(1);
        let front = Front::start(forwarder).await;
        for _ in 0..3 {
            // The answer is sent before it is told of.
            assert_eq!(front.client().await.ask(b"hello").await, b"hello");
            until(|| in_flight(&balancer) == 0 && front.statistics.flows() == 0).await;
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
