//! A forwarder of connections in a process of its own.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use equipoise::balancer::events::EventKind;
use equipoise::forward::{Address, OnMemberLoss, TcpForwarder};
use equipoise::member::Cause;
use equipoise::net::{Acceptor, Listener};
use equipoise::{Balancer, Event, Flag, MemberSpec, Outcome};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::figures::{Open, figure, soon};
use crate::process::{Role, orders, say, told};

/// What a forwarder has done, in one line.
#[derive(Debug)]
pub(crate) struct Counts(String);

impl Counts {
    /// `elected`, `in_error`, `in_flight`, how connections ended, or why.
    pub(crate) fn of(&self, name: &str) -> u64 {
        figure(&self.0, name)
    }
}

pub(crate) struct Forwarder {
    pub(crate) role: Role,
    pub(crate) address: SocketAddr,
}

impl Forwarder {
    /// Starts one with these settings, in front of these members, which are called a, b, c.
    pub(crate) fn start(settings: &str, members: &[SocketAddr]) -> Self {
        Self::limited(settings, members, "$(ulimit -Hn)")
    }

    /// The same, with so many descriptors.
    pub(crate) fn limited(settings: &str, members: &[SocketAddr], files: &str) -> Self {
        let mut told = settings.to_owned();
        for (name, address) in ('a'..).zip(members) {
            write!(told, " member={name}={address}").unwrap();
        }
        let mut role = Role::limited("forwarder::role_forwarder", &told, files);
        let address = role.says("listens on ").parse().unwrap();
        Self { role, address }
    }

    pub(crate) fn counts(&mut self) -> Counts {
        self.role.tell("counts");
        Counts(self.role.says("counts: "))
    }

    pub(crate) fn add(&mut self, member: &str, address: SocketAddr) {
        self.role.tell(&format!("add {member} {address}"));
        self.role.says("added: ");
    }

    pub(crate) fn set(&mut self, member: &str, flag: &str) {
        self.role.tell(&format!("set {member} {flag}"));
        self.role.says("set: ");
    }

    /// Tells it to stop; how many connections are cut is what it says after `cut: `.
    pub(crate) fn stop(&mut self) {
        self.role.tell("stop");
    }

    /// Waits until nothing is in flight, and returns how long that took.
    pub(crate) fn is_quiet(&mut self) -> Duration {
        let begun = Instant::now();
        soon("nothing in flight", || self.counts().of("in_flight") == 0);
        begun.elapsed()
    }

    /// Waits until it has no socket but those it had before. Pipes may stay, as many as there
    /// may be.
    pub(crate) fn closes_all_but(&self, before: Open) {
        soon("all sockets are closed", || {
            Open::by(&self.role).sockets == before.sockets
        });
        let after = Open::by(&self.role);
        assert!(after.pipes <= before.pipes + 2 * PIPES, "{after:?}");
        assert_eq!(after.others, before.others, "{after:?}");
    }
}

/// How many pipes a forwarder has by default.
const PIPES: usize = 16;

/// How connections ended, and why.
#[derive(Default)]
struct Ends {
    success: AtomicU64,
    failure: AtomicU64,
    cancelled: AtomicU64,
    /// Before the member's first byte, and after some of the client's.
    broken_after_bytes: AtomicU64,
    /// Before any byte.
    broken: AtomicU64,
    broken_later: AtomicU64,
    refused: AtomicU64,
    /// This machine had no descriptor or port left.
    unsent: AtomicU64,
}

impl Ends {
    fn observe(&self, event: &Event<'_>) {
        let EventKind::Ended(ended) = event.kind else {
            return;
        };
        let by_outcome = match ended.outcome {
            Outcome::Success => &self.success,
            Outcome::Failure => &self.failure,
            _ => &self.cancelled,
        };
        by_outcome.fetch_add(1, Relaxed);
        let by_cause = match &ended.cause {
            Some(Cause::Broken) if ended.bytes_sent > 0 => &self.broken_after_bytes,
            Some(Cause::Broken) => &self.broken,
            Some(Cause::BrokenBody) => &self.broken_later,
            Some(Cause::Refused) => &self.refused,
            Some(Cause::Unsent) => &self.unsent,
            _ => return,
        };
        by_cause.fetch_add(1, Relaxed);
    }

