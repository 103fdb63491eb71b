//! Members whose answers are no answers: who asked is told 502, whatever came.

use std::io::ErrorKind;

use equipoise::proxy::Server;
use tokio::io::AsyncReadExt;

use super::front::{Front, statuses};
use super::line::within;
use super::member::{Member, OK};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const POST: &str =
    "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello";

/// What a client of a member that answers so is told.
async fn told_of(answer: impl AsRef<[u8]>, request: &str) -> String {
    let member = Member::ending(answer).await;
    let front = Front::before(Server::new(), [member.quick().build().unwrap()]);
    let told = front.told(request).await;
    front.at_rest().await;
    assert_eq!(member.heard().len(), 1);
    told
}

async fn is_502(answer: impl AsRef<[u8]>) {
    let what = String::from_utf8_lossy(&answer.as_ref()[..answer.as_ref().len().min(80)]);
    for request in [GET, POST] {
        let told = told_of(answer.as_ref(), request).await;
        assert_eq!(statuses(&told), [502], "{what:?}: {told}");
        assert!(!told.contains("junk"), "{told}");
    }
}

#[tokio::test]
async fn one_that_closes_before_it_answers_a_get_leaves_it_to_another() {
    let broken = Member::ending("").await;
    let good = Member::answering(OK).await;
    let members = [&broken, &good].map(|it| it.quick().build().unwrap());
    let front = Front::before(Server::new(), members);
    for _ in 0..2 {
        assert_eq!(statuses(&front.told(GET).await), [200]);
    }
    assert!(broken.connections() > 0);
    assert_eq!(good.heard().len(), 2);
    front.at_rest().await;
}

#[tokio::test]
async fn one_that_closes_before_it_answers_a_post_has_had_it() {
    let broken = Member::ending("").await;
    let good = Member::answering(OK).await;
    let members = [&broken, &good].map(|it| it.quick().build().unwrap());
    let front = Front::before(Server::new(), members);
    let mut told = Vec::new();
    for _ in 0..2 {
        told.extend(statuses(&front.told(POST).await));
    }
    told.sort_unstable();
    assert_eq!(told, [200, 502]);
    assert_eq!(broken.heard().len() + good.heard().len(), 2, "never twice");
    front.at_rest().await;
}

#[tokio::test]
async fn one_that_closes_before_it_answers_gives_502_if_there_is_no_other() {
    is_502("").await;
}

#[tokio::test]
async fn a_client_of_http_1_0_sees_that_its_answer_was_cut_short() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for (end, whole) in [("", false), ("0\r\n\r\n", true)] {
        let member = Member::ending([head, end].concat()).await;
        let front = Front::before(Server::new(), [member.endpoint()]);
        let mut client = front.client().await;
        client.say("GET / HTTP/1.0\r\nhost: a\r\n\r\n").await;
        let mut told = Vec::new();
        let read = within(client.stream.read_to_end(&mut told)).await;
        let failed = read.err().map(|error| error.kind());
        let expected = (!whole).then_some(ErrorKind::ConnectionReset);
        assert_eq!(failed, expected, "{}", String::from_utf8_lossy(&told));
        front.at_rest().await;
    }
}

#[tokio::test]
async fn garbage_is_no_answer() {
    is_502("junk\r\n\r\n").await;
    is_502([0, 159, 146, 150, b'\r', b'\n', b'\r', b'\n']).await;
    is_502("\u{15}\u{3}\u{3}\0\u{2}\u{2}junk").await;
    is_502("SSH-2.0-junk\r\n").await;
    is_502("\r\n\r\n\r\njunk").await;
}

#[tokio::test]
async fn a_page_without_a_head_is_no_answer() {
    is_502("<html>junk</html>\n").await;
    is_502("<html>junk</html>\r\n\r\n").await;
}

