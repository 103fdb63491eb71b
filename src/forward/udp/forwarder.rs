//! The forwarder of datagrams and its settings: [`UdpForwarder`].
//!
//! What does not live here: what it does with a datagram (`front`), and with an answer
//! (`flow`).

use std::io;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::common::{Common, UdpLimits};
use super::front::ClientSocket;
use super::inbound::Inbound;
use super::statistics::UdpStatistics;
use crate::balancer::Balancer;
use crate::forward::{Address, OnMemberLoss};
use crate::net::Stopped;
use crate::session::StickTable;

/// Forwards datagrams to the members of a balancer, and returns their answers.
///
/// All datagrams from one address and port of a client to one address of this machine are a
/// *flow*: they go to one member, from a socket of their own, and what comes back goes to the
/// client, from the address that it has sent to. A flow is one request in flight of its member.
/// Its pick has a hash of the client's address, without the port, so that a hashing scheduler
/// gives all flows of a client one member; so does a [stick table](Self::stick), with any
/// scheduler.
///
/// A flow ends when it has been quiet for a while, or when each datagram has had its
/// [`answers`](Self::answers). If the member's host reports that nothing listens there (ICMP),
/// the member is put in error, the flow ends, and the client's next datagram goes elsewhere. A
/// datagram that was on its way is lost, which is for the client to repeat, as ever with UDP.
///
/// A member is an [`Address`] as it is for [`TcpForwarder`](crate::forward::TcpForwarder), so both
/// can have the same balancer. Without a port, datagrams go to the port at which they came in. A
/// name is resolved when serving begins, and again every 10 s while it is used; a flow goes to
/// the first of its addresses that a way leads to, and keeps that one. An address that refuses
/// datagrams is tried after the others from then on, and the member is in error once each has
/// refused. Datagrams that come before a name is resolved for the first time wait, at most 256 of
/// them and 8 of one flow. A name that does not resolve puts its member in error; one that has resolved before keeps
/// its addresses. A unix socket or an address with TLS takes no datagrams: such a member is put in
/// error with that cause.
///
/// It waits for no member and no client: what cannot be sent at once is dropped and counted
/// ([`statistics`](Self::statistics)), so a slow one harms only itself. What comes faster than this
/// process takes it, the system drops before, uncounted: give the socket a larger buffer
/// (`SO_RCVBUF`) where bursts are to be expected.
///
/// | limit | by default | set by | beyond it |
/// |---|---|---|---|
/// | flows | 10 000, or as descriptors allow | [`max_flows`](Self::max_flows) | see there |
/// | flows of a client | a quarter of them | [`max_flows_per_client`](Self::max_flows_per_client) | dropped |
/// | new flows of a client in a second | 10 000 | [`new_flows_per_client`](Self::new_flows_per_client) | dropped |
/// | length of a datagram | 65 535 bytes | [`max_datagram`](Self::max_datagram) | dropped |
/// | time without a datagram | 60 s | [`idle_timeout`](Self::idle_timeout) | the flow ends |
/// | for what runs, once it stops | 30 s | [`drain_timeout`](Self::drain_timeout) | cut |
///
/// A client is an IPv4 address, or the /64 network of an IPv6 address.
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
/// let mut answer = [0; 512];
/// let (length, from) = client.recv_from(&mut answer).await?;
/// assert_eq!((&answer[..length], from), (&b"hello"[..], here));
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

