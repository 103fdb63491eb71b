//! The side of the balancer: [`HeartbeatListener`].

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::net::UdpSocket;

use super::listening::HeartbeatListenerGuard;
use super::socket;
use crate::heartbeat::{HeartbeatMessage, HeartbeatMonitor};
use crate::timer::Deadline;

/// After an error of the socket, which may last.
const PAUSE: Duration = Duration::from_millis(50);

/// Receives heartbeats by UDP: those that are sent to an address, or to a group (multicast).
///
/// It also does for its monitor what has to be done from time to time
/// ([`HeartbeatMonitor::keep_current`]). One datagram after the other is taken, in constant
/// memory; what is dropped is counted by the monitor.
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
#[must_use = "it receives nothing until it serves"]
pub struct HeartbeatListener {
    socket: UdpSocket,
}

impl HeartbeatListener {
    /// Listens at an address, or joins the group of that address. The interface of an IPv6 group
    /// is its scope (`[ff05::1%3]:27999`); that of an IPv4 group is left to the system.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound, or the group not joined.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with `enable_io`.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::bind_on(address, Ipv4Addr::UNSPECIFIED)
    }

    /// The same; an IPv4 group is joined on the interface that has this address.
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

    /// Listens on a socket that is there already.
    pub fn from_socket(socket: UdpSocket) -> Self {
        Self { socket }
    }

    /// Returns where it listens.
    ///
    /// # Errors
    ///
    /// If the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Gives what it receives to a monitor, in a task of its own, until the handle is dropped.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with `enable_io` and `enable_time`.
    pub fn spawn(self, monitor: &HeartbeatMonitor) -> HeartbeatListenerGuard {
        let monitor = monitor.clone();
        let serving = async move { self.serve(&monitor, std::future::pending()).await };
        HeartbeatListenerGuard::of(tokio::spawn(serving))
    }

    /// Gives what it receives to a monitor until `stop` resolves.
    ///
    /// An error of the socket ends nothing: it is tried again, twenty times a second at most.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the socket, and loses what waits in it.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with `enable_io` and `enable_time`.
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
    /// let stop = async { /* a signal, say */ };
    /// listener.serve(&monitor, stop).await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn serve(self, monitor: &HeartbeatMonitor, stop: impl Future<Output = ()>) {
        tokio::select! {
            // In this order, as a flood uses up the budget of the task.
            biased;
            () = stop => {}
            () = monitor.keep() => {}
            () = self.receive(monitor) => {}
        }
    }

    /// Never ends.
    async fn receive(&self, monitor: &HeartbeatMonitor) {
        // One byte more than a message has, so that a longer one shows.
        let mut buffer = [0; HeartbeatMessage::MAX_BYTES + 1];
        loop {
            match self.socket.recv_from(&mut buffer).await {
                Ok((length, from)) => {
                    let received = || monitor.receive(from.ip(), &buffer[..length]);
                    // What is dropped is counted, and told by the monitor. A panic of what it is
                    // told to does not make the listener deaf.
                    let _ = catch_unwind(AssertUnwindSafe(received));
                }
                Err(_) => Deadline::after(PAUSE).await,
            }
        }
    }
}
