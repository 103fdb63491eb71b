//! Members that are a socket and a script: they record what they get, and answer with
//! whatever bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use equipoise::proxy::{Endpoint, EndpointBuilder};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::line::{Line, Message};

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A member; it dies when it is dropped.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) address: SocketAddr,
    log: Log,
    accepting: JoinHandle<()>,
}

type Log = Arc<Mutex<Logged>>;

#[derive(Debug, Default)]
struct Logged {
    connections: usize,
    requests: Vec<Message>,
}

/// A connection to a member, from the member's side.
#[derive(Debug)]
pub(crate) struct Talk {
    pub(crate) line: Line,
    /// How many connections there were before.
    pub(crate) earlier: usize,
    log: Log,
}

impl Talk {
    /// The next request, which is recorded even if it breaks off; `None` if no whole head
    /// comes.
    pub(crate) async fn request(&mut self) -> Option<Message> {
        let request = self.line.request().await?;
        self.log.lock().unwrap().requests.push(request.clone());
        Some(request)
    }

    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.line.say(bytes).await;
    }

    /// Stays until the other side goes.
    pub(crate) async fn until_gone(&mut self) {
        while self.line.more().await {}
    }
}

impl Member {
    /// One whose connections each follow a script, and are closed at its end.
    pub(crate) async fn scripted<F, T>(script: F) -> Self
    where
        F: Fn(Talk) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Log::default();
        let shared = log.clone();
        let accepting = tokio::spawn(async move {
            let mut talks = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let earlier = {
                    let mut log = shared.lock().unwrap();
                    log.connections += 1;
                    log.connections - 1
                };
                let talk = Talk {
                    line: Line::new(stream),
                    earlier,
                    log: shared.clone(),
                };
                talks.spawn(script(talk));
            }
        });
        Self {
            address,
            log,
            accepting,
        }
    }

    /// One that answers each whole request with these bytes, and keeps the connection.
    pub(crate) async fn answering(answer: impl AsRef<[u8]>) -> Self {
        let answer = Arc::new(answer.as_ref().to_vec());
        Self::scripted(move |mut talk| {
            let answer = answer.clone();
            async move {
                while talk.request().await.is_some_and(|request| request.whole) {
                    talk.say(answer.as_slice()).await;
                }
            }
        })
        .await
    }

    /// One that reads a request, answers with these bytes, and closes the connection.
    pub(crate) async fn ending(answer: impl AsRef<[u8]>) -> Self {
        let answer = Arc::new(answer.as_ref().to_vec());
        Self::scripted(move |mut talk| {
            let answer = answer.clone();
            async move {
                talk.request().await;
                talk.say(answer.as_slice()).await;
            }
        })
        .await
    }

    /// One that reads a request, answers with these bytes, and then does nothing more.
    pub(crate) async fn stopping(answer: impl AsRef<[u8]>) -> Self {
        let answer = Arc::new(answer.as_ref().to_vec());
        Self::scripted(move |mut talk| {
            let answer = answer.clone();
            async move {
                talk.request().await;
                talk.say(answer.as_slice()).await;
                talk.until_gone().await;
            }
        })
        .await
    }

    /// An endpoint for it with limits that pass within a test.
    pub(crate) fn quick(&self) -> EndpointBuilder {
        let short = Duration::from_millis(300);
        Endpoint::builder(self.uri())
            .connect_timeout(short)
            .head_timeout(short)
            .frame_timeout(short)
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::new(self.uri()).unwrap()
    }

    fn uri(&self) -> http::Uri {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// The requests that it got, of which none may be ambiguous.
    pub(crate) fn heard(&self) -> Vec<Message> {
        let requests = self.log.lock().unwrap().requests.clone();
        for request in &requests {
            assert!(request.is_clear(), "{request:?}");
        }
        requests
    }

    /// The first lines of the requests that came whole.
    pub(crate) fn served(&self) -> Vec<String> {
        let whole = self.heard().into_iter().filter(|request| request.whole);
        whole.map(|it| it.first_line().to_owned()).collect()
    }

    pub(crate) fn connections(&self) -> usize {
        self.log.lock().unwrap().connections
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
