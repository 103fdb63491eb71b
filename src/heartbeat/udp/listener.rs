//! Receives heartbeats by UDP: [`HeartbeatListener`].

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::net::UdpSocket;

use super::listening::HeartbeatListenerGuard;
use super::socket;
use crate::heartbeat::{HeartbeatMessage, HeartbeatMonitor};
use crate::timer::Deadline;

/// The pause after an error of the socket, which may persist.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// Receives heartbeats by UDP that are sent to an address or a multicast group.
///
/// It also runs the periodic work of its monitor ([`HeartbeatMonitor::run_maintenance`]). It
/// handles one datagram at a time, in constant memory; the monitor counts what is dropped.
///
/// Apache httpd sends heartbeats to the group `239.0.0.1:27999` with `mod_heartbeat` and
/// `HeartbeatAddress 239.0.0.1:27999`.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::{HeartbeatListener, HeartbeatMonitor};
/// use tokio::net::UdpSocket;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let monitor = HeartbeatMonitor::new();
/// let listener = HeartbeatListener::bind("127.0.0.1:0".parse()?)?;
/// let here = listener.local_addr()?;
/// let listening = listener.spawn(&monitor); // until it is dropped
///
/// let server = UdpSocket::bind("127.0.0.1:0").await?;
/// server.send_to(b"v=1&ready=30&busy=2", here).await?;
/// while monitor.records().is_empty() {
///     tokio::task::yield_now().await;
/// }
/// assert_eq!(monitor.records()[0].reading().ready, 30);
/// # drop(listening);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it receives nothing until `spawn` or `serve` is called"]
pub struct HeartbeatListener {
    socket: UdpSocket,
}

impl HeartbeatListener {
    /// Listens at an address, or joins the multicast group of that address. The scope of an
    /// IPv6 group selects the interface (`[ff05::1%3]:27999`); for an IPv4 group, the
    /// system selects it.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound, or the group cannot be joined.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime with `enable_io`.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::bind_on(address, Ipv4Addr::UNSPECIFIED)
    }

    /// The same as [`bind`](Self::bind), but joins an IPv4 group on the interface with this
    /// address.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    ///
    /// # Panics
    ///
    /// As [`bind`](Self::bind).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::heartbeat::HeartbeatListener;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let group = "239.0.0.1:0".parse()?;
    /// let listener = HeartbeatListener::bind_on(group, [127, 0, 0, 1].into())?;
    /// # let _ = listener;
    /// # Ok(())
    /// # }
    /// ```
    pub fn bind_on(address: SocketAddr, interface: Ipv4Addr) -> io::Result<Self> {
        let socket = socket::receiving(address, interface)?;
        Ok(Self { socket })
    }

    /// Listens on an existing socket.
    pub fn from_socket(socket: UdpSocket) -> Self {
        Self { socket }
    }

    /// Returns the local address.
    ///
    /// # Errors
    ///
    /// If the system returns an error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Passes datagrams to a monitor, in a task of its own, until the handle is dropped.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime with `enable_io` and `enable_time`.
    pub fn spawn(self, monitor: &HeartbeatMonitor) -> HeartbeatListenerGuard {
        let monitor = monitor.clone();
        let serving = async move { self.serve(&monitor, std::future::pending()).await };
        HeartbeatListenerGuard::of(tokio::spawn(serving))
    }

    /// Passes datagrams to a monitor until `stop` resolves.
    ///
    /// It continues after an error of the socket: it tries again, at most twenty times per
    /// second.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the socket, and loses datagrams in its queue.
    ///
    /// # Panics
    ///
    /// If polled outside a tokio runtime with `enable_io` and `enable_time`.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::heartbeat::{HeartbeatListener, HeartbeatMonitor};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let monitor = HeartbeatMonitor::new();
    /// let listener = HeartbeatListener::bind("127.0.0.1:0".parse()?)?;
    /// let stop = async { /* a signal, for example */ };
    /// listener.serve(&monitor, stop).await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn serve(self, monitor: &HeartbeatMonitor, stop: impl Future<Output = ()>) {
        tokio::select! {
            // In this order, because a flood uses up the budget of the task.
            biased;
            () = stop => {}
            () = monitor.run_forever() => {}
            () = self.receive(monitor) => {}
        }
    }

    /// Never returns.
    async fn receive(&self, monitor: &HeartbeatMonitor) {
        // One byte more than the longest message, which reveals a longer one.
        let mut buffer = [0; HeartbeatMessage::MAX_BYTES + 1];
        loop {
            match self.socket.recv_from(&mut buffer).await {
                Ok((length, from)) => {
                    let received = || monitor.receive(from.ip(), &buffer[..length]);
                    // The monitor counts dropped reports and calls the closure. A panic of
                    // the closure must not stop the listener.
                    let _ = catch_unwind(AssertUnwindSafe(received));
                }
                Err(_) => Deadline::after(ERROR_PAUSE).await,
            }
        }
    }
}
