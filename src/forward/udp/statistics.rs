//! The counters of a UDP forwarder: [`UdpStatistics`].

use std::fmt;
use std::sync::Arc;

use super::dropped::Dropped;
use crate::sync::{AtomicU64, Relaxed};

/// The counters of a [`UdpForwarder`](super::UdpForwarder) and its clones. It is a handle:
/// its clones show the same, changing numbers.
///
/// The bytes and flows of each member are part of its [`MemberState`](crate::MemberState).
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::forward::{Dropped, UdpForwarder};
///
/// # let balancer = Balancer::builder().build()?;
/// let forwarder = UdpForwarder::new(balancer);
/// let statistics = forwarder.statistics();
/// // While `forwarder.serve(..)` runs:
/// assert_eq!(statistics.flows(), 0);
/// assert_eq!(statistics.dropped(Dropped::Oversize), 0);
/// assert_eq!(statistics.to_string(), "flows: 0 (0 opened); datagrams: 0 to members, 0 to clients");
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Default)]
pub struct UdpStatistics(Arc<UdpCounters>);

// Relaxed, each of them: a number for operators.
#[derive(Default)]
struct UdpCounters {
    opened: AtomicU64,
    ended: AtomicU64,
    refused: AtomicU64,
    replaced: AtomicU64,
    to_members: AtomicU64,
    to_clients: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
}

impl UdpStatistics {
    /// Returns the current number of flows.
    #[must_use]
    pub fn flows(&self) -> u64 {
        // Ended flows are read first: a flow that begins and ends meanwhile then counts as
        // one too many, not as one too few.
        let ended = self.0.ended.load(Relaxed);
        self.opened().saturating_sub(ended)
    }

    /// Returns how many flows have been opened.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.0.opened.load(Relaxed)
    }

    /// Returns how many flows have ended because their member refused datagrams.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Relaxed)
    }

    /// Returns how many flows were ended early to make room for a new one.
    #[must_use]
    pub fn replaced(&self) -> u64 {
        self.0.replaced.load(Relaxed)
    }

    /// Returns how many datagrams of clients have been sent to members.
    #[must_use]
    pub fn to_members(&self) -> u64 {
        self.0.to_members.load(Relaxed)
    }

    /// Returns how many datagrams of members have been sent to clients.
    #[must_use]
    pub fn to_clients(&self) -> u64 {
        self.0.to_clients.load(Relaxed)
    }

    /// Returns how many datagrams, of clients and of members, were dropped for a reason.
    #[must_use]
    pub fn dropped(&self, reason: Dropped) -> u64 {
        self.0.dropped[reason as usize].load(Relaxed)
    }

    pub(super) fn count_opened(&self) -> OpenFlow {
        self.0.opened.fetch_add(1, Relaxed);
        OpenFlow(self.clone())
    }

    pub(super) fn count_refused(&self) {
        self.0.refused.fetch_add(1, Relaxed);
    }

    pub(super) fn count_replaced(&self) {
        self.0.replaced.fetch_add(1, Relaxed);
    }

    pub(super) fn count_to_member(&self) {
        self.0.to_members.fetch_add(1, Relaxed);
    }

    pub(super) fn count_to_client(&self) {
        self.0.to_clients.fetch_add(1, Relaxed);
    }

    pub(super) fn count_dropped(&self, reason: Dropped) {
        self.0.dropped[reason as usize].fetch_add(1, Relaxed);
    }
}

/// An open flow; it counts until it is dropped.
#[derive(Debug)]
pub(super) struct OpenFlow(UdpStatistics);

impl Drop for OpenFlow {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Relaxed);
    }
}

/// One line. Zero counts of refused and replaced flows and of drops are left out.
impl fmt::Display for UdpStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flows: {} ({} opened", self.flows(), self.opened())?;
        for (count, of_what) in [(self.refused(), "refused"), (self.replaced(), "replaced")] {
            if count > 0 {
                write!(f, ", {count} {of_what}")?;
            }
        }
        let (to_members, to_clients) = (self.to_members(), self.to_clients());
        write!(
            f,
            "); datagrams: {to_members} to members, {to_clients} to clients"
        )?;
        let reasons = Dropped::ALL.into_iter();
        let dropped = reasons.map(|reason| (reason, self.dropped(reason)));
        let mut before = "; dropped: ";
        for (reason, count) in dropped.filter(|&(_, count)| count > 0) {
            write!(f, "{before}{count} {reason}")?;
            before = ", ";
        }
        Ok(())
    }
}

impl fmt::Debug for UdpStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UdpStatistics")
            .field(&format_args!("{self}"))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Dropped, UdpStatistics};

    #[test]
    fn the_line_tells_what_has_happened_and_nothing_else() {
        let statistics = UdpStatistics::default();
        let flow = statistics.count_opened();
        drop(statistics.count_opened());
        statistics.count_to_member();
        assert_eq!(
            statistics.to_string(),
            "flows: 1 (2 opened); datagrams: 1 to members, 0 to clients"
        );
        statistics.count_refused();
        statistics.count_to_client();
        statistics.count_dropped(Dropped::Oversize);
        statistics.count_dropped(Dropped::ClientRate);
        statistics.count_dropped(Dropped::Oversize);
        drop(flow);
        assert_eq!(
            statistics.to_string(),
            "flows: 0 (2 opened, 1 refused); datagrams: 1 to members, 1 to clients; dropped: \
             1 too many new flows of a client, 2 too long"
        );
    }
}
