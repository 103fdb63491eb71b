//! Many clients at once, each with a connection of its own, that ask as fast as they are
//! answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use indicatif::ProgressBar;
use tokio::task::JoinSet;

use crate::visitor::{Answer, Visitor};

/// What clients ask for.
const PATH: &str = "/data";

/// How many requests are still to be made, by all clients together.
#[derive(Debug)]
pub(crate) struct Supply(AtomicU64);

impl Supply {
    pub(crate) fn of(requests: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(requests)))
    }

    /// Lasts until [`end`](Self::end).
    pub(crate) fn endless() -> Arc<Self> {
        Self::of(u64::MAX)
    }

    pub(crate) fn end(&self) {
        self.0.store(0, Relaxed);
    }

    fn take(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        self.0.fetch_update(Relaxed, Relaxed, less).is_ok()
    }
}

/// What has become of the requests.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answers: Vec<Answer>,
    /// Why others got none.
    pub(crate) failures: Vec<String>,
}

/// Lets so many clients ask until the supply is used up.
pub(crate) async fn drive(
    clients: u32,
    proxy: SocketAddr,
    supply: Arc<Supply>,
    progress: ProgressBar,
) -> Tally {
    let ask = || ask_on_and_on(Visitor::new(proxy), supply.clone(), progress.clone());
    let asking: JoinSet<Tally> = std::iter::repeat_with(ask).take(clients as usize).collect();
    let mut all = Tally::default();
    for tally in asking.join_all().await {
        all.answers.extend(tally.answers);
        all.failures.extend(tally.failures);
    }
    all
}

async fn ask_on_and_on(visitor: Visitor, supply: Arc<Supply>, progress: ProgressBar) -> Tally {
    let mut tally = Tally::default();
    while supply.take() {
        match visitor.get(PATH, None).await {
            Ok(answer) => tally.answers.push(answer),
            Err(error) => tally.failures.push(error.to_string()),
        }
        progress.inc(1);
    }
    tally
}
