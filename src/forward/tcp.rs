//! Connections of clients, forwarded to members: [`TcpForwarder`].
//!
//! What does not live here: the course of a connection (`course`), and accepting (`net`).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::address::Address;
use super::course::{Client, Course};
use super::lost::{Lost, OnLoss};
use super::per_client::PerClient;
use super::splice::Pipes;
use crate::balancer::Balancer;
use crate::net::{Accepted, Acceptor, Listener, ProxyVersion, Stopped, Watching};

/// Forwards each connection to a member of a balancer, whatever the protocol.
///
/// A member is elected when the connection comes in. A hash of the client's IP address goes
/// with the request, so a scheduler that hashes keeps a client on its member, also across
/// several listeners. The connection is in flight until both sides have ended, and its bytes
/// are counted both ways as they pass.
///
/// | what happens | the client | the member | outcome |
/// |---|---|---|---|
/// | the member refuses, does not answer in time, has no address, or TLS fails | goes to another member | is put in error | failure |
/// | this machine has no descriptor or port left | goes to another member | | failure |
/// | the member closes or breaks before its first byte, see [`fail_silent_members`](Self::fail_silent_members) | is reset or ended as the member's side was | | failure if it broke |
/// | the member's connection breaks later | is reset | | failure |
/// | the client's connection breaks | | is reset | cancelled |
/// | both have ended | its end goes through | its end goes through | success |
/// | a limit passes, or the member is [lost](OnLoss) | is reset | is reset | cancelled |
/// | no member can be elected | is reset | | |
///
/// An end of one side goes through to the other, and the other direction goes on. A side whose
/// peer takes no more bytes is not read any further. A unix socket cannot be reset: it is closed
/// instead, which its peer cannot tell from an end.
///
/// | limit | by default | set by | beyond it |
/// |---|---|---|---|
/// | connections | 10 000, or as descriptors allow | [`Acceptor::max_connections`] | wait for a place |
/// | connections of one client | none | [`max_per_client`](Self::max_per_client) | reset |
/// | connections to one member | none | [`MemberSpec::with_max_in_flight`](crate::MemberSpec::with_max_in_flight) | wait for a member |
/// | connections that wait for a member | 1 000 | [`max_waiting`](Self::max_waiting) | reset |
/// | pipes for bytes that are not copied | 16 | [`max_pipes`](Self::max_pipes) | bytes are copied |
/// | time to connect to one member | 5 s | [`connect_timeout`](Self::connect_timeout) | another member |
/// | time until a member is connected | 30 s | [`opening_timeout`](Self::opening_timeout) | reset |
/// | time without a byte | 1 h | [`idle_timeout`](Self::idle_timeout) | reset |
/// | time in all | none | [`lifetime`](Self::lifetime) | reset |
/// | for what runs, once it stops | 30 s | [`Acceptor::drain_timeout`] | reset |
///
/// A member that is the forwarder itself, which has the address that the client has connected to,
/// is put in error. A loop by way of another forwarder is not recognised: each connection opens
/// another, until the connections are as many as there may be.
///
/// Content is not looked at, so TLS cannot begin in the midst of it (STARTTLS): it is either
/// passed through, or terminated from the first byte by the acceptor (feature `tls`).
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
/// let mut answer = String::new();
/// let mut stream = Connector::tcp(front).connect().await?;
/// stream.read_to_string(&mut answer).await?;
/// assert_eq!(answer, "hello\n");
/// assert_eq!(balancer.member("a").ok_or("no member")?.bytes_received(), 6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TcpForwarder {
    balancer: Balancer<Address>,
    acceptor: Acceptor,
    connect: Duration,
    opening: Duration,
    idle: Duration,
    lifetime: Duration,
    max_per_client: Option<u32>,
    max_pipes: usize,
    max_waiting: usize,
    fails_silent: bool,
    watching: Watching,
    on_loss: OnLoss,
    telling: Option<ProxyVersion>,
}

impl TcpForwarder {
    /// Makes a forwarder with the limits above.
    ///
    /// # Examples
    ///
    /// See [`TcpForwarder`].
    pub fn new(balancer: Balancer<Address>) -> Self {
        Self {
            balancer,
            acceptor: Acceptor::new(),
            connect: Duration::from_secs(5),
            opening: Duration::from_secs(30),
            idle: Duration::from_secs(60 * 60),
            lifetime: LONGEST,
            max_per_client: None,
            max_pipes: 16,
            max_waiting: 1_000,
            fails_silent: false,
            watching: Watching::default(),
            on_loss: OnLoss::default(),
            telling: None,
        }
    }

