//! The progress of a shutdown, as connections see it: [`Stopping`], and `TunnelCutoff` for
//! its last step.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;

use crate::timer::{Deadline, timeout};

/// How long a client that has sent nothing yet has when serving stops, and how long a
/// closing connection stays open after its last request.
pub(crate) const LAST_CALL: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    Serving,
    /// No more connections, and no new requests on existing ones.
    Draining,
    /// Remaining connections are cut.
    Cut,
}

/// Tells a connection how far the shutdown has progressed. If serving was dropped, it is at
/// its last step.
#[derive(Clone, Debug)]
pub(crate) struct Stopping {
    phase: watch::Receiver<Phase>,
    #[cfg_attr(not(feature = "proxy"), expect(dead_code, reason = "for HTTP"))]
    drain: Duration,
}

impl Stopping {
    /// `drain` is the time between the first step and the last.
    pub(super) fn new(drain: Duration) -> (watch::Sender<Phase>, Self) {
        let (sender, phase) = watch::channel(Phase::Serving);
        (sender, Self { phase, drain })
    }

    /// Resolves when serving drains.
    pub(crate) async fn draining(&mut self) {
        let _ = self.phase.wait_for(|phase| *phase != Phase::Serving).await;
    }

    /// Resolves with the result of `opening`, or with `None` after a limit, or when serving
    /// has been draining for [`LAST_CALL`].
    ///
    /// A future that is given by value takes room several times: pin it first.
    pub(crate) async fn opened_in<T>(
        &self,
        limit: Duration,
        opening: impl Future<Output = T>,
    ) -> Option<T> {
        let opened = self.opened(timeout(limit, opening)).await?;
        opened.ok()
    }

    /// As [`opened_in`](Self::opened_in), without a limit of its own.
    pub(crate) async fn opened<T>(&self, opening: impl Future<Output = T>) -> Option<T> {
        let mut opening = pin!(opening);
        // Without a PROXY header and TLS there is nothing to wait for.
        let at_once = poll_fn(|context| Poll::Ready(opening.as_mut().poll(context))).await;
        if let Poll::Ready(opened) = at_once {
            return Some(opened);
        }
        let last_call = async {
            self.clone().draining().await;
            Deadline::after(LAST_CALL).await;
        };
        tokio::select! {
            opened = opening => Some(opened),
            () = last_call => None,
        }
    }
}

#[cfg(feature = "proxy")]
impl Stopping {
    /// Returns, cheaply, whether serving has begun to drain.
    pub(crate) fn has_begun(&self) -> bool {
        !matches!(self.phase.has_changed(), Ok(false))
    }

    /// Returns how long a client that cannot be told of the shutdown may take to send one
    /// more request. It leaves enough time for the response.
    pub(crate) fn grace(&self) -> Duration {
        LAST_CALL.min(self.drain / 4)
    }

    pub(crate) fn cut(&self) -> TunnelCutoff {
        TunnelCutoff(self.phase.clone())
    }
}

/// Tells a tunnel, which outlives its connection, when remaining connections are cut.
#[cfg(feature = "proxy")]
#[derive(Clone, Debug)]
pub(crate) struct TunnelCutoff(watch::Receiver<Phase>);

#[cfg(feature = "proxy")]
impl TunnelCutoff {
    /// Resolves when remaining connections are cut; never if there is no server.
    pub(crate) async fn happens(cut: Option<Self>) {
        match cut {
            Some(mut cut) => {
                let _ = cut.0.wait_for(|phase| *phase == Phase::Cut).await;
            }
            None => std::future::pending().await,
        }
    }
}