#[tokio::test]
async fn a_status_line_of_another_form_is_no_answer() {
    for line in [
        "HTTP/2.0 200 OK",
        "HTTP/2 200",
        "HTTP/0.9 200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/11 200 OK",
        "http/1.1 200 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 abc OK",
        "HTTP/1.1 -20 OK",
        "HTTP/1.1 000 OK",
        "HTTP/1.1 099 OK",
        "ICY 200 OK",
        "HTTP/1.1",
        "HTTP/1.1 200 O\0K",
    ] {
        is_502(format!("{line}\r\ncontent-length: 4\r\n\r\njunk")).await;
    }
}

#[tokio::test]
async fn a_malformed_header_makes_it_no_answer() {
    for header in [
        "no colon",
        "x : y",
        ": y",
        "x y: z",
        "x: y\0z",
        "x\0: y",
        "x: y\rz: 1",
        "x: one\r\n folded",
        "content-length: five",
        "content-length: -4",
        "content-length: +4",
        "content-length: 4\r\ncontent-length: 5",
        "content-length: 4, 5",
        "content-length: 99999999999999999999999",
    ] {
        is_502(format!("HTTP/1.1 200 OK\r\n{header}\r\n\r\njunk")).await;
    }
    is_502("HTTP/1.1 200 OK\r\n content-length: 4\r\n\r\njunk").await;
    is_502("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\njunk\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn a_head_that_breaks_off_is_no_answer() {
    is_502("HTTP/1.1").await;
    is_502("HTTP/1.1 200 OK\r\n").await;
    is_502("HTTP/1.1 200 OK\r\ncontent-length: 4\r\nx: junk").await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_no_answer() {
    let long = "junk".repeat(25_000);
    is_502(format!(
        "HTTP/1.1 200 OK\r\nx: {long}\r\ncontent-length: 0\r\n\r\n"
    ))
    .await;
    is_502(format!("HTTP/1.1 200 OK\r\nx: {long}")).await;
    is_502(format!("HTTP/1.1 200 {long}\r\ncontent-length: 0\r\n\r\n")).await;
    let many = "x: junk\r\n".repeat(1_000);
    is_502(format!(
        "HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n"
    ))
    .await;
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_no_answer() {
    is_502("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\njunk")
        .await;
    is_502("HTTP/1.1 101 Switching Protocols\r\n\r\n").await;
}

#[tokio::test]
async fn one_that_switches_unasked_and_stays_is_left() {
    let member = Member::stopping(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    )
    .await;
    let front = Front::before(Server::new(), [member.quick().build().unwrap()]);
    for connections in 1..4 {
        assert_eq!(statuses(&front.told(GET).await), [502]);
        assert_eq!(member.connections(), connections, "none is used again");
        front.in_flight_is(0).await;
    }
    front.at_rest().await;
}

#[tokio::test]
async fn a_few_interim_answers_do_not_count() {
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";
    let proceed = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
    for request in [GET, POST] {
        let answer = [&hint.repeat(12), proceed, OK].concat();
        let told = told_of(answer, request).await;
        assert_eq!(statuses(&told), [200], "{told}");
        assert!(told.ends_with("\r\n\r\nok") && !told.contains("link:"));
    }
}

#[tokio::test]
async fn interim_answers_without_end_are_no_answer() {
    let member = Member::scripted(|mut talk| async move {
        use tokio::io::AsyncWriteExt;
        talk.request().await;
        let hint = b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n";
        while talk.line.stream.write_all(hint).await.is_ok() {}
    })
    .await;
    let front = Front::before(Server::new(), [member.quick().build().unwrap()]);
    let told = front.told(POST).await;
    assert_eq!(statuses(&told), [502], "{told}");
    front.at_rest().await;
}

#[tokio::test]
async fn an_answer_before_any_request_is_nobodys() {
    let member = Member::scripted(|mut talk| async move {
        talk.say("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen")
            .await;
        talk.request().await;
        talk.say(OK).await;
    })
    .await;
    let good = Member::answering(OK).await;
    let members = [&member, &good].map(|it| it.quick().build().unwrap());
    let front = Front::before(Server::new(), members);
    for request in [GET, POST, GET, POST] {
        let told = front.told(request).await;
        // Nothing tells it from an early answer, if it comes after the request has left.
        assert!(matches!(statuses(&told).as_slice(), [200 | 502]), "{told}");
    }
    front.at_rest().await;
}
