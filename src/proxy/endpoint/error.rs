//! What can go wrong between here and a member: [`EndpointError`].

use std::io;
use std::sync::Arc;

use crate::member::Cause;
use crate::net::ConnectError;
use crate::service::{BoxError, Fault, RequestError, cause};

/// Why an [`Endpoint`](super::Endpoint) gave no answer, or not all of it.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::{Endpoint, EndpointError};
/// use http::{Request, Uri};
/// use http_body_util::Empty;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Nobody listens there.
/// let member = Endpoint::new(Uri::from_static("http://127.0.0.1:1"))?;
/// let request = Request::new(Empty::<bytes::Bytes>::new());
/// let error = member.oneshot(request).await.unwrap_err();
/// assert!(error.is_nothing_sent(), "so another may have it");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It speaks HTTP/2, and all of the connections that there may be have as many streams as
    /// it allows. Nothing was sent, and it is not its fault. See
    /// [`http2_max_connections`](super::EndpointBuilder::http2_max_connections).
    #[error("the member takes no more than {limit} requests at the same time")]
    AtCapacity {
        /// So many requests at the same time.
        limit: u32,
        /// What a [`ReverseProxy`](super::super::ReverseProxy) is told: it sends no more until
        /// there is room again.
        source: BoxError,
    },
    /// Its name cannot be resolved, nobody listens there, TLS failed, or it closed the
    /// connection before it took anything from it. Nothing was sent.
    #[error("no connection to {to}")]
    Connect {
        /// The authority of the member, or the path of its socket.
        to: Arc<str>,
        /// Why.
        source: BoxError,
    },
    /// What it sent is not HTTP, or the connection broke off.
    #[error("the exchange with the member broke off")]
    Exchange {
        /// Whether the connection had been idle before, and was closed before any of the
        /// answer came: most likely the member had given it up.
        idled: bool,
        /// Whether the member has said that it did nothing about the request (HTTP/2, RFC
        /// 9113, 8.7): it was ending the connection, or refused the stream.
        unprocessed: bool,
        /// Where.
        #[source]
        source: hyper::Error,
    },
    /// It gave up the stream of its answer (HTTP/2) before the end, though without an error.
    #[error("the member ended its answer before the end")]
    Incomplete,
    /// It sent more interim answers (1xx) than it
    /// [may](super::EndpointBuilder::max_interim_responses).
    #[error("the member sent more than {most} interim answers")]
    TooManyInterim {
        /// How many there may be.
        most: u32,
    },
    /// It was the request.
    #[error("the request cannot be sent to the member")]
    Request {
        /// What is wrong.
        #[source]
        source: RequestError,
    },
    /// Its answer, over HTTP/2, has more header lines than
    /// [`max_headers`](super::EndpointBuilder::max_headers) allows. Over HTTP/1.1, that is an
    /// [`Exchange`](Self::Exchange) which broke off.
    #[error("the member's answer has more than {limit} header lines")]
    TooManyHeaders {
        /// So many are allowed.
        limit: usize,
    },
    /// A time limit passed after something may have been sent.
    #[error("the member took too long over {over}")]
    TimedOut {
        /// What took too long.
        over: TimeoutStage,
        /// [`io::ErrorKind::TimedOut`], for whoever looks for it.
        #[source]
        source: io::Error,
    },
}

/// What a member can take too long over.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::TimeoutStage;
///
/// assert_eq!(TimeoutStage::Head.to_string(), "the head of its answer");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TimeoutStage {
    /// More of the body, once it had begun.
    Body,
    /// The head of its answer, since the last of the request was sent.
    Head,
    /// The whole of it.
    Whole,
}

impl std::fmt::Display for TimeoutStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Body => "more of its answer",
            Self::Head => "the head of its answer",
            Self::Whole => "its answer as a whole",
        })
    }
}

impl EndpointError {
    pub(super) fn timed_out(over: TimeoutStage) -> Self {
        let source = io::ErrorKind::TimedOut.into();
        Self::TimedOut { over, source }
    }

    /// Returns whether it is certain that the member got nothing of the request, or did
    /// nothing about it, so that any other may have it.
    #[must_use]
    pub const fn is_nothing_sent(&self) -> bool {
        matches!(
            self,
            Self::AtCapacity { .. }
                | Self::Connect { .. }
                | Self::Exchange {
                    unprocessed: true,
                    ..
                }
                | Self::Request { .. }
        )
    }
}

impl EndpointError {
    /// Returns why the exchange failed, as observers are told; `None` where
    /// [`Fault::cause_of`](crate::service::Fault::cause_of) knows as much.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::proxy::{Endpoint, EndpointError};
    /// use equipoise::service::BalanceLayer;
    ///
    /// // What a `ReverseProxy` is told by itself.
    /// # let balancer = Balancer::<Endpoint>::builder().build().unwrap();
    /// let layer = BalanceLayer::new(balancer).cause_by(EndpointError::cause);
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Connect { source, .. } => unreached(source),
            Self::Exchange { unprocessed, .. } => Some(if *unprocessed {
                Cause::Unsent
            } else {
                Cause::Broken
            }),
            Self::Incomplete => Some(Cause::BrokenBody),
            Self::TimedOut { .. } => Some(Cause::TimedOut),
            Self::TooManyHeaders { limit } => Some(Cause::from(format!(
                "answered with more than {limit} header lines"
            ))),
            Self::TooManyInterim { most } => Some(Cause::from(format!(
                "sent more than {most} interim answers"
            ))),
            Self::AtCapacity { .. } | Self::Request { .. } => None,
        }
    }
}

