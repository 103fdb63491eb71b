//! Members whose answers begin well: bodies that break off, bodies where there can be
//! none, and answers that come before the upload is through.

use equipoise::proxy::Server;

use super::front::{Front, statuses};
use super::member::Member;

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn a_body_that_breaks_off_breaks_off_for_the_client() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n5\r\nno",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nx\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalfway\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n+1\r\nx\r\n0\r\n\r\n",
    ] {
        let member = Member::ending(answer).await;
        let front = Front::before(Server::new(), [member.quick().build().unwrap()]);
        let mut client = front.client().await;
        client.say(GET).await;
        let told = client.answer().await;
        assert_eq!(told.status(), 200);
        assert!(!told.whole, "{answer:?}: {told:?}");
        assert!("halfno".starts_with(&told.text()), "{told:?}");
        client.ends().await;
        front.at_rest().await;
    }
}

#[tokio::test]
async fn a_body_without_a_length_ends_with_the_members_connection() {
    let member = Member::ending("HTTP/1.1 200 OK\r\n\r\nall of it").await;
    let front = Front::before(Server::new(), [member.quick().build().unwrap()]);
    let mut client = front.client().await;
    for requests in 1..3 {
        client.say(GET).await;
        let answer = client.answer().await;
        assert!(answer.whole && answer.is_clear(), "{answer:?}");
        assert_eq!(answer.text(), "all of it");
        assert_eq!(member.connections(), requests);
    }
    drop(client);
    front.at_rest().await;
}

