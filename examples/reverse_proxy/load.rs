//! Concurrent clients, each with its own connection, that send requests without a pause.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use indicatif::ProgressBar;
use tokio::task::JoinSet;

use crate::visitor::{FullResponse, Visitor};

/// The path of all requests.
const PATH: &str = "/data";

/// The number of requests that remain for all clients together.
#[derive(Debug)]
pub(crate) struct RequestBudget(AtomicU64);

impl RequestBudget {
    pub(crate) fn of(requests: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(requests)))
    }

    /// Has no end until [`end`](Self::end) is called.
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

/// The results of the requests.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) responses: Vec<FullResponse>,
    /// The errors of the failed requests.
    pub(crate) failures: Vec<String>,
}

/// Runs this many clients until the budget is used up.
pub(crate) async fn drive(
    clients: u32,
    proxy: SocketAddr,
    budget: Arc<RequestBudget>,
    progress: ProgressBar,
) -> Tally {
    let client = || send_requests(Visitor::new(proxy), budget.clone(), progress.clone());
    let running: JoinSet<Tally> = std::iter::repeat_with(client)
        .take(clients as usize)
        .collect();
    let mut all = Tally::default();
    for tally in running.join_all().await {
        all.responses.extend(tally.responses);
        all.failures.extend(tally.failures);
    }
    all
}

async fn send_requests(
    visitor: Visitor,
    budget: Arc<RequestBudget>,
    progress: ProgressBar,
) -> Tally {
    let mut tally = Tally::default();
    while budget.take() {
        match visitor.get(PATH, None).await {
            Ok(response) => tally.responses.push(response),
            Err(error) => tally.failures.push(error.to_string()),
        }
        progress.inc(1);
    }
    tally
}