impl EndpointError {
    /// `fresh` says whether the connection had not been used before.
    pub(super) fn broken_off(source: hyper::Error, fresh: bool) -> Self {
        let closed = source.is_incomplete_message() || source.is_closed() || is_reset(&source);
        Self::Exchange {
            idled: !fresh && closed,
            unprocessed: is_unprocessed(&source),
            source,
        }
    }

    /// Returns whether the member closed a connection that had been idle, or was ending one in
    /// good order, for which it is not to blame.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::proxy::{Endpoint, EndpointError};
    /// use equipoise::service::BalanceLayer;
    ///
    /// // What a `ReverseProxy` is told by itself.
    /// # let balancer = Balancer::<Endpoint>::builder().build()?;
    /// let service = BalanceLayer::new(balancer)
    ///     .nothing_sent_if(EndpointError::is_nothing_sent)
    ///     .member_blameless_if(EndpointError::is_idle_close)
    ///     .stale_if(EndpointError::is_stale)
    ///     .over_members();
    /// # let _ = service;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub const fn is_idle_close(&self) -> bool {
        matches!(
            self,
            Self::Exchange { idled: true, .. }
                | Self::Exchange {
                    unprocessed: true,
                    ..
                }
        )
    }
}

impl EndpointError {
    /// Returns whether the connection had carried requests before, and was closed before a byte
    /// of the answer came: an idempotent request may be sent again, on a new one
    /// ([`stale_if`](crate::service::BalanceLayer::stale_if)).
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        matches!(
            self,
            Self::Exchange {
                idled: true,
                unprocessed: false,
                ..
            }
        )
    }
}

fn is_reset(error: &hyper::Error) -> bool {
    let kind = cause::<io::Error>(error).map(io::Error::kind);
    matches!(
        kind,
        Some(io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
    )
}

/// Whether the member has said that it did nothing about the request (RFC 9113, 8.7).
pub(super) fn is_unprocessed(error: &hyper::Error) -> bool {
    let Some(error) = cause::<h2::Error>(error) else {
        return false;
    };
    // h2 says so only of streams after the last that the member has looked at, whatever the
    // reason (RFC 9113, 6.8).
    let ending = error.is_go_away();
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (ending || refused)
}

/// Why there can be no such [`Endpoint`](super::Endpoint).
///
/// # Examples
///
/// ```
/// use equipoise::proxy::Endpoint;
/// use http::Uri;
///
/// let error = Endpoint::new(Uri::from_static("ftp://10.0.0.1")).unwrap_err();
/// assert!(error.to_string().ends_with("take http:// or https://"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointUriError {
    /// No host, or another scheme.
    #[error("the member {uri:?} cannot be reached by HTTP: take http:// or https://")]
    NotHttp {
        /// As it was given.
        uri: String,
    },
    /// `https` needs more than is there, or TLS is wanted for `http`.
    #[error("the member {uri:?} cannot be reached by TLS")]
    Tls {
        /// As it was given.
        uri: String,
        /// Why.
        source: BoxError,
    },
}

/// What kept a connection from being opened; `None` if it was nothing of the member's, or
/// is not known.
fn unreached(error: &BoxError) -> Option<Cause> {
    if Fault::of(&**error).is_exhausted() {
        return None;
    }
    let late = cause::<io::Error>(&**error).map(io::Error::kind) == Some(io::ErrorKind::TimedOut);
    match cause::<ConnectError>(&**error) {
        Some(ConnectError::Resolve { .. }) => Some(Cause::Unresolved),
        Some(ConnectError::Tls { .. }) => Some(Cause::Tls),
        _ if late => Some(Cause::TimedOut),
        Some(_) => Some(Cause::Refused),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{EndpointError, TimeoutStage};
    use crate::member::Cause;
    use crate::service::Fault;

    #[test]
    fn a_limit_that_passed_is_told_from_a_refusal() {
        let late = EndpointError::timed_out(TimeoutStage::Head);
        assert!(Fault::of(&late).is_timed_out() && !late.is_nothing_sent());
        assert_eq!(
            late.to_string(),
            "the member took too long over the head of its answer"
        );
        let refused = EndpointError::Connect {
            to: "10.0.0.1:80".into(),
            source: "refused".into(),
        };
        assert_eq!(refused.to_string(), "no connection to 10.0.0.1:80");
        assert!(refused.is_nothing_sent());
        assert_eq!(late.cause(), Some(Cause::TimedOut));
        assert_eq!(
            refused.cause(),
            None,
            "it is only known that nothing was sent"
        );
    }
}
