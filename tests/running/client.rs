//! A client that writes what it is told to, and reads what comes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than anything here takes.
const LONGEST: Duration = Duration::from_secs(20);

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().unwrap_or_default();
        let status = status.split(' ').nth(1).and_then(|it| it.parse().ok());
        let head = lines.filter_map(|line| line.split_once(": "));
        Self {
            status: status.unwrap_or_default(),
            head: head
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body: body.to_owned(),
        }
    }

    /// All values of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.head.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// The name of the member that answered.
    pub(crate) fn member(&self) -> &str {
        self.header("x-member").unwrap_or_default()
    }

    /// The request line that the member saw, without its version.
    pub(crate) fn asked(&self) -> &str {
        self.body.lines().next().unwrap_or_default()
    }

    /// All values of a header that the member saw.
    pub(crate) fn seen(&self, name: &str) -> Vec<&str> {
        let lines = self.body.lines().skip(1);
        let named = lines.filter_map(|line| line.split_once(": "));
        named
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| value)
            .collect()
    }
}

/// Sends bytes, and reads until the other side closes.
pub(crate) async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> Answer {
    let exchange = async {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        // Who resets the connection at the end has said all before.
        let _ = stream.read_to_end(&mut bytes).await;
        Answer::read(&bytes)
    };
    tokio::time::timeout(LONGEST, exchange).await.unwrap()
}

pub(crate) async fn send(to: SocketAddr, request: &str) -> Answer {
    exchange(TcpStream::connect(to).await.unwrap(), request).await
}

/// A request without a body; `lines` are headers, each ended by a line feed.
pub(crate) async fn ask(to: SocketAddr, method: &str, target: &str, lines: &str) -> Answer {
    send(to, &request(method, target, lines)).await
}

pub(crate) fn request(method: &str, target: &str, lines: &str) -> String {
    let lower = lines.to_ascii_lowercase();
    let host = if lower.starts_with("host:") || lower.contains("\nhost:") {
        ""
    } else {
        "Host: front.example\r\n"
    };
    let lines = lines.replace('\n', "\r\n");
    format!("{method} {target} HTTP/1.1\r\n{host}{lines}Connection: close\r\n\r\n")
}

pub(crate) async fn get(to: SocketAddr, target: &str) -> Answer {
    ask(to, "GET", target, "").await
}

/// As a client that wants the host `host`.
pub(crate) async fn get_at(to: SocketAddr, host: &str, target: &str) -> Answer {
    ask(to, "GET", target, &format!("Host: {host}\n")).await
}

/// Waits until something is so, and gives up after a while.
pub(crate) async fn until(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..500 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: still not so");
}
