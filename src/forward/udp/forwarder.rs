//! The UDP forwarder and its settings: [`UdpForwarder`].
//!
//! Not here: processing a datagram (`client_socket`) and a response (`flow`).

use std::io;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::client_socket::ClientSocket;
use super::flow_context::{FlowContext, UdpLimits};
use super::inbound_socket::InboundSocket;
use super::statistics::UdpStatistics;
use crate::balancer::Balancer;
use crate::forward::{Address, OnMemberLoss};
use crate::net::Stopped;
use crate::session::StickTable;

/// Forwards datagrams to the members of a balancer, and returns their responses.
///
/// All datagrams from one address and port of a client to one address of this machine form
/// a *flow*. A flow goes to one member, from a socket of its own, and responses go back to
/// the client from the address that it has sent to. A flow counts as one request in flight
/// of its member. Its pick uses a hash of the client's address, without the port, so a
/// hashing scheduler gives all flows of a client the same member. A [stick
/// table](Self::stick) does the same with any scheduler.
///
/// A flow ends when it has been idle for a while, or when each datagram has had its
/// [`responses`](Self::responses). If the member's host reports that nothing listens at the
/// port (ICMP), the member is put in error, the flow ends, and the client's next datagram
/// goes to another member. A datagram already sent to the failed member is lost; as always
/// with UDP, the client must send it again.
///
/// A member is an [`Address`], as for [`TcpForwarder`](crate::forward::TcpForwarder), so
/// both can use the same balancer. Without a port, datagrams go to the port that the client
/// sent to. A name is resolved when serving begins, and again every 10 s while it is used.
/// A flow goes to the first reachable address of the name, and keeps that address. An
/// address that refuses datagrams is tried after the others from then on, and the member is
/// put in error once each address has refused. Datagrams that arrive before a name is
/// resolved for the first time wait, at most 256 in total and 8 per flow. A name that does
/// not resolve puts its member in error; a name that has been resolved before keeps its
/// addresses. A unix socket or an address with TLS cannot receive datagrams: such a member
/// is put in error with that cause.
///
/// The forwarder waits for neither members nor clients: what cannot be sent at once is
/// dropped and counted ([`statistics`](Self::statistics)), so a slow peer only affects
/// itself. Datagrams that arrive faster than this process reads them are dropped by the
/// system, uncounted: where bursts are expected, give the socket a larger buffer
/// (`SO_RCVBUF`).
///
/// | limit | default | set by | beyond it |
/// |---|---|---|---|
/// | flows | 10 000, or as descriptors allow | [`max_flows`](Self::max_flows) | see there |
/// | flows of one client | a quarter of the flows | [`max_flows_per_client`](Self::max_flows_per_client) | dropped |
/// | new flows of one client per second | 10 000 | [`new_flows_per_client`](Self::new_flows_per_client) | dropped |
/// | length of a datagram | 65 535 bytes | [`max_datagram`](Self::max_datagram) | dropped |
/// | time without a datagram | 60 s | [`idle_timeout`](Self::idle_timeout) | the flow ends |
/// | time for open flows after the stop | 30 s | [`drain_timeout`](Self::drain_timeout) | cut |
///
/// A client is an IPv4 address or an IPv6 /64 network.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::forward::UdpForwarder;
/// use tokio::net::UdpSocket;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = UdpSocket::bind("127.0.0.1:0").await?;
/// let balancer = Balancer::new([("a", server.local_addr()?.into())])?;
/// tokio::spawn(async move {
///     let mut buffer = [0; 512];
///     while let Ok((length, from)) = server.recv_from(&mut buffer).await {
///         let _ = server.send_to(&buffer[..length], from).await;
///     }
/// });
///
/// let socket = UdpSocket::bind("127.0.0.1:0").await?;
/// let here = socket.local_addr()?;
/// let forwarder = UdpForwarder::new(balancer.clone());
/// let statistics = forwarder.statistics();
/// let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
/// let serving = tokio::spawn(forwarder.serve(socket, async { drop(stopping.await) }));
///
/// let client = UdpSocket::bind("127.0.0.1:0").await?;
/// client.send_to(b"hello", here).await?;
/// let mut response = [0; 512];
/// let (length, from) = client.recv_from(&mut response).await?;
/// assert_eq!((&response[..length], from), (&b"hello"[..], here));
/// assert_eq!(balancer.member("a").unwrap().in_flight(), 1);
/// assert_eq!(statistics.flows(), 1);
///
/// drop(stop); // Flows that are quiet for a second end.
/// assert_eq!(serving.await??.cut(), 0);
/// assert_eq!(balancer.member("a").unwrap().in_flight(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct UdpForwarder {
    balancer: Balancer<Address>,
    limits: UdpLimits,
    statistics: UdpStatistics,
    stick: Option<StickTable>,
}

