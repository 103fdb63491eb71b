//! The monitor as users have it: [`HeartbeatMonitor`].

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::error::ReportError;
use super::state::MonitorState;
use super::statistics::HeartbeatStatistics;
use crate::heartbeat::{HeartbeatMessage, HeartbeatRecord, SenderId};

/// Takes the reports of servers in, and gives them to the balancers whose members they are of.
/// A cheap clone of one shared table.
///
/// Reports come from a [`HeartbeatListener`](crate::heartbeat::HeartbeatListener), a
/// [`HeartbeatService`](crate::heartbeat::HeartbeatService), a
/// [`HeartbeatFile`](crate::heartbeat::HeartbeatFile), or from bytes that you have received
/// yourself. Which balancers they go to is told by [`follow`](Self::follow).
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

    /// Takes a datagram that came from an IP address.
    ///
    /// # Errors
    ///
    /// If it is dropped. That is counted, and told to what
    /// [`on_dropped`](super::MonitorBuilder::on_dropped) was given.
    pub fn receive(&self, from: IpAddr, bytes: &[u8]) -> Result<HeartbeatMessage, ReportError> {
        self.read(from, bytes, HeartbeatMessage::parse)
    }

    /// Drops the body of a POST that is longer than a message may be, of which so much has come.
    pub(in crate::heartbeat) fn refuse_form(&self, from: IpAddr, bytes: usize) {
        let error = crate::heartbeat::MessageError::TooLong { bytes };
        let _ = self
            .shared
            .counted::<()>(from.to_canonical(), Err(error.into()));
    }

    /// The same for the body of a POST.
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

    /// Takes a report from a source that is trusted as this process is: no signature is asked
    /// for.
    ///
    /// A record without an age is not counted on. One that is older than what is known of its
    /// server, or than is [remembered](super::MonitorBuilder::forget_after), changes nothing.
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

    /// Returns what is known of each server that has reported, members or not, by address.
    #[must_use]
    pub fn records(&self) -> Vec<HeartbeatRecord> {
        self.shared.records()
    }

    /// Sets how many servers are remembered that report and are no members, as
    /// [`max_senders`](super::MonitorBuilder::max_senders) does. If there are more than that, they
    /// are remembered until their reports are too old.
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

    /// Returns the numbers of this monitor.
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
