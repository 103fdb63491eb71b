//! Errors of an exchange with a member: [`EndpointError`].

use std::io;
use std::sync::Arc;

use crate::member::Cause;
use crate::net::ConnectError;
use crate::service::{BoxError, Fault, RequestError, cause};

/// Why an [`Endpoint`](super::Endpoint) returned no response, or only part of one.
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
/// // No server listens at this address.
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
    /// All HTTP/2 connections that may be opened have as many streams as the member allows.
    /// Nothing was sent, and it is not the member's fault. See
    /// [`http2_max_connections`](super::EndpointBuilder::http2_max_connections).
    #[error("the member takes no more than {limit} requests at the same time")]
    AtCapacity {
        /// The number of requests that the member takes at the same time.
        limit: u32,
        /// The detail for a [`ReverseProxy`](super::super::ReverseProxy): it sends no more
        /// requests until there is room again.
        source: BoxError,
    },
    /// The name cannot be resolved, the connection was refused, TLS failed, or the member
    /// closed the connection before it read anything. Nothing was sent.
    #[error("no connection to {to}")]
    Connect {
        /// The authority of the member, or the path of its socket.
        to: Arc<str>,
        /// The cause.
        source: BoxError,
    },
    /// The member's response is not valid HTTP, or the connection broke off.
    #[error("the exchange with the member broke off")]
    Exchange {
        /// Whether the connection had been idle, and was closed before any of the response
        /// arrived: most likely because the member had closed it as idle.
        idled: bool,
        /// Whether the member has reported that it did not process the request (HTTP/2, RFC
        /// 9113, 8.7): it was closing the connection, or refused the stream.
        unprocessed: bool,
        /// The cause.
        #[source]
        source: hyper::Error,
    },
    /// The member reset the stream of its response (HTTP/2) without an error, before the
    /// end.
    #[error("the member ended its response early")]
    Incomplete,
    /// The member sent more interim responses (1xx) than
    /// [`max_interim_responses`](super::EndpointBuilder::max_interim_responses) allows.
    #[error("the member sent more than {most} interim responses")]
    TooManyInterim {
        /// The maximum.
        most: u32,
    },
    /// The member broke off its response (HTTP/2) with an error code, after the head had
    /// arrived. The error has no source, because a server that finds the code in one, as
    /// hyper does, sends it to the client. There, code 7 (`REFUSED_STREAM`) would promise
    /// that nothing was processed.
    #[error("the member broke off its response with error code {code}")]
    Reset {
        /// The code (RFC 9113, 7).
        code: u32,
    },
    /// The request is not valid.
    #[error("the request cannot be sent to the member")]
    Request {
        /// What is wrong with it.
        #[source]
        source: RequestError,
    },
    /// The response, over HTTP/2, has more header lines than
    /// [`max_headers`](super::EndpointBuilder::max_headers) allows. Over HTTP/1.1, that is
    /// an [`Exchange`](Self::Exchange) error.
    #[error("the member's response has more than {limit} header lines")]
    TooManyHeaders {
        /// The maximum.
        limit: usize,
    },
    /// A time limit was exceeded after something may have been sent.
    #[error("the member took too long over {over}")]
    TimedOut {
        /// The stage that took too long.
        over: TimeoutStage,
        /// An error of kind [`io::ErrorKind::TimedOut`], for code that searches the sources
        /// for one.
        #[source]
        source: io::Error,
    },
}

/// The stage of an exchange that exceeded its time limit.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::TimeoutStage;
///
/// assert_eq!(TimeoutStage::Head.to_string(), "the head of its response");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TimeoutStage {
    /// The next frame of the response's body.
    Body,
    /// The head of the response, since the last frame of the request was sent.
    Head,
    /// The whole exchange.
    Whole,
}

impl std::fmt::Display for TimeoutStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Body => "more of its response",
            Self::Head => "the head of its response",
            Self::Whole => "its response as a whole",
        })
    }
}

impl EndpointError {
    pub(super) fn timed_out(over: TimeoutStage) -> Self {
        let source = io::ErrorKind::TimedOut.into();
        Self::TimedOut { over, source }
    }

