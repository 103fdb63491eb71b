//! The TCP forwarder: [`TcpForwarder`].
//!
//! Not here: serving one connection (`connection`), and accepting (`net`).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::connection::ConnectionSetup;
use super::connection_forwarder::ConnectionForwarder;
use super::splice::Pipes;
use super::statistics::TcpStatistics;
use crate::balancer::Balancer;
use crate::forward::address::Address;
use crate::forward::member_loss::{LossWatcher, OnMemberLoss};
use crate::forward::per_client::{PerClient, PerClientLimits};
use crate::net::{Acceptor, Listener, ProxyVersion, SocketLiveness, Stopped};
use crate::session::StickTable;

/// Forwards each connection to a member of a balancer, for any protocol.
///
/// A member is picked when the connection is accepted. The pick uses a hash of the client's
/// IP address, so a hashing scheduler keeps a client on its member, even across several
/// listeners. A [stick table](Self::stick) does the same with any scheduler. The connection
/// is in flight until both sides have ended, and its bytes are counted in both directions
/// as they pass.
///
/// | event | the client | the member | outcome |
/// |---|---|---|---|
/// | the member refuses, does not respond in time, its name does not resolve, or TLS fails | goes to another member, see [`no_failover`](Self::no_failover) | is put in error | failure |
/// | this machine has no descriptor or port left | goes to another member | | failure |
/// | the member closes or resets its connection before its first byte, see [`fail_silent_members`](Self::fail_silent_members) | is reset or ended like the member's side | | failure if it was reset |
/// | the member's connection fails later | is reset | | failure |
/// | the client's connection fails | | is reset | cancelled |
/// | both sides have ended | receives the end of the member | receives the end of the client | success |
/// | a limit is exceeded, or the member is [lost](OnMemberLoss) | is reset | is reset | cancelled |
/// | no member can be picked | is reset | | |
///
/// When one side ends, the end is passed on to the other side, and the other direction
/// continues. A side is not read while its peer accepts no more bytes. A unix socket cannot
/// be reset; it is closed instead, which its peer cannot distinguish from a normal end.
///
/// | limit | default | set by | beyond it |
/// |---|---|---|---|
/// | connections | 10 000, or as descriptors allow | [`Acceptor::max_connections`] | clients wait |
/// | connections of one client | none | [`max_per_client`](Self::max_per_client) | reset |
/// | new connections of one client per second | none | [`new_connections_per_client`](Self::new_connections_per_client) | reset |
/// | connections to one member | none | [`MemberSpec::with_max_in_flight`](crate::MemberSpec::with_max_in_flight) | wait for a member |
/// | connections that wait for a member | 1 000 | [`max_waiting`](Self::max_waiting) | reset |
/// | pipes for copying in the kernel | 16 | [`max_pipes`](Self::max_pipes) | bytes are copied by this process |
/// | members tried for one connection | 64 | | reset |
/// | time to connect to one member | 5 s | [`connect_timeout`](Self::connect_timeout) | another member |
/// | time until a member is connected | 30 s | [`opening_timeout`](Self::opening_timeout) | reset |
/// | time without a byte | 1 h | [`idle_timeout`](Self::idle_timeout) | reset |
/// | the same, once one side has ended | the idle timeout | [`half_close_timeout`](Self::half_close_timeout) | reset |
/// | lifetime of a connection | none | [`lifetime`](Self::lifetime) | reset |
/// | time for open connections after the stop | 30 s | [`Acceptor::drain_timeout`] | reset |
///
/// All connections are counted: see [`statistics`](Self::statistics).
///
/// Some protocols open several related connections: a PostgreSQL client cancels a query on
/// a separate connection, and FTP uses one for each transfer. They must reach the same
/// member, so they need a hashing scheduler such as [`Maglev`](crate::scheduler::Maglev).
/// With any other scheduler, a cancel request may reach a member that does not run the
/// query, and then has no effect.
///
/// A member whose address is the one that the client connected to is the forwarder itself,
/// and fails. A member that leads back through a unix socket or another forwarder creates a
/// loop: each connection opens another, up to the maximum number of connections.
///
/// Content is not inspected, so TLS cannot begin in the middle of a connection (STARTTLS).
/// TLS is either passed through, or terminated from the first byte by the acceptor (feature
/// `tls`).
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::forward::{Address, TcpForwarder};
/// use equipoise::net::{Acceptor, Connector, Listener};
/// use tokio::io::AsyncReadExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let member = Listener::bind(([127, 0, 0, 1], 0).into())?;
/// let address = Address::from(member.local_addr().ok_or("no address")?);
/// # use tokio::io::AsyncWriteExt;
/// # tokio::spawn(Acceptor::new().serve(
/// #     member,
/// #     async |accepted| drop(accepted.into_stream().write_all(b"hello\n").await),
/// #     std::future::pending(),
/// # ));
/// let balancer = Balancer::new([("a", address)])?;
///
/// let listener = Listener::bind(([127, 0, 0, 1], 0).into())?;
/// let front = listener.local_addr().ok_or("no address")?;
/// let forwarder = TcpForwarder::new(balancer.clone());
/// tokio::spawn(forwarder.serve(listener, std::future::pending()));
///
/// let mut response = String::new();
/// let mut stream = Connector::tcp(front).connect().await?;
/// stream.read_to_string(&mut response).await?;
/// assert_eq!(response, "hello\n");
/// assert_eq!(balancer.member("a").ok_or("no member")?.bytes_received(), 6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TcpForwarder {
    pub(super) balancer: Balancer<Address>,
    pub(super) acceptor: Acceptor,
    pub(super) connect: Duration,
    pub(super) opening: Duration,
    pub(super) idle: Duration,
    pub(super) half_close: Option<Duration>,
    pub(super) lifetime: Duration,
    pub(super) per_client: PerClientLimits,
    pub(super) max_pipes: usize,
    pub(super) max_waiting: usize,
    pub(super) fails_over: bool,
    pub(super) fails_silent: bool,
    pub(super) liveness: SocketLiveness,
    pub(super) on_member_loss: OnMemberLoss,
    pub(super) stick: Option<StickTable>,
    pub(super) proxy_version: Option<ProxyVersion>,
    pub(super) statistics: TcpStatistics,
}

