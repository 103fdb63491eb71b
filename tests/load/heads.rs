//! Heads that HPACK makes large of few bytes, as many as a client may have at once: what
//! they cost the proxy has a bound.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::frame::frame;
use crate::proxy::proxy;

const CONNECTIONS: usize = 20;
const STREAMS: u32 = 190;
/// KiB that all of that may cost: the bound of a connection is 2 MiB.
const MOST: u64 = 80 * 1024;

/// `GET http://a/`, and a field of 3 900 bytes four times, which is sent with the first
/// request only.
fn head(first: bool) -> Vec<u8> {
    // Method, scheme and path by their places in the table, and the authority.
    let mut block = vec![0x82, 0x86, 0x84, 0x01, 1, b'a'];
    if first {
        // A name of one byte, and a length of 3 900 as a number of HPACK.
        block.extend([0x40, 1, b'x', 0x7f, 0xbd, 0x1d]);
        block.extend([b'y'; 3_900]);
    } else {
        block.push(0xbe);
    }
    block.extend([0xbe; 3]);
    block
}

/// A member that takes requests and answers none.
async fn silent() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut read = vec![0; 64 * 1024];
                while matches!(stream.read(&mut read).await, Ok(1..)) {}
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs 3 900 open files in each of two processes: ulimit -Hn"]
async fn heads_that_are_large_in_memory_and_small_on_the_wire_have_a_bound() {
    let (proxy, address) = proxy(&[silent().await]);
    let before = proxy.memory("VmRSS");
    let mut clients = Vec::new();
    let mut sent = 0;
    for _ in 0..CONNECTIONS {
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(4, 0, 0, []));
        for stream in 0..STREAMS {
            bytes.extend(frame(1, 5, 2 * stream + 1, head(stream == 0)));
        }
        sent += bytes.len();
        client.write_all(&bytes).await.unwrap();
        clients.push(client);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = proxy.memory("VmRSS");
    let cost = after - before;
    println!("{sent} bytes of {CONNECTIONS} connections cost {cost} KiB");
    assert!(cost < MOST, "{cost} KiB");
}
