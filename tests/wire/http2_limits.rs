//! What one client can have over HTTP/2: time for what it does not take, heads that are
//! held, streams, windows, and frames that carry nothing.

use std::convert::Infallible;
use std::time::Duration;

use equipoise::net::Listener;
use equipoise::proxy::{ClientBody, Server};
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::front::{Front, SHORT, took_about};
use super::h2::{self, Came, Peer, frame};
use super::line::within;
use super::member::{Member, OK};

const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

const INITIAL_WINDOW_SIZE: u16 = 4;
/// As wide as the window of a connection gets.
const WIDE: u32 = (1 << 31) - 1 - 65_535;

/// A member that answers `/large` without an end, `/half` with a half, `/never` with nothing,
/// and all else at once.
async fn member() -> Member {
    Member::scripted(|mut talk| async move {
        while let Some(request) = talk.request().await {
            let is = |path: &str| request.first_line().contains(path);
            if is("/large") {
                talk.say("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
                    .await;
                let some = vec![b'y'; 1 << 20];
                while talk.line.stream.write_all(&some).await.is_ok() {}
            } else if is("/half") {
                talk.say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
                    .await;
                talk.until_gone().await;
            } else if is("/never") {
                talk.until_gone().await;
            } else {
                talk.say(OK).await;
            }
        }
    })
    .await
}

fn impatient() -> Server {
    Server::new().write_timeout(SHORT)
}

/// Asks for `/`, and reads all that comes until it is answered.
async fn ask(client: &mut Peer) -> Vec<Came> {
    let stream = client.get("/").await;
    let mut came = Vec::new();
    loop {
        let next = client.next().await.expect("the connection has ended");
        let last = next.stream == stream && next.flags & h2::END_STREAM != 0;
        assert!(
            next.stream != stream || next.kind != h2::RST_STREAM,
            "reset"
        );
        came.push(next);
        if last {
            return came;
        }
    }
}

/// Asserts that these streams are reset in time, while the client has one small request
/// after another answered.
async fn are_reset(client: &mut Peer, mut streams: Vec<u32>) {
    let began = Instant::now();
    while !streams.is_empty() {
        for came in ask(client).await {
            if came.kind == h2::RST_STREAM {
                assert_eq!(came.code(), CANCEL);
                streams.retain(|&stream| stream != came.stream);
            }
        }
        sleep(SHORT / 10).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{streams:?}");
    }
    took_about(SHORT, began);
}

#[tokio::test]
async fn downloads_that_are_not_taken_are_reset_whatever_else_their_client_reads() {
    let member = member().await;
    // A window that is full, and one that never was open.
    for window in [65_535, 0] {
        let front = Front::before(impatient(), [member.endpoint()]);
        let settings = [(INITIAL_WINDOW_SIZE, window)];
        let mut client = Peer::new(&front, &settings).await;
        client.widen(0, WIDE).await;
        let mut stalled = Vec::new();
        for _ in 0..5 {
            stalled.push(client.get("/large").await);
        }
        front.in_flight_is(5).await;
        if window == 0 {
            // No other answer would be taken either.
            let began = Instant::now();
            for &stream in &stalled {
                let reset = client.wait_for(h2::RST_STREAM, stream).await.unwrap();
                assert_eq!(reset.code(), CANCEL);
            }
            took_about(SHORT, began);
        } else {
            are_reset(&mut client, stalled).await;
            ask(&mut client).await;
        }
        front.in_flight_is(0).await;
        drop(client);
        front.at_rest().await;
    }
}

#[tokio::test]
async fn a_download_of_which_a_byte_is_taken_at_a_time_is_reset() {
    let member = member().await;
    let front = Front::before(impatient(), [member.endpoint()]);
    let mut client = Peer::new(&front, &[]).await;
    client.widen(0, WIDE).await;
    let stream = client.get("/large").await;
    let mut taken = 0;
    while taken < 65_535 {
        taken += client
            .wait_for(h2::DATA, stream)
            .await
            .unwrap()
            .payload
            .len();
    }
    let began = Instant::now();
    loop {
        client.widen(stream, 1).await;
        let next = client.next_within(SHORT / 10).await;
        if next.is_some_and(|it| it.kind == h2::RST_STREAM && it.stream == stream) {
            break;
        }
    }
    took_about(SHORT, began);
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn a_download_that_is_taken_slowly_goes_on() {
    let member = member().await;
    let front = Front::before(impatient(), [member.endpoint()]);
    let mut client = Peer::new(&front, &[]).await;
    client.widen(0, WIDE).await;
    let stream = client.get("/large").await;
    let began = Instant::now();
    while began.elapsed() < SHORT * 4 {
        client.widen(stream, 16_384).await;
        while let Some(came) = client.next_within(SHORT / 6).await {
            assert_ne!(came.kind, h2::RST_STREAM);
        }
    }
    assert_eq!(front.in_flight(), 1);
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn an_answer_that_has_nothing_to_give_is_not_late() {
    let member = member().await;
    let front = Front::before(impatient(), [member.endpoint()]);
    let mut client = Peer::new(&front, &[]).await;
    let half = client.get("/half").await;
    client.get("/never").await;
    let came = client.wait_for(h2::DATA, half).await.unwrap();
    assert_eq!(came.payload, b"half");
    let began = Instant::now();
    while began.elapsed() < SHORT * 4 {
        let came = client.next_within(SHORT).await;
        assert!(came.is_none_or(|came| came.kind != h2::RST_STREAM));
    }
    assert_eq!(front.in_flight(), 2);
    drop(client);
    front.at_rest().await;
}

/// A request with four fields of 3 900 bytes, of which HPACK sends one; it counts for some
/// 32 kB.
fn large_head(path: &str, first: bool) -> Vec<u8> {
    let mut block = h2::pseudo("GET", path);
    if first {
        block.extend(h2::header("x", &"y".repeat(3_900), true));
    } else {
        block.push(h2::REPEATED);
    }
    block.extend([h2::REPEATED; 3]);
    block
}

/// The streams that are refused of so many with large heads.
async fn refused(client: &mut Peer, streams: usize) -> usize {
    for stream in 0..streams {
        client
            .head(large_head("/never", stream == 0), h2::END_STREAM)
            .await;
    }
    let mut refused = 0;
    // An acknowledged PING tells that all of them have been looked at, or soon are.
    client.say(frame(h2::PING, 0, 0, [0; 8])).await;
    while let Some(came) = client.next_within(SHORT).await {
        if came.kind == h2::RST_STREAM {
            assert_eq!(came.code(), REFUSED_STREAM);
            refused += 1;
        }
    }
    refused
}

#[tokio::test]
async fn heads_are_held_up_to_a_bound_for_each_connection_and_streams_are_refused_then() {
    let member = member().await;
    let server = Server::new().http2_max_held_heads(100_000, 1_000_000);
    let front = Front::before(server, [member.endpoint()]);
    let mut client = Peer::new(&front, &[]).await;
    assert_eq!(refused(&mut client, 10).await, 7);
    front.in_flight_is(3).await;
    // Others have a bound of their own, and what has ended counts no more.
    let mut other = Peer::new(&front, &[]).await;
    ask(&mut other).await;
    for stream in [1, 3, 5] {
        let cancel = frame(h2::RST_STREAM, 0, stream, CANCEL.to_be_bytes());
        client.say(cancel).await;
    }
    front.in_flight_is(0).await;
    ask(&mut client).await;
    let mut again = Peer::new(&front, &[]).await;
    assert_eq!(refused(&mut again, 3).await, 0);
    drop((client, other, again));
    front.at_rest().await;
}

#[tokio::test]
async fn heads_are_held_up_to_a_bound_for_the_server() {
    let member = member().await;
    let server = Server::new().http2_max_held_heads(100_000, 150_000);
    let front = Front::before(server, [member.endpoint()]);
    let mut first = Peer::new(&front, &[]).await;
    let mut second = Peer::new(&front, &[]).await;
    assert_eq!(refused(&mut first, 4).await, 1);
    assert_eq!(refused(&mut second, 4).await, 3);
    drop(first);
    front.in_flight_is(1).await;
    let mut third = Peer::new(&front, &[]).await;
    assert_eq!(refused(&mut third, 3).await, 0);
    drop((second, third));
    front.at_rest().await;
}

#[tokio::test]
async fn a_client_is_told_the_limits() {
    let member = member().await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = Peer::new(&front, &[]).await;
    let settings = client.wait_for(h2::SETTINGS, 0).await.unwrap().payload;
    let settings: Vec<_> = settings
        .chunks(6)
        .map(|it| (it[1], u32::from_be_bytes(it[2..].try_into().unwrap())))
        .collect();
    for expected in [(3, 100), (4, 256 * 1024), (6, 16 * 1024)] {
        assert!(settings.contains(&expected), "{settings:?}");
    }
    let widened = client.wait_for(h2::WINDOW_UPDATE, 0).await.unwrap();
    let widened = u32::from_be_bytes(widened.payload.try_into().unwrap());
    assert_eq!(widened + 65_535, 100 * 256 * 1024);
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_gets_431_over_http_2() {
    let member = member().await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let fields = h2::header("x", &"y".repeat(3_900), true);
    let many_bytes = [&fields[..], &[h2::REPEATED; 5]].concat();
    let many_fields = [h2::header("x", "", true), vec![h2::REPEATED; 500]].concat();
    for fields in [many_bytes, many_fields] {
        let mut client = Peer::new(&front, &[]).await;
        let block = [h2::pseudo("GET", "/"), fields].concat();
        let stream = client.head(block, h2::END_STREAM).await;
        let head = client.wait_for(h2::HEADERS, stream).await.unwrap();
        // 431 in Huffman's code.
        assert_eq!(head.payload[2..], [0x69, 0x90, 0xff], "{head:?}");
        ask(&mut client).await;
    }
    front.at_rest().await;
    assert_eq!(member.served().len(), 2);
}

#[tokio::test]
async fn uploads_that_are_not_read_stop_no_other() {
    let service = tower::service_fn(async |request: Request<ClientBody>| {
        if request.uri().path() == "/unread" {
            let _kept = request;
            std::future::pending::<()>().await;
            unreachable!("it never ends");
        }
        let read = request.into_body().collect().await.unwrap().to_bytes();
        Ok::<_, Infallible>(Response::new(read.len().to_string()))
    });
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new()
        .http2_max_concurrent_streams(4)
        .http2_initial_stream_window_size(65_536);
    let serving = tokio::spawn(server.serve(listener, service, std::future::pending()));
    let stream = TcpStream::connect(address).await.unwrap();
    let mut client = Peer::on(stream, &[]).await;
    client.wait_for(h2::WINDOW_UPDATE, 0).await.unwrap();
    // The windows that the server has announced hold from here on.
    client.say(frame(h2::SETTINGS, 1, 0, "")).await;
    let upload = |stream, last| {
        let mut bytes = Vec::new();
        for piece in 1..=4 {
            let flags = if last && piece == 4 {
                h2::END_STREAM
            } else {
                0
            };
            bytes.extend(frame(h2::DATA, flags, stream, [b'y'; 16_384]));
        }
        bytes
    };
    for _ in 0..3 {
        let stream = client.head(h2::pseudo("POST", "/unread"), 0).await;
        client.say(upload(stream, false)).await;
    }
    let stream = client.head(h2::pseudo("POST", "/read"), 0).await;
    client.say(upload(stream, true)).await;
    let came = client.wait_for(h2::DATA, stream).await.unwrap();
    assert_eq!(came.payload, b"65536");
    serving.abort();
}

/// Sends this until the connection ends; tells with which error it does, if it is said.
async fn until_calm(client: &mut Peer, bytes: &[u8]) -> Option<u32> {
    let many = bytes.repeat(1_000);
    let mut sent = 0;
    loop {
        // What comes back is read, so that neither side waits for the other.
        if !client.say(&many).await {
            break;
        }
        sent += 1_000;
        assert!(sent < 200_000, "the flood goes on");
        while let Some(came) = client.next_within(Duration::from_millis(1)).await {
            if came.kind == h2::GOAWAY {
                return Some(came.code());
            }
        }
    }
    while let Some(came) = client.next_within(SHORT).await {
        if came.kind == h2::GOAWAY {
            return Some(came.code());
        }
    }
    None
}

#[tokio::test]
async fn floods_of_frames_that_carry_nothing_end_the_connection() {
    let member = member().await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let empty = frame(h2::DATA, 0, 1, "");
    let priority = frame(h2::PRIORITY, 0, 3, [0, 0, 0, 0, 7]);
    for (name, flood) in [
        ("PING", frame(h2::PING, 0, 0, [0; 8])),
        ("PING ACK", frame(h2::PING, 1, 0, [0; 8])),
        ("SETTINGS", frame(h2::SETTINGS, 0, 0, "")),
        ("PRIORITY", priority),
        ("unknown", frame(77, 0, 0, "")),
        (
            "WINDOW_UPDATE",
            frame(h2::WINDOW_UPDATE, 0, 0, 1_u32.to_be_bytes()),
        ),
        (
            "RST_STREAM",
            frame(h2::RST_STREAM, 0, 1, CANCEL.to_be_bytes()),
        ),
        ("empty DATA", empty),
    ] {
        let mut client = Peer::new(&front, &[]).await;
        client.head(h2::pseudo("POST", "/never"), 0).await;
        let code = within(until_calm(&mut client, &flood)).await;
        let known = [None, Some(ENHANCE_YOUR_CALM), Some(5), Some(1)];
        assert!(known.contains(&code), "{name}: {code:?}");
        // Others are served.
        ask(&mut Peer::new(&front, &[]).await).await;
    }
    front.at_rest().await;
}

#[tokio::test]
async fn streams_that_are_reset_at_once_end_the_connection() {
    let member = member().await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = Peer::new(&front, &[]).await;
    let mut reset = 0;
    loop {
        let stream = client.get("/never").await;
        let cancel = frame(h2::RST_STREAM, 0, stream, CANCEL.to_be_bytes());
        if !client.say(cancel).await {
            break;
        }
        reset += 1;
        assert!(reset < 20_000, "it goes on");
    }
    drop(client);
    front.at_rest().await;
}

#[tokio::test]
async fn a_head_in_pieces_without_end_ends_the_connection() {
    let member = member().await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    for piece in [Vec::new(), h2::header("x", "y", false)] {
        let mut client = Peer::new(&front, &[]).await;
        client
            .say(frame(h2::HEADERS, 0, 1, h2::pseudo("GET", "/")))
            .await;
        let piece = frame(h2::CONTINUATION, 0, 1, piece);
        within(until_calm(&mut client, &piece)).await;
    }
    front.at_rest().await;
}

#[tokio::test]
async fn thousands_of_requests_and_of_acknowledged_frames_are_no_flood() {
    let member = member().await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let mut client = Peer::new(&front, &[]).await;
    client.widen(0, WIDE).await;
    for _ in 0..15_000 {
        ask(&mut client).await;
    }
    let stream = client.get("/large").await;
    let mut taken = 0;
    while taken < 20_000_000 {
        let came = client.wait_for(h2::DATA, stream).await.unwrap();
        let length = u32::try_from(came.payload.len()).unwrap();
        client.widen(stream, length).await;
        client.widen(0, 1).await;
        client.say(frame(h2::PING, 0, 0, [0; 8])).await;
        taken += length;
    }
    drop(client);
    front.at_rest().await;
}