impl TcpForwarder {
    /// Creates a forwarder with the default limits.
    pub fn new(balancer: Balancer<Address>) -> Self {
        Self {
            balancer,
            acceptor: Acceptor::new(),
            connect: Duration::from_secs(5),
            opening: Duration::from_secs(30),
            idle: Duration::from_secs(60 * 60),
            half_close: None,
            lifetime: LONGEST,
            per_client: PerClientLimits {
                open: None,
                per_second: None,
            },
            max_pipes: 16,
            max_waiting: 1_000,
            fails_over: true,
            fails_silent: false,
            liveness: SocketLiveness::default(),
            on_member_loss: OnMemberLoss::default(),
            stick: None,
            proxy_version: None,
            statistics: TcpStatistics::default(),
        }
    }

    /// Returns the counters of this forwarder and its clones.
    #[must_use]
    pub fn statistics(&self) -> TcpStatistics {
        self.statistics.clone()
    }

    /// Accepts connections and forwards them until `stop` resolves. Then it closes the
    /// listener, lets connections end, and resets those that remain after the acceptor's
    /// [`drain_timeout`](Acceptor::drain_timeout).
    ///
    /// It serves one listener; for several, call it on clones and join the futures. Each
    /// listener has its own limits, and all share the balancer and the statistics.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future resets all of its connections at once.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime with `enable_io` and `enable_time`.
    pub async fn serve(self, listener: Listener, stop: impl Future<Output = ()>) -> Stopped {
        let (acceptor, forwarder_task) = self.begin();
        let task = move |accepted| forwarder_task.forward(accepted);
        acceptor.serve(listener, task, stop).await
    }

    /// Returns the acceptor, and the forwarder for its connections. The limits apply to all
    /// of these together.
    pub(super) fn begin(self) -> (Acceptor, ConnectionForwarder) {
        let setup = Arc::new(ConnectionSetup {
            waiting: Semaphore::new(self.max_waiting),
            pipes: Pipes::new(self.max_pipes),
            per_client: PerClient::new(self.per_client, MOST_IDLE),
            stick: self.stick,
            loss: LossWatcher::new(&self.balancer, self.on_member_loss),
            balancer: self.balancer,
            connect: self.connect,
            opening: self.opening,
            idle: self.idle,
            half_close: self.half_close.unwrap_or(self.idle),
            lifetime: self.lifetime,
            fails_over: self.fails_over,
            fails_silent: self.fails_silent,
            liveness: self.liveness,
            statistics: self.statistics,
        });
        (
            self.acceptor,
            ConnectionForwarder::new(setup, self.proxy_version),
        )
    }
}

/// Practically no limit, and short enough that no time overflows.
pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The number of clients without a connection that are remembered for their rate.
const MOST_IDLE: usize = 10_000;
