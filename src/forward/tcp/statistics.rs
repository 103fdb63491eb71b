//! The counters of a TCP forwarder: [`TcpStatistics`].
//!
//! Not here: the reasons why a connection did not end normally (`aborted`).

use std::fmt;
use std::sync::Arc;

use super::aborted::Aborted;
use crate::sync::{AtomicU64, Relaxed};

/// The counters of a [`TcpForwarder`](super::TcpForwarder) and its clones. It is a handle:
/// its clones show the same, changing numbers.
///
/// A connection counts once its PROXY header has been read and the TLS handshake is
/// complete. Each ended connection is either [served](Self::served) or
/// [aborted](Self::aborted), for one reason.
///
/// The bytes and connections of each member are part of its
/// [`MemberState`](crate::MemberState).
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::forward::{Aborted, TcpForwarder};
///
/// # let balancer = Balancer::builder().build()?;
/// let forwarder = TcpForwarder::new(balancer);
/// let statistics = forwarder.statistics();
/// // While `forwarder.serve(..)` runs:
/// assert_eq!(statistics.connections(), 0);
/// assert_eq!(statistics.aborted(Aborted::NoMember), 0);
/// assert_eq!(statistics.to_string(), "connections: 0 (0 accepted, 0 served)");
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Default)]
pub struct TcpStatistics(Arc<TcpCounters>);

// Relaxed, each of them: a number for operators.
#[derive(Default)]
struct TcpCounters {
    accepted: AtomicU64,
    served: AtomicU64,
    failed_over: AtomicU64,
    aborted: [AtomicU64; Aborted::ALL.len()],
}

impl TcpStatistics {
    /// Returns the current number of connections, including those that wait for a member.
    #[must_use]
    pub fn connections(&self) -> u64 {
        // Ended connections are read first: a connection that begins and ends meanwhile
        // then counts as one too many, not as one too few.
        let aborted = Aborted::ALL.into_iter().map(|reason| self.aborted(reason));
        let ended = self.served() + aborted.sum::<u64>();
        self.accepted().saturating_sub(ended)
    }

    /// Returns how many connections have been accepted.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.0.accepted.load(Relaxed)
    }

    /// Returns how many connections have ended normally: both sides have ended, and all
    /// bytes have arrived.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.0.served.load(Relaxed)
    }

    /// Returns how many connections went to another member because one had failed, whether
    /// or not that member served them.
    #[must_use]
    pub fn failed_over(&self) -> u64 {
        self.0.failed_over.load(Relaxed)
    }

    /// Returns how many connections were aborted for a reason.
    #[must_use]
    pub fn aborted(&self, reason: Aborted) -> u64 {
        self.0.aborted[reason as usize].load(Relaxed)
    }

    pub(super) fn count_accepted(&self) -> CountedConnection {
        self.0.accepted.fetch_add(1, Relaxed);
        CountedConnection {
            statistics: self.clone(),
            ended: Err(Aborted::Stopping),
        }
    }

    pub(super) fn count_failed_over(&self) {
        self.0.failed_over.fetch_add(1, Relaxed);
    }
}

/// A counted connection. Dropping it counts the connection as aborted by the stop, unless
/// [`end`](Self::end) was called.
#[derive(Debug)]
pub(super) struct CountedConnection {
    statistics: TcpStatistics,
    ended: Result<(), Aborted>,
}

impl CountedConnection {
    pub(super) fn end(mut self, ended: Result<(), Aborted>) {
        self.ended = ended;
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        let counters = &self.statistics.0;
        let counter = match self.ended {
            Ok(()) => &counters.served,
            Err(reason) => &counters.aborted[reason as usize],
        };
        counter.fetch_add(1, Relaxed);
    }
}

/// One line. Zero counts of failovers and aborts are left out.
impl fmt::Display for TcpStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (now, accepted, served) = (self.connections(), self.accepted(), self.served());
        write!(
            f,
            "connections: {now} ({accepted} accepted, {served} served"
        )?;
        let failed_over = self.failed_over();
        if failed_over > 0 {
            write!(f, ", {failed_over} failed over")?;
        }
        f.write_str(")")?;
        let reasons = Aborted::ALL.into_iter();
        let aborted = reasons.map(|reason| (reason, self.aborted(reason)));
        let mut before = "; aborted: ";
        for (reason, count) in aborted.filter(|&(_, count)| count > 0) {
            write!(f, "{before}{count} {reason}")?;
            before = ", ";
        }
        Ok(())
    }
}

impl fmt::Debug for TcpStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TcpStatistics")
            .field(&format_args!("{self}"))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Aborted, TcpStatistics};

    #[test]
    fn the_line_tells_what_has_happened_and_nothing_else() {
        let statistics = TcpStatistics::default();
        let connection = statistics.count_accepted();
        statistics.count_accepted().end(Ok(()));
        assert_eq!(
            statistics.to_string(),
            "connections: 1 (2 accepted, 1 served)"
        );
        statistics.count_failed_over();
        for _ in 0..2 {
            let ended = Err(Aborted::NoMember);
            statistics.count_accepted().end(ended);
        }
        drop(connection);
        assert_eq!(
            statistics.to_string(),
            "connections: 0 (4 accepted, 1 served, 1 failed over); aborted: 2 no member, 1 stopping"
        );
    }
}