    /// Returns whether it is certain that the member got nothing of the request, or did not
    /// process it, so that any other member may get it.
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
    /// Returns the failure's cause for observers; `None` where
    /// [`Fault::cause_of`](crate::service::Fault::cause_of) finds the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::proxy::{Endpoint, EndpointError};
    /// use equipoise::service::BalanceLayer;
    ///
    /// // A `ReverseProxy` does this by itself.
    /// # let balancer = Balancer::<Endpoint>::builder().build().unwrap();
    /// let layer = BalanceLayer::new(balancer).cause_by(EndpointError::cause);
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Connect { source, .. } => connect_cause(source),
            Self::Exchange { unprocessed, .. } => Some(if *unprocessed {
                Cause::Unsent
            } else {
                Cause::Broken
            }),
            Self::Incomplete | Self::Reset { .. } => Some(Cause::BrokenBody),
            Self::TimedOut { .. } => Some(Cause::TimedOut),
            Self::TooManyHeaders { limit } => Some(Cause::from(format!(
                "responded with more than {limit} header lines"
            ))),
            Self::TooManyInterim { most } => Some(Cause::from(format!(
                "sent more than {most} interim responses"
            ))),
            Self::AtCapacity { .. } | Self::Request { .. } => None,
        }
    }
}

impl EndpointError {
    /// `fresh` is whether the connection had not been used before.
    pub(super) fn broken_off(source: hyper::Error, fresh: bool) -> Self {
        let closed = source.is_incomplete_message() || source.is_closed() || is_reset(&source);
        Self::Exchange {
            idled: !fresh && closed,
            unprocessed: is_unprocessed(&source),
            source,
        }
    }

    /// Creates the error of a response whose head was returned.
    pub(super) fn response_broken_off(source: hyper::Error) -> Self {
        match cause::<h2::Error>(&source).and_then(h2::Error::reason) {
            Some(code) => Self::Reset { code: code.into() },
            None => Self::Exchange {
                idled: false,
                unprocessed: false,
                source,
            },
        }
    }

    /// Returns whether the member closed an idle connection, or was closing one gracefully,
    /// which is not a fault of the member.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::proxy::{Endpoint, EndpointError};
    /// use equipoise::service::BalanceLayer;
    ///
    /// // A `ReverseProxy` does this by itself.
    /// # let balancer = Balancer::<Endpoint>::builder().build()?;
    /// let service = BalanceLayer::new(balancer)
    ///     .nothing_sent_if(EndpointError::is_nothing_sent)
    ///     .not_member_fault_if(EndpointError::is_idle_close)
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
    /// Returns whether the connection had carried requests before, and was closed before a
    /// byte of the response arrived. An idempotent request may then be retried on a new
    /// connection ([`stale_if`](crate::service::BalanceLayer::stale_if)).
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

/// Returns whether the member has reported that it did not process the request (RFC 9113,
/// 8.7).
pub(super) fn is_unprocessed(error: &hyper::Error) -> bool {
    let Some(error) = cause::<h2::Error>(error) else {
        return false;
    };
    // h2 reports this only for streams after the last one that the member has processed,
    // whatever the reason (RFC 9113, 6.8).
    let ending = error.is_go_away();
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (ending || refused)
}

/// Why an [`Endpoint`](super::Endpoint) cannot be created.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::Endpoint;
/// use http::Uri;
///
/// let error = Endpoint::new(Uri::from_static("ftp://10.0.0.1")).unwrap_err();
/// assert!(error.to_string().ends_with("use http:// or https://"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointUriError {
    /// The URI has no host, or another scheme.
    #[error("the member {uri:?} cannot be reached by HTTP: use http:// or https://")]
    NotHttp {
        /// The URI.
        uri: String,
    },
    /// `https` needs roots or a feature that are missing, or TLS settings were given for
    /// `http`.
    #[error("the member {uri:?} cannot be reached by TLS")]
    Tls {
        /// The URI.
        uri: String,
        /// The cause.
        source: BoxError,
    },
}

/// Returns why a connection could not be opened; `None` if the cause is local or not known.
fn connect_cause(error: &BoxError) -> Option<Cause> {
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
    fn a_time_limit_is_distinguished_from_a_refusal() {
        let late = EndpointError::timed_out(TimeoutStage::Head);
        assert!(Fault::of(&late).is_timed_out() && !late.is_nothing_sent());
        assert_eq!(
            late.to_string(),
            "the member took too long over the head of its response"
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
