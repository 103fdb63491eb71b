//! The handle of a monitor: [`HeartbeatMonitor`].

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::error::ReportError;
use super::state::MonitorState;
use super::statistics::HeartbeatStatistics;
use crate::heartbeat::{HeartbeatMessage, HeartbeatRecord, SenderId};

/// Receives the reports of servers, and passes them to the balancers that have these
/// servers as members. Clones are cheap and share one table.
///
/// Reports come from a [`HeartbeatListener`](crate::heartbeat::HeartbeatListener), a
/// [`HeartbeatService`](crate::heartbeat::HeartbeatService), a
/// [`HeartbeatFile`](crate::heartbeat::HeartbeatFile), or from bytes that you have received
/// yourself. [`follow`](Self::follow) adds a balancer.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::{HeartbeatMonitor, MemberAddress};
/// use equipoise::{Balancer, Heartbeat, HeartbeatReadings, MemberSpec, PickRequest};
/// use std::net::SocketAddr;
///
/// let readings = HeartbeatReadings::new();
/// let balancer = Balancer::builder()
///     .scheduler(Heartbeat::new(&readings))
///     .member("a", SocketAddr::from(([10, 0, 0, 1], 8080)), MemberSpec::new())
///     .member("b", SocketAddr::from(([10, 0, 0, 2], 8080)), MemberSpec::new())
///     .build()?;
///
/// let monitor = HeartbeatMonitor::new();
/// let following = monitor.follow(&balancer, &readings, |&it| [MemberAddress::from(it)]);
/// monitor.receive([10, 0, 0, 2].into(), b"v=1&ready=30&busy=2")?;
/// assert_eq!(balancer.pick(&PickRequest::new())?.member().name(), "b");
/// # drop(following);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct HeartbeatMonitor {
    pub(super) shared: Arc<MonitorState>,
}

impl HeartbeatMonitor {
    pub(super) fn of(shared: MonitorState) -> Self {
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Handles a datagram that came from an IP address.
    ///
    /// # Errors
    ///
    /// If the report is dropped. It is then counted, and the closure of
    /// [`on_dropped`](super::MonitorBuilder::on_dropped) is called.
    pub fn receive(&self, from: IpAddr, bytes: &[u8]) -> Result<HeartbeatMessage, ReportError> {
        self.read(from, bytes, HeartbeatMessage::parse)
    }

    /// Drops the body of a POST request that is too long, after this many bytes.
    pub(in crate::heartbeat) fn refuse_form(&self, from: IpAddr, bytes: usize) {
        let error = crate::heartbeat::MessageError::TooLong { bytes };
        let _ = self
            .shared
            .counted::<()>(from.to_canonical(), Err(error.into()));
    }

    /// Handles the body of a POST request.
    pub(in crate::heartbeat) fn receive_form(
        &self,
        from: IpAddr,
        bytes: &[u8],
    ) -> Result<HeartbeatMessage, ReportError> {
        self.read(from, bytes, HeartbeatMessage::parse_form)
    }

    fn read(
        &self,
        from: IpAddr,
        bytes: &[u8],
        parse: impl FnOnce(&[u8]) -> Result<HeartbeatMessage, crate::heartbeat::MessageError>,
    ) -> Result<HeartbeatMessage, ReportError> {
        let from = from.to_canonical();
        let read = || {
            if bytes.len() <= HeartbeatMessage::MAX_BYTES {
                self.shared.verify(from, bytes)?;
            }
            let message = parse(bytes)?;
            let sender = SenderId::new(from, message.port());
            self.shared.take(sender, message, Duration::ZERO)?;
            Ok(message)
        };
        self.shared.counted(from, read())
    }

    /// Handles a report from a trusted source: no signature is required.
    ///
    /// A record of unknown age is not used for picks. A record that is older than the
    /// current one of its server, or older than
    /// [`forget_after`](super::MonitorBuilder::forget_after), has no effect.
    ///
    /// # Errors
    ///
    /// [`ReportError::Full`].
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::heartbeat::{HeartbeatMonitor, HeartbeatRecord, SenderId};
    /// use equipoise::scheduler::HeartbeatReading;
    /// use std::time::Duration;
    ///
    /// let monitor = HeartbeatMonitor::new();
    /// let sender = SenderId::new([10, 0, 0, 1].into(), None);
    /// let record = HeartbeatRecord::new(sender, HeartbeatReading { ready: 30, busy: 2 });
    /// monitor.report(record.with_last_seen(Duration::ZERO))?;
    /// assert_eq!(monitor.records()[0].reading().ready, 30);
    /// # Ok::<(), equipoise::heartbeat::ReportError>(())
    /// ```
    pub fn report(&self, record: HeartbeatRecord) -> Result<(), ReportError> {
        let Some(age) = record.last_seen() else {
            return Ok(());
        };
        let sender = record.sender();
        let taken = self.shared.take(sender, record.message(), age);
        self.shared.counted(sender.ip(), taken)
    }

    /// Returns the latest report of each server, member or not, sorted by address.
    #[must_use]
    pub fn records(&self) -> Vec<HeartbeatRecord> {
        self.shared.records()
    }

    /// Sets how many servers are kept that report without being members, as
    /// [`max_senders`](super::MonitorBuilder::max_senders) does. If there are more already,
    /// they are kept until their reports are too old.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::heartbeat::HeartbeatMonitor;
    ///
    /// let monitor = HeartbeatMonitor::builder().max_senders(0).build();
    /// let receive = || monitor.receive([10, 0, 0, 1].into(), b"v=1&ready=30&busy=2");
    /// assert!(receive().is_err());
    /// monitor.set_max_senders(1);
    /// assert!(receive().is_ok());
    /// ```
    pub fn set_max_senders(&self, most: usize) {
        self.shared.state.lock().senders.set_most(most);
    }

    /// Returns the statistics of this monitor.
    #[must_use]
    pub fn statistics(&self) -> HeartbeatStatistics {
        self.shared.statistics.clone()
    }
}

impl fmt::Debug for HeartbeatMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeartbeatMonitor")
            .field("statistics", &self.shared.statistics)
            .finish_non_exhaustive()
    }
}
