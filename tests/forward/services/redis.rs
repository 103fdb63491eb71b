//! Redis: requests in a pipeline, and connections on which nothing is sent for a while.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use equipoise::Outcome;
use equipoise::forward::TcpForwarder;
use equipoise::scheduler::ByBusyness;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::Instant;

use super::{balancer, printed, within};
use crate::program::{Folder, Program, free_address};
use crate::tcp::front::{Front, Log, is_quiet, over};

/// After which a connection of a forwarder that is not patient ends.
const SILENCE: Duration = Duration::from_millis(300);

struct Redis {
    address: SocketAddr,
    _program: Program,
}

impl Redis {
    async fn start() -> Self {
        let address = free_address();
        let folder = Folder::new("redis");
        let mut server = std::process::Command::new("redis-server");
        server
            .args(["--bind", "127.0.0.1", "--port", &port(address)])
            .args(["--save", "", "--dir"])
            .arg(&folder.path);
        let program = Program::start(folder, &mut server).listens(address).await;
        Self {
            address,
            _program: program,
        }
    }

    /// What the server itself answers.
    async fn tells(&self, words: &[&str]) -> String {
        printed(&mut client(self.address, words)).await
    }

    /// How many commands of this name it has had.
    async fn commands(&self, name: &str) -> u64 {
        let text = self.tells(&["info", "commandstats"]).await;
        let (_, calls) = text
            .split_once(&format!("cmdstat_{name}:calls="))
            .unwrap_or_default();
        let end = calls.find(',').unwrap_or_default();
        calls[..end].parse().unwrap_or_default()
    }
}

fn port(address: SocketAddr) -> String {
    address.port().to_string()
}

fn client(address: SocketAddr, words: &[&str]) -> Command {
    let mut client = Command::new("redis-cli");
    client.args(["-h", "127.0.0.1", "-p", &port(address)]);
    client.args(words).stdin(Stdio::null()).kill_on_drop(true);
    client
}

#[tokio::test]
#[ignore = "needs redis-server, redis-cli and redis-benchmark"]
async fn pipelines_of_redis_are_answered_by_the_least_busy_server() {
    within(async {
        let (a, b) = (Redis::start().await, Redis::start().await);
        let members = [("a", a.address.into()), ("b", b.address.into())];
        let balancer = balancer(ByBusyness::default(), members);
        let (log, _observing) = Log::of(&balancer);
        let front = Front::start(TcpForwarder::new(balancer.clone()));
        let mut benchmark = Command::new("redis-benchmark");
        benchmark
            .args(["-h", "127.0.0.1", "-p", &port(front.address)])
            .args(["-t", "set,lrange_100", "-n", "50000"])
            .args(["-c", "50", "-P", "16", "-q"]);
        let told = printed(&mut benchmark).await;
        // For each test, of which filling the list is one.
        assert_eq!(told.matches("requests per second").count(), 3, "{told}");
        assert!(!told.to_lowercase().contains("error"), "{told}");

        is_quiet(&balancer).await;
        for command in ["set", "lpush", "lrange"] {
            let (of_a, of_b) = (a.commands(command).await, b.commands(command).await);
            // It sends whole pipelines, and may be a few ahead when it stops.
            assert!((50_000..52_000).contains(&(of_a + of_b)), "{of_a} + {of_b}");
            assert!(of_a.min(of_b) > 5_000, "{command}: {of_a} and {of_b}");
        }
        let ends = log.ends(3 * 50).await;
        let failed = |(_, outcome, _): &(String, Outcome, String)| *outcome == Outcome::Failure;
        assert!(!ends.iter().any(failed), "{ends:?}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs redis-server and redis-cli"]
async fn what_waits_for_redis_is_told_after_a_silence_unless_that_is_longer_than_the_limit() {
    within(async {
        let redis = Redis::start().await;
        let balancer = over([("a", redis.address)]);
        let patient = Front::start(TcpForwarder::new(balancer.clone()));

        let mut subscriber = client(patient.address, &["subscribe", "news"]);
        let mut subscriber = subscriber.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(subscriber.stdout.take().unwrap()).lines();
        while redis.tells(&["pubsub", "numsub", "news"]).await != "news\n1\n" {}
        // Meanwhile others come and go, and it is silent for a second.
        let nothing = printed(&mut client(patient.address, &["blpop", "queue", "1"])).await;
        assert_eq!(nothing.trim(), "");
        assert_eq!(redis.tells(&["publish", "news", "of today"]).await, "1\n");
        while lines.next_line().await.unwrap().unwrap() != "of today" {}
        subscriber.kill().await.unwrap();

        let hasty = TcpForwarder::new(balancer.clone()).idle_timeout(SILENCE);
        let hasty = Front::start(hasty);
        let began = Instant::now();
        let mut waits = client(hasty.address, &["blpop", "queue", "0"]);
        let waits = waits.output().await.unwrap();
        assert!(!waits.status.success(), "{waits:?}");
        assert!(began.elapsed() >= SILENCE);
        is_quiet(&balancer).await;
    })
    .await;
}
