//! Members that listen on Unix sockets.

#![cfg(unix)]

use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use crate::client::get;
use crate::running::run;

/// A member that says its name and what it was asked, once for each connection.
fn member(name: &str) -> PathBuf {
    let file = format!("equipoise-running-{}-{name}.sock", std::process::id());
    let path = std::env::temp_dir().join(file);
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let name = name.to_owned();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else {
                    break;
                };
                head.push(byte);
            }
            let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
            let asked = head.lines().next().unwrap_or_default().to_owned();
            let host = head.lines().find(|line| line.starts_with("host:"));
            let body = format!("{asked}\n{}\n", host.unwrap_or_default());
            let answer = format!(
                "HTTP/1.1 200 OK\r\nX-Member: {name}\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    path
}

#[tokio::test]
async fn two_sockets_behind_one_url_are_two_members() {
    let (one, two) = (member("one"), member("two"));
    let running = run(&format!(
        "<Proxy balancer://c>\nBalancerMember \"unix:{}|http://app.example/base\"\n\
         BalancerMember \"unix:{}|http://app.example/base\"\n</Proxy>\n\
         ProxyPass /c balancer://c\nProxyPass /alone \"unix:{}|http://app.example/base/\"\n",
        one.display(),
        two.display(),
        one.display()
    ))
    .await;
    let mut members = Vec::new();
    for _ in 0..4 {
        let answer = get(running.at(), "/c/x").await;
        assert_eq!(answer.asked(), "get /base/x http/1.1");
        assert_eq!(answer.seen("host"), ["app.example"]);
        members.push(answer.member().to_owned());
    }
    assert_eq!(members, ["one", "two", "one", "two"]);
    let alone = get(running.at(), "/alone/x").await;
    assert_eq!(
        (alone.member(), alone.asked()),
        ("one", "get /base/x http/1.1")
    );
    for path in [one, two] {
        let _ = std::fs::remove_file(path);
    }
}

#[tokio::test]
async fn a_socket_where_nobody_listens_is_a_member_that_fails() {
    let running = run(
        "<Proxy balancer://c>\nBalancerMember unix:/nowhere/at.sock|http://localhost/\n\
         </Proxy>\nProxyPass / balancer://c/\n",
    )
    .await;
    assert_eq!(get(running.at(), "/").await.status, 503);
}
