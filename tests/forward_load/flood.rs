//! Floods of datagrams from very many addresses, and of the largest datagrams there are: what
//! they cost has a bound, and honest clients are served.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use equipoise::forward::{Address, Dropped, UdpForwarder};
use equipoise::{Balancer, MemberSpec};
use tokio::time::Instant;

use crate::figures::{Open, figure, size, soon, ticks};
use crate::process::{Role, orders, say, told};

/// The longest datagram of IPv4.
const LONGEST: usize = 65_507;
/// How many flows the forwarder may have.
const FLOWS: usize = 500;
/// KiB that a flood may cost it.
const MOST: u64 = 16 * 1024;

struct Forwarder {
    role: Role,
    address: SocketAddr,
}

impl Forwarder {
    fn counts(&mut self) -> String {
        self.role.tell("counts");
        self.role.says("counts: ")
    }
}

/// A forwarder of datagrams to the member that it is told; nothing unless it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn role_forwarder() {
    let Some(told) = told() else {
        return;
    };
    let member: Address = told.parse().unwrap();
    let balancer: Balancer<Address> = Balancer::builder().build().unwrap();
    balancer.insert("a", member, MemberSpec::new()).unwrap();
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    say("listens on ", socket.local_addr().unwrap());
    let forwarder = UdpForwarder::new(balancer)
        .max_flows(u32::try_from(FLOWS).unwrap())
        .idle_timeout(Duration::from_secs(2));
    let statistics = forwarder.statistics();
    let serving = tokio::spawn(forwarder.serve(socket, std::future::pending()));
    let mut orders = orders();
    while let Ok(Some(_)) = orders.next_line().await {
        let dropped: u64 = Dropped::ALL.iter().map(|it| statistics.dropped(*it)).sum();
        say(
            "counts: ",
            format!(
                "flows={} opened={} replaced={} to_members={} to_clients={} dropped={dropped} ({statistics})",
                statistics.flows(),
                statistics.opened(),
                statistics.replaced(),
                statistics.to_members(),
                statistics.to_clients(),
            ),
        );
    }
    serving.abort();
}

/// A member that returns each datagram; nothing unless it is told to.
#[test]
fn role_member() {
    if told().is_none() {
        return;
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    say("listens on ", socket.local_addr().unwrap());
    let mut buffer = vec![0; LONGEST];
    // Its parent kills it.
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let _ = socket.send_to(&buffer[..length], from);
    }
}

/// A flood: so many datagrams of a length, each from another address or all from one, as it
/// is told in turn; nothing unless it is.
#[test]
fn role_flood() {
    let Some(told) = told() else {
        return;
    };
    let words: Vec<_> = told.split(' ').collect();
    let to: SocketAddr = words[0].parse().unwrap();
    let (number, length): (u32, usize) = (words[1].parse().unwrap(), words[2].parse().unwrap());
    let datagram = vec![b'x'; length];
    let one = UdpSocket::bind("127.0.0.1:0").unwrap();
    for source in 0..number {
        if words[3] == "one" {
            let _ = one.send_to(&datagram, to);
            continue;
        }
        // From 127.1.0.0 on.
        let source = Ipv4Addr::from(0x7f01_0000 + source);
        let socket = UdpSocket::bind((source, 0)).unwrap();
        let _ = socket.send_to(&datagram, to);
    }
    say("sent: ", number);
}

/// An honest client: it asks until it is answered, and returns how often it had to.
fn ask(client: &UdpSocket, question: &[u8]) -> u32 {
    let mut answer = vec![0; LONGEST];
    for time in 1..200 {
        client.send(question).unwrap();
        loop {
            match client.recv(&mut answer) {
                Ok(length) if &answer[..length] == question => return time,
                // An answer to what was asked before.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    panic!("not answered in 200 times");
}

fn start() -> (Role, Forwarder, UdpSocket) {
    let mut member = Role::start("flood::role_member", "yes");
    let mut role = Role::start("flood::role_forwarder", &member.says("listens on "));
    let address: SocketAddr = role.says("listens on ").parse().unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(address).unwrap();
    client
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    ask(&client, b"first");
    ask(&client, b"second");
    (member, Forwarder { role, address }, client)
}

/// Asks while a flood lasts, and returns how often it asked, and was answered.
fn ask_during(flood: &str, client: &UdpSocket) -> (u32, u32) {
    let mut flood = Role::start("flood::role_flood", flood);
    let (mut asked, mut answered) = (0, 0_u32);
    std::thread::scope(|scope| {
        let over = scope.spawn(|| flood.says("sent: "));
        while !over.is_finished() || answered < 20 {
            asked += ask(client, &answered.to_be_bytes());
            answered += 1;
        }
    });
    (asked, answered)
}

#[test]
fn a_flood_from_very_many_addresses_costs_little_and_honest_clients_are_served() {
    let sources = size("EQUIPOISE_SOURCES", 10_000);
    let (_member, mut forwarder, client) = start();
    let memory = forwarder.role.memory("VmRSS");
    let (open, needed, begun) = (
        Open::by(&forwarder.role),
        ticks(&forwarder.role),
        Instant::now(),
    );
    let flood = format!("{} {sources} 64 many", forwarder.address);
    let (asked, answered) = ask_during(&flood, &client);
    let needed = ticks(&forwarder.role) - needed;
    let (peak, took) = (forwarder.role.memory("VmHWM"), begun.elapsed());
    let counts = forwarder.counts();
    println!(
        "{sources} sources in {took:?}: {memory} KiB before, {peak} KiB at most, {needed} ticks; \
         {answered} answers to {asked} questions; {counts}"
    );
    assert!(peak - memory < MOST, "{peak} KiB");
    // A flow whose place another has taken ends a moment later.
    assert!(figure(&counts, "flows") <= 2 * FLOWS as u64, "{counts}");
    soon("there are as many flows as there may be", || {
        let sockets = Open::by(&forwarder.role).sockets;
        figure(&forwarder.counts(), "flows") <= FLOWS as u64 && sockets <= open.sockets + FLOWS
    });
    soon("idle flows end", || {
        figure(&forwarder.counts(), "flows") <= 1
    });
}

#[test]
fn the_longest_datagrams_pass_whole_and_a_flood_of_them_costs_little() {
    let datagrams = size("EQUIPOISE_SOURCES", 10_000) / 5;
    let (_member, mut forwarder, client) = start();
    let longest: Vec<_> = (0..LONGEST).map(|at| (at % 251).to_le_bytes()[0]).collect();
    ask(&client, &longest);
    let memory = forwarder.role.memory("VmRSS");
    let (needed, begun) = (ticks(&forwarder.role), Instant::now());
    for from in ["one", "many"] {
        let flood = format!("{} {datagrams} {LONGEST} {from}", forwarder.address);
        let (asked, answered) = ask_during(&flood, &client);
        let needed = ticks(&forwarder.role) - needed;
        let (peak, took) = (forwarder.role.memory("VmHWM"), begun.elapsed());
        let counts = forwarder.counts();
        println!(
            "{datagrams} of {LONGEST} bytes from {from} in {took:?}: {memory} KiB before, {peak} KiB \
             at most, {needed} ticks; {answered} answers to {asked} questions; {counts}"
        );
        assert!(peak - memory < MOST, "{peak} KiB");
    }
    ask(&client, &longest);
}
