//! The limits of a server, by numbers: of a head, a body, connections and requests; and
//! what a client expects before it sends its body.

use equipoise::proxy::Server;

use super::front::{Front, statuses};
use super::member::{Member, OK};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn a_head_that_is_too_large_gets_431() {
    let member = Member::answering(OK).await;
    let server = Server::new().max_head(4_096);
    let front = Front::before(server, [member.endpoint()]);
    let long = "y".repeat(5_000);
    for head in [
        format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}"),
        format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n"),
        format!(
            "GET / HTTP/1.1\r\nhost: a\r\n{}\r\n",
            "x: y\r\n".repeat(1_000)
        ),
        long.clone(),
    ] {
        let told = front.told(&head).await;
        let told = statuses(&told);
        assert!(told == [431] || head == long && told == [400], "{told:?}");
    }
    let fits = "y".repeat(4_000);
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {fits}\r\n\r\n");
    assert_eq!(statuses(&front.told(request).await), [200]);
    front.at_rest().await;
    assert_eq!(member.connections(), 1);
}

#[tokio::test]
async fn more_headers_than_anybody_needs_get_431() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let many = "x: y\r\n".repeat(200);
    let told = front.told(format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"));
    assert_eq!(statuses(&told.await), [431]);
    front.at_rest().await;
    assert_eq!(member.connections(), 0);
}

#[tokio::test]
async fn a_length_that_is_too_large_gets_413_at_once_and_nobody_is_asked() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new().max_body(1_000), [member.endpoint()]);
    for more in ["100000\r\n", "1001\r\nexpect: 100-continue\r\n"] {
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {more}\r\n");
        let mut client = front.client().await;
        client.say(head).await;
        assert_eq!(client.answer().await.status(), 413);
        client.ends().await;
    }
    let fits = "y".repeat(1_000);
    let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 1000\r\n\r\n";
    let told = front.told([head, &fits].concat()).await;
    assert_eq!(statuses(&told), [200]);
    front.at_rest().await;
    assert_eq!(member.heard().len(), 1);
}

#[tokio::test]
async fn chunks_that_are_too_many_get_413_and_never_end_at_the_member() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new().max_body(1_000), [member.endpoint()]);
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("1f4\r\n{}\r\n", "y".repeat(500));
    for piecemeal in [false, true] {
        let mut client = front.client().await;
        if piecemeal {
            client.say([head, &chunk, &chunk].concat()).await;
            front.in_flight_is(1).await;
            client.say("1\r\ny\r\n0\r\n\r\n").await;
        } else {
            let chunks = chunk.repeat(3);
            client.say([head, &chunks, "0\r\n\r\n"].concat()).await;
        }
        assert_eq!(client.answer().await.status(), 413, "{piecemeal}");
    }
    front.in_flight_is(0).await;
    let head = head.replace("host: a", "host: a\r\nconnection: close");
    let told = front.told([&head, &chunk, &chunk, "0\r\n\r\n"].concat());
    assert_eq!(statuses(&told.await), [200], "as many as there may be");
    front.at_rest().await;
    assert_eq!(member.served().len(), 1, "{:?}", member.heard());
}

#[tokio::test]
async fn a_connection_ends_after_as_many_requests_as_there_may_be() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new().max_requests(3), [member.endpoint()]);
    let mut client = front.client().await;
    for last in [false, false, true] {
        client.say(GET).await;
        let answer = client.answer().await;
        assert_eq!(answer.status(), 200);
        let closes = answer.header("connection") == Some("close");
        assert_eq!(closes, last, "{}", answer.head);
    }
    client.ends().await;
    front.at_rest().await;
}

#[tokio::test]
async fn of_requests_that_come_at_once_no_more_are_served_than_there_may_be() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new().max_requests(3), [member.endpoint()]);
    let told = front.told(GET.repeat(10)).await;
    assert_eq!(statuses(&told), [200; 3]);
    front.at_rest().await;
    assert_eq!(member.heard().len(), 3);
}

#[tokio::test]
async fn a_client_that_waits_for_it_gets_100_and_then_the_answer() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    for (framing, body) in [
        ("content-length: 5", "hello"),
        ("transfer-encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
    ] {
        let mut client = front.client().await;
        let expects = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue";
        client.say(format!("{expects}\r\n{framing}\r\n\r\n")).await;
        let goes_on = client.answer_head().await;
        assert_eq!(goes_on.status(), 100);
        client.say(body).await;
        assert_eq!(client.answer().await.text(), "ok");
        client.say(GET).await;
        assert_eq!(
            client.answer().await.text(),
            "ok",
            "the connection lives on"
        );
    }
    front.at_rest().await;
    let heard = member.heard();
    assert_eq!(heard.len(), 4);
    assert_eq!(
        (heard[0].text(), heard[2].text()),
        ("hello".into(), "hello".into())
    );
    assert!(heard.iter().all(|it| it.header("expect").is_none()));
}

#[tokio::test]
async fn whatever_else_is_expected_gets_417() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    for expected in ["something", "100-continue, something", "200-ok", ""] {
        let told = front.told(format!(
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nexpect: {expected}\r\n\
             content-length: 5\r\n\r\nhello"
        ));
        assert_eq!(statuses(&told.await), [417], "{expected:?}");
    }
    front.at_rest().await;
    assert!(member.heard().is_empty());
}

#[tokio::test]
async fn a_refusal_comes_instead_of_100() {
    let front = Front::before(Server::new(), []);
    let mut client = front.client().await;
    let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    client.say(head).await;
    assert_eq!(client.answer().await.status(), 503);
    client.ends().await;
    front.at_rest().await;
}
