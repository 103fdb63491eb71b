//! One end of a connection, read and written as bytes: [`Line`]; and what was read when it
//! is taken as HTTP/1.1, strictly: [`Message`].

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Waits for what has to happen soon; a test that hangs fails.
pub(crate) async fn within<T>(happens: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(8);
    timeout(limit, happens).await.expect("it takes too long")
}

/// A request or an answer.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Its first line and its headers, as they came.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The lines between the last chunk and the end.
    pub(crate) trailers: String,
    /// Whether it came to its end, without a fault.
    pub(crate) whole: bool,
}

impl Message {
    pub(crate) fn first_line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub(crate) fn status(&self) -> u16 {
        self.first_line()[9..12].parse().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|it| it.0 == name).map(|it| it.1)
    }

    fn headers(&self) -> impl Iterator<Item = (String, &str)> {
        let lines = self.head.lines().skip(1);
        let lines = lines.filter_map(|line| line.split_once(':'));
        lines.map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
    }

    /// All that says where the body ends.
    pub(crate) fn framing(&self) -> Vec<String> {
        let says = |name: &str| ["content-length", "transfer-encoding"].contains(&name.trim());
        let framing = self.headers().filter(|(name, _)| says(name));
        framing
            .map(|(name, value)| format!("{name}: {value}"))
            .collect()
    }

    /// Whether it says in one way, that nobody takes for another, where it ends.
    pub(crate) fn is_clear(&self) -> bool {
        let is_length = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        match self.framing().as_slice() {
            [] => true,
            [one] => match one.split_once(": ").unwrap() {
                ("content-length", length) => is_length(length),
                (_, coding) => coding == "chunked",
            },
            _ => false,
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Where a body without a length ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unframed {
    /// At once: it is a request, or an answer to HEAD.
    Empty,
    /// With the connection.
    ToTheEnd,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Line {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        let read = Vec::new();
        Self { stream, read }
    }

    /// Sends bytes; the other side may be gone.
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = within(self.stream.write_all(bytes.as_ref())).await;
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn end(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Goes away, so that the other side can tell it from the end of this one.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Reads what comes next; `false` at the end.
    pub(crate) async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.read).await, Ok(1..))
    }

    /// All that still comes, until the other side closes the connection.
    pub(crate) async fn all_the_rest(&mut self) -> Vec<u8> {
        within(async { while self.more().await {} }).await;
        std::mem::take(&mut self.read)
    }

    /// The same, but it is only counted.
    pub(crate) async fn count_the_rest(&mut self) -> usize {
        let mut bytes = 0;
        within(async {
            while self.more().await {
                bytes += self.read.len();
                self.read.clear();
            }
        })
        .await;
        bytes
    }

    /// Asserts that the connection ends, and that nothing comes before it does.
    pub(crate) async fn ends(&mut self) {
        let rest = self.all_the_rest().await;
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }

    /// Whether nothing has come so far.
    pub(crate) fn is_silent(&mut self) -> bool {
        let mut byte = [0];
        let tried = self.stream.try_read(&mut byte);
        let nothing =
            matches!(&tried, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
        self.read.is_empty() && nothing
    }

    /// Reads a request.
    pub(crate) async fn request(&mut self) -> Option<Message> {
        let head = self.head().await?;
        Some(self.rest_of_request(head).await)
    }

    pub(crate) async fn rest_of_request(&mut self, head: String) -> Message {
        self.rest_of(head, Unframed::Empty).await
    }

    /// Reads an answer.
    pub(crate) async fn answer(&mut self) -> Message {
        let head = within(self.head()).await.expect("no answer");
        within(self.rest_of(head, Unframed::ToTheEnd)).await
    }

    /// Reads the head of an answer, interim ones as well.
    pub(crate) async fn answer_head(&mut self) -> Message {
        let head = within(self.head()).await.expect("no answer");
        Message {
            head,
            body: Vec::new(),
            trailers: String::new(),
            whole: true,
        }
    }

    /// Reads a head with its empty line; `None` if the connection ends before.
    pub(crate) async fn head(&mut self) -> Option<String> {
        loop {
            let end = self.read.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let head = self.read.drain(..end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn rest_of(&mut self, head: String, unframed: Unframed) -> Message {
        let mut message = Message {
            head,
            body: Vec::new(),
            trailers: String::new(),
            whole: false,
        };
        if message.header("transfer-encoding").is_some() {
            message.whole = self.chunks(&mut message).await.is_some();
        } else if let Some(length) = message.header("content-length") {
            let length = length.parse().unwrap();
            message.whole = self.take(length, &mut message.body).await.is_some();
        } else if unframed == Unframed::ToTheEnd {
            message.body = self.all_the_rest().await;
            message.whole = true;
        } else {
            message.whole = true;
        }
        message
    }

    /// Takes that many bytes, or as many as there are.
    async fn take(&mut self, length: usize, into: &mut Vec<u8>) -> Option<()> {
        let mut left = length;
        loop {
            let ready = left.min(self.read.len());
            into.extend(self.read.drain(..ready));
            left -= ready;
            if left == 0 {
                return Some(());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn chunks(&mut self, message: &mut Message) -> Option<()> {
        loop {
            let size = self.text_line().await?;
            let size = usize::from_str_radix(&size, 16).ok()?;
            if size == 0 {
                break;
            }
            self.take(size, &mut message.body).await?;
            let end = self.text_line().await?;
            end.is_empty().then_some(())?;
        }
        loop {
            let line = self.text_line().await?;
            if line.is_empty() {
                return Some(());
            }
            message.trailers += &line;
            message.trailers.push('\n');
        }
    }

    async fn text_line(&mut self) -> Option<String> {
        loop {
            let end = self.read.windows(2).position(|two| two == b"\r\n");
            if let Some(end) = end {
                let line: Vec<u8> = self.read.drain(..end + 2).collect();
                return String::from_utf8(line[..end].to_vec()).ok();
            }
            if !self.more().await {
                return None;
            }
        }
    }
}
