//! HTTP/1.1 by hand, for both ends: heads, bodies, and what is wrong with them.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection, with what was read of it and not yet used.
#[derive(Debug)]
pub(crate) struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The first line of a message and its fields, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, String)>,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Body {
    pub(crate) bytes: usize,
    pub(crate) complete: bool,
    /// Whether it went on to the end of the connection.
    pub(crate) to_the_end: bool,
}

impl Head {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let field = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
        Some(&field.1)
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let fields = self.fields.iter();
        fields
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }

    pub(crate) fn says(&self, name: &str, token: &str) -> bool {
        let mut tokens = self.all(name).flat_map(|value| value.split(','));
        tokens.any(|said| said.trim().eq_ignore_ascii_case(token))
    }

    pub(crate) fn word(&self, at: usize) -> &str {
        self.start.split(' ').nth(at).unwrap_or_default()
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.word(1).parse().ok()
    }

    fn parse(text: &str) -> Self {
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let fields = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim().to_owned()))
        });
        Self {
            start,
            fields: fields.collect(),
        }
    }
}

fn early() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

impl Line {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // What is sent in several pieces is still one answer.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Waits until the other side closes, and takes no notice of what it says.
    pub(crate) async fn closed(&mut self) {
        while matches!(self.more().await, Ok(true)) {
            self.buffer.clear();
        }
    }

    /// Waits a moment for the other side to say something.
    pub(crate) async fn glance(&mut self) {
        let _ = tokio::time::timeout(Duration::from_millis(200), self.more()).await;
    }

    /// Ends the connection as a reset.
    pub(crate) fn reset(self) {
        let _ = self.stream.set_zero_linger();
    }

    /// Says that nothing more comes, and waits a moment for the other side to agree, so
    /// that what was said arrives.
    pub(crate) async fn close(mut self) {
        let _ = self.stream.shutdown().await;
        let _ = tokio::time::timeout(Duration::from_secs(5), self.closed()).await;
    }

    async fn more(&mut self) -> io::Result<bool> {
        let mut piece = [0; 16384];
        let read = self.stream.read(&mut piece).await?;
        self.buffer.extend_from_slice(&piece[..read]);
        Ok(read > 0)
    }

    /// The next head; none if the connection ends before it begins.
    pub(crate) async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let text = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 4);
                return Ok(Some(Head::parse(&text)));
            }
            if !self.more().await? {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(early()),
                };
            }
        }
    }

    /// The body behind a head; to the end of the connection if nothing says how long it
    /// is and `to_the_end` allows it.
    pub(crate) async fn body(&mut self, head: &Head, to_the_end: bool) -> Body {
        let mut bytes = 0;
        let chunked = head.says("transfer-encoding", "chunked");
        let length = head.get("content-length");
        let length = length.and_then(|value| value.parse::<usize>().ok());
        let end = match (chunked, length) {
            (true, _) => self.chunks(&mut bytes).await,
            (false, Some(length)) => self.take(length, &mut bytes).await,
            (false, None) if to_the_end => loop {
                bytes += self.buffer.len();
                self.buffer.clear();
                match self.more().await {
                    Ok(true) => {}
                    Ok(false) => break Ok(()),
                    Err(error) => break Err(error),
                }
            },
            (false, None) => Ok(()),
        };
        Body {
            bytes,
            complete: end.is_ok(),
            to_the_end: !chunked && length.is_none() && to_the_end,
        }
    }

    async fn take(&mut self, length: usize, bytes: &mut usize) -> io::Result<()> {
        let mut left = length;
        loop {
            let taken = left.min(self.buffer.len());
            self.buffer.drain(..taken);
            left -= taken;
            *bytes += taken;
            if left == 0 {
                return Ok(());
            }
            if !self.more().await? {
                return Err(early());
            }
        }
    }

    async fn chunks(&mut self, bytes: &mut usize) -> io::Result<()> {
        loop {
            let line = self.text_line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
            if size == 0 {
                while !self.text_line().await?.is_empty() {}
                return Ok(());
            }
            self.take(size, bytes).await?;
            self.text_line().await?;
        }
    }

    async fn text_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 2);
                return Ok(line);
            }
            if !self.more().await? {
                return Err(early());
            }
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
