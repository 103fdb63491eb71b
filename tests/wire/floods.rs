//! Peers that never pause: whatever they send, a time limit passes, and others have their
//! turn. The proxy has one thread in all of these.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use equipoise::proxy::{Endpoint, EndpointBuilder, Server};
use tokio::time::Instant;

use super::front::{Front, SHORT, took_about};
use super::h2::{self, Peer, frame};
use super::line::within;
use super::member::{Member, OK};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";

/// A member that answers `/calm`, and otherwise sends `begin`, and then `more` for ever. It
/// has threads of its own, so that what it sends is there whenever the proxy reads.
#[derive(Debug)]
struct Flooding {
    address: SocketAddr,
}

impl Flooding {
    fn start(begin: &'static str, more: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        detached(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                detached(move || flood(stream, begin, more));
            }
        });
        Self { address }
    }

    /// An endpoint for it with limits that pass within a test.
    fn quick(&self) -> EndpointBuilder {
        let uri = format!("http://{}", self.address).parse().unwrap();
        Endpoint::builder(uri)
            .head_timeout(SHORT)
            .frame_timeout(SHORT)
    }
}

/// Runs something on a thread that ends with the process.
fn detached(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().spawn(run).unwrap();
}

fn flood(mut stream: TcpStream, begin: &str, more: &str) {
    let mut read = Vec::new();
    let mut some = [0; 4096];
    loop {
        while !read.windows(4).any(|four| four == b"\r\n\r\n") {
            match stream.read(&mut some) {
                Ok(length @ 1..) => read.extend(&some[..length]),
                _ => return,
            }
        }
        if !read.starts_with(b"GET /calm") {
            break;
        }
        read.clear();
        stream.write_all(OK.as_bytes()).unwrap();
    }
    let _ = stream.write_all(begin.as_bytes());
    let many = more.repeat(1 << 14);
    while stream.write_all(many.as_bytes()).is_ok() {}
}

/// Asserts that requests are answered while another floods. On a machine that has much else
/// to do, that may be to say that a limit has passed, or, if it passed after the head, nothing.
async fn others_go_on(front: &Front) {
    for _ in 0..5 {
        let calm = "GET /calm HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        let told = front.told(calm).await;
        let status = told.get(9..12).unwrap_or_default();
        assert!(["200", "504", ""].contains(&status), "{told}");
    }
}

const INTERIM: &str = "HTTP/1.1 102 Processing\r\n\r\n";

#[tokio::test]
async fn a_member_that_sends_interim_answers_for_ever_is_left_in_time() {
    let member = Flooding::start("", INTERIM);
    for request in [GET, POST] {
        let endpoint = member.quick().max_interim_responses(u32::MAX);
        let front = Front::before(Server::new(), [endpoint.build().unwrap()]);
        let mut client = front.client().await;
        client.say(request).await;
        front.in_flight_is(1).await;
        let began = Instant::now();
        others_go_on(&front).await;
        assert_eq!(client.answer().await.status(), 504);
        took_about(SHORT, began);
        drop(client);
        front.at_rest().await;
    }
}

#[tokio::test]
async fn interim_answers_are_counted_and_too_many_get_502() {
    let limit = Duration::from_secs(60);
    for request in [GET, POST] {
        let member = Flooding::start("", INTERIM);
        let endpoint = member.quick().head_timeout(limit).build().unwrap();
        let front = Front::before(Server::new(), [endpoint]);
        let mut client = front.client().await;
        client.say(request).await;
        assert_eq!(client.answer().await.status(), 502);
        drop(client);
        front.at_rest().await;
    }
}

