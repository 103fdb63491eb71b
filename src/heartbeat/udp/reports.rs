//! Sends the reports of one sender to its destinations: [`Reports`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::destination::HeartbeatDestination;
use super::sending::SendCounts;
use crate::heartbeat::HeartbeatMessage;
use crate::scheduler::HeartbeatReading;

/// Is called for a report that could not be sent.
pub(super) type SendErrorHook = dyn Fn(SocketAddr, &io::Error) + Send + Sync;

pub(super) struct Reports {
    pub(super) targets: Vec<(SocketAddr, HeartbeatDestination)>,
    pub(super) port: Option<u16>,
    pub(super) on_error: Option<Arc<SendErrorHook>>,
    pub(super) counts: SendCounts,
    /// Whether a drop also sends the last report: a runtime that shuts down drops the task
    /// of a sender, and may not have polled it since its handle was dropped.
    pub(super) ends_when_dropped: bool,
    /// The busy count of the last report; `None` before the first.
    pub(super) busy: Option<u32>,
}

impl Reports {
    pub(super) fn send(&mut self, reading: HeartbeatReading) {
        self.busy = Some(reading.busy);
        let message = HeartbeatMessage::new(reading).with_port(self.port.unwrap_or(0));
        for (address, target) in &mut self.targets {
            match target.send(message) {
                Ok(()) => self.counts.count_sent(),
                Err(error) => {
                    self.counts.count_failed();
                    if let Some(on_error) = &self.on_error {
                        on_error(*address, &error);
                    }
                }
            }
        }
    }

    /// Reports that there is no idle capacity.
    pub(super) fn end(&mut self, busy: u32) {
        self.ends_when_dropped = false;
        self.send(HeartbeatReading { ready: 0, busy });
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        if let (true, Some(busy)) = (self.ends_when_dropped, self.busy) {
            // The closure may panic, or may need the runtime that is about to end.
            self.on_error = None;
            self.end(busy);
        }
    }
}
