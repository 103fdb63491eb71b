//! Members that keep a connection and read nothing of an upload: who waits until they have
//! taken what was written waits for ever, and so nobody does.

use std::time::Duration;

use equipoise::proxy::Server;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use super::front::{Front, SHORT};
use super::line::{Line, within};
use super::member::{Member, OK};

/// A member that reads a head, answers with these bytes, and then neither reads nor ends,
/// until it is told to.
async fn stuck(answer: &'static str) -> (Member, watch::Sender<()>) {
    let (end, ended) = watch::channel(());
    let member = Member::scripted(move |mut talk| {
        let mut ended = ended.clone();
        async move {
            talk.line.head().await;
            talk.say(answer).await;
            let _ = ended.changed().await;
        }
    })
    .await;
    (member, end)
}

fn before(member: &Member) -> Front {
    // Neither connection has any reason to stay.
    let endpoint = member.quick().max_idle(0).build().unwrap();
    let server = Server::new().idle_timeout(SHORT).head_timeout(SHORT);
    Front::before(server, [endpoint])
}

/// Uploads until nobody takes any more.
async fn fill(client: &mut Line) {
    client
        .say("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n")
        .await;
    let some = vec![b'y'; 1 << 20];
    let pushing = async { while client.stream.write_all(&some).await.is_ok() {} };
    let _ = tokio::time::timeout(SHORT * 2, pushing).await;
}

/// Asserts that nothing is there any more but the server, the member, and the member's
/// side of the connection.
async fn nothing_goes_on() {
    let tasks = tokio::runtime::Handle::current().metrics();
    let until = tokio::time::Instant::now() + Duration::from_secs(3);
    while tasks.num_alive_tasks() > 3 {
        let now = tokio::time::Instant::now();
        assert!(now < until, "there are {} tasks", tasks.num_alive_tasks());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_that_does_not_answer_either_is_left_with_504() {
    let (member, end) = stuck("").await;
    let front = before(&member);
    let mut client = front.client().await;
    fill(&mut client).await;
    assert_eq!(client.answer().await.status(), 504);
    front.in_flight_is(0).await;
    drop(client);
    nothing_goes_on().await;
    drop(end);
    front.at_rest().await;
}

#[tokio::test]
async fn one_that_has_answered_is_left_once_its_answer_is_delivered() {
    let (member, end) = stuck(OK).await;
    let front = before(&member);
    let mut client = front.client().await;
    fill(&mut client).await;
    assert_eq!(client.answer().await.text(), "ok");
    front.in_flight_is(0).await;
    drop(client);
    nothing_goes_on().await;
    drop(end);
    front.at_rest().await;
}

#[tokio::test]
async fn one_that_stops_in_its_answer_is_left_in_time() {
    let (member, end) = stuck("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await;
    let front = before(&member);
    let mut client = front.client().await;
    fill(&mut client).await;
    let answer = client.answer().await;
    assert_eq!((answer.text().as_str(), answer.whole), ("half", false));
    front.in_flight_is(0).await;
    drop(client);
    nothing_goes_on().await;
    drop(end);
    front.at_rest().await;
}

#[tokio::test]
async fn one_whose_client_goes_away_is_left() {
    let (member, end) = stuck("").await;
    let endpoint = member.quick().head_timeout(SHORT * 4).build().unwrap();
    let front = Front::before(Server::new(), [endpoint]);
    let mut client = front.client().await;
    fill(&mut client).await;
    assert_eq!(front.in_flight(), 1);
    drop(client);
    within(front.in_flight_is(0)).await;
    nothing_goes_on().await;
    drop(end);
    front.at_rest().await;
}
