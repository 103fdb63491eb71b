//! Members that flood a check over HTTP/2: what a check holds of it is bounded, and so is its
//! time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::scope;
use std::time::Duration;

use equipoise::health::{GrpcProbe, HttpProbe, Probe, ProbeTarget};
use equipoise::net::Connector;
use http::Version;
use tokio::time::timeout;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![0, length[0], length[1], kind, flags, 0, 0, 0, stream];
    frame.extend_from_slice(payload);
    frame
}

/// Reads up to the head of the first request.
fn request(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.read_exact(&mut [0; 24])?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let [high, middle, low, kind, ..] = head;
        let length = u32::from_be_bytes([0, high, middle, low]);
        std::io::copy(&mut stream.take(length.into()), &mut std::io::sink())?;
        if kind == HEADERS {
            return Ok(());
        }
    }
}

/// A member that answers one request with `first`, and then with `flood` without end.
fn flood(listener: &TcpListener, first: &[u8], flood: &[u8]) {
    let flood = flood.repeat(64 * 1024 / flood.len());
    let (mut stream, _) = listener.accept().unwrap();
    let begun = request(&mut stream);
    let begun = begun.and_then(|()| stream.write_all(&frame(SETTINGS, 0, 0, &[])));
    if begun.and_then(|()| stream.write_all(first)).is_ok() {
        while stream.write_all(&flood).is_ok() {}
    }
}

/// What a probe of half a second comes to, and how many bytes it has held at most.
fn probed(probe: &impl Probe, first: &[u8], again: &[u8]) -> (String, u64) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    scope(|scope| {
        scope.spawn(|| flood(&listener, first, again));
        measured(probe, address)
    })
}

fn measured(probe: &impl Probe, address: SocketAddr) -> (String, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut told = String::new();
    let held = allocation_counter::measure(|| {
        let target = ProbeTarget::new(Connector::tcp(address));
        let limit = Duration::from_millis(500);
        told = runtime.block_on(async {
            match timeout(limit, probe.probe(target)).await {
                Ok(Ok(())) => "passed".to_owned(),
                Ok(Err(error)) => error.cause().to_string(),
                Err(_) => "not over".to_owned(),
            }
        });
    });
    (told, held.bytes_max)
}

#[test]
fn a_check_holds_little_of_what_it_is_flooded_with() {
    // `:status: 103`, which is then in the table of both; `:status: 200` always is.
    let interim = frame(HEADERS, END_HEADERS, 1, b"\x48\x03103");
    let again = frame(HEADERS, END_HEADERS, 1, &[0xbe]);
    let good = frame(HEADERS, END_HEADERS, 1, &[0x88]);
    let unended = frame(HEADERS, 0, 1, &[0x88]);
    let long = [&[0x00, 1, b'x', 0x7f, 0x81, 0x07][..], &[b'x'; 1_024]].concat();
    let floods = [
        ("interim answers", interim, again, "too many bytes"),
        (
            "empty frames",
            good.clone(),
            frame(DATA, 0, 1, &[]),
            "the response body is incomplete",
        ),
        (
            "frames of a byte",
            good,
            frame(DATA, 0, 1, b"x"),
            "the response body is incomplete",
        ),
        (
            "a field block",
            unended,
            frame(CONTINUATION, 0, 1, &long),
            "no response",
        ),
        (
            "settings",
            vec![],
            frame(SETTINGS, 0, 0, &[]),
            "too many bytes",
        ),
        (
            "pings",
            vec![],
            frame(PING, 0, 0, &[0; 8]),
            "too many bytes",
        ),
    ];
    let get = HttpProbe::get("/")
        .version(Version::HTTP_2)
        .build()
        .unwrap();
    for (name, first, flood, wanted) in floods {
        let told = [
            probed(&get, &first, &flood),
            probed(&GrpcProbe::new(), &first, &flood),
        ];
        for (told, held) in told {
            assert!(told.contains(wanted), "{name}: {told}");
            assert!(held < 16 << 20, "{name}: {held} bytes were held");
        }
    }
}
