//! Periodic work of a monitor: it looks up the names of members, and removes outdated
//! reports.

use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::task::JoinSet;

use super::handle::HeartbeatMonitor;
use crate::timer::{Deadline, timeout};

/// The most concurrent lookups: each takes a thread of the runtime.
const MAX_LOOKUPS: usize = 8;

/// The time limit of a lookup. Its thread continues until the system gives up, too.
const LOOKUP_LIMIT: Duration = Duration::from_secs(10);

impl HeartbeatMonitor {
    /// Looks up the names of members, at once and every 30 s
    /// ([`lookup_interval`](super::MonitorBuilder::lookup_interval)), and removes outdated
    /// reports, until `stop` resolves. A
    /// [`HeartbeatListener`](crate::heartbeat::HeartbeatListener) runs it for its monitor;
    /// without a listener, spawn it.
    ///
    /// If the lookup of a name fails, its previous addresses stay; the failure is counted
    /// in [`unresolved`](super::HeartbeatStatistics::unresolved). At most eight names are
    /// looked up at once, each for at most 10 s, which keeps one slow name from delaying
    /// the others.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no data.
    ///
    /// # Panics
    ///
    /// If polled outside a tokio runtime with `enable_time`.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::heartbeat::HeartbeatMonitor;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let monitor = HeartbeatMonitor::new();
    /// let kept = monitor.clone();
    /// tokio::spawn(async move { kept.run_maintenance(std::future::pending()).await });
    /// # }
    /// ```
    pub async fn run_maintenance(&self, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = stop => {}
            () = self.run_forever() => {}
        }
    }

    /// Never returns.
    pub(in crate::heartbeat) async fn run_forever(&self) {
        loop {
            self.refresh();
            self.shared.sweep();
            self.look_up(|_| true).await;
            let later = Deadline::after(self.shared.lookup_interval);
            let named = async {
                loop {
                    self.shared.named.notified().await;
                    // Names with known addresses have their own interval.
                    self.look_up(|is_known| !is_known).await;
                }
            };
            tokio::select! {
                () = later => {}
                () = named => pending().await,
            }
        }
    }

    /// Looks up the names for which `is_wanted` returns true; its argument is whether their
    /// addresses are known.
    async fn look_up(&self, is_wanted: impl Fn(bool) -> bool) {
        let mut names = {
            let state = self.shared.state.lock();
            let mut names = state.index.names();
            names.retain(|name| is_wanted(!state.index.lacks_name(name)));
            names.into_iter()
        };
        let mut running = JoinSet::new();
        for name in names.by_ref().take(MAX_LOOKUPS) {
            running.spawn(addresses_of(name));
        }
        while let Some(looked_up) = running.join_next().await {
            if let Some(name) = names.next() {
                running.spawn(addresses_of(name));
            }
            match looked_up {
                Ok((name, Ok(ips))) => self.shared.resolve(vec![(name, ips)]),
                _ => self.shared.statistics.count_unresolved(),
            }
        }
    }
}

async fn addresses_of(name: Arc<str>) -> (Arc<str>, io::Result<Vec<IpAddr>>) {
    let found = match timeout(LOOKUP_LIMIT, lookup_host((&*name, 0))).await {
        Ok(Ok(found)) => Ok(found.map(|address| address.ip()).collect()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    (name, found)
}