/// Practically no limit, and short enough that no time overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl UdpForwarder {
    /// Creates a forwarder with the default limits.
    pub fn new(balancer: Balancer<Address>) -> Self {
        Self {
            balancer,
            limits: UdpLimits {
                responses: 0,
                datagram: usize::from(u16::MAX),
                drain: Duration::from_secs(30),
                fails_silent: false,
                flows: None,
                flows_per_client: None,
                idle: Duration::from_secs(60),
                loss_delay: None,
                new_flows_per_client: 10_000,
                proxy_header: false,
            },
            statistics: UdpStatistics::default(),
            stick: None,
        }
    }

    /// Sets how many responses each datagram of a client has: for DNS, one. A flow that has
    /// had all of them ends, and its socket is freed. A flow that had none before it became
    /// idle has failed ([`Cause::TimedOut`](crate::member::Cause::TimedOut)); this puts its
    /// member in error only with [`fail_silent_members`](Self::fail_silent_members). The
    /// default is 0: flows end when they are idle.
    ///
    /// With a known number of responses, most datagrams begin a new flow, so
    /// [`new_flows_per_client`](Self::new_flows_per_client) limits the queries of a client
    /// per second. A resolver that queries for many users needs more than the default.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::UdpForwarder;
    /// use std::time::Duration;
    ///
    /// # let balancer = Balancer::builder().build()?;
    /// let dns = UdpForwarder::new(balancer).responses(1).idle_timeout(Duration::from_secs(10));
    /// # let _ = dns;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn responses(mut self, each: u32) -> Self {
        self.limits.responses = each;
        self
    }

    /// Puts a member in error if a flow has become idle without a
    /// [response](Self::responses), so that a hanging member gets no more flows.
    ///
    /// It is wrong where members do not respond to every datagram: a client that sends such
    /// datagrams would put members in error.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::UdpForwarder;
    /// use std::time::Duration;
    ///
    /// # let balancer = Balancer::builder().build()?;
    /// let dns = UdpForwarder::new(balancer)
    ///     .responses(1)
    ///     .idle_timeout(Duration::from_secs(2))
    ///     .fail_silent_members();
    /// # let _ = dns;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn fail_silent_members(mut self) -> Self {
        self.limits.fails_silent = true;
        self
    }

    /// Sets the maximum time without a datagram in either direction.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.limits.idle = limit.min(LONGEST);
        self
    }

    /// Sets the maximum number of flows. Each flow uses a socket, a descriptor, and a port
    /// of this machine.
    ///
    /// When the maximum is reached, a new flow replaces the oldest unconfirmed one. A flow
    /// is confirmed when its client has sent again after a response. A flood of datagrams
    /// with forged addresses, all different, confirms no flow, and replaces no more than an
    /// eighth of the flows.
    ///
    /// If fewer flows than that are unconfirmed, for example because a flood sends twice
    /// from each address, a new flow replaces a confirmed one: among those that have been
    /// idle for two seconds, the one that has been idle the longest, out of a sample of 32.
    /// So a client keeps its flow if a datagram passes in either direction every two
    /// seconds. If no flow can be replaced, the new one is dropped.
    ///
    /// If this machine has no socket left for a new flow, its datagram is dropped, and a
    /// flow is given up in the same way to make room for later ones.
    ///
    /// The default is half of the descriptors that this process may open beyond 64; it is
    /// at least 16 and at most 10 000. It is computed from the soft limit (`RLIMIT_NOFILE`,
    /// `ulimit -n`) when serving begins.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::UdpForwarder;
    ///
    /// # let balancer = Balancer::builder().build()?;
    /// let forwarder = UdpForwarder::new(balancer)
    ///     .max_flows(20_000)
    ///     .max_flows_per_client(500)
    ///     .new_flows_per_client(100);
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn max_flows(mut self, flows: u32) -> Self {
        self.limits.flows = Some(flows);
        self
    }

    /// Sets how many flows one client may have.
    pub fn max_flows_per_client(mut self, flows: u32) -> Self {
        self.limits.flows_per_client = Some(flows);
        self
    }

    /// Sets how many flows one client may begin per second; after a pause, it may begin
    /// that many at once. Zero counts as one.
    pub fn new_flows_per_client(mut self, per_second: u32) -> Self {
        self.limits.new_flows_per_client = per_second;
        self
    }

    /// Sets the maximum length of a datagram, in either direction.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::UdpForwarder;
    ///
    /// # let balancer = Balancer::builder().build()?;
    /// let forwarder = UdpForwarder::new(balancer).max_datagram(4_096);
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn max_datagram(mut self, bytes: usize) -> Self {
        self.limits.datagram = bytes;
        self
    }

    /// Sets how long flows may continue after the forwarder has been told to stop.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::UdpForwarder;
    /// use std::time::Duration;
    ///
    /// # let balancer = Balancer::builder().build()?;
    /// let forwarder = UdpForwarder::new(balancer).drain_timeout(Duration::from_secs(5));
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn drain_timeout(mut self, limit: Duration) -> Self {
        self.limits.drain = limit.min(LONGEST);
        self
    }

    /// Sets what happens to the flows of a member that is lost. After such a flow has
    /// ended, the client's next datagram picks a member again.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::{OnMemberLoss, UdpForwarder};
    /// use std::time::Duration;
    ///
    /// # let balancer = Balancer::builder().build()?;
    /// let forwarder = UdpForwarder::new(balancer)
    ///     .on_member_loss(OnMemberLoss::EndAfter(Duration::from_secs(30)));
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn on_member_loss(mut self, on_member_loss: OnMemberLoss) -> Self {
        self.limits.loss_delay = match on_member_loss {
            OnMemberLoss::End => Some(Duration::ZERO),
            OnMemberLoss::EndAfter(grace) => Some(grace.min(LONGEST)),
            OnMemberLoss::Stay => None,
        };
        self
    }

    /// Keeps each client on its member with a stick table, which forwarders may share, like
    /// [`TcpForwarder::stick`](crate::forward::TcpForwarder::stick). A flow is a use of its
    /// client's entry until it has ended.
    ///
    /// Addresses of datagrams can be forged: each such address uses an entry, and a flood
    /// can displace the entries of clients without a flow. A hashing scheduler does not
    /// have this problem.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::UdpForwarder;
    /// use equipoise::session::StickTable;
    ///
    /// # let balancer = Balancer::builder().build()?;
    /// let forwarder = UdpForwarder::new(balancer).stick(StickTable::new(100_000));
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn stick(mut self, table: StickTable) -> Self {
        self.stick = Some(table);
        self
    }

    /// Begins each datagram to a member with a PROXY protocol header, version 2, with the
    /// client's address and the address that it has sent to. Members must expect it, as
    /// some name servers can (BIND from 9.20, Knot, PowerDNS, Unbound, and dnsdist). The
    /// header takes 28 bytes of a datagram, 52 with IPv6, and does not count in the
    /// member's bytes.
    ///
    /// Each datagram has a header, as those servers expect. Servers that expect it only in
    /// the first datagram of a client are not supported.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::UdpForwarder;
    ///
    /// # let balancer = Balancer::builder().build()?;
    /// let forwarder = UdpForwarder::new(balancer).proxy_protocol();
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn proxy_protocol(mut self) -> Self {
        self.limits.proxy_header = true;
        self
    }

    /// Returns the counters of this forwarder and its clones.
    #[must_use]
    pub fn statistics(&self) -> UdpStatistics {
        self.statistics.clone()
    }

    /// Forwards the datagrams that the socket receives until `stop` resolves. After that no
    /// flow begins, existing flows continue until they have been idle for a second, and
    /// flows that remain after the [`drain_timeout`](Self::drain_timeout) are cut.
    /// [`Stopped::cut`] counts flows here.
    ///
    /// On Linux, a response is sent from the address that its client has sent to, even if
    /// the socket is bound to all addresses (`0.0.0.0`, `[::]`). On other systems, the
    /// system chooses the address by its routes, so bind one socket to each address there.
    ///
    /// It serves one socket, with one task and one more for each flow; for several, call it
    /// on clones and join the futures. Clones share the settings and statistics, but each
    /// applies the limits to its own flows. If sockets share a port (`SO_REUSEPORT`), the
    /// system always passes the datagrams of one client to the same socket.
    ///
    /// # Errors
    ///
    /// Fails if the socket has no local address, or the system cannot report the local
    /// addresses of datagrams.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cuts all of its flows at once.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime with `enable_io` and `enable_time`.
    pub async fn serve(
        self,
        socket: UdpSocket,
        stop: impl Future<Output = ()>,
    ) -> io::Result<Stopped> {
        let inbound = InboundSocket::new(socket)?;
        let context = FlowContext::new(inbound, self.limits, self.statistics);
        Ok(ClientSocket::new(self.balancer, context, self.stick)
            .serve(stop)
            .await)
    }
}
