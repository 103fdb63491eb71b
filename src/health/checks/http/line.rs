//! A connection over which a check speaks HTTP: [`CheckConnection`].
//!
//! What does not live here: which request is sent (`http`, `grpc`), and how much a member may
//! send (`paced`).

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;

use super::CheckAnswer;
use super::paced::{Allowance, Paced};
use crate::health::checks::ProbeError;
use crate::net::Connector;
use crate::sync::Mutex;

type CheckDriver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a head may have at most, as that of an `Endpoint`.
const MAX_HEAD: usize = 64 * 1024;

/// A connection. It moves while an exchange goes on, and is closed when it is dropped.
pub(in crate::health::checks) struct CheckConnection {
    sender: Sender,
    connection: CheckDriver,
    peer: Option<SocketAddr>,
    is_over: bool,
    allowance: Allowance,
    _tasks: Tasks,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// Why an exchange failed.
pub(in crate::health::checks) struct Broken {
    pub(in crate::health::checks) error: ProbeError,
    /// Nothing of an answer has come.
    pub(in crate::health::checks) is_unanswered: bool,
}

impl CheckConnection {
    pub(in crate::health::checks) async fn open(
        connector: &Connector,
        by_2: bool,
    ) -> Result<Self, ProbeError> {
        let protocol = if by_2 {
            b"h2".to_vec()
        } else {
            b"http/1.1".to_vec()
        };
        let stream = connector.open(vec![protocol]).await?;
        let agreed = stream.alpn();
        let speaks_2 = agreed == Some(b"h2");
        if agreed.is_some() && speaks_2 != by_2 {
            return Err("it speaks another version of HTTP".into());
        }
        let peer = stream.peer_addr();
        let allowance = Allowance::new();
        let stream = TokioIo::new(Paced::new(stream, allowance.clone()));
        let spawner = Spawner::default();
        // From here on, so that nothing is left if the handshake is given up.
        let tasks = Tasks {
            spawner: spawner.clone(),
        };
        let failed = |source| ProbeError::caused_by("no HTTP", source);
        let (sender, connection): (_, CheckDriver) = if by_2 {
            let (sender, connection) = http2::Builder::new(spawner)
                .max_header_list_size(64 * 1024)
                // What is read ahead, at most.
                .initial_stream_window_size(WINDOW)
                .initial_connection_window_size(WINDOW)
                .handshake(stream)
                .await
                .map_err(failed)?;
            let connection = async { drop(connection.await) };
            (Sender::Http2(sender), Box::pin(connection))
        } else {
            let (sender, connection) = http1::Builder::new()
                .max_header_size(MAX_HEAD)
                .title_case_headers(true)
                .handshake(stream)
                .await
                .map_err(failed)?;
            let connection = async { drop(connection.await) };
            (Sender::Http1(sender), Box::pin(connection))
        };
        Ok(Self {
            sender,
            connection,
            peer,
            is_over: false,
            allowance,
            _tasks: tasks,
        })
    }

    /// Sends a request, and reads the answer and at most `most` bytes of its body; none of the
    /// body with `None`.
    pub(in crate::health::checks) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        most: Option<usize>,
    ) -> Result<CheckAnswer, Broken> {
        let Self {
            sender,
            connection,
            is_over,
            allowance,
            ..
        } = self;
        allowance.renew(most.unwrap_or(0));
        let exchanging = async {
            let unanswered = |source| Broken {
                error: no_answer(source),
                is_unanswered: true,
            };
            let answer = sender.send(request).await.map_err(unanswered)?;
            let read = read(answer, most).await;
            read.map_err(|error| Broken {
                error,
                is_unanswered: false,
            })
        };
        let mut exchanging = pin!(exchanging);
        let answer = poll_fn(|context| {
            if !*is_over && connection.as_mut().poll(context).is_ready() {
                *is_over = true;
            }
            exchanging.as_mut().poll(context)
        });
        let (answer, is_whole) = answer.await?;
        if !is_whole {
            self.is_over = true;
        }
        Ok(answer)
    }

    /// The address that it goes to; `None` for a unix socket.
    pub(in crate::health::checks) const fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Whether another exchange is possible, as far as is known.
    pub(in crate::health::checks) fn is_open(&self) -> bool {
        !self.is_over
            && match &self.sender {
                Sender::Http1(sender) => !sender.is_closed(),
                Sender::Http2(sender) => !sender.is_closed(),
            }
    }
}

/// For the connection and for each stream.
const WINDOW: u32 = 64 * 1024;

impl Sender {
    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

/// Reads an answer; the connection can be used again only if that was all of it.
async fn read(
    answer: Response<Incoming>,
    most: Option<usize>,
) -> Result<(CheckAnswer, bool), ProbeError> {
    let (head, mut body) = answer.into_parts();
    let mut read = BytesMut::new();
    let (mut is_cut, mut trailers) = (false, None);
    let most_read = most.unwrap_or(0);
    while !is_cut && most.is_some() {
        let Some(frame) = body.frame().await else {
            break;
        };
        let frame = frame.map_err(|source| ProbeError::caused_by("its body broke off", source))?;
        match frame.into_data() {
            Ok(data) => {
                let room = most_read - read.len();
                is_cut = data.len() > room;
                read.extend_from_slice(&data[..data.len().min(room)]);
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    let is_whole = !is_cut && (most.is_some() || body.is_end_stream());
    let answer = CheckAnswer {
        status: head.status,
        headers: head.headers,
        body: read.freeze(),
        is_cut,
        trailers,
    };
    Ok((answer, is_whole))
}

fn no_answer(source: hyper::Error) -> ProbeError {
    let words = if source.is_parse() {
        "what it answered is no HTTP"
    } else if source.is_incomplete_message() || source.is_closed() || source.is_canceled() {
        "it closed the connection without an answer"
    } else {
        "no answer"
    };
    ProbeError::caused_by(words, source)
}

/// Spawns the tasks of a connection.
#[derive(Clone, Default)]
struct Spawner {
    running: Arc<Mutex<Vec<AbortHandle>>>,
}

impl<F> Executor<F> for Spawner
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let task = tokio::spawn(future).abort_handle();
        let mut running = self.running.lock();
        running.retain(|task| !task.is_finished());
        running.push(task);
    }
}

/// Ends the tasks of a connection when that is dropped, whatever the member does.
struct Tasks {
    spawner: Spawner,
}

impl Drop for Tasks {
    fn drop(&mut self) {
        let running = std::mem::take(&mut *self.spawner.running.lock());
        for task in running {
            task.abort();
        }
    }
}
