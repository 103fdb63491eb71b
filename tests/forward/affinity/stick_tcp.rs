//! By a stick table: connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use equipoise::balancer::events::EventKind;
use equipoise::clock::ManualClock;
use equipoise::forward::TcpForwarder;
use equipoise::session::StickTable;
use equipoise::{Event, Flag, MemberSpec, Session};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

use super::{Member, client, connect, only_those_of, tcp_over, visit, visits};
use crate::tcp::front::{Front, is_quiet, name_of, soon};
use crate::within;

const CLIENTS: u8 = 10;

async fn abc() -> [Member; 3] {
    [
        Member::tcp("a").await,
        Member::tcp("b").await,
        Member::tcp("c").await,
    ]
}

/// The member of a client, without a use of its entry.
fn entry(table: &StickTable, number: u8) -> Option<String> {
    let of_client = |it: &equipoise::session::StickEntry| it.client == client(number);
    let entry = table.entries().find(of_client);
    entry.map(|entry| entry.member.to_string())
}

async fn is_idle(table: &StickTable) {
    let idle = || table.entries().all(|entry| entry.open == 0);
    soon("no use of an entry", idle).await;
}

#[tokio::test]
async fn a_client_stays_on_its_member_whichever_listener_it_comes_to() {
    within(async {
        let members = abc().await;
        let balancer = tcp_over(members.each_ref());
        let table = StickTable::new(1_000);
        let forwarder = TcpForwarder::new(balancer.clone()).stick(table.clone());
        let fronts = [Front::start(forwarder.clone()), Front::start(forwarder)];
        let before = visits(&fronts[0], CLIENTS).await;
        for front in [&fronts[1], &fronts[0], &fronts[1]] {
            assert_eq!(visits(front, CLIENTS).await, before);
        }
        // Elected evenly, by the scheduler and not by a hash.
        let of = |name: &str| before.iter().filter(|it| *it == name).count();
        assert_eq!([of("a"), of("b"), of("c")], [4, 3, 3]);
        assert_eq!(table.len(), usize::from(CLIENTS));
        is_quiet(&balancer).await;
        is_idle(&table).await;
    })
    .await;
}

#[tokio::test]
async fn clients_of_a_dead_member_move_and_stay_where_they_have_moved_to() {
    within(async {
        let [a, b, c] = abc().await;
        let balancer = tcp_over([&a, &b, &c]);
        let table = StickTable::new(1_000);
        let front = Front::start(TcpForwarder::new(balancer.clone()).stick(table.clone()));
        let before = visits(&front, CLIENTS).await;
        let address = b.end().await;
        let after = visits(&front, CLIENTS).await;
        only_those_of("b", &before, &after);
        let _b = Member::tcp_at("b", address).await;
        balancer.recover("b").unwrap();
        assert_eq!(visits(&front, CLIENTS).await, after);
        // It serves those that are new.
        let new: Vec<String> = [visit(&front, 100).await, visit(&front, 101).await].into();
        let more = [visit(&front, 102).await, visit(&front, 103).await];
        assert!(new.iter().chain(&more).any(|name| name == "b"));
    })
    .await;
}

