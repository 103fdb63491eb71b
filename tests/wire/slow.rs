//! Clients that take their time, or stop: each has so long for what it does, and leaves
//! nothing behind.

use std::time::Duration;

use equipoise::proxy::Server;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

use super::front::{Front, SHORT, statuses, took_about};
use super::line::{Line, within};
use super::member::{Member, OK};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// Sends byte by byte with a pause after each, until the other side has closed.
async fn dribble(client: &mut Line, bytes: &str, pause: Duration) {
    within(async {
        for byte in bytes.bytes().cycle() {
            if client.stream.write_all(&[byte]).await.is_err() {
                return;
            }
            sleep(pause).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_cut_in_time() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new().head_timeout(SHORT), [member.endpoint()]);
    for begin in ["", "GET / HTTP/1.1\r\nhost: a\r\n"] {
        let mut client = front.client().await;
        let began = Instant::now();
        client.say(begin).await;
        dribble(&mut client, "x: yyyyyyyyyyyyyyyy\r\n", SHORT / 8).await;
        took_about(SHORT, began);
    }
    front.at_rest().await;
    assert_eq!(member.connections(), 0);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_cut_in_time() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new().head_timeout(SHORT), [member.endpoint()]);
    for begin in ["", "PRI * HT", "G"] {
        let began = Instant::now();
        let told = front.told(begin).await;
        took_about(SHORT, began);
        assert!(told.is_empty(), "{told}");
    }
    front.at_rest().await;
}

#[tokio::test]
async fn the_head_of_a_second_request_has_as_long() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new().head_timeout(SHORT), [member.endpoint()]);
    let mut client = front.client().await;
    client.say(GET).await;
    assert_eq!(client.answer().await.status(), 200);
    let began = Instant::now();
    dribble(&mut client, GET.trim_end(), SHORT / 8).await;
    took_about(SHORT, began);
    front.at_rest().await;
    assert_eq!(member.heard().len(), 1);
}

#[tokio::test]
async fn a_part_of_a_head_behind_a_request_is_as_good_as_an_idle_connection() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new().idle_timeout(SHORT), [member.endpoint()]);
    let mut client = front.client().await;
    let began = Instant::now();
    client.say([GET, "GET / HT"].concat()).await;
    assert_eq!(client.answer().await.status(), 200);
    client.all_the_rest().await;
    took_about(SHORT, began);
    front.at_rest().await;
}

#[tokio::test]
async fn a_body_that_pauses_for_too_long_gets_408() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new().body_timeout(SHORT), [member.endpoint()]);
    for (framing, begin) in [
        ("content-length: 5", "he"),
        ("content-length: 5", ""),
        ("transfer-encoding: chunked", "2\r\nhe\r\n"),
        ("transfer-encoding: chunked", "2\r\nh"),
        ("transfer-encoding: chunked", "2"),
        ("transfer-encoding: chunked", "2\r\nhe\r\n0\r\n"),
    ] {
        let mut client = front.client().await;
        let began = Instant::now();
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n");
        client.say([&head, begin].concat()).await;
        let answer = client.answer().await;
        assert_eq!(answer.status(), 408, "{framing}, {begin:?}");
        took_about(SHORT, began);
        client.ends().await;
    }
    front.at_rest().await;
    assert!(member.heard().iter().all(|request| !request.whole));
}

#[tokio::test]
async fn a_body_that_goes_on_may_take_as_long_as_it_likes() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new().body_timeout(SHORT), [member.endpoint()]);
    let mut client = front.client().await;
    let began = Instant::now();
    client
        .say("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\n\r\n")
        .await;
    for _ in 0..12 {
        sleep(SHORT / 6).await;
        client.say("y").await;
    }
    assert_eq!(client.answer().await.status(), 200);
    assert!(began.elapsed() > SHORT + SHORT / 2);
    drop(client);
    front.at_rest().await;
    assert_eq!(member.heard()[0].text(), "y".repeat(12));
}

