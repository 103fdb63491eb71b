//! Asking one member once whether it is well: [`Probe`].
//!
//! What does not live here: the probes (`tcp`, `tls`, `http`, `grpc`), and when they run.

use std::pin::Pin;
use std::sync::Arc;

use super::{ProbeError, ProbeTarget};

/// What a probe comes to.
pub type Probing = Pin<Box<dyn Future<Output = Result<(), ProbeError>> + Send>>;

/// Asks a member whether it is well.
///
/// A closure from a [`ProbeTarget`] to a future is one.
///
/// # Contract
///
/// * `Ok` means that the member can serve, an error that it cannot, and an
///   [inconclusive](ProbeError::inconclusive) one that it could not be asked: that counts
///   neither way.
/// * The future is dropped when the time limit of the [`Check`](super::Check) is over, when the
///   member leaves, and when the checks stop. It should leave nothing behind then.
/// * It must not block its thread. A panic is a failed check of that member.
///
/// # Examples
///
/// Asking redis:
///
/// ```
/// use equipoise::health::{Check, ProbeError, ProbeTarget};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// async fn ping(target: ProbeTarget) -> Result<(), ProbeError> {
///     let mut stream = target.connector().connect().await?;
///     stream.write_all(b"PING\r\n").await?;
///     let mut answer = [0; 7];
///     stream.read_exact(&mut answer).await?;
///     if &answer != b"+PONG\r\n" {
///         return Err("it did not answer PONG".into());
///     }
///     Ok(())
/// }
/// let check = Check::builder(ping).build()?;
/// # let _ = check;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Probe: Send + Sync + 'static {
    /// Asks the member at `target`.
    fn probe(&self, target: ProbeTarget) -> Probing;

    /// Returns what it does in a few words, such as `GET /status`, for the cause of a failure.
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
