//! The state that all flows of one socket share: [`FlowContext`], and the limits,
//! [`UdpLimits`].

use std::time::Duration;

use tokio::time::Instant;

use super::dropped::Dropped;
use super::flow_key::FlowKey;
use super::inbound_socket::InboundSocket;
use super::socket_fault::SocketFault;
use super::statistics::UdpStatistics;
use crate::sync::{AtomicU32, Relaxed};

/// The limits of flows and datagrams.
#[derive(Clone, Copy, Debug)]
pub(super) struct UdpLimits {
    /// The number of responses to each datagram of a client; zero if it is unknown.
    pub(super) responses: u32,
    /// Whether a member is put in error when a flow ends without a response.
    pub(super) fails_silent: bool,
    pub(super) datagram: usize,
    pub(super) drain: Duration,
    pub(super) flows: Option<u32>,
    pub(super) flows_per_client: Option<u32>,
    pub(super) idle: Duration,
    /// How long flows stay with a member that is lost.
    pub(super) loss_delay: Option<Duration>,
    pub(super) new_flows_per_client: u32,
    /// Whether each datagram to a member begins with a PROXY header.
    pub(super) proxy_header: bool,
}

/// The maximum time without a datagram once the forwarder stops.
const IDLE_AFTER_STOP: Duration = Duration::from_secs(1);

/// The state that all flows of one socket share.
#[derive(Debug)]
pub(super) struct FlowContext {
    pub(super) inbound: InboundSocket,
    pub(super) limits: UdpLimits,
    pub(super) statistics: UdpStatistics,
    started: Instant,
    // Relaxed: the flows are woken after it is set.
    stopping: AtomicU32,
}

impl FlowContext {
    pub(super) fn new(
        inbound: InboundSocket,
        limits: UdpLimits,
        statistics: UdpStatistics,
    ) -> Self {
        Self {
            inbound,
            limits,
            statistics,
            started: Instant::now(),
            stopping: AtomicU32::new(0),
        }
    }

    /// Returns the nanoseconds since the start.
    pub(super) fn now(&self) -> u64 {
        nanos(self.started.elapsed())
    }

    /// Returns the instant of a time that [`now`](Self::now) returned.
    pub(super) fn moment(&self, now: u64) -> Instant {
        self.started + Duration::from_nanos(now)
    }

    /// Returns the maximum nanoseconds without a datagram.
    pub(super) fn quiet(&self) -> u64 {
        let idle = self.limits.idle;
        nanos(if self.is_stopping() {
            idle.min(IDLE_AFTER_STOP)
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

    /// Sends a response to a client, without waiting.
    pub(super) fn respond(&self, datagram: &[u8], key: FlowKey) -> Result<(), Dropped> {
        if datagram.len() > self.limits.datagram {
            return Err(Dropped::Oversize);
        }
        let sent = self.inbound.send(datagram, key);
        sent.map_err(|error| dropped_by(SocketFault::of(&error)))
    }
}

/// Returns why a datagram is dropped that the system did not send.
pub(super) fn dropped_by(fault: SocketFault) -> Dropped {
    match fault {
        SocketFault::Backlog => Dropped::Backlog,
        SocketFault::Oversize => Dropped::Oversize,
        SocketFault::Shortage => Dropped::NoSocket,
        SocketFault::Refused | SocketFault::Unknown => Dropped::Failed,
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
