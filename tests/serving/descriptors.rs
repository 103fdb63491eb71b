//! A server in a process that may open few descriptors.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use equipoise::net::Listener;
use equipoise::proxy::{ReverseProxy, Server};
use http::Version;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::client::{Client, get};
use super::member::{Member, balancer, endpoint};
use super::within;

const MEMBER: &str = "EQUIPOISE_TEST_MEMBER";
const CONNECTIONS: &str = "EQUIPOISE_TEST_CONNECTIONS";

/// Not a test: what the process does that the others start.
#[tokio::test]
#[expect(clippy::print_stderr, reason = "the other process reads it")]
async fn serves_in_a_process_of_its_own() {
    let Ok(member) = std::env::var(MEMBER) else {
        return;
    };
    let mut server = Server::new();
    if let Ok(connections) = std::env::var(CONNECTIONS) {
        server = server.max_connections(connections.parse().unwrap());
    }
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    eprintln!("at {}", listener.local_addr().unwrap());
    let proxy = ReverseProxy::new(balancer([endpoint(member.parse().unwrap())]));
    let stop = async {
        let _ = tokio::io::stdin().read(&mut [0]).await;
    };
    server.serve(listener, proxy, stop).await;
}

/// Starts it with so many descriptors.
async fn with_descriptors(
    descriptors: u32,
    member: &Member,
    connections: Option<u32>,
) -> (Child, SocketAddr) {
    let script = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(script)
        .arg(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", "--test-threads=1"]);
    command.arg("descriptors::serves_in_a_process_of_its_own");
    command.env(MEMBER, member.address.to_string());
    if let Some(connections) = connections {
        command.env(CONNECTIONS, connections.to_string());
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some((_, address)) = line.split_once("at 127.") {
            return (child, format!("127.{address}").parse().unwrap());
        }
    }
}

#[tokio::test]
async fn as_many_clients_are_accepted_as_leave_room_for_their_members() {
    within(async {
        let member = Member::start(async |_| {
            sleep(Duration::from_millis(200)).await;
            http::Response::new(super::member::empty())
        })
        .await;
        let (child, address) = with_descriptors(104, &member, None).await;
        let mut clients = Vec::new();
        for _ in 0..60 {
            let mut client = Client::connect(address, Version::HTTP_11).await;
            clients.push(tokio::spawn(
                async move { client.ask(get("/")).await.status },
            ));
        }
        for client in clients {
            assert_eq!(client.await.unwrap(), 200);
        }
        drop(child);
    })
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn out_of_descriptors_it_waits_and_goes_on_when_there_are_some() {
    within(async {
        let member = Member::telling().await;
        let (child, address) = with_descriptors(40, &member, Some(1_000)).await;
        let mut clients = Vec::new();
        for _ in 0..100 {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        let before = busy(&child);
        sleep(Duration::from_millis(500)).await;
        // In hundredths of a second.
        let took = busy(&child) - before;
        assert!(took < 20, "it was busy for {took}");
        drop(clients);
        let mut client = Client::connect(address, Version::HTTP_11).await;
        let answer = timeout(Duration::from_secs(10), client.ask(get("/")));
        assert_eq!(answer.await.unwrap().status, 200);
    })
    .await;
}

/// How long it has been computing.
#[cfg(target_os = "linux")]
fn busy(child: &Child) -> u64 {
    let path = format!("/proc/{}/stat", child.id().unwrap());
    let stat = std::fs::read_to_string(path).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    let times = fields.skip(11).take(2);
    times.map(|time| time.parse::<u64>().unwrap()).sum()
}
