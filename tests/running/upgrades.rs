//! Connections that become tunnels.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{get, until};
use crate::member::Member;
use crate::running::{Running, run};

/// A member that switches to whatever is asked for, and then echoes.
async fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else {
                        return;
                    };
                    head.push(byte);
                }
                let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
                if !head.contains("\r\nupgrade: ") {
                    let plain = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain";
                    let _ = stream.write_all(plain.as_bytes()).await;
                    return;
                }
                let switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                                Connection: Upgrade\r\n\
                                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
                let _ = stream.write_all(switched.as_bytes()).await;
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

const REQUEST: &str = "GET /socket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// What the status line says, and the connection.
async fn upgrade(running: &Running) -> (u16, TcpStream) {
    let mut stream = TcpStream::connect(running.at()).await.unwrap();
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    (head[9..12].parse().unwrap(), stream)
}

async fn says_again(stream: &mut TcpStream) {
    stream.write_all(b"hello").await.unwrap();
    let mut again = [0; 5];
    stream.read_exact(&mut again).await.unwrap();
    assert_eq!(&again, b"hello");
}

#[tokio::test]
async fn a_web_socket_passes_where_it_was_allowed() {
    let address = echo().await;
    for member in [
        format!("ws://{address}"),
        format!("http://{address} upgrade=websocket"),
        format!("http://{address} upgrade=WebSocket"),
        format!("http://{address} upgrade=ANY"),
    ] {
        let running = run(&format!(
            "<Proxy balancer://c>\nBalancerMember {member}\n</Proxy>\n\
             ProxyPass / balancer://c/\nHeader set X-Seen yes\n"
        ))
        .await;
        let (status, mut stream) = upgrade(&running).await;
        assert_eq!(status, 101, "{member}");
        says_again(&mut stream).await;
        let members = running.balancer("c").members();
        assert_eq!(members[0].in_flight(), 1);
        drop(stream);
        until("given back", || members[0].in_flight() == 0).await;
    }
}

#[tokio::test]
async fn a_web_socket_does_not_pass_where_nobody_allowed_it() {
    let address = echo().await;
    for member in [
        format!("http://{address}"),
        format!("http://{address} upgrade=other"),
    ] {
        let running = run(&format!("ProxyPass / {}\n", member.replacen(' ', "/ ", 1))).await;
        let (status, _stream) = upgrade(&running).await;
        assert_ne!(status, 101, "{member}");
    }
}

#[tokio::test]
async fn a_tunnel_outlives_a_reload_that_takes_its_member_away() {
    let (address, other) = (echo().await, Member::start("other").await);
    let text = |member: &str| {
        format!(
            "<Proxy balancer://c>\nBalancerMember {member}\n</Proxy>\n\
             ProxyPass / balancer://c/\n"
        )
    };
    let running = run(&text(&format!("ws://{address}"))).await;
    let (status, mut stream) = upgrade(&running).await;
    assert_eq!(status, 101);
    running.reload(&text(&other.url()));
    says_again(&mut stream).await;
    assert_eq!(get(running.at(), "/").await.member(), "other");
    tokio::time::sleep(Duration::from_millis(50)).await;
    says_again(&mut stream).await;
    // Nor does it hold up the end for ever.
    let stopping = tokio::spawn(running.stop());
    drop(stream);
    assert_eq!(stopping.await.unwrap().cut(), 0);
}
