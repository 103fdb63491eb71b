//! One probe of one member: [`Probe`].
//!
//! Not here: the probes (`tcp`, `tls`, `http`, `grpc`), and when they run.

use std::pin::Pin;
use std::sync::Arc;

use super::{ProbeError, ProbeTarget};

/// The future of a probe.
pub type Probing = Pin<Box<dyn Future<Output = Result<(), ProbeError>> + Send>>;

/// Checks once whether a member is healthy.
///
/// A closure from a [`ProbeTarget`] to a future is a probe.
///
/// # Contract
///
/// * `Ok` means that the member can serve requests; an error means that it cannot. An
///   [inconclusive](ProbeError::inconclusive) error means that the member could not be
///   checked, and counts neither as passed nor as failed.
/// * The future is dropped when the time limit of the [`Check`](super::Check) has elapsed,
///   when the member is removed, and when the checks stop. Dropping it should release all
///   of its resources.
/// * It must not block its thread. A panic is a failed check of that member.
///
/// # Examples
///
/// A ping of Redis:
///
/// ```
/// use equipoise::health::{Check, ProbeError, ProbeTarget};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// async fn ping(target: ProbeTarget) -> Result<(), ProbeError> {
///     let mut stream = target.connector().connect().await?;
///     stream.write_all(b"PING\r\n").await?;
///     let mut response = [0; 7];
///     stream.read_exact(&mut response).await?;
///     if &response != b"+PONG\r\n" {
///         return Err("the response is not PONG".into());
///     }
///     Ok(())
/// }
/// let check = Check::builder(ping).build()?;
/// # let _ = check;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Probe: Send + Sync + 'static {
    /// Probes the member at `target`.
    fn probe(&self, target: ProbeTarget) -> Probing;

    /// Returns a short description, such as `GET /status`, for the cause of a failure.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::{HttpProbe, Probe};
    ///
    /// assert_eq!(HttpProbe::get("/status").build()?.name(), "GET /status");
    /// # Ok::<(), equipoise::health::HttpProbeError>(())
    /// ```
    fn name(&self) -> &str {
        "health check"
    }
}

const _: Option<&dyn Probe> = None;

impl<P, F> Probe for P
where
    P: Fn(ProbeTarget) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), ProbeError>> + Send + 'static,
{
    fn probe(&self, target: ProbeTarget) -> Probing {
        Box::pin(self(target))
    }
}

/// A shared probe.
impl<P: Probe + ?Sized> Probe for Arc<P> {
    fn probe(&self, target: ProbeTarget) -> Probing {
        (**self).probe(target)
    }

    fn name(&self) -> &str {
        (**self).name()
    }
}
