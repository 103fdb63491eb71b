//! The settings of a [`TcpForwarder`].
//!
//! Not here: their defaults, and serving (`forwarder`).

use std::time::Duration;

use tokio::sync::Semaphore;

use super::forwarder::{LONGEST, TcpForwarder};
use crate::forward::member_loss::OnMemberLoss;
use crate::net::{Acceptor, ProxyVersion};
use crate::session::StickTable;

impl TcpForwarder {
    /// Sets how connections are accepted: how many, from which peers a PROXY header is
    /// read, whether TLS is terminated, and how long connections may continue after the
    /// stop.
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

    /// Sets the time limit for connecting to one member, including TLS.
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

    /// Sets the time limit until a member is connected. It covers waiting for a member with
    /// free capacity and all attempts together.
    pub fn opening_timeout(mut self, limit: Duration) -> Self {
        self.opening = limit.min(LONGEST);
        self
    }

    /// Sets the maximum time without a byte in either direction.
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

    /// Sets the maximum time without a byte in either direction once one side has ended,
    /// beginning with that end. It replaces the [`idle_timeout`](Self::idle_timeout), and
    /// may also be longer.
    ///
    /// It limits how long the connection of a vanished client is kept after its member has
    /// ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::{Address, TcpForwarder};
    /// use std::time::Duration;
    ///
    /// # let balancer: Balancer<Address> = Balancer::builder().build()?;
    /// let forwarder = TcpForwarder::new(balancer).half_close_timeout(Duration::from_secs(30));
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn half_close_timeout(mut self, limit: Duration) -> Self {
        self.half_close = Some(limit.min(LONGEST));
        self
    }

    /// Sets the maximum lifetime of a connection.
    pub fn lifetime(mut self, limit: Duration) -> Self {
        self.lifetime = limit.min(LONGEST);
        self
    }

    /// Sets how many connections may wait for a member while all members are at their
    /// maximum number of connections. Further connections are reset. Waiting connections
    /// are served in order of arrival.
    ///
    /// A client that disconnects frees its place at once. A client that has only ended its
    /// sending side keeps it, because it may have sent all it wants to.
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