/// RFC 9112, 2.3: an intermediary says its own version. Else the client's connection
/// would end, and with it the only way to tell a body that broke off from a whole one.
#[tokio::test]
async fn a_member_of_http_1_0_is_not_what_the_client_speaks_to() {
    for answer in [
        "HTTP/1.0 200 OK\r\n\r\nall of it",
        "HTTP/1.0 200 OK\r\ncontent-length: 9\r\n\r\nall of it",
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 9\r\n\r\nall of it",
    ] {
        let member = Member::ending(answer).await;
        let front = Front::before(Server::new(), [member.quick().build().unwrap()]);
        let mut client = front.client().await;
        for _ in 0..2 {
            client.say(GET).await;
            let answer = client.answer().await;
            assert_eq!(answer.first_line(), "HTTP/1.1 200 OK", "{answer:?}");
            assert_eq!(answer.text(), "all of it");
            assert!(answer.whole && answer.is_clear(), "{answer:?}");
        }
        drop(client);
        front.at_rest().await;
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_no_chunks() {
    let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    let member = Member::answering(chunks).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    for request in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n",
    ] {
        let told = front.told(request).await;
        assert_eq!(statuses(&told), [200]);
        assert!(told.ends_with("\r\n\r\nbody"), "{told}");
        assert!(!told.contains("transfer-encoding"), "{told}");
    }
    front.at_rest().await;
}

#[tokio::test]
async fn a_length_beside_a_coding_is_dropped_from_an_answer() {
    let coding = "transfer-encoding: chunked";
    let [before, after] = ["content-length: 2\r\n", "\r\ncontent-length: 14"];
    for (before, after, connections) in [("", "", 1), (before, "", 3), ("", after, 3)] {
        let head = format!("HTTP/1.1 200 OK\r\n{before}{coding}{after}\r\n\r\n");
        let member = Member::answering(head + "4\r\nbody\r\n0\r\n\r\n").await;
        let front = Front::before(Server::new(), [member.endpoint()]);
        let mut client = front.client().await;
        for _ in 0..3 {
            client.say(GET).await;
            let told = client.answer().await;
            assert_eq!(told.framing(), [coding]);
            assert_eq!((told.text().as_str(), told.whole), ("body", true));
        }
        // Like Apache, no second request on a connection where ends may be disputed.
        assert_eq!(member.connections(), connections);
        drop(client);
        front.at_rest().await;
    }
}

/// RFC 9110, 8.6: such a list is refused, or becomes one number.
#[tokio::test]
async fn a_length_that_is_said_twice_is_said_once_to_the_client() {
    for lengths in [
        "content-length: 2\r\ncontent-length: 2",
        "content-length: 2, 2",
    ] {
        let member = Member::answering(format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\nok")).await;
        let front = Front::before(Server::new(), [member.endpoint()]);
        let mut client = front.client().await;
        client.say(GET).await;
        let head = client.answer_head().await;
        assert_eq!(head.status(), 200);
        assert_eq!(head.framing(), ["content-length: 2"], "{lengths}");
        drop(client);
        front.at_rest().await;
    }
}

/// RFC 9112, 6.1: only to those who said that they take it.
#[tokio::test]
async fn a_coding_under_chunked_is_not_lost_from_an_answer() {
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n\
                  4\r\nbody\r\n0\r\n\r\n";
    let member = Member::answering(answer).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = front.client().await;
    client.say(GET).await;
    let told = client.answer().await;
    assert_eq!(told.status(), 502, "{told:?}");
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn an_answer_to_head_says_a_length_and_has_no_body() {
    for framing in ["content-length: 1000", "transfer-encoding: chunked", "x: y"] {
        let answer = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
        let member = Member::answering(answer).await;
        let front = Front::before(Server::new(), [member.endpoint()]);
        let mut client = front.client().await;
        for _ in 0..3 {
            client.say(HEAD).await;
            let told = client.answer_head().await;
            assert_eq!(told.status(), 200);
            let length = told.header("content-length");
            let says = framing.strip_prefix("content-length: ");
            assert_eq!(length, says, "{told:?}");
        }
        assert_eq!(member.connections(), 1);
        client.end().await;
        client.ends().await;
        front.at_rest().await;
    }
}

#[tokio::test]
async fn an_answer_to_head_says_one_length_at_most() {
    for (lengths, said) in [
        ("4\r\ncontent-length: 4", Some("4")),
        ("4, 4", Some("4")),
        ("4\r\ncontent-length: 5", None),
        ("4, 5", None),
        ("five", None),
        ("+4", None),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {lengths}\r\n\r\n");
        let member = Member::answering(answer).await;
        let front = Front::before(Server::new(), [member.endpoint()]);
        let mut client = front.client().await;
        client.say(HEAD).await;
        let told = client.answer_head().await;
        assert_eq!(told.header("content-length"), said, "{lengths:?}");
        assert!(told.is_clear(), "{lengths:?}: {told:?}");
        drop(client);
        front.at_rest().await;
    }
}

#[tokio::test]
async fn an_answer_without_a_body_that_has_one_costs_the_connection() {
    for (request, answer) in [
        (HEAD, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\njunk"),
        (
            GET,
            "HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\njunk",
        ),
        (
            GET,
            "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n4\r\njunk\r\n0\r\n\r\n",
        ),
        (
            GET,
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\njunk",
        ),
        (GET, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\njunk"),
    ] {
        let member = Member::answering(answer).await;
        let front = Front::before(Server::new(), [member.endpoint()]);
        let mut client = front.client().await;
        for requests in 1..4 {
            client.say(request).await;
            let told = client.answer_head().await;
            assert!(matches!(told.status(), 200 | 204 | 304), "{told:?}");
            assert_eq!(member.connections(), requests, "{answer:?}");
        }
        client.end().await;
        client.ends().await;
        front.at_rest().await;
    }
}

#[tokio::test]
async fn a_204_has_no_length() {
    for answer in [
        "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\n",
        "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n",
    ] {
        let member = Member::answering(answer).await;
        let front = Front::before(Server::new(), [member.endpoint()]);
        let mut client = front.client().await;
        for _ in 0..2 {
            client.say(GET).await;
            let told = client.answer_head().await;
            assert_eq!(told.status(), 204);
            // RFC 9110, 8.6.
            assert!(told.framing().is_empty(), "{told:?}");
        }
        client.end().await;
        client.ends().await;
        front.at_rest().await;
    }
}

/// A request of which the end is still to come.
fn upload(length: usize) -> String {
    format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n")
}

#[tokio::test]
async fn an_answer_that_comes_before_the_upload_is_through_is_delivered() {
    let member = Member::scripted(|mut talk| async move {
        talk.line.head().await;
        talk.say("HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno")
            .await;
        talk.until_gone().await;
    })
    .await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = front.client().await;
    client.say([&upload(10), "hello"].concat()).await;
    let told = client.answer().await;
    assert_eq!((told.status(), told.text().as_str()), (413, "no"));
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn an_answer_that_comes_early_and_closes_is_delivered() {
    for length in [10, 100_000_000] {
        let member = Member::scripted(|mut talk| async move {
            talk.line.head().await;
            talk.say("HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno")
                .await;
        })
        .await;
        let front = Front::before(Server::new(), [member.endpoint()]);
        let mut client = front.client().await;
        client.say([&upload(length), "hello"].concat()).await;
        let told = client.answer().await;
        assert_eq!((told.status(), told.text().as_str()), (413, "no"));
        drop(client);
        front.at_rest().await;
    }
}
