//! How far a server is with stopping, as its connections hear of it: [`Stopping`], and
//! [`Cut`], which is the end of it.

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    Serving,
    /// No more connections, and no more requests on those that there are.
    Draining,
    /// What is left is given up.
    Cut,
}

/// What a connection hears. If the server is gone, all is cut.
#[derive(Clone, Debug)]
pub(super) struct Stopping(watch::Receiver<Phase>);

impl Stopping {
    pub(super) fn new() -> (watch::Sender<Phase>, Self) {
        let (sender, receiver) = watch::channel(Phase::Serving);
        (sender, Self(receiver))
    }

    /// Tells, cheaply, whether [`draining`](Self::draining) is worth a look.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.0.has_changed(), Ok(false))
    }

    /// Resolves when the server drains.
    pub(super) async fn draining(&mut self) {
        let _ = self.0.wait_for(|phase| *phase != Phase::Serving).await;
    }

    pub(super) fn cut(&self) -> Cut {
        Cut(self.0.clone())
    }
}

/// In the extensions of a request that may become a tunnel, which outlives its
/// connection.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Cut(watch::Receiver<Phase>);

impl Cut {
    /// Resolves when the server gives up what is left; without a server, never.
    pub(in crate::proxy) async fn happens(cut: Option<Self>) {
        match cut {
            Some(mut cut) => {
                let _ = cut.0.wait_for(|phase| *phase == Phase::Cut).await;
            }
            None => std::future::pending().await,
        }
    }
}