    /// Sets how many connections one client may have at once. Further connections are
    /// reset.
    ///
    /// A client is an IPv4 address or an IPv6 /64 network. Clients of a unix socket are not
    /// limited. Each listener counts separately.
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
        self.per_client.open = Some(connections);
        self
    }

    /// Sets how many connections one client may open per second; after a pause, it may open
    /// that many at once. Further connections are reset. Zero counts as one.
    ///
    /// Clients are identified as for [`max_per_client`](Self::max_per_client), and
    /// connections beyond that limit do not count here. Each listener counts separately. A
    /// connection counts once its PROXY header has been read and the TLS handshake is
    /// complete.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::{Address, TcpForwarder};
    ///
    /// # let balancer: Balancer<Address> = Balancer::builder().build()?;
    /// let forwarder = TcpForwarder::new(balancer).new_connections_per_client(20);
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn new_connections_per_client(mut self, per_second: u32) -> Self {
        self.per_client.per_second = Some(per_second);
        self
    }

    /// Sets the maximum number of pipes for copying in the kernel. With 0, this process
    /// copies all bytes.
    ///
    /// On Linux, the bytes between two plain TCP connections do not pass through this
    /// process after the first mebibyte in their direction: they go through a pipe of the
    /// kernel (`splice`), which saves most of the CPU time. A direction only has a pipe
    /// while there are bytes to move. If no pipe is left, one is taken from a direction
    /// whose receiver has accepted nothing for 50 ms, so that slow receivers do not keep
    /// pipes from fast ones: the bytes in the pipe are copied into memory, and that
    /// direction has no pipe for its next mebibyte. If no pipe can be taken, bytes are
    /// copied. Bytes that wait for a receiver use up to 64 KiB of memory per direction, and
    /// up to 256 KiB for as many directions as there are pipes.
    ///
    /// A pipe uses two descriptors and up to 256 KiB of kernel memory. Linux allows an
    /// unprivileged user 64 MiB in total (`pipe-user-pages-soft`), and makes further pipes
    /// too small to be useful; then bytes are copied, too. Each listener has its own pipes.
    ///
    /// Set this to 0 in a program that does not ignore `SIGPIPE`. Rust programs ignore it
    /// by default.
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

    /// Counts it as a failure of the member if its connection fails before its first byte,
    /// or closes before its first byte and before the client's end. The member is then put
    /// in error. If none of the client's bytes has been forwarded, the client goes to
    /// another member.
    ///
    /// This detects failed members behind a port that is always open, such as that of a
    /// container runtime. It is wrong for protocols in which a server may close without a
    /// response, as PostgreSQL does when a query is cancelled.
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

    /// Resets a client whose member cannot be connected, instead of sending it to another
    /// member, and does not put the member in error.
    ///
    /// This is for ports whose connections depend on another port, like FTP data
    /// connections. Another member cannot use such a connection, or mistakes it for that of
    /// another client. A member that only listens there when requested is not in error when
    /// it refuses.
    ///
    /// # Examples
    ///
    /// Command connections go to another member if one fails; data connections go to the
    /// member of their command connection.
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::{Address, TcpForwarder};
    /// use equipoise::scheduler::Maglev;
    ///
    /// # let builder = Balancer::<Address>::builder();
    /// let balancer = builder.scheduler(Maglev::default()).build()?;
    /// let commands = TcpForwarder::new(balancer);
    /// let transfers = commands.clone().no_failover();
    /// # let _ = transfers;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn no_failover(mut self) -> Self {
        self.fails_over = false;
        self
    }

    /// Sets the time without traffic after which the system begins to probe either side,
    /// and the interval of the probes (`SO_KEEPALIVE`). The number of probes that may stay
    /// unanswered is the system's setting. It has no effect on unix sockets.
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
        // The range that all systems accept.
        let silence = silence.clamp(Duration::from_secs(1), Duration::from_secs(32_767));
        self.liveness.keep_alive = Some(silence);
        self
    }

    /// Sets how long sent bytes may stay unacknowledged on either side (`TCP_USER_TIMEOUT`,
    /// where the system has it). After that the connection fails.
    pub fn user_timeout(mut self, limit: Duration) -> Self {
        // Zero would mean the system's own limit.
        self.liveness.user_timeout = Some(limit.max(Duration::from_millis(1)));
        self
    }

    /// Sets what happens to the connections of a member that is lost.
    pub fn on_member_loss(mut self, on_member_loss: OnMemberLoss) -> Self {
        self.on_member_loss = match on_member_loss {
            OnMemberLoss::EndAfter(grace) => OnMemberLoss::EndAfter(grace.min(LONGEST)),
            other => other,
        };
        self
    }

    /// Keeps each client on its member with a stick table. Forwarders may share a table,
    /// including UDP forwarders. The documentation of [`StickTable`] compares it with a
    /// hashing scheduler.
    ///
    /// A connection of a client with an entry goes to the member of that entry, even if the
    /// member is draining, a standby, or in a later tier. If that member cannot be picked,
    /// because it is in error, at its maximum number of connections, disabled, or removed,
    /// or if it cannot be connected, then another member is picked, and the entry changes
    /// once that member is connected. If all members are at their maximum, the connection
    /// waits for any of them. A new client gets its entry with its pick.
    ///
    /// A connection is a use of its client's entry until it has ended. The client's address
    /// is that of a trusted PROXY header, if there is one. Clients of a unix socket have no
    /// entry.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::{Address, TcpForwarder};
    /// use equipoise::session::StickTable;
    /// use std::time::Duration;
    ///
    /// # let balancer: Balancer<Address> = Balancer::builder().build()?;
    /// let table = StickTable::new(100_000).with_expiry(Duration::from_secs(3_600));
    /// let forwarder = TcpForwarder::new(balancer).stick(table.clone());
    /// for entry in table.entries() {
    ///     println!("{}: {}", entry.client, entry.member);
    /// }
    /// # let _ = forwarder;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn stick(mut self, table: StickTable) -> Self {
        self.stick = Some(table);
        self
    }

    /// Sends a PROXY header to members before any other byte, before TLS too, so that they
    /// learn the client's address. Members must expect one.
    ///
    /// The header is that of
    /// [`Accepted::next_proxy_header`](crate::net::Accepted::next_proxy_header): the
    /// client, and the values that a balancer in front has sent. It does not count in the
    /// member's bytes.
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
        self.proxy_version = Some(version);
        self
    }
}
