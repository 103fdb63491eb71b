//! Connections to members that are used again, and those that must not be: what one
//! request left behind is never the answer to another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use equipoise::proxy::Server;
use tokio::sync::Notify;

use super::front::Front;
use super::line::within;
use super::member::{Member, OK};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
const CHUNKS: &str = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
                      5\r\nhello\r\n0\r\n\r\n";

#[tokio::test]
async fn one_connection_to_a_member_is_enough_for_one_client() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = front.client().await;
    for request in [GET, POST, CHUNKS, GET, CHUNKS] {
        client.say(request).await;
        assert_eq!(client.answer().await.text(), "ok");
    }
    assert_eq!(member.connections(), 1);
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn a_member_that_closes_between_requests_is_asked_anew() {
    // Without a word of it in its answer.
    let member = Member::ending(OK).await;
    let front = Front::before(Server::new(), [member.quick().build().unwrap()]);
    let mut client = front.client().await;
    for round in 1..=10 {
        for (requests, request) in [GET, POST, CHUNKS].into_iter().enumerate() {
            client.say(request).await;
            let answer = client.answer().await;
            assert_eq!(answer.text(), "ok", "{round}: {answer:?}");
            assert_eq!(member.connections(), (round - 1) * 3 + requests + 1);
        }
    }
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn a_member_that_resets_idle_connections_is_asked_anew() {
    let member = Member::scripted(|mut talk| async move {
        talk.request().await;
        talk.say(OK).await;
        // Its end is a reset then.
        talk.line.stream.set_zero_linger().unwrap();
    })
    .await;
    let front = Front::before(Server::new(), [member.quick().build().unwrap()]);
    let mut client = front.client().await;
    let mut lost = 0;
    for request in [GET, POST, CHUNKS].repeat(5) {
        client.say(request).await;
        let answer = client.answer().await;
        lost += usize::from(answer.status() != 200);
    }
    assert_eq!(lost, 0);
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn a_member_that_is_about_to_close_says_so_and_is_believed() {
    let closes = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
    // It says so, and then stays.
    let member = Member::answering(closes).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = front.client().await;
    for (requests, request) in [GET, POST, CHUNKS].into_iter().enumerate() {
        client.say(request).await;
        let answer = client.answer().await;
        assert_eq!(answer.text(), "ok");
        assert_eq!(answer.header("connection"), None, "it is the member's");
        assert_eq!(member.connections(), requests + 1);
    }
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn an_answer_too_many_is_nobodys() {
    let stolen = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen";
    for framing in [
        OK,
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ] {
        let member = Member::answering([framing, stolen].concat()).await;
        let front = Front::before(Server::new(), [member.endpoint()]);
        for request in [GET, POST, GET, CHUNKS] {
            let mut client = front.client().await;
            client.say(request).await;
            assert_eq!(client.answer().await.text(), "ok");
        }
        assert_eq!(member.connections(), 4);
        front.at_rest().await;
    }
}

#[tokio::test]
async fn a_farewell_on_an_idle_connection_is_nobodys() {
    let (leave, left) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (leaves, said) = (leave.clone(), left.clone());
    let member = Member::scripted(move |mut talk| {
        let (leaves, said) = (leaves.clone(), said.clone());
        async move {
            talk.request().await;
            talk.say(OK).await;
            leaves.notified().await;
            talk.say("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
                .await;
            said.notify_one();
            talk.until_gone().await;
        }
    })
    .await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = front.client().await;
    for request in [GET, POST, GET, CHUNKS] {
        client.say(request).await;
        assert_eq!(client.answer().await.text(), "ok");
        leave.notify_one();
        within(left.notified()).await;
    }
    assert_eq!(member.connections(), 4);
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn a_connection_whose_client_went_away_is_not_used_again() {
    let first = Arc::new(AtomicUsize::new(0));
    let count = first.clone();
    let member = Member::scripted(move |mut talk| {
        let count = count.clone();
        async move {
            talk.request().await;
            if talk.earlier == 0 {
                count.fetch_add(1, Ordering::Relaxed);
                // What was meant for the one that has gone.
                talk.say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsto")
                    .await;
                talk.until_gone().await;
                talk.say("len").await;
                return;
            }
            talk.say(OK).await;
        }
    })
    .await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut gone = front.client().await;
    gone.say(GET).await;
    assert!(within(gone.more()).await);
    drop(gone);
    front.in_flight_is(0).await;
    let mut client = front.client().await;
    client.say(GET).await;
    assert_eq!(client.answer().await.text(), "ok");
    assert_eq!(
        (first.load(Ordering::Relaxed), member.connections()),
        (1, 2)
    );
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn a_connection_whose_upload_broke_off_is_not_used_again() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    for begin in [
        "POST /half HTTP/1.1\r\nhost: a\r\ncontent-length: 50\r\n\r\nhe",
        "POST /half HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n",
    ] {
        let mut gone = front.client().await;
        gone.say(begin).await;
        front.in_flight_is(1).await;
        drop(gone);
        front.in_flight_is(0).await;
        let mut client = front.client().await;
        client.say(GET).await;
        assert_eq!(client.answer().await.text(), "ok");
    }
    front.at_rest().await;
    assert_eq!(member.served(), ["GET / HTTP/1.1"; 2]);
}

#[tokio::test]
async fn many_clients_at_once_get_each_their_own_answer() {
    let member = Member::scripted(|mut talk| async move {
        while let Some(request) = talk.request().await {
            let path = request.first_line().split(' ').nth(1).unwrap().to_owned();
            let length = path.len();
            talk.say(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{path}"
            ))
            .await;
        }
    })
    .await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(front.client().await);
    }
    for round in 0..10 {
        for (nth, client) in clients.iter_mut().enumerate() {
            let framing = "host: a\r\ncontent-length: 2";
            let request = format!("POST /{round}/{nth} HTTP/1.1\r\n{framing}\r\n\r\nhi");
            client.say(request).await;
        }
        for (nth, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.answer().await.text(), format!("/{round}/{nth}"));
        }
    }
    assert!(member.connections() <= 20);
    drop(clients);
    front.at_rest().await;
}
