//! The client: says what a case says, and tells what it got.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::backend::bytes;
use super::case::Asked;
use super::wire::{Body, Head, Line};

/// What a client got.
#[derive(Clone, Debug, Default)]
pub(crate) struct Got {
    pub(crate) head: Option<Head>,
    pub(crate) interim: Vec<u16>,
    pub(crate) body_bytes: usize,
    /// What is wrong with it, if anything: `closed`, `truncated` or `timeout`.
    pub(crate) fault: Option<&'static str>,
}

impl Got {
    fn faulty(fault: &'static str) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }
}

pub(crate) async fn connect(to: SocketAddr) -> Option<Line> {
    TcpStream::connect(to).await.ok().map(Line::new)
}

/// The bytes of a request.
pub(crate) fn request(asked: &Asked, id: &str, keeps: bool) -> Vec<u8> {
    let method = asked.method.as_deref().unwrap_or("GET");
    let path = asked.path.as_deref().unwrap_or("/");
    let query = asked.query.as_ref().map(|query| format!("?{query}"));
    let host = asked.host.as_deref().unwrap_or("www.example.test");
    let mut text = format!(
        "{method} {path}{} HTTP/1.1\r\nHost: {host}\r\nX-Req: {id}\r\n",
        query.unwrap_or_default()
    );
    for (name, value) in &asked.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let given = |name: &str| {
        asked
            .headers
            .iter()
            .any(|(n, _)| n.eq_ignore_ascii_case(name))
    };
    if let Some(size) = asked.body {
        if !given("content-length") {
            text.push_str(&format!("Content-Length: {size}\r\n"));
        }
    }
    if asked.body_chunked.is_some() && !given("transfer-encoding") {
        text.push_str("Transfer-Encoding: chunked\r\n");
    }
    if !keeps && !given("connection") {
        text.push_str("Connection: close\r\n");
    }
    text.push_str("\r\n");
    let mut message = bytes(&text);
    if let Some(size) = asked.body {
        message.extend(std::iter::repeat_n(b'b', size));
    }
    if let Some(size) = asked.body_chunked {
        if size > 0 {
            message.extend_from_slice(format!("{size:x}\r\n").as_bytes());
            message.extend(std::iter::repeat_n(b'b', size));
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(b"0\r\n\r\n");
    }
    message
}

/// Sends a request and reads the whole answer; gives the connection back if another
/// request may follow on it.
pub(crate) async fn exchange(
    line: Option<Line>,
    message: Vec<u8>,
    asked: &Asked,
    keeps: bool,
    patience: Duration,
) -> (Got, Option<Line>) {
    let Some(mut line) = line else {
        return (Got::faulty("closed"), None);
    };
    // An answer may come before all was said, and closes the connection then.
    let said = timeout(patience, line.say(message)).await;
    if said.is_err() {
        return (Got::faulty("timeout"), None);
    }
    let mut got = Got::default();
    let head = loop {
        match timeout(patience, line.head()).await {
            Err(_) => got.fault = Some("timeout"),
            Ok(Ok(Some(head))) => match head.status() {
                Some(status @ (100 | 102..=199)) => {
                    got.interim.push(status);
                    continue;
                }
                _ => break head,
            },
            Ok(Ok(None) | Err(_)) => got.fault = Some("closed"),
        }
        return (got, None);
    };
    let status = head.status().unwrap_or_default();
    let bodiless = asked.method.as_deref() == Some("HEAD") || matches!(status, 101 | 204 | 304);
    let body = if bodiless {
        Some(Body {
            bytes: 0,
            complete: true,
            to_the_end: false,
        })
    } else {
        timeout(patience, line.body(&head, true)).await.ok()
    };
    let goes_on = keeps && !head.says("connection", "close");
    got.head = Some(head);
    match body {
        None => got.fault = Some("timeout"),
        Some(body) => {
            got.body_bytes = body.bytes;
            if !body.complete {
                got.fault = Some("truncated");
            } else if goes_on && !body.to_the_end {
                return (got, Some(line));
            } else {
                // The request is over when the server has closed the connection.
                let _ = timeout(Duration::from_secs(2), line.closed()).await;
            }
        }
    }
    (got, None)
}
