//! The latest report of a server: [`HeartbeatRecord`].

use std::time::Duration;

use super::{HeartbeatMessage, SenderId};
use crate::scheduler::HeartbeatReading;

/// The latest report of a server, and its age: an entry of a
/// [`HeartbeatMonitor`](super::HeartbeatMonitor), or of a
/// [`HeartbeatFile`](super::HeartbeatFile).
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::{HeartbeatRecord, SenderId};
/// use equipoise::scheduler::HeartbeatReading;
/// use std::time::Duration;
///
/// let sender = SenderId::new("10.0.0.1".parse()?, None);
/// let record = HeartbeatRecord::new(sender, HeartbeatReading { ready: 30, busy: 2 })
///     .with_last_seen(Duration::from_secs(3));
/// assert_eq!(record.last_seen(), Some(Duration::from_secs(3)));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeartbeatRecord {
    sender: SenderId,
    reading: HeartbeatReading,
    last_seen: Option<Duration>,
}

impl HeartbeatRecord {
    /// Creates a record of unknown age.
    #[must_use]
    pub const fn new(sender: SenderId, reading: HeartbeatReading) -> Self {
        Self {
            sender,
            reading,
            last_seen: None,
        }
    }

    /// Sets the age of the report.
    #[must_use]
    pub const fn with_last_seen(self, ago: Duration) -> Self {
        Self {
            last_seen: Some(ago),
            ..self
        }
    }

    /// Returns the server.
    #[must_use]
    pub const fn sender(&self) -> SenderId {
        self.sender
    }

    /// Returns the reported capacity.
    #[must_use]
    pub const fn reading(&self) -> HeartbeatReading {
        self.reading
    }

    /// Returns the age of the report; `None` if it is unknown: the report is then not used
    /// for picks.
    #[must_use]
    pub const fn last_seen(&self) -> Option<Duration> {
        self.last_seen
    }

    pub(super) const fn message(&self) -> HeartbeatMessage {
        let message = HeartbeatMessage::new(self.reading);
        match self.sender.port() {
            Some(port) => message.with_port(port),
            None => message,
        }
    }
}
