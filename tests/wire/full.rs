//! A server that has as many connections as it may: which of them makes room for the next
//! client.

use std::sync::Arc;
use std::time::Duration;

use equipoise::proxy::Server;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::front::Front;
use super::h2::{self, Peer};
use super::line::Line;
use super::member::{Member, OK};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// Longer than it takes to make room, shorter than any limit of time.
const SOON: Duration = Duration::from_secs(5);

fn server(connections: u32) -> Server {
    let long = Duration::from_secs(600);
    let server = Server::new().max_connections(connections);
    server.idle_timeout(long).head_timeout(long)
}

async fn asks(client: &mut Line) {
    client.say(GET).await;
    let answer = timeout(SOON, client.answer()).await;
    assert_eq!(answer.expect("it waits").status(), 200);
}

async fn idle(front: &Front) -> Line {
    let mut client = front.client().await;
    asks(&mut client).await;
    // Idle times are told apart by milliseconds.
    sleep(Duration::from_millis(5)).await;
    client
}

/// A member that answers a request only when it is told to.
async fn late() -> (Member, Arc<Semaphore>) {
    let answers = Arc::new(Semaphore::new(0));
    let told = answers.clone();
    let member = Member::scripted(move |mut talk| {
        let told = told.clone();
        async move {
            while talk.request().await.is_some() {
                told.acquire().await.unwrap().forget();
                talk.say(OK).await;
            }
        }
    });
    (member.await, answers)
}

#[tokio::test]
async fn the_connection_that_has_been_idle_the_longest_makes_room() {
    let member = Member::answering(OK).await;
    let front = Front::before(server(3), [member.endpoint()]);
    let mut first = idle(&front).await;
    let mut second = idle(&front).await;
    let mut third = idle(&front).await;
    asks(&mut first).await;
    let mut next = idle(&front).await;
    timeout(SOON, second.ends()).await.expect("it stays");
    // No more end than are waited for.
    for stays in [&mut first, &mut third, &mut next] {
        asks(stays).await;
    }
    drop((first, third, next));
    front.at_rest().await;
}

#[tokio::test]
async fn as_many_clients_as_wait_are_served_though_the_others_stay() {
    let member = Member::answering(OK).await;
    let front = Front::before(server(2), [member.endpoint()]);
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(idle(&front).await);
    }
    drop(clients);
    front.at_rest().await;
}

#[tokio::test]
async fn only_an_idle_connection_makes_room_and_does_as_soon_as_it_is_one() {
    let (member, answers) = late().await;
    let front = Front::before(server(2), [member.endpoint()]);
    let mut new = front.client().await;
    let mut busy = front.client().await;
    busy.say(GET).await;
    front.in_flight_is(1).await;
    let mut next = front.client().await;
    next.say(GET).await;
    sleep(Duration::from_millis(300)).await;
    assert!(next.is_silent());
    answers.add_permits(1);
    assert_eq!(busy.answer().await.status(), 200);
    timeout(SOON, busy.ends()).await.expect("it stays");
    answers.add_permits(2);
    let answer = timeout(SOON, next.answer()).await.expect("it waits");
    assert_eq!(answer.status(), 200);
    asks(&mut new).await;
    drop((new, next));
    front.at_rest().await;
}

#[tokio::test]
async fn so_does_a_connection_over_http2_without_streams() {
    let (member, answers) = late().await;
    let front = Front::before(server(2), [member.endpoint()]);
    let mut quiet = Peer::new(&front, &[]).await;
    let mut busy = Peer::new(&front, &[]).await;
    answers.add_permits(1);
    let stream = quiet.get("/").await;
    while let Some(came) = quiet.wait_for(h2::DATA, stream).await {
        if came.flags & h2::END_STREAM != 0 {
            break;
        }
    }
    let stream = busy.get("/").await;
    front.in_flight_is(1).await;
    let mut next = front.client().await;
    answers.add_permits(1);
    let goodbye = timeout(SOON, quiet.wait_for(h2::GOAWAY, 0)).await;
    let goodbye = goodbye.expect("it stays").expect("it says nothing");
    assert_eq!(goodbye.code(), 0);
    // It does not acknowledge the PING that comes with it.
    let ended = timeout(SOON, async { while quiet.next().await.is_some() {} });
    ended.await.expect("it is waited for");
    assert!(busy.wait_for(h2::HEADERS, stream).await.is_some());
    answers.add_permits(1);
    asks(&mut next).await;
    drop((busy, next));
    front.at_rest().await;
}
