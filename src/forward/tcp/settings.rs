//! What can be set of a [`TcpForwarder`].
//!
//! What does not live here: what it does by default, and serving (`forwarder`).

use std::time::Duration;

use tokio::sync::Semaphore;

use super::forwarder::{LONGEST, TcpForwarder};
use crate::forward::lost::OnMemberLoss;
use crate::net::{Acceptor, ProxyVersion};
use crate::session::StickTable;

impl TcpForwarder {
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

    /// Sets how long a connection may be without a byte in either direction once one side has
    /// ended, from its end on, in place of the [`idle_timeout`](Self::idle_timeout). It may be
    /// longer than that, too.
    ///
    /// A client that has vanished, and whose member has ended, keeps the connection no longer
    /// than this.
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

    /// Sets how long a connection may last, from its beginning.
    pub fn lifetime(mut self, limit: Duration) -> Self {
        self.lifetime = limit.min(LONGEST);
        self
    }

    /// Sets how many connections may wait for a member when all members are at their caps. One
    /// more is reset. They are served in the order in which they came.
    ///
    /// A client that breaks off gives its place back at once. One that has only ended its side keeps
    /// it, as it may have sent all that it wants to.
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
        self.per_client.open = Some(connections);
        self
    }

    /// Sets how many connections one client may open in a second; after a pause, as many at
    /// once. One more is reset. Zero counts as one.
    ///
    /// Clients are told apart as for [`max_per_client`](Self::max_per_client), and connections
    /// beyond that limit do not count here. Each listener counts its own. A connection counts once its
    /// PROXY header has been read and TLS has been set up.
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

    /// Sets how many pipes there may be for bytes that are not copied. With 0 all bytes are
    /// copied.
    ///
    /// On Linux, bytes from one plain TCP connection to another do not pass through this
    /// process once a mebibyte has gone in their direction: they go through a pipe of the
    /// system (`splice`), which saves most of the processor's time. A direction has a pipe only
    /// while there are bytes to move. Where none is left, one is taken from a direction whose
    /// receiver has taken nothing for 50 ms, so slow receivers keep no pipe from fast ones: what
    /// is in the pipe is copied into memory, and for its next mebibyte that direction has none.
    /// If there is none to take, bytes are copied. Bytes that wait for a receiver take up to
    /// 64 KiB of memory for a direction, and 256 KiB for as many as there are pipes.
    ///
    /// A pipe takes two descriptors and up to 256 KiB of the system's memory. Linux allows a
    /// user without privileges 64 MiB in all (`pipe-user-pages-soft`), and makes further pipes
    /// too small to be of use; then bytes are copied, too. Each listener has its own pipes.
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

    /// Makes it a failure of a member if its connection breaks before its first byte, or closes
    /// before that and before the client's end: the member is put in error, and if none of the
    /// client's bytes has been forwarded, the client goes to another member.
    ///
    /// This finds out a member behind a port that is always open, such as that of a container
    /// runtime. It is wrong for a protocol in which a server may take what it gets and close
    /// without an answer, as PostgreSQL does with the cancel of a query.
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

    /// Resets a client whose member cannot be connected, in place of sending it to another
    /// member, and does not put the member in error.
    ///
    /// This is for ports whose connections follow one at another port, as the transfers of FTP
    /// do: another member has no use for them, or takes them for those of another client; and a
    /// member that listens there only when it is asked to is not in error when it refuses.
    ///
    /// # Examples
    ///
    /// Commands go to another member when one fails, transfers go where their commands went.
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
    pub fn user_timeout(mut self, limit: Duration) -> Self {
        // Zero would be the system's own limit.
        self.watching.user_timeout = Some(limit.max(Duration::from_millis(1)));
        self
    }

    /// Sets what becomes of the connections to a member that is lost.
    pub fn on_loss(mut self, on_loss: OnMemberLoss) -> Self {
        self.on_loss = match on_loss {
            OnMemberLoss::EndAfter(grace) => OnMemberLoss::EndAfter(grace.min(LONGEST)),
            other => other,
        };
        self
    }

    /// Keeps each client on its member by a table, which forwarders may share, also one of
    /// datagrams. [`StickTable`] tells when to prefer a scheduler that hashes.
    ///
    /// A connection of a client that has an entry goes to the member of that entry: also if it
    /// drains, stands by, or is of a later tier. If it cannot be picked, as it is in error, at its
    /// cap, disabled, or gone, or if it cannot be connected, another member is picked, and the
    /// client is moved to it once that is connected. If all members are at their caps, the
    /// connection waits for any of them. A new client gets its entry with its pick.
    ///
    /// A connection is a use of its client's entry until it has ended. The client is the one that a
    /// trusted PROXY header tells of, if there is one. Clients of a unix socket have no entry.
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

    /// Tells members where each connection comes from: a PROXY header is the first that is sent
    /// to a member, before TLS. Members must expect one.
    ///
    /// It is what [`Accepted::next_proxy_header`](crate::net::Accepted::next_proxy_header) returns:
    /// the client, and what a balancer in front has told. It is counted in no member's bytes.
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
}
