//! An HTTP connection of a check: [`CheckConnection`].
//!
//! Not here: which request is sent (`http`, `grpc`), and how many bytes a
//! member may send (`stream`).

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

use super::CheckResponse;
use super::stream::{Allowance, CheckStream};
use crate::health::checks::ProbeError;
use crate::net::Connector;
use crate::sync::Mutex;

type CheckDriver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The most bytes of a response head, as for an `Endpoint`.
const MAX_HEAD: usize = 64 * 1024;

/// A connection. It makes progress during an exchange, and is closed on drop.
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
    /// No part of a response has arrived.
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
            return Err("the member negotiated another version of HTTP".into());
        }
        let peer = stream.peer_addr();
        let allowance = Allowance::new();
        let stream = TokioIo::new(CheckStream::new(stream, allowance.clone()));
        let spawner = Spawner::default();
        // From here on, dropping this future ends the tasks of the connection.
        let tasks = Tasks {
            spawner: spawner.clone(),
        };
        let failed = |source| ProbeError::caused_by("the HTTP handshake failed", source);
        let (sender, connection): (_, CheckDriver) = if by_2 {
            let (sender, connection) = http2::Builder::new(spawner)
                .max_header_list_size(64 * 1024)
                // The most bytes that are read ahead.
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

    /// Sends a request, and reads the response and at most `most` bytes of its body; no
    /// body if `None`.
    pub(in crate::health::checks) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        most: Option<usize>,
    ) -> Result<CheckResponse, Broken> {
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
                error: no_response(source),
                is_unanswered: true,
            };
            let response = sender.send(request).await.map_err(unanswered)?;
            let read = read(response, most).await;
            read.map_err(|error| Broken {
                error,
                is_unanswered: false,
            })
        };
        let mut exchanging = pin!(exchanging);
        let response = poll_fn(|context| {
            if !*is_over && connection.as_mut().poll(context).is_ready() {
                *is_over = true;
            }
            exchanging.as_mut().poll(context)
        });
        let (response, is_whole) = response.await?;
        if !is_whole {
            self.is_over = true;
        }
        Ok(response)
    }

    /// The address of the peer; `None` for a unix socket.
    pub(in crate::health::checks) const fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns whether another exchange is possible, as far as is known.
    pub(in crate::health::checks) fn is_open(&self) -> bool {
        !self.is_over
            && match &self.sender {
                Sender::Http1(sender) => !sender.is_closed(),
                Sender::Http2(sender) => !sender.is_closed(),
            }
    }
}

/// The window of the connection and of each stream.
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

/// Reads a response; the connection can be reused only if the response was read completely.
async fn read(
    response: Response<Incoming>,
    most: Option<usize>,
) -> Result<(CheckResponse, bool), ProbeError> {
    let (head, mut body) = response.into_parts();
    let mut read = BytesMut::new();
    let (mut is_truncated, mut trailers) = (false, None);
    let most_read = most.unwrap_or(0);
    while !is_truncated && most.is_some() {
        let Some(frame) = body.frame().await else {
            break;
        };
        let frame = frame
            .map_err(|source| ProbeError::caused_by("the response body is incomplete", source))?;
        match frame.into_data() {
            Ok(data) => {
                let room = most_read - read.len();
                is_truncated = data.len() > room;
                read.extend_from_slice(&data[..data.len().min(room)]);
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    let is_whole = !is_truncated && (most.is_some() || body.is_end_stream());
    let response = CheckResponse {
        status: head.status,
        headers: head.headers,
        body: read.freeze(),
        is_truncated,
        trailers,
    };
    Ok((response, is_whole))
}

fn no_response(source: hyper::Error) -> ProbeError {
    let words = if source.is_parse() {
        "the response is not HTTP"
    } else if source.is_incomplete_message() || source.is_closed() || source.is_canceled() {
        "the connection was closed without a response"
    } else {
        "no response"
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

/// Ends the tasks of a connection on drop, whatever the member does.
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