#[tokio::test]
async fn so_many_interim_answers_as_there_may_be_harm_nothing_again_and_again() {
    let answer = [INTERIM.repeat(3).as_str(), OK].concat();
    let member = Member::answering(&answer).await;
    let endpoint = member.quick().max_interim_responses(3).build().unwrap();
    let front = Front::before(Server::new(), [endpoint]);
    let mut client = front.client().await;
    for request in [GET, POST, GET] {
        client.say(request).await;
        assert_eq!(client.answer().await.status(), 200);
    }
    drop(client);
    front.at_rest().await;
    let endpoint = member.quick().max_interim_responses(2).build().unwrap();
    let front = Front::before(Server::new(), [endpoint]);
    let told = front.told(GET.replace("host: a", "host: a\r\nconnection: close"));
    assert!(told.await.starts_with("HTTP/1.1 502"));
    front.at_rest().await;
}

#[tokio::test]
async fn interim_answers_that_come_in_pieces_are_counted_as_well() {
    // Lines may end without a carriage return.
    let answer = "HTTP/1.1 103 Early Hints\nlink: a\n\nHTTP/1.0 102 x\r\n\r\nHTTP/1.1 100\r\n\n";
    for (length, most, status) in [(1, 3, 200), (1, 2, 502), (9, 3, 200), (9, 2, 502)] {
        let member = Member::scripted(move |mut talk| async move {
            while talk.request().await.is_some_and(|request| request.whole) {
                for piece in [answer, OK].concat().as_bytes().chunks(length) {
                    talk.say(piece).await;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        })
        .await;
        let endpoint = member
            .quick()
            .head_timeout(Duration::from_secs(9))
            .max_interim_responses(most);
        let front = Front::before(Server::new(), [endpoint.build().unwrap()]);
        let mut client = front.client().await;
        for request in [GET, POST, GET] {
            client.say(request).await;
            assert_eq!(client.answer().await.status(), status);
        }
        drop(client);
        front.at_rest().await;
    }
}

#[tokio::test]
async fn chunks_of_a_byte_without_end_are_cut_by_the_limit_of_the_whole() {
    let begin = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let extended = "1;a=b\r\ny\r\n";
    for more in ["1\r\ny\r\n", extended] {
        let member = Flooding::start(begin, more);
        let endpoint = member.quick().request_timeout(SHORT).build().unwrap();
        let front = Front::before(Server::new(), [endpoint]);
        let mut client = front.client().await;
        client.say(GET).await;
        front.in_flight_is(1).await;
        let began = Instant::now();
        let reading = async {
            others_go_on(&front).await;
            front.in_flight_is(0).await;
        };
        tokio::join!(reading, client.count_the_rest());
        // A member that sends too many extensions is left before.
        assert!(began.elapsed() < SHORT + Duration::from_secs(2));
        drop(client);
        front.at_rest().await;
    }
}

#[tokio::test]
async fn trailers_without_end_are_an_error() {
    let begin = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\ny\r\n0\r\n";
    let member = Flooding::start(begin, "x: yyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n");
    let front = Front::before(Server::new(), [member.quick().build().unwrap()]);
    let mut client = front.client().await;
    client.say(GET).await;
    front.in_flight_is(1).await;
    let reading = async {
        others_go_on(&front).await;
        front.in_flight_is(0).await;
    };
    tokio::join!(reading, client.count_the_rest());
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn an_upload_of_empty_frames_is_no_progress() {
    let member = Member::answering(OK).await;
    let server = Server::new().body_timeout(SHORT);
    let front = Front::before(server, [member.endpoint()]);
    let mut client = Peer::new(&front, &[]).await;
    let stream = client.head(h2::pseudo("POST", "/"), 0).await;
    client.say(frame(h2::DATA, 0, stream, "some")).await;
    let began = Instant::now();
    let trickle = async {
        let empty = frame(h2::DATA, 0, stream, "");
        loop {
            tokio::time::sleep(SHORT / 10).await;
            client.say(&empty).await;
            let came = client.next_within(Duration::from_millis(1)).await;
            if came.is_some_and(|it| it.kind == h2::HEADERS) {
                return;
            }
        }
    };
    within(trickle).await;
    took_about(SHORT, began);
    drop(client);
    front.at_rest().await;
    assert_eq!(member.served(), [""; 0]);
}
