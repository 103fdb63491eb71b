//! The response to a POST request: [`HeartbeatServiceFuture`], which reads the body.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Body;
use pin_project_lite::pin_project;

use crate::heartbeat::{HeartbeatMessage, HeartbeatMonitor, ReportError};
use crate::timer::Deadline;

pin_project! {
    /// Resolves with the response to a heartbeat; created by
    /// [`HeartbeatService`](super::HeartbeatService).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct HeartbeatServiceFuture<B> {
        #[pin]
        stage: FormStage<B>,
    }
}

pin_project! {
    #[project = StageProject]
    enum FormStage<B> {
        Responded {
            // `None` once it was taken.
            response: Option<Response<String>>,
        },
        Reading {
            #[pin]
            body: B,
            #[pin]
            deadline: Deadline,
            read: Vec<u8>,
            monitor: HeartbeatMonitor,
            from: IpAddr,
        },
    }
}

impl<B> HeartbeatServiceFuture<B> {
    pub(super) fn with(response: Response<String>) -> Self {
        let response = Some(response);
        Self {
            stage: FormStage::Responded { response },
        }
    }

    pub(super) fn of(body: B, monitor: HeartbeatMonitor, from: IpAddr, limit: Duration) -> Self {
        Self {
            stage: FormStage::Reading {
                body,
                deadline: Deadline::after(limit),
                read: Vec::new(),
                monitor,
                from,
            },
        }
    }
}

impl<B> Future for HeartbeatServiceFuture<B>
where
    B: Body,
{
    type Output = Result<Response<String>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (mut body, deadline, read, monitor, from) = match self.project().stage.project() {
            StageProject::Responded { response } => {
                return response
                    .take()
                    .map_or(Poll::Pending, |it| Poll::Ready(Ok(it)));
            }
            StageProject::Reading {
                body,
                deadline,
                read,
                monitor,
                from,
            } => (body, deadline, read, monitor, *from),
        };
        if deadline.poll(context).is_ready() {
            let late = text_response(StatusCode::REQUEST_TIMEOUT, "the body took too long\n");
            return Poll::Ready(Ok(late));
        }
        loop {
            match ready!(body.as_mut().poll_frame(context)) {
                Some(Ok(frame)) => {
                    let Ok(mut data) = frame.into_data() else {
                        continue;
                    };
                    if data.remaining() > HeartbeatMessage::MAX_BYTES - read.len() {
                        monitor.refuse_form(from, read.len().saturating_add(data.remaining()));
                        let why = "the heartbeat has more than 1000 bytes\n";
                        return Poll::Ready(Ok(text_response(StatusCode::PAYLOAD_TOO_LARGE, why)));
                    }
                    while data.has_remaining() {
                        let chunk = data.chunk();
                        let length = chunk.len();
                        read.extend_from_slice(chunk);
                        data.advance(length);
                    }
                }
                Some(Err(_)) => {
                    let broken = text_response(StatusCode::BAD_REQUEST, "the body is incomplete\n");
                    return Poll::Ready(Ok(broken));
                }
                None => break,
            }
        }
        let received = monitor.receive_form(from, read);
        Poll::Ready(Ok(match received {
            Ok(_) => text_response(StatusCode::OK, "OK"),
            Err(error) => refusal(&error),
        }))
    }
}

fn refusal(error: &ReportError) -> Response<String> {
    let status = match error {
        ReportError::Full => StatusCode::SERVICE_UNAVAILABLE,
        ReportError::Malformed(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::FORBIDDEN,
    };
    let why = match error.source() {
        Some(source) => format!("{error}: {source}\n"),
        None => format!("{error}\n"),
    };
    text_response(status, &why)
}

pub(super) fn text_response(status: StatusCode, text: &str) -> Response<String> {
    let mut response = Response::new(text.to_owned());
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

impl<B> fmt::Debug for HeartbeatServiceFuture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeartbeatServiceFuture")
            .finish_non_exhaustive()
    }
}