#[tokio::test]
async fn a_client_keeps_its_entry_while_no_member_can_be_connected() {
    within(async {
        let [a, b, _] = abc().await;
        let balancer = tcp_over([&a, &b]);
        let table = StickTable::new(1_000);
        let front = Front::start(TcpForwarder::new(balancer.clone()).stick(table.clone()));
        let before = visits(&front, 2).await;
        let [at_a, at_b] = [a.end().await, b.end().await];
        for number in [0, 1, 0, 1] {
            assert!(connect(&front, number).await.read_u8().await.is_err());
        }
        let _members = [
            Member::tcp_at("a", at_a).await,
            Member::tcp_at("b", at_b).await,
        ];
        balancer.recover("a").unwrap();
        balancer.recover("b").unwrap();
        for number in [0, 0, 1, 1] {
            assert_eq!(visit(&front, number).await, before[usize::from(number)]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_new_client_opens_at_once_goes_to_one_member() {
    within(async {
        let members = abc().await;
        let table = StickTable::new(1_000);
        let forwarder = TcpForwarder::new(tcp_over(members.each_ref())).stick(table);
        let front = Front::start(forwarder);
        for number in 0..CLIENTS {
            let mut connections = JoinSet::new();
            for _ in 0..8 {
                let mut connection = connect(&front, number).await;
                connections.spawn(async move { name_of(&mut connection).await });
            }
            let names = connections.join_all().await;
            assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_has_waited_goes_where_another_of_its_client_has_gone_meanwhile() {
    within(async {
        let [a, b, _] = abc().await;
        let balancer = tcp_over([&a, &b]);
        let cap_all = |cap: u32| {
            for name in ["a", "b"] {
                let capped = |spec: MemberSpec| spec.with_max_in_flight(cap);
                balancer.update(name, capped).unwrap();
            }
        };
        cap_all(1);
        let in_line = Arc::new(AtomicUsize::new(0));
        let seen = in_line.clone();
        let _observing = balancer.observe(move |event: &Event<'_>| {
            if let EventKind::Waiting { .. } = event.kind {
                seen.fetch_add(1, SeqCst);
            }
        });
        let table = StickTable::new(1_000);
        let front = Front::start(TcpForwarder::new(balancer.clone()).stick(table));
        let mut holders = [connect(&front, 100).await, connect(&front, 101).await];
        assert_eq!(name_of(&mut holders[0]).await, "a");
        assert_eq!(name_of(&mut holders[1]).await, "b");
        let mut first = connect(&front, 0).await;
        soon("one in line", || in_line.load(SeqCst) == 1).await;
        let mut second = connect(&front, 0).await;
        soon("two in line", || in_line.load(SeqCst) == 2).await;
        let [_at_a, at_b] = holders;
        drop(at_b);
        assert_eq!(name_of(&mut first).await, "b");
        // By their standings it would be the turn of the other.
        cap_all(10);
        assert_eq!(name_of(&mut second).await, "b");
    })
    .await;
}

#[tokio::test]
async fn a_draining_member_keeps_its_clients_and_gets_no_others() {
    within(async {
        let [a, b, _] = abc().await;
        let balancer = tcp_over([&a, &b]);
        let table = StickTable::new(1_000);
        let front = Front::start(TcpForwarder::new(balancer.clone()).stick(table.clone()));
        let before = visits(&front, 4).await;
        balancer.set_flag("a", Flag::Draining).unwrap();
        assert_eq!(visits(&front, 4).await, before);
        for number in 10..16 {
            assert_eq!(visit(&front, number).await, "b");
        }
        // Unless they are let go.
        for entry in table.entries().filter(|entry| &*entry.member == "a") {
            table.remove(entry.client);
        }
        assert_eq!(visits(&front, 4).await, ["b"; 4]);
    })
    .await;
}

#[tokio::test]
async fn clients_of_a_disabled_member_move_at_their_next_connection() {
    within(async {
        let [a, b, _] = abc().await;
        let balancer = tcp_over([&a, &b]);
        let table = StickTable::new(1_000);
        let front = Front::start(TcpForwarder::new(balancer.clone()).stick(table.clone()));
        let mut open = connect(&front, 0).await;
        assert_eq!(name_of(&mut open).await, "a");
        balancer.set_flag("a", Flag::Disabled).unwrap();
        assert_eq!(entry(&table, 0).as_deref(), Some("a"));
        assert_eq!(visit(&front, 0).await, "b");
        assert_eq!(entry(&table, 0).as_deref(), Some("b"));
        balancer.clear_flag("a", Flag::Disabled).unwrap();
        for _ in 0..3 {
            assert_eq!(visit(&front, 0).await, "b");
        }
    })
    .await;
}

#[tokio::test]
async fn a_member_that_returns_under_its_name_gets_the_clients_back_that_have_not_moved() {
    within(async {
        let [a, b, _] = abc().await;
        let balancer = tcp_over([&a, &b]);
        let table = StickTable::new(1_000);
        let front = Front::start(TcpForwarder::new(balancer.clone()).stick(table.clone()));
        assert_eq!(visits(&front, 4).await, ["a", "b", "a", "b"]);
        drop(balancer.remove("a").unwrap());
        assert_eq!(visit(&front, 0).await, "b");
        let new = Member::tcp("a").await;
        let spec = MemberSpec::new();
        balancer.insert("a", new.address.into(), spec).unwrap();
        assert_eq!(visits(&front, 4).await, ["b", "b", "a", "b"]);
    })
    .await;
}

#[tokio::test]
async fn a_client_whose_member_is_at_its_cap_moves_or_waits_if_all_are() {
    within(async {
        let [a, b, _] = abc().await;
        let balancer = tcp_over([&a, &b]);
        for name in ["a", "b"] {
            let capped = |spec: MemberSpec| spec.with_max_in_flight(1);
            balancer.update(name, capped).unwrap();
        }
        let table = StickTable::new(1_000);
        let front = Front::start(TcpForwarder::new(balancer.clone()).stick(table.clone()));
        let mut first = connect(&front, 0).await;
        assert_eq!(name_of(&mut first).await, "a");
        let mut second = connect(&front, 0).await;
        assert_eq!(name_of(&mut second).await, "b");
        assert_eq!(entry(&table, 0).as_deref(), Some("b"));
        let mut third = connect(&front, 0).await;
        let early = tokio::time::timeout(Duration::from_millis(100), third.read_u8()).await;
        assert!(early.is_err(), "the caps do not hold");
        drop(first);
        assert_eq!(name_of(&mut third).await, "a");
    })
    .await;
}

#[tokio::test]
async fn an_entry_expires_after_the_last_connection_of_its_client() {
    within(async {
        let [a, b, _] = abc().await;
        let balancer = tcp_over([&a, &b]);
        let clock = ManualClock::new();
        let table = StickTable::new(1_000)
            .with_expiry(Duration::from_secs(60))
            .with_clock(clock.clone());
        let front = Front::start(TcpForwarder::new(balancer.clone()).stick(table.clone()));
        let mut open = connect(&front, 0).await;
        assert_eq!(name_of(&mut open).await, "a");
        // As long as one is open it stays.
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(visit(&front, 0).await, "a");
        drop(open);
        is_idle(&table).await;
        clock.advance(Duration::from_secs(59));
        assert_eq!(visit(&front, 0).await, "a");
        is_idle(&table).await;
        clock.advance(Duration::from_secs(60));
        assert_eq!(entry(&table, 0), None);
        assert_eq!(visit(&front, 0).await, "b");
    })
    .await;
}

#[tokio::test]
async fn observers_are_told_what_became_of_a_session() {
    within(async {
        let [a, b, _] = abc().await;
        let balancer = tcp_over([&a, &b]);
        let (told, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let _observing = balancer.observe(move |event: &Event<'_>| {
            if let EventKind::Session { session, route } = event.kind {
                told.send((session, route.map(str::to_owned))).unwrap();
            }
        });
        let table = StickTable::new(1_000);
        let front = Front::start(TcpForwarder::new(balancer.clone()).stick(table));
        visit(&front, 0).await;
        visit(&front, 0).await;
        balancer.set_flag("a", Flag::Disabled).unwrap();
        visit(&front, 0).await;
        assert_eq!(seen.recv().await.unwrap(), (Session::New, None));
        let of_a = Some("a".to_owned());
        assert_eq!(seen.recv().await.unwrap(), (Session::Hit, of_a.clone()));
        assert_eq!(seen.recv().await.unwrap(), (Session::Lost, of_a));
    })
    .await;
}
