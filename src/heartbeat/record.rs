//! What is known of a server: [`HeartbeatRecord`].

use std::time::Duration;

use super::{HeartbeatMessage, SenderId};
use crate::scheduler::HeartbeatReading;

/// What a server has reported, and how long ago: an entry of a
/// [`HeartbeatMonitor`](super::HeartbeatMonitor), or of a [`HeartbeatFile`](super::HeartbeatFile).
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
    /// Creates a record that tells nothing of its age.
    #[must_use]
    pub const fn new(sender: SenderId, reading: HeartbeatReading) -> Self {
        Self {
            sender,
            reading,
            last_seen: None,
        }
    }

    /// Tells how long ago the report came in.
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

    /// Returns what it reports.
    #[must_use]
    pub const fn reading(&self) -> HeartbeatReading {
        self.reading
    }

    /// Returns how long ago the report came in; `None` if that is unknown, and then it must not
    /// be counted on.
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