/// As good as without limit, and no time overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl UdpForwarder {
    /// Creates a forwarder with the limits above.
    pub fn new(balancer: Balancer<Address>) -> Self {
        Self {
            balancer,
            limits: UdpLimits {
                answers: 0,
                datagram: usize::from(u16::MAX),
                drain: Duration::from_secs(30),
                fails_silent: false,
                flows: None,
                flows_per_client: None,
                idle: Duration::from_secs(60),
                leave: None,
                new_flows_per_client: 10_000,
                proxy_header: false,
            },
            statistics: UdpStatistics::default(),
            stick: None,
        }
    }

    /// Sets how many answers each datagram of a client has: for DNS, one. A flow that has had
    /// all of them ends, and its socket is free; one that had none before it became idle has
    /// failed ([`Cause::TimedOut`](crate::member::Cause::TimedOut)), which puts its member in
    /// error only by [choice](Self::fail_silent_members). By default, 0: flows end when they are
    /// idle.
    ///
    /// Where they are known, most datagrams begin a flow, so that
    /// [`new_flows_per_client`](Self::new_flows_per_client) limits what a client may ask in a
    /// second: a resolver that asks for many others needs more than is set by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::UdpForwarder;
    /// use std::time::Duration;
    ///
    /// # let balancer = Balancer::builder().build()?;
    /// let dns = UdpForwarder::new(balancer).answers(1).idle_timeout(Duration::from_secs(10));
    /// # let _ = dns;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn answers(mut self, each: u32) -> Self {
        self.limits.answers = each;
        self
    }

    /// Puts a member in error that has left a flow without an [answer](Self::answers) until it
    /// became idle, so that a member that hangs gets no more flows.
    ///
    /// It is wrong where a member need not answer all that clients send: a client that sends such
    /// datagrams then puts members in error.
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
    ///     .answers(1)
    ///     .idle_timeout(Duration::from_secs(2))
    ///     .fail_silent_members();
    /// # let _ = dns;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn fail_silent_members(mut self) -> Self {
        self.limits.fails_silent = true;
        self
    }

    /// Sets for how long a flow may be quiet in both directions.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.limits.idle = limit.min(LONGEST);
        self
    }

    /// Sets how many flows there may be; each has a socket, a descriptor, and a port of this
    /// machine.
    ///
    /// When there are as many, a new flow takes the place of the oldest one that is not
    /// confirmed. A flow is confirmed when its client has sent again after an answer. A flood in
    /// which each datagram has another forged address confirms none, and takes the place of no
    /// more than an eighth of the flows.
    ///
    /// If less than that are unconfirmed, as when a flood sends twice from each address, a new
    /// flow takes the place of a confirmed one: of those that have been quiet for two seconds,
    /// the one that has been so longest, as far as a look at 32 of them tells. So a client that
    /// sends or is sent something in every two seconds keeps its flow. If there is none, the new
    /// one is dropped.
    ///
    /// If this machine has no socket left for a new flow, its datagram is dropped, and a flow is
    /// given up likewise to make room for later ones.
    ///
    /// By default, half of the descriptors that this process may open beyond 64; at least 16, at
    /// most 10 000. The soft limit (`RLIMIT_NOFILE`, `ulimit -n`) counts, as it is when serving
    /// begins.
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

    /// Sets how many flows a client may have.
    pub fn max_flows_per_client(mut self, flows: u32) -> Self {
        self.limits.flows_per_client = Some(flows);
        self
    }

    /// Sets how many flows a client may begin in a second; after a pause, as many at once. Zero
    /// counts as one.
    pub fn new_flows_per_client(mut self, per_second: u32) -> Self {
        self.limits.new_flows_per_client = per_second;
        self
    }

    /// Sets how long a datagram may be, in either direction.
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

    /// Sets how long flows may go on after the forwarder has been told to stop.
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

    /// Sets what becomes of the flows of a member that is lost. A flow that ends so is picked
    /// anew with the client's next datagram.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::{OnMemberLoss, UdpForwarder};
    /// use std::time::Duration;
    ///
    /// # let balancer = Balancer::builder().build()?;
    /// let forwarder = UdpForwarder::new(balancer).on_loss(OnMemberLoss::EndAfter(Duration::from_secs(30)));
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn on_loss(mut self, on_loss: OnMemberLoss) -> Self {
        self.limits.leave = match on_loss {
            OnMemberLoss::End => Some(Duration::ZERO),
            OnMemberLoss::EndAfter(grace) => Some(grace.min(LONGEST)),
            OnMemberLoss::Stay => None,
        };
        self
    }

    /// Keeps each client on its member by a table, which forwarders may share, as
    /// [`TcpForwarder::stick`](crate::forward::TcpForwarder::stick) does. A flow is a use of its
    /// client's entry until it has ended.
    ///
    /// Addresses of datagrams may be forged: each such address takes an entry, and those of clients
    /// that have no flow may be lost to a flood. A scheduler that hashes has nothing to lose.
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

    /// Begins each datagram to a member with a header of the PROXY protocol, version 2, which
    /// tells the client's address and the one that it has sent to. Members must expect it, as
    /// name servers can (BIND from 9.20, Knot, PowerDNS, Unbound, and dnsdist). The header takes
    /// 28 bytes of a datagram, 52 with IPv6, and is counted in no member's bytes.
    ///
    /// Each datagram has one, as those receivers expect it. Others expect it only before the
    /// first one of a client, and cannot be served.
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

    /// Returns the numbers of this forwarder and its clones.
    #[must_use]
    pub fn statistics(&self) -> UdpStatistics {
        self.statistics.clone()
    }

    /// Forwards what the socket receives until `stop` resolves. After that no flow begins, those
    /// that there are go on until they have been quiet for a second, and what is left after the
    /// [`drain_timeout`](Self::drain_timeout) is cut; [`Stopped::cut`] counts flows here.
    ///
    /// An answer is sent from the address that its client has sent to, also if the socket is
    /// bound to all addresses (`0.0.0.0`, `[::]`). That is so on Linux; elsewhere the system
    /// chooses one by its routes, so bind a socket to each address there.
    ///
    /// It serves one socket, in one task and one more for each flow; for several, join it with
    /// clones. They have the same settings and statistics, but each counts its own flows against
    /// the limits. Sockets that share a port (`SO_REUSEPORT`) are given datagrams of one client
    /// by the system always the same.
    ///
    /// # Errors
    ///
    /// If the socket has no local address, or the system does not tell those of datagrams.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it cuts all of its flows at once.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with `enable_io` and `enable_time`.
    pub async fn serve(
        self,
        socket: UdpSocket,
        stop: impl Future<Output = ()>,
    ) -> io::Result<Stopped> {
        let inbound = Inbound::new(socket)?;
        let common = Common::new(inbound, self.limits, self.statistics);
        Ok(ClientSocket::new(self.balancer, common, self.stick)
            .serve(stop)
            .await)
    }
}