    fn tell(&self, balancer: &Balancer<Address>) {
        let members = balancer.members();
        let sum = |of: fn(&equipoise::MemberState) -> u64| -> u64 {
            members.iter().map(|member| of(member)).sum()
        };
        let counts = [
            ("in_flight", sum(|it| it.in_flight().into())),
            ("elected", sum(equipoise::MemberState::picked)),
            (
                "in_error",
                sum(|it| it.status().contains(Flag::InError).into()),
            ),
            ("success", self.success.load(Relaxed)),
            ("failure", self.failure.load(Relaxed)),
            ("cancelled", self.cancelled.load(Relaxed)),
            ("broken", self.broken.load(Relaxed)),
            ("broken_after_bytes", self.broken_after_bytes.load(Relaxed)),
            ("broken_later", self.broken_later.load(Relaxed)),
            ("refused", self.refused.load(Relaxed)),
            ("unsent", self.unsent.load(Relaxed)),
        ];
        let counts = counts.map(|(name, count)| format!("{name}={count}"));
        let each = members
            .iter()
            .map(|it| format!("in_flight_of_{}={}", it.name(), it.in_flight()));
        let each: Vec<_> = each.collect();
        say(
            "counts: ",
            format!("{} {}", counts.join(" "), each.join(" ")),
        );
    }
}

/// With errors that last for as long as a test does.
fn spec() -> MemberSpec {
    MemberSpec::new().with_recovery_delay(Duration::from_secs(600))
}

/// Takes a number of milliseconds.
fn millis(text: &str) -> Duration {
    Duration::from_millis(text.parse().unwrap())
}

/// A forwarder with the settings that it is told; nothing unless it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn role_forwarder() {
    let Some(told) = told() else {
        return;
    };
    let balancer: Balancer<Address> = Balancer::builder().build().unwrap();
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let here = listener.local_addr().unwrap();
    let mut forwarder = TcpForwarder::new(balancer.clone());
    let mut acceptor = Acceptor::new();
    for setting in told.split_whitespace() {
        let (name, value) = setting.split_once('=').unwrap();
        match name {
            "connections" => acceptor = acceptor.max_connections(value.parse().unwrap()),
            "drain" => acceptor = acceptor.drain_timeout(millis(value)),
            "fails_silent" => forwarder = forwarder.fail_silent_members(),
            "handshake" => acceptor = acceptor.handshake_timeout(millis(value)),
            "idle" => forwarder = forwarder.idle_timeout(millis(value)),
            "loops" => {
                let itself = match value {
                    "address" => Address::from(here),
                    // At the port of the listener.
                    name => Address::host(name, None),
                };
                balancer.insert("itself", itself, spec()).unwrap();
            }
            "loss" => {
                let on_member_loss = match millis(value) {
                    Duration::ZERO => OnMemberLoss::End,
                    grace => OnMemberLoss::EndAfter(grace),
                };
                forwarder = forwarder.on_member_loss(on_member_loss);
            }
            "member" => {
                let (name, address) = value.split_once('=').unwrap();
                let address: Address = address.parse().unwrap();
                balancer.insert(name, address, spec()).unwrap();
            }
            "opening" => forwarder = forwarder.opening_timeout(millis(value)),
            "trusts" => acceptor = acceptor.proxy_protocol([value.parse().unwrap()]),
            _ => panic!("{setting}"),
        }
    }
    let ends = Arc::new(Ends::default());
    let written = ends.clone();
    let _observing = balancer.observe(move |event: &Event<'_>| written.observe(event));
    let (stop, stopping) = oneshot::channel::<()>();
    let mut stop = Some(stop);
    let serving = forwarder.acceptor(acceptor).serve(listener, async move {
        drop(stopping.await);
    });
    let serving = tokio::spawn(async move { say("cut: ", serving.await.cut()) });
    say("listens on ", here);
    let mut orders = orders();
    while let Ok(Some(order)) = orders.next_line().await {
        let words: Vec<_> = order.split(' ').collect();
        match words[..] {
            ["add", member, address] => {
                let address: SocketAddr = address.parse().unwrap();
                balancer
                    .insert(member, Address::from(address), spec())
                    .unwrap();
                say("added: ", member);
            }
            ["counts"] => ends.tell(&balancer),
            ["set", member, flag] => {
                let flag = match flag {
                    "disabled" => Flag::Disabled,
                    "draining" => Flag::Draining,
                    _ => panic!("{order}"),
                };
                balancer.set_flag(member, flag).unwrap();
                say("set: ", order);
            }
            ["stop"] => drop(stop.take()),
            _ => panic!("{order}"),
        }
    }
    serving.abort();
}
