//! The handle of a sender in a task of its own: [`HeartbeatSenderGuard`].

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::sync::{AtomicU64, Relaxed};

/// Runs a sender until it is dropped, or until the runtime ends; the sender then sends its
/// last report and ends.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::HeartbeatSender;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let receiver = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
/// # let monitor = receiver.local_addr()?;
/// let sending = HeartbeatSender::new(monitor).spawn();
/// while sending.sent() == 0 {
///     tokio::task::yield_now().await;
/// }
/// assert_eq!(sending.failed(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "reports are sent until this is dropped"]
pub struct HeartbeatSenderGuard {
    /// Dropping it makes the task end.
    _stop: oneshot::Sender<()>,
    counts: SendCounts,
}

#[derive(Clone, Debug, Default)]
pub(super) struct SendCounts(Arc<SendingCounts>);

// Both relaxed: numbers for operators.
#[derive(Debug, Default)]
struct SendingCounts {
    sent: AtomicU64,
    failed: AtomicU64,
}

impl SendCounts {
    pub(super) fn count_sent(&self) {
        self.0.sent.fetch_add(1, Relaxed);
    }

    pub(super) fn count_failed(&self) {
        self.0.failed.fetch_add(1, Relaxed);
    }
}

impl HeartbeatSenderGuard {
    pub(super) fn new(stop: oneshot::Sender<()>, counts: SendCounts) -> Self {
        Self {
            _stop: stop,
            counts,
        }
    }

    /// Returns the number of sent reports, to all destinations together.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.counts.0.sent.load(Relaxed)
    }

    /// Returns the number of reports that could not be sent.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.counts.0.failed.load(Relaxed)
    }
}