    /// Sets how connections are accepted: how many, whose PROXY header is read, whether TLS is
    /// terminated, and how long they may go on after the stop.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::{Address, TcpForwarder};
    /// use equipoise::net::Acceptor;
    /// use std::time::Duration;
    ///
    /// # let balancer: Balancer<Address> = Balancer::builder().build()?;
    /// let acceptor = Acceptor::new()
    ///     .max_connections(5_000)
    ///     .drain_timeout(Duration::from_secs(300));
    /// let forwarder = TcpForwarder::new(balancer).acceptor(acceptor);
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn acceptor(mut self, acceptor: Acceptor) -> Self {
        self.acceptor = acceptor;
        self
    }

    /// Sets how long a connection to one member may take, TLS included.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::{Address, TcpForwarder};
    /// use std::time::Duration;
    ///
    /// # let balancer: Balancer<Address> = Balancer::builder().build()?;
    /// let forwarder = TcpForwarder::new(balancer)
    ///     .connect_timeout(Duration::from_secs(1))
    ///     .opening_timeout(Duration::from_secs(10));
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect = limit.min(LONGEST);
        self
    }

    /// Sets how long it may take until a member is connected: waiting for one that has room,
    /// and all attempts together.
    ///
    /// # Examples
    ///
    /// See [`connect_timeout`](Self::connect_timeout).
    pub fn opening_timeout(mut self, limit: Duration) -> Self {
        self.opening = limit.min(LONGEST);
        self
    }

    /// Sets how long a connection may be without a byte in either direction.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::{Address, TcpForwarder};
    /// use std::time::Duration;
    ///
    /// # let balancer: Balancer<Address> = Balancer::builder().build()?;
    /// let forwarder = TcpForwarder::new(balancer)
    ///     .idle_timeout(Duration::from_secs(600))
    ///     .lifetime(Duration::from_secs(86_400));
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle = limit.min(LONGEST);
        self
    }

    /// Sets how long a connection may last, from its beginning.
    ///
    /// # Examples
    ///
    /// See [`idle_timeout`](Self::idle_timeout).
    pub fn lifetime(mut self, limit: Duration) -> Self {
        self.lifetime = limit.min(LONGEST);
        self
    }

    /// Sets how many connections may wait for a member when all members are at their caps. One
    /// more is reset. They are served in the order in which they came.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::forward::{Address, TcpForwarder};
    /// use equipoise::{Balancer, MemberSpec};
    ///
    /// let spec = MemberSpec::new().with_max_in_flight(100);
    /// let member = Address::host("db.internal", Some(5432));
    /// let balancer = Balancer::builder().member("a", member, spec).build()?;
    /// let forwarder = TcpForwarder::new(balancer).max_waiting(50);
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn max_waiting(mut self, connections: usize) -> Self {
        self.max_waiting = connections.min(Semaphore::MAX_PERMITS);
        self
    }

    /// Sets how many connections one client may have at once. One more is reset.
    ///
    /// A client is an address of IPv4, or a /64 of IPv6. Clients of a unix socket are not
    /// limited. Each listener counts its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::{Address, TcpForwarder};
    ///
    /// # let balancer: Balancer<Address> = Balancer::builder().build()?;
    /// let forwarder = TcpForwarder::new(balancer).max_per_client(100);
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn max_per_client(mut self, connections: u32) -> Self {
        self.max_per_client = Some(connections);
        self
    }

    /// Sets how many pipes there may be for bytes that are not copied. With 0 all bytes are
    /// copied.
    ///
    /// On Linux, bytes from one plain TCP connection to another do not pass through this
    /// process once a mebibyte has gone in their direction: they go through a pipe of the
    /// system (`splice`), which saves most of the processor's time. A direction has a pipe only
    /// while there are bytes to move; where none is left, its bytes are copied. A pipe takes two
    /// descriptors and up to 256 KiB of the system's memory. Each listener has its own.
    ///
    /// In a program that does not ignore `SIGPIPE`, as each Rust program does by itself, set
    /// this to 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::{Address, TcpForwarder};
    ///
    /// # let balancer: Balancer<Address> = Balancer::builder().build()?;
    /// let forwarder = TcpForwarder::new(balancer).max_pipes(256);
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn max_pipes(mut self, pipes: usize) -> Self {
        self.max_pipes = pipes;
        self
    }

    /// Holds it against a member if its connection closes or breaks before its first byte and
    /// before the client's end: it is put in error, and if none of the client's bytes has been
    /// forwarded, the client goes to another member.
    ///
    /// This finds out a member behind a port that is always open, such as that of a container
    /// runtime. It is wrong for a protocol in which a server may take what it gets and close
    /// without an answer.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::{Address, TcpForwarder};
    ///
    /// # let balancer: Balancer<Address> = Balancer::builder().build()?;
    /// let forwarder = TcpForwarder::new(balancer).fail_silent_members();
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn fail_silent_members(mut self) -> Self {
        self.fails_silent = true;
        self
    }

    /// Sets after which silence, and then how often, the system asks either side whether it is
    /// still there (`SO_KEEPALIVE`). How many questions may stay without an answer is the
    /// system's setting. A unix socket has no need of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::{Address, TcpForwarder};
    /// use std::time::Duration;
    ///
    /// # let balancer: Balancer<Address> = Balancer::builder().build()?;
    /// let forwarder = TcpForwarder::new(balancer)
    ///     .keep_alive(Duration::from_secs(30))
    ///     .user_timeout(Duration::from_secs(120));
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn keep_alive(mut self, silence: Duration) -> Self {
        // No system takes less than a second, or more than this.
        let silence = silence.clamp(Duration::from_secs(1), Duration::from_secs(32_767));
        self.watching.keep_alive = Some(silence);
        self
    }

    /// Sets how long bytes that were sent to either side may stay without an acknowledgement
    /// (`TCP_USER_TIMEOUT`, where there is such a thing). Then the connection breaks.
    ///
    /// # Examples
    ///
    /// See [`keep_alive`](Self::keep_alive).
    pub fn user_timeout(mut self, limit: Duration) -> Self {
        // Zero would be the system's own limit.
        self.watching.user_timeout = Some(limit.max(Duration::from_millis(1)));
        self
    }

    /// Sets what becomes of the connections to a member that is lost.
    ///
    /// # Examples
    ///
    /// See [`OnLoss`].
    pub fn on_loss(mut self, on_loss: OnLoss) -> Self {
        self.on_loss = match on_loss {
            OnLoss::EndAfter(grace) => OnLoss::EndAfter(grace.min(LONGEST)),
            other => other,
        };
        self
    }

    /// Tells members where each connection comes from: a PROXY header is the first that is sent
    /// to a member, before TLS. Members must expect one.
    ///
    /// It is what [`Accepted::next_proxy_header`] returns: the client, and what a balancer in
    /// front has told. It is counted in no member's bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::{Address, TcpForwarder};
    /// use equipoise::net::ProxyVersion;
    ///
    /// # let balancer: Balancer<Address> = Balancer::builder().build()?;
    /// let forwarder = TcpForwarder::new(balancer).proxy_protocol(ProxyVersion::V2);
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn proxy_protocol(mut self, version: ProxyVersion) -> Self {
        self.telling = Some(version);
        self
    }

    /// Accepts connections and forwards them until `stop` resolves. Then it closes the
    /// listener, lets connections end, and resets those that go on after the acceptor's
    /// [`drain_timeout`](Acceptor::drain_timeout).
    ///
    /// It serves one listener; for several, join it with clones. Each has limits of its own,
    /// and all share the balancer.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it resets all of its connections at once.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with `enable_io` and `enable_time`.
    ///
    /// # Examples
    ///
    /// See [`TcpForwarder`].
    pub async fn serve(self, listener: Listener, stop: impl Future<Output = ()>) -> Stopped {
        let course = Arc::new(Course {
            waiting: Semaphore::new(self.max_waiting),
            pipes: Pipes::new(self.max_pipes),
            per_client: self.max_per_client.map(PerClient::new),
            lost: Lost::new(&self.balancer, self.on_loss),
            balancer: self.balancer,
            connect: self.connect,
            opening: self.opening,
            idle: self.idle,
            lifetime: self.lifetime,
            fails_silent: self.fails_silent,
            watching: self.watching,
        });
        let telling = self.telling;
        let task = move |accepted: Accepted| {
            let course = course.clone();
            async move {
                let client = Client {
                    address: accepted.client_addr(),
                    header: telling.map(|version| (accepted.next_proxy_header(), version)),
                };
                course.serve(accepted.into_stream(), client).await;
            }
        };
        self.acceptor.serve(listener, task, stop).await
    }
}

/// As good as without limit, and no time overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
