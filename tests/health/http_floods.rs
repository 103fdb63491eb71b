//! Members that send without end what is no answer, and members that do not wait to be asked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use equipoise::health::HttpProbe;
use http::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::member::{Served, failure, probed};

/// A member on a thread of its own, so that it can keep the thread of a test busy. It sends
/// `first`, and then this piece again and again, as much as 64 MiB.
fn flooding(first: &'static [u8], piece: &[u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let pieces = piece.repeat(64 * 1024 / piece.len());
    spawn_blocking(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(first);
        for _ in 0..1024 {
            if stream.write_all(&pieces).is_err() {
                return;
            }
        }
    });
    address
}

#[tokio::test]
async fn a_member_that_floods_a_check_fails_and_holds_up_no_other() {
    let interim = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
    let settings = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    // A frame of a kind that there is not, which is to be ignored.
    let mut unknown = vec![0, 1, 0, 0xbb, 0, 0, 0, 0, 0];
    unknown.resize(9 + 256, 0);
    for (version, first, piece) in [
        (Version::HTTP_11, &b""[..], &interim[..]),
        (Version::HTTP_2, settings, &unknown),
    ] {
        let probe = HttpProbe::get("/").version(version).build().unwrap();
        let ticking = tokio::spawn(async {
            let (mut longest, mut last) = (Duration::ZERO, Instant::now());
            loop {
                tokio::task::yield_now().await;
                longest = longest.max(last.elapsed());
                last = Instant::now();
                if longest > Duration::from_secs(1) {
                    return longest;
                }
            }
        });
        let why = failure(&probe, flooding(first, piece).into()).await;
        let flooded = "the response has too many bytes";
        assert!(why.contains(flooded), "{version:?}: {why}");
        assert!(!ticking.is_finished(), "the thread was held for a second");
        ticking.abort();
    }
}

#[tokio::test]
async fn a_member_that_answers_before_it_is_asked_passes() {
    // As a script behind xinetd does: it reads nothing.
    let member = Served::by(|mut stream| async move {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready";
        let _ = stream.write_all(answer).await;
        let _ = stream.shutdown().await;
        let _ = stream.read(&mut [0; 1024]).await;
    })
    .await;
    for probe in [HttpProbe::get("/"), HttpProbe::head("/")] {
        let probe = probe.build().unwrap();
        for _ in 0..50 {
            probed(&probe, member.target()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_kept_connection_may_carry_any_number_of_long_answers() {
    let body = "x".repeat(60_000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n{body}");
    let member = Served::keeping(answer.leak().as_bytes()).await;
    let probe = HttpProbe::get("/").keep_alive().build().unwrap();
    let target = member.target();
    for _ in 0..50 {
        probed(&probe, target.clone()).await.unwrap();
    }
    assert_eq!(member.connections(), 1);
}
