//! What the flows of one socket share: [`Common`], and the limits, [`UdpLimits`].

use std::time::Duration;

use tokio::time::Instant;

use super::dropped::Dropped;
use super::flow_key::FlowKey;
use super::inbound::Inbound;
use super::statistics::UdpStatistics;
use super::trouble::Trouble;
use crate::sync::{AtomicU32, Relaxed};

/// What limits flows and datagrams.
#[derive(Clone, Copy, Debug)]
pub(super) struct UdpLimits {
    /// How many answers each datagram of a client has; zero if that is not known.
    pub(super) answers: u32,
    /// Whether a member that leaves a flow without an answer is put in error.
    pub(super) fails_silent: bool,
    pub(super) datagram: usize,
    pub(super) drain: Duration,
    pub(super) flows: Option<u32>,
    pub(super) flows_per_client: Option<u32>,
    pub(super) idle: Duration,
    /// How long flows stay with a member that serves no more.
    pub(super) leave: Option<Duration>,
    pub(super) new_flows_per_client: u32,
    /// Whether each datagram to a member begins with a PROXY header.
    pub(super) proxy_header: bool,
}

/// How long a flow may be quiet once the forwarder stops.
const LAST_CALL: Duration = Duration::from_secs(1);

/// What the flows of one socket share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) inbound: Inbound,
    pub(super) limits: UdpLimits,
    pub(super) statistics: UdpStatistics,
    started: Instant,
    // Relaxed: the flows are woken after it is set.
    stopping: AtomicU32,
}

impl Common {
    pub(super) fn new(inbound: Inbound, limits: UdpLimits, statistics: UdpStatistics) -> Self {
        Self {
            inbound,
            limits,
            statistics,
            started: Instant::now(),
            stopping: AtomicU32::new(0),
        }
    }

    /// Nanoseconds since it began.
    pub(super) fn now(&self) -> u64 {
        nanos(self.started.elapsed())
    }

    /// The moment of which [`now`](Self::now) tells.
    pub(super) fn moment(&self, now: u64) -> Instant {
        self.started + Duration::from_nanos(now)
    }

    /// For how many nanoseconds a flow may be quiet.
    pub(super) fn quiet(&self) -> u64 {
        let idle = self.limits.idle;
        nanos(if self.is_stopping() {
            idle.min(LAST_CALL)
        } else {
            idle
        })
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed) != 0
    }

    pub(super) fn begin_to_stop(&self) {
        self.stopping.store(1, Relaxed);
    }

    /// Sends an answer to a client, without waiting.
    pub(super) fn answer(&self, datagram: &[u8], key: FlowKey) -> Result<(), Dropped> {
        if datagram.len() > self.limits.datagram {
            return Err(Dropped::Oversize);
        }
        let sent = self.inbound.send(datagram, key);
        sent.map_err(|error| dropped_by(Trouble::of(&error)))
    }
}

/// Why a datagram is dropped that the system does not send.
pub(super) fn dropped_by(trouble: Trouble) -> Dropped {
    match trouble {
        Trouble::Backlog => Dropped::Backlog,
        Trouble::Oversize => Dropped::Oversize,
        Trouble::Shortage => Dropped::NoSocket,
        Trouble::Refused | Trouble::Unknown => Dropped::Failed,
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
