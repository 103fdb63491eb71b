//! Clients that do not speak TLS, or stop in the middle of it.

use std::net::SocketAddr;
use std::time::Duration;

use equipoise::net::ServerTls;
use equipoise::proxy::Server;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::authority::Authority;
use super::client::Client;
use super::front::Front;
use super::within;

const NAME: &str = "shop.test";
const SHORT: Duration = Duration::from_millis(300);
const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

fn impatient(authority: &Authority) -> Server {
    let identity = authority.issue(&[NAME]).identity();
    let tls = ServerTls::new([identity]).unwrap();
    Server::new().tls(&tls).head_timeout(SHORT)
}

/// Reads what comes until the other side closes, in whatever manner.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut piece).await {
        read.extend_from_slice(&piece[..length]);
    }
    read
}

async fn sent(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Whoever refuses may have closed before the last byte.
    let _ = stream.write_all(bytes).await;
    stream
}

/// The alert with which TLS ends, if anything came at all.
fn is_no_answer(read: &[u8]) -> bool {
    read.is_empty() || read[0] == 0x15
}

#[tokio::test]
async fn who_does_not_speak_tls_is_closed_and_others_are_served() {
    within(async {
        let authority = Authority::new("clients");
        let front = Front::telling_by(impatient(&authority));
        let noise: Vec<u8> = (0..100_u32 * 1024)
            .map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        // A record of a handshake that is none.
        let record = [&[0x16, 3, 1, 0, 8], &[0xff; 8][..]].concat();
        for bytes in [
            HEAD,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x80\x2e\x01\x03\x01",
            b"\0",
            &noise,
            &record,
        ] {
            let mut stream = sent(front.address, bytes).await;
            let read = rest(&mut stream).await;
            assert!(is_no_answer(&read), "{read:?}");
            let client = Client::of(&authority);
            let told = client.ask(front.address, NAME).await.unwrap();
            assert_eq!(told, "HTTP/1.1 1.3 shop.test 0");
        }
        assert_eq!(front.stop().await.cut(), 0);
    })
    .await;
}

#[tokio::test]
async fn who_begins_a_handshake_and_stops_is_cut() {
    within(async {
        let authority = Authority::new("clients");
        let front = Front::telling_by(impatient(&authority));
        for begun in [
            b"".as_slice(),
            b"\x16",
            b"\x16\x03\x01\x02\x00",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ] {
            let began = Instant::now();
            let mut stream = sent(front.address, begun).await;
            assert!(is_no_answer(&rest(&mut stream).await));
            assert!(began.elapsed() >= SHORT);
            assert!(began.elapsed() < SHORT * 10);
        }
    })
    .await;
}

#[tokio::test]
async fn who_ends_a_handshake_and_says_no_more_is_cut() {
    within(async {
        let authority = Authority::new("clients");
        let front = Front::telling_by(impatient(&authority));
        for offered in [&[][..], &["http/1.1"], &["h2"]] {
            let began = Instant::now();
            let client = Client::of(&authority).speaking(offered);
            let mut connection = client.connect(front.address, NAME).await.unwrap();
            rest(&mut connection.stream).await;
            assert!(began.elapsed() >= SHORT, "{offered:?}");
            assert!(began.elapsed() < SHORT * 10, "{offered:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn who_is_in_a_handshake_does_not_hold_up_others_nor_the_stop() {
    within(async {
        let authority = Authority::new("clients");
        let server = impatient(&authority).head_timeout(Duration::from_secs(60));
        let front = Front::telling_by(server);
        let mut begun = Vec::new();
        for _ in 0..50 {
            begun.push(sent(front.address, b"\x16\x03\x01\x02\x00").await);
        }
        let client = Client::of(&authority);
        client.ask(front.address, NAME).await.unwrap();
        let began = Instant::now();
        assert_eq!(front.stop().await.cut(), 0);
        assert!(began.elapsed() < Duration::from_secs(5));
        for mut stream in begun {
            assert!(is_no_answer(&rest(&mut stream).await));
        }
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_announces_clients_does_so_before_tls() {
    within(async {
        let authority = Authority::new("clients");
        let server = impatient(&authority);
        let server = server.proxy_protocol(["127.0.0.0/8".parse().unwrap()]);
        let front = Front::telling_by(server);
        let client = Client::of(&authority);
        client.ask(front.address, NAME).await.unwrap_err();
        let header = b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 443\r\n";
        let stream = sent(front.address, header).await;
        let connection = client.over(stream, NAME).await.unwrap();
        let told = connection.ask().await.unwrap();
        assert_eq!(told, "HTTP/1.1 1.3 shop.test 0");
    })
    .await;
}
