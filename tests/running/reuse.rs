//! Which connections to members are used again: `disablereuse`, `proxy-initial-not-pooled`,
//! and what becomes of a request whose connection the member has just closed.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::until;
use crate::member::Member;
use crate::running::run;

/// A client that keeps its connection.
struct Client(TcpStream);

impl Client {
    async fn connect(to: SocketAddr) -> Self {
        Self(TcpStream::connect(to).await.unwrap())
    }

    /// The status of the answer to a request without a body.
    async fn ask(&mut self, method: &str, target: &str) -> u16 {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&read).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    let is_length = name.eq_ignore_ascii_case("content-length");
                    is_length.then(|| value.parse::<usize>().unwrap())
                });
                if body.len() >= length.unwrap_or(0) {
                    return head.split(' ').nth(1).unwrap().parse().unwrap();
                }
            }
            assert!(self.0.read_buf(&mut read).await.unwrap() > 0, "{text}");
        }
    }
}

/// A member that answers one request of each connection, and closes it when it has read
/// another.
async fn closing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut read = [0; 4096];
                if stream.read(&mut read).await.unwrap_or(0) > 0 {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    stream.write_all(answer).await.unwrap();
                    let _ = stream.read(&mut read).await;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_get_on_a_connection_that_its_member_has_closed_is_sent_again() {
    for members in [1, 2] {
        let mut text = String::from("ProxyPass / balancer://c/\n<Proxy balancer://c>\n");
        for _ in 0..members {
            text.push_str(&format!("BalancerMember http://{}\n", closing().await));
        }
        text.push_str("</Proxy>\n");
        let running = run(&text).await;
        let mut client = Client::connect(running.at()).await;
        for _ in 0..20 {
            assert_eq!(client.ask("GET", "/").await, 200);
        }
        for member in running.balancer("c").members() {
            assert_eq!(member.in_flight(), 0);
        }
        // A `POST` is not: it may have been done.
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(client.ask("POST", "/").await);
        }
        assert!(statuses.contains(&502), "{statuses:?}");
    }
}

#[tokio::test]
async fn the_first_request_of_a_client_has_a_new_connection_where_that_is_said() {
    let set = "SetEnv proxy-initial-not-pooled\n";
    for (server, place, fresh) in [("", "", 0), (set, "", 1), ("", set, 1)] {
        let member = Member::start("one").await;
        let running = run(&format!(
            "{server}<Location />\n{place}ProxyPass {}/\n</Location>\n",
            member.url()
        ))
        .await;
        for clients in 0..5 {
            let mut client = Client::connect(running.at()).await;
            for _ in 0..3 {
                assert_eq!(client.ask("GET", "/").await, 200);
                assert_eq!(member.connections(), 1 + clients * fresh);
            }
        }
    }
}

#[tokio::test]
async fn a_first_post_cannot_meet_a_closed_connection_where_that_is_said() {
    let running = run(&format!(
        "SetEnv Proxy-Initial-Not-Pooled 1\nProxyPass / http://{}/\n",
        closing().await
    ))
    .await;
    for _ in 0..5 {
        let mut client = Client::connect(running.at()).await;
        assert_eq!(client.ask("POST", "/").await, 200);
    }
}

#[tokio::test]
async fn no_connection_is_used_again_where_reuse_is_off() {
    for words in ["disablereuse=On", "enablereuse=Off"] {
        let member = Member::start("one").await;
        let running = run(&format!("ProxyPass / {}/ {words}\n", member.url())).await;
        let mut client = Client::connect(running.at()).await;
        for count in 1..=4 {
            assert_eq!(client.ask("GET", "/").await, 200);
            until("a connection of its own", || member.connections() == count).await;
        }
    }
}
