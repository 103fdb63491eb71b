//! Thousands of clients that have asked once, and stay.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::{Role, orders, say, told};
use crate::proxy::proxy;
use crate::site::Site;

const CLIENTS: u32 = 5_000;
/// KiB that each of them may cost the proxy.
const MOST_EACH: u64 = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs 5 100 open files in each of two processes: ulimit -Hn"]
async fn thousands_of_idle_clients_are_held_with_little_memory() {
    let site = Site::start();
    let (proxy, address) = proxy(&[site.address]);
    let before = proxy.memory("VmRSS");
    let mut clients = Role::start("idle::role_clients", &address.to_string());
    assert_eq!(clients.says("connected: "), CLIENTS.to_string());
    let after = proxy.memory("VmRSS");
    let each = (after - before) / u64::from(CLIENTS);
    println!("{CLIENTS} idle clients: {before} KiB before, {after} KiB with them");
    assert!(each < MOST_EACH, "{each} KiB each");
    // All are still served.
    clients.tell("again");
    assert_eq!(clients.says("again: "), CLIENTS.to_string());
}

/// Clients of the address that they are told; nobody unless they are.
#[tokio::test]
async fn role_clients() {
    let Some(told) = told() else {
        return;
    };
    let address: SocketAddr = told.parse().unwrap();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = TcpStream::connect(address).await.unwrap();
        ask(&mut client).await;
        clients.push(client);
    }
    say("connected: ", clients.len());
    orders().next_line().await.unwrap();
    let mut again = 0;
    for client in &mut clients {
        ask(client).await;
        again += 1;
    }
    say("again: ", again);
}

async fn ask(client: &mut TcpStream) {
    let request = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n\0\0") {
        let read = client.read_buf(&mut answer).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}
