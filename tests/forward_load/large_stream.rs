//! A large stream in each direction, by way of a forwarder whose memory stays small.

use std::net::SocketAddr;
use std::time::Duration;

use equipoise::Balancer;
use equipoise::forward::{Address, TcpForwarder};
use equipoise::net::Listener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use crate::process::{Role, orders, say, told};

/// KiB that the forwarder may have needed at most.
const MOST: u64 = 32 * 1024;

/// Bytes are sent in blocks, each of which begins with its number.
const BLOCK: usize = 64 * 1024;

/// `EQUIPOISE_BODY_MIB` tells how much; the gate sets it.
fn blocks() -> u64 {
    let told = std::env::var("EQUIPOISE_BODY_MIB");
    let mib: u64 = told.map_or(32, |told| told.parse().unwrap());
    mib * 1024 * 1024 / BLOCK as u64
}

async fn send(stream: &mut TcpStream) {
    let mut block = vec![7; BLOCK];
    for number in 0..blocks() {
        block[..8].copy_from_slice(&number.to_be_bytes());
        stream.write_all(&block).await.unwrap();
    }
    stream.shutdown().await.unwrap();
}

async fn receive(stream: &mut TcpStream) {
    let mut block = vec![0; BLOCK];
    for number in 0..blocks() {
        stream.read_exact(&mut block).await.unwrap();
        assert_eq!(block[..8], number.to_be_bytes());
    }
    assert_eq!(stream.read(&mut block).await.unwrap(), 0);
}

/// A forwarder to the member whose address it is told, with so many pipes; nothing unless it is.
#[tokio::test]
async fn role_forwarder() {
    let Some(told) = told() else {
        return;
    };
    let (member, pipes) = told.split_once(' ').unwrap();
    let balancer = Balancer::new([("a", member.parse::<Address>().unwrap())]).unwrap();
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    say("listens on ", listener.local_addr().unwrap());
    let parent_is_gone = async {
        let _ = orders().next_line().await;
    };
    let forwarder = TcpForwarder::new(balancer).max_pipes(pipes.parse().unwrap());
    forwarder.serve(listener, parent_is_gone).await;
}

/// Sends and receives with this number of pipes, and tells what the forwarder needed.
async fn passes(pipes: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let member = listener.local_addr().unwrap();
    let role = "large_stream::role_forwarder";
    let mut forwarder = Role::start(role, &format!("{member} {pipes}"));
    let address: SocketAddr = forwarder.says("listens on ").parse().unwrap();
    let began = Instant::now();
    let member = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        receive(&mut stream).await;
        send(&mut stream).await;
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    send(&mut stream).await;
    receive(&mut stream).await;
    member.await.unwrap();

    let (peak, seconds) = (forwarder.memory("VmHWM"), began.elapsed().as_secs_f64());
    let mib = (blocks() * BLOCK as u64) >> 20;
    let used = forwarder.seconds_used();
    println!(
        "{mib} MiB up and down, {pipes} pipes: {seconds:.1} s, {used:.2} s of a processor, {peak} KiB at most"
    );
    assert!(peak < MOST, "{peak} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_any_size_passes_through_little_memory() {
    let both = async {
        passes(16).await;
        passes(0).await;
    };
    timeout(Duration::from_secs(600), both).await.unwrap();
}
