//! Clients and members that end in the midst of streams, in each way there is: nothing hangs
//! beyond its limit, and everything is given back.

use std::time::Duration;

use tokio::time::Instant;

use crate::clients::Clients;
use crate::figures::{Open, freeze, soon};
use crate::forwarder::Forwarder;
use crate::member::Member;

/// Streams of either size at once: `small` ones, or `large` ones that are spliced.
const SIZES: [(&str, usize); 2] = [("small", 300), ("large", 12)];

/// How long a connection may be silent, where that is to happen. On a busy machine, one of
/// many large streams is silent for a second or two by itself.
const IDLE: Duration = Duration::from_secs(5);
/// Where it is not.
const LONG: Duration = Duration::from_secs(60);

struct Scene {
    forwarder: Forwarder,
    /// What the forwarder has open without a connection.
    before: Open,
    member: Member,
    clients: Clients,
    streams: usize,
}

impl Scene {
    /// Streams of this size, all under way.
    fn start(size: &str, streams: usize, idle: Duration) -> Self {
        let member = Member::start("echo");
        let settings = format!("idle={}", idle.as_millis());
        let forwarder = Forwarder::start(&settings, &[member.address]);
        let before = Open::by(&forwarder.role);
        let mut clients = Clients::of(forwarder.address);
        let fares = clients.open(streams, "speaks");
        assert_eq!(fares.of("served"), streams as u64, "{fares:?}");
        clients.flow(size);
        Self {
            forwarder,
            before,
            member,
            clients,
            streams,
        }
    }

    /// All connections end, and leave nothing behind.
    fn is_over(&mut self, what: &str) {
        let quiet = self.forwarder.is_quiet();
        println!("{what}: nothing in flight after {quiet:?}");
        self.forwarder.closes_all_but(self.before);
        let counts = self.forwarder.counts();
        let ended = ["success", "failure", "cancelled"].map(|outcome| counts.of(outcome));
        assert_eq!(ended.iter().sum::<u64>(), self.streams as u64, "{counts:?}");
    }
}

#[test]
fn streams_whose_member_resets_ends_or_is_killed_end_at_once() {
    for (size, streams) in SIZES {
        for end in ["reset", "finish", "killed"] {
            let mut scene = Scene::start(size, streams, LONG);
            if end == "killed" {
                // It is killed when it is dropped.
                scene.member = Member::start("echo");
            } else {
                scene.member.end_all(end);
            }
            assert_eq!(scene.clients.ends(), streams, "{size} {end}");
            scene.is_over(&format!("{streams} {size} streams, member {end}"));
        }
    }
}

#[test]
fn streams_whose_clients_reset_end_or_are_killed_end_at_once() {
    for (size, streams) in SIZES {
        for end in ["reset", "finish", "killed"] {
            let mut scene = Scene::start(size, streams, LONG);
            if end == "killed" {
                scene.clients = Clients::of(scene.forwarder.address);
            } else {
                scene.clients.end_all(end);
                assert_eq!(scene.clients.ends(), streams, "{size} {end}");
            }
            scene.is_over(&format!("{streams} {size} streams, clients {end}"));
            // It is no fault of the member.
            assert_eq!(scene.forwarder.counts().of("failure"), 0, "{size} {end}");
        }
    }
}

#[test]
fn streams_with_a_peer_that_falls_silent_end_by_the_idle_limit() {
    for (size, streams) in SIZES {
        for silent in ["member", "clients"] {
            let mut scene = Scene::start(size, streams, IDLE);
            let begun = Instant::now();
            freeze(match silent {
                "member" => &scene.member.role,
                _ => &scene.clients.role,
            });
            if silent == "member" {
                assert_eq!(scene.clients.ends(), streams, "{size}");
            }
            scene.is_over(&format!("{streams} {size} streams, {silent} silent"));
            assert!(begun.elapsed() >= IDLE / 2, "{size} {silent}");
        }
    }
}

/// A thousand connections are opened while one of three members is killed. A client that
/// listens first has sent no byte that could be lost, so it is served by another.
#[test]
fn no_connection_fails_that_has_sent_nothing_when_its_member_is_killed() {
    // At the beginning, in the midst, and when all are opened.
    for accepted in [1, 100, 300] {
        let mut members = [(); 3].map(|()| Member::start("greet_late"));
        let addresses = members.each_ref().map(|member| member.address);
        let mut forwarder = Forwarder::start("fails_silent=yes", &addresses);
        let mut clients = Clients::of(forwarder.address);
        clients.begin(1_000, "listens");
        soon("some are opened", || members[1].accepted() >= accepted);
        // It is killed when it is dropped.
        members[1] = Member::start("greet_late");
        let fares = clients.opened();
        let counts = forwarder.counts();
        println!("{fares:?} {counts:?}");
        assert_eq!(fares.of("served"), 1_000, "{fares:?} {counts:?}");
        assert_eq!(counts.of("in_error"), 1, "{counts:?}");
        assert!(counts.of("broken") > 0, "none was accepted: {counts:?}");
        drop(clients);
        forwarder.is_quiet();
    }
}

/// What a client has sent may have been acted on: it is sent to no other member, and the client
/// is told by a reset or an end. All others are served.
#[test]
fn only_connections_that_have_sent_something_to_a_member_fail_with_it() {
    let mut members = [(); 3].map(|()| Member::start("echo_late"));
    let addresses = members.each_ref().map(|member| member.address);
    let mut forwarder = Forwarder::start("fails_silent=yes", &addresses);
    let mut clients = Clients::of(forwarder.address);
    clients.begin(1_000, "speaks");
    soon("some are opened", || members[1].accepted() >= 30);
    members[1] = Member::start("echo_late");
    let fares = clients.opened();
    let counts = forwarder.counts();
    println!("{fares:?} {counts:?}");
    let lost = 1_000 - fares.of("served");
    assert!(lost > 0, "none had sent anything: {counts:?}");
    assert_eq!(lost, fares.of("reset") + fares.of("ended"), "{fares:?}");
    assert_eq!(
        lost,
        counts.of("broken_after_bytes"),
        "{fares:?} {counts:?}"
    );
    drop(clients);
    forwarder.is_quiet();
}
