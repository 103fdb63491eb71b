//! Requests that few send, and clients that behave badly.

use equipoise::config::RunningConfig;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{ask, get, send, until};
use crate::member::Member;
use crate::running::{Running, read, run, serve};

async fn balanced(member: &Member, more: &str) -> Running {
    run(&format!(
        "<Proxy balancer://c>\nBalancerMember {}\n</Proxy>\nProxyPass / balancer://c/\n{more}",
        member.url()
    ))
    .await
}

async fn nothing_in_flight(running: &Running) {
    let members = running.balancer("c").members();
    until("given back", || {
        members.iter().all(|it| it.in_flight() == 0)
    })
    .await;
}

#[tokio::test]
async fn clients_may_speak_http2_from_the_start() {
    let member = Member::start("m").await;
    let url = member.url();
    let running = run(&format!(
        "<VirtualHost *:*>\nServerName a.example\nProxyPass / {url}/a/\n</VirtualHost>\n\
         <VirtualHost *:*>\nServerName b.example\nProxyPass / {url}/b/\n\
         Header set X-Seen yes\n</VirtualHost>\n"
    ))
    .await;
    let stream = TcpStream::connect(running.at()).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    for (host, path) in [("a.example", "a"), ("b.example:80", "b")] {
        let request = http::Request::get(format!("http://{host}/x"))
            .body(Empty::<bytes::Bytes>::new())
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers().contains_key("x-seen"), path == "b");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body);
        assert!(body.starts_with(&format!("GET /{path}/x\n")), "{body}");
        assert!(
            body.contains(&format!("x-forwarded-host: {host}\n")),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_head_has_the_length_and_no_body() {
    let member = Member::start("m").await;
    let running = balanced(&member, "").await;
    let answer = ask(running.at(), "HEAD", "/big", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(answer.header("content-length"), Some("1048576"));
    let own = ask(running.at(), "HEAD", "/..", "").await;
    assert_eq!((own.status, own.body.as_str()), (400, ""));
    nothing_in_flight(&running).await;
}

#[tokio::test]
async fn big_bodies_pass_in_both_directions() {
    let member = Member::start("m").await;
    let running = balanced(&member, "").await;
    let size = 3 << 20;
    let request = format!(
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n{}",
        "x".repeat(size)
    );
    let answer = send(running.at(), &request).await;
    assert!(answer.body.ends_with(&format!("bytes: {size}\n")));
    assert_eq!(get(running.at(), "/big").await.body.len(), 1 << 20);
    nothing_in_flight(&running).await;
    let sent = running.balancer("c").members()[0].bytes_sent();
    assert_eq!(sent, size as u64);
}

#[tokio::test]
async fn a_client_that_goes_gives_back_its_member() {
    let member = Member::start("m").await;
    let running = balanced(&member, "").await;
    for count in 1..4 {
        let mut stream = TcpStream::connect(running.at()).await.unwrap();
        let request = "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        until("asked", || member.requests() == count).await;
        assert_eq!(running.balancer("c").members()[0].in_flight(), 1);
        // Without this it would only end its side, after which it may still read.
        stream.set_zero_linger().unwrap();
        drop(stream);
        nothing_in_flight(&running).await;
    }
    // In the middle of its own body, and of the answer's.
    let mut stream = TcpStream::connect(running.at()).await.unwrap();
    let request = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc";
    stream.write_all(request.as_bytes()).await.unwrap();
    until("asked", || member.requests() == 4).await;
    drop(stream);
    nothing_in_flight(&running).await;
    let mut stream = TcpStream::connect(running.at()).await.unwrap();
    let request = "GET /big HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_exact(&mut [0; 1000]).await.unwrap();
    drop(stream);
    nothing_in_flight(&running).await;
    assert!(running.balancer("c").members()[0].status().is_usable());
    assert_eq!(get(running.at(), "/").await.status, 200);
}

#[tokio::test]
async fn a_host_that_is_none_is_refused_wherever_it_would_lead() {
    let member = Member::start("m").await;
    let running = balanced(
        &member,
        "<VirtualHost *:*>\nServerName a.example\n</VirtualHost>\n\
         <VirtualHost *:*>\nServerName b.example\n</VirtualHost>\n",
    )
    .await;
    for host in [
        "Host: a.example, b.example\r\n",
        "Host: a.example\r\nHost: b.example\r\n",
        "Host: a.example/x\r\n",
        "Host: a b\r\n",
        "Host: user@a.example\r\n",
    ] {
        let request = format!("GET / HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        let answer = send(running.at(), &request).await;
        assert_eq!(answer.status, 400, "{host}");
    }
    assert_eq!(member.requests(), 0);
    let old = send(running.at(), "GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.status, 200);
}

/// RFC 9112, 3.2: it "MUST respond with a 400", and httpd does.
#[tokio::test]
async fn a_request_of_http_1_1_says_for_which_host_it_is() {
    let member = Member::start("m").await;
    let running = balanced(&member, "").await;
    let request = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert_eq!(send(running.at(), request).await.status, 400);
}

#[tokio::test]
async fn targets_without_a_path_reach_nobody_who_was_not_meant() {
    let member = Member::start("m").await;
    let running = balanced(
        &member,
        "<Location /admin>\nRequire all denied\n</Location>\n",
    )
    .await;
    for request in [
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n",
        "CONNECT /admin HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n",
    ] {
        let answer = send(running.at(), request).await;
        assert!(
            [200, 400, 403, 404, 405, 501].contains(&answer.status),
            "{request} {answer:?}"
        );
        assert!(answer.member().is_empty(), "{request} {answer:?}");
    }
    let whole = "GET http://a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(send(running.at(), whole).await.asked(), "GET /");
    let ftp = "GET ftp://a/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!([200, 400].contains(&send(running.at(), ftp).await.status));
}

#[tokio::test]
async fn a_name_that_is_nowhere_lets_the_next_member_serve() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "<Proxy balancer://c>\nBalancerMember http://nowhere.invalid\nBalancerMember {}\n\
         </Proxy>\nProxyPass /c balancer://c\nProxyPass /alone http://nowhere.invalid\n",
        member.url()
    ))
    .await;
    for _ in 0..2 {
        assert_eq!(get(running.at(), "/c").await.member(), "m");
    }
    let alone = get(running.at(), "/alone").await;
    assert!([500, 503].contains(&alone.status), "{alone:?}");
}

#[tokio::test]
async fn a_name_is_where_it_is_said_to_be() {
    let member = Member::start("m").await;
    let port = member.address.port();
    for (url, address) in [
        ("http://a.invalid".to_owned(), member.address),
        (
            format!("http://A.Invalid:{port}"),
            ([127, 0, 0, 1], 0).into(),
        ),
    ] {
        let text = format!("ProxyPass / {url}/\n");
        let builder = RunningConfig::builder(read(&text)).resolve("A.invalid", address);
        let running = serve(builder).await;
        let answer = get(running.at(), "/").await;
        assert_eq!(answer.status, 200, "{url}");
        assert_eq!(
            answer.seen("host"),
            [&url.to_lowercase()["http://".len()..]]
        );
    }
}

#[tokio::test]
async fn many_requests_share_a_connection_and_a_site() {
    let member = Member::start("m").await;
    let running = balanced(&member, "").await;
    let mut stream = TcpStream::connect(running.at()).await.unwrap();
    let request = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20);
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
        .write_all(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text.matches("HTTP/1.1 200").count(), 21);
    assert_eq!(member.connections(), 1);
}

#[tokio::test]
async fn what_is_no_http_gets_an_answer_or_none_and_harms_nobody() {
    let member = Member::start("m").await;
    let running = balanced(&member, "").await;
    for request in [
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        "GET /\u{e4} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\
         Connection: close\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\nab",
        "GET /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\nConnection: close\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(running.at()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answers = String::from_utf8_lossy(&answer)
            .matches("HTTP/1.1 ")
            .count();
        assert!(answers <= 1, "{request:?}");
    }
    nothing_in_flight(&running).await;
    assert!(running.balancer("c").members()[0].status().is_usable());
    assert_eq!(get(running.at(), "/").await.status, 200);
}

#[tokio::test]
async fn a_continue_is_said_by_this_server() {
    let member = Member::start("m").await;
    let running = balanced(&member, "").await;
    let mut stream = TcpStream::connect(running.at()).await.unwrap();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\
                Connection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"abc").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with("bytes: 3\n"), "{text}");
}