/// A member that answers with more than any buffer takes.
async fn endless() -> Member {
    Member::scripted(|mut talk| async move {
        talk.request().await;
        talk.say("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
            .await;
        let some = vec![b'y'; 1 << 20];
        while talk.line.stream.write_all(&some).await.is_ok() {}
    })
    .await
}

#[tokio::test]
async fn a_client_that_reads_nothing_of_a_large_answer_is_cut() {
    let member = endless().await;
    let front = Front::before(Server::new().write_timeout(SHORT), [member.endpoint()]);
    let mut client = front.client().await;
    client.say(GET).await;
    front.in_flight_is(1).await;
    let began = Instant::now();
    front.in_flight_is(0).await;
    took_about(SHORT, began);
    assert!(client.count_the_rest().await < 1_000_000_000);
    front.at_rest().await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_not_cut() {
    let member = endless().await;
    let front = Front::before(Server::new().write_timeout(SHORT), [member.endpoint()]);
    let mut client = front.client().await;
    client.say(GET).await;
    let began = Instant::now();
    let mut some = vec![0; 4 << 20];
    while began.elapsed() < SHORT * 3 {
        use tokio::io::AsyncReadExt;
        within(client.stream.read_exact(&mut some)).await.unwrap();
        sleep(SHORT / 6).await;
    }
    assert_eq!(front.in_flight(), 1);
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_of_many_small_answers_is_cut() {
    let member = Member::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n{}",
        "y".repeat(60_000)
    ))
    .await;
    let front = Front::before(Server::new().write_timeout(SHORT), [member.endpoint()]);
    let mut client = front.client().await;
    let began = Instant::now();
    // Until the proxy reads no more, because nobody reads what it writes.
    let many = GET.repeat(1_000);
    while within(client.stream.write_all(many.as_bytes()))
        .await
        .is_ok()
    {}
    took_about(SHORT, began);
    front.at_rest().await;
}

#[tokio::test]
async fn a_client_that_closes_its_half_is_answered() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = front.client().await;
    client.say([GET, GET].concat()).await;
    client.end().await;
    for _ in 0..2 {
        assert_eq!(client.answer().await.status(), 200);
    }
    client.ends().await;
    front.at_rest().await;
}

#[tokio::test]
async fn a_client_that_has_closed_its_half_is_taken_to_be_gone_after_a_while() {
    let member = Member::stopping("").await;
    let server = Server::new().half_close_timeout(SHORT);
    let front = Front::before(server, [member.endpoint()]);
    let mut client = front.client().await;
    client.say(GET).await;
    front.in_flight_is(1).await;
    let began = Instant::now();
    client.end().await;
    client.ends().await;
    took_about(SHORT, began);
    front.at_rest().await;
}

#[tokio::test]
async fn a_client_that_closes_its_half_in_its_body_gets_no_answer_of_a_member() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    for (framing, begin) in [
        ("content-length: 5", "he"),
        ("transfer-encoding: chunked", "2\r\nhe\r\n"),
    ] {
        let mut client = front.client().await;
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n");
        client.say([&head, begin].concat()).await;
        client.end().await;
        let told = client.all_the_rest().await;
        let told = statuses(&String::from_utf8_lossy(&told));
        assert!(told == [400] || told.is_empty(), "{told:?}");
    }
    front.at_rest().await;
    assert_eq!(member.served(), [""; 0]);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_request() {
    let waits = Member::stopping("").await;
    let answers = Member::stopping("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await;
    for member in [&waits, &answers] {
        for request in [
            GET,
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhe",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n",
        ] {
            let front = Front::before(Server::new(), [member.endpoint()]);
            let mut client = front.client().await;
            client.say(request).await;
            front.in_flight_is(1).await;
            client.reset();
            front.at_rest().await;
        }
    }
}

#[tokio::test]
async fn a_client_that_goes_away_from_its_download_ends_it() {
    let member = endless().await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = front.client().await;
    client.say(GET).await;
    assert!(client.more().await);
    assert_eq!(front.in_flight(), 1);
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_a_while() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new().idle_timeout(SHORT), [member.endpoint()]);
    let mut client = front.client().await;
    for _ in 0..6 {
        client.say(GET).await;
        assert_eq!(client.answer().await.status(), 200);
        sleep(SHORT / 4).await;
    }
    client.say(GET).await;
    assert_eq!(client.answer().await.status(), 200);
    let began = Instant::now();
    client.ends().await;
    took_about(SHORT, began);
    front.at_rest().await;
}

#[tokio::test]
async fn a_request_that_takes_longer_than_an_idle_life_is_not_idle() {
    let member = Member::scripted(|mut talk| async move {
        talk.request().await;
        sleep(SHORT * 2).await;
        talk.say(OK).await;
    })
    .await;
    let server = Server::new().idle_timeout(SHORT).head_timeout(SHORT);
    let front = Front::before(server.write_timeout(SHORT), [member.endpoint()]);
    let mut client = front.client().await;
    client.say(GET).await;
    assert_eq!(client.answer().await.text(), "ok");
    client.ends().await;
    front.at_rest().await;
}

#[tokio::test]
async fn a_client_that_reads_a_byte_at_a_time_is_cut() {
    use tokio::io::AsyncReadExt;
    let member = endless().await;
    let front = Front::before(Server::new().write_timeout(SHORT), [member.endpoint()]);
    let mut client = front.client().await;
    client.say(GET).await;
    front.in_flight_is(1).await;
    let began = Instant::now();
    within(async {
        // The kernel tells of room only once there is some.
        while front.in_flight() > 0 {
            let _ = client.stream.read_u8().await;
            sleep(SHORT / 20).await;
        }
    })
    .await;
    took_about(SHORT, began);
    drop(client);
    front.at_rest().await;
}
