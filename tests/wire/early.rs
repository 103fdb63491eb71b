//! Bytes that a client sends right behind a request for another protocol, before anybody
//! has agreed to it: they are the tunnel's, or a request of their own, and nothing else.

use equipoise::proxy::Server;

use super::front::{Front, statuses};
use super::member::{Member, OK};

const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

fn asks(protocol: &str, more: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{more}\r\n"
    )
}

const BEHIND: &str = "GET /smuggled HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// A member that switches, and then sends back what it gets.
async fn echo() -> Member {
    Member::scripted(|mut talk| async move {
        talk.request().await;
        talk.say(SWITCHED).await;
        let all = talk.line.all_the_rest().await;
        talk.say(all).await;
    })
    .await
}

#[tokio::test]
async fn after_a_switch_they_are_the_first_of_the_tunnel() {
    let member = echo().await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = front.client().await;
    client.say([&asks("websocket", ""), BEHIND].concat()).await;
    let answer = client.answer_head().await;
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    client.say("more").await;
    client.end().await;
    let back = client.all_the_rest().await;
    assert_eq!(String::from_utf8_lossy(&back), [BEHIND, "more"].concat());
    assert_eq!(member.served(), ["GET /chat HTTP/1.1"]);
    assert_eq!(member.connections(), 1);
    front.at_rest().await;
}

#[tokio::test]
async fn without_a_switch_they_are_a_request_that_the_proxy_has_seen() {
    for answer in [
        OK,
        "HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         content-length: 2\r\n\r\nno",
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
    ] {
        let member = Member::answering(answer).await;
        let front = Front::before(Server::new(), [member.endpoint()]);
        let told = front.told([&asks("websocket", ""), BEHIND].concat()).await;
        assert_eq!(statuses(&told).len(), 2, "{told}");
        let heard = member.heard();
        assert_eq!(heard.len(), 2);
        assert_eq!(heard[1].first_line(), "GET /smuggled HTTP/1.1");
        assert!(heard[1].header("x-forwarded-for").is_some());
        front.at_rest().await;
    }
}

#[tokio::test]
async fn without_a_switch_what_is_no_request_ends_the_connection() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let told = front.told([&asks("websocket", ""), "\u{81}\u{5}hello\r\n\r\n"].concat());
    assert_eq!(statuses(&told.await), [200, 400]);
    assert_eq!(member.served(), ["GET /chat HTTP/1.1"]);
    front.at_rest().await;
}

#[tokio::test]
async fn a_path_that_is_refused_is_refused_behind_an_upgrade_too() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let behind = "GET /../admin HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let told = front.told([&asks("websocket", ""), behind].concat()).await;
    assert_eq!(statuses(&told), [200, 400]);
    assert_eq!(member.served(), ["GET /chat HTTP/1.1"]);
    front.at_rest().await;
}

#[tokio::test]
async fn a_protocol_that_is_not_allowed_is_not_even_asked_for() {
    for protocol in [
        "h2c",
        "websocket, h2c",
        "TLS/1.0",
        "websocket\r\nupgrade: h2c",
    ] {
        let member = Member::answering(OK).await;
        let front = Front::before(Server::new(), [member.endpoint()]);
        let settings = "http2-settings: AAMAAABkAAQAAP__\r\n";
        let told = front.told([&asks(protocol, settings), BEHIND].concat());
        assert_eq!(statuses(&told.await), [200, 200], "{protocol:?}");
        let heard = member.heard();
        assert_eq!(heard.len(), 2);
        let asked = heard[0].header("upgrade");
        assert!(!asked.is_some_and(|it| it.contains("h2c")), "{asked:?}");
        front.at_rest().await;
    }
}

#[tokio::test]
async fn a_member_that_switches_to_something_else_gets_none_of_them() {
    let member = Member::stopping(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
    )
    .await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let told = front.told([&asks("websocket", ""), "early\r\n\r\n"].concat());
    assert_eq!(statuses(&told.await), [502, 400]);
    assert_eq!(member.served(), ["GET /chat HTTP/1.1"]);
    front.at_rest().await;
}

#[tokio::test]
async fn the_body_of_a_request_for_a_switch_is_its_body_and_not_the_tunnels() {
    let member = echo().await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = front.client().await;
    let length = "content-length: 5\r\n";
    client
        .say([&asks("websocket", length), "hello", "early"].concat())
        .await;
    assert_eq!(client.answer_head().await.status(), 101);
    client.end().await;
    assert_eq!(client.all_the_rest().await, b"early");
    let heard = member.heard();
    assert_eq!(heard[0].text(), "hello");
    front.at_rest().await;
}

#[tokio::test]
async fn what_a_member_sends_right_behind_its_101_is_the_first_of_the_tunnel() {
    let member = Member::scripted(|mut talk| async move {
        talk.request().await;
        talk.say([SWITCHED, "first"].concat()).await;
        talk.until_gone().await;
    })
    .await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = front.client().await;
    client.say(asks("websocket", "")).await;
    assert_eq!(client.answer_head().await.status(), 101);
    assert_eq!(front.in_flight(), 1);
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn a_client_that_goes_before_the_switch_leaves_nothing_behind() {
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let gone = std::sync::Mutex::new(Some(gone));
    let member = Member::scripted(move |mut talk| {
        let gone = gone.lock().unwrap().take();
        async move {
            talk.request().await;
            if let Some(gone) = gone {
                let _ = gone.await;
            }
            talk.say(SWITCHED).await;
            talk.until_gone().await;
        }
    })
    .await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = front.client().await;
    client.say(asks("websocket", "")).await;
    front.in_flight_is(1).await;
    client.reset();
    front.in_flight_is(0).await;
    let _ = go.send(());
    front.at_rest().await;
}

#[tokio::test]
async fn a_tunnel_of_which_the_member_has_ended_its_side_goes_on_in_the_other() {
    let (heard, hears) = tokio::sync::oneshot::channel();
    let heard = std::sync::Mutex::new(Some(heard));
    let member = Member::scripted(move |mut talk| {
        let heard = heard.lock().unwrap().take();
        async move {
            talk.request().await;
            talk.say([SWITCHED, "last"].concat()).await;
            talk.line.end().await;
            let rest = talk.line.all_the_rest().await;
            let _ = heard.unwrap().send(rest);
        }
    })
    .await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = front.client().await;
    client.say(asks("websocket", "")).await;
    assert_eq!(client.answer_head().await.status(), 101);
    assert_eq!(client.all_the_rest().await, b"last");
    client.say("more ").await;
    client.say("and more").await;
    client.end().await;
    assert_eq!(super::line::within(hears).await.unwrap(), b"more and more");
    front.at_rest().await;
}
