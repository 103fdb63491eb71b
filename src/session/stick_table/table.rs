//! The table and its settings: [`StickTable`].
//!
//! Not here: its lock (`shared`), and which entry is removed to make room (`entries`).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::client::Prefixes;
use super::listing::StickEntries;
use super::shared::SharedSlots;
use super::stick_use::StickUse;
use crate::clock::{Clock, SystemClock};

/// A table of clients and their members: exact affinity for protocols without sessions.
/// Each client stays on the member that has served it.
///
/// A client is an IP address, or a network of addresses if [prefixes](Self::with_prefixes)
/// are set. An IPv4 address that is mapped to IPv6 (`::ffff:10.0.0.1`) is the same client
/// as the IPv4 address. A member is identified by its name. If it is removed and inserted
/// again under that name, it gets its clients back. Balancers that share a table share
/// clients by the names of their members. Clones share the same table.
///
/// An entry is *in use* while a [`StickUse`] of it is alive, that is, while a connection or
/// flow of that client is open. An entry in use stays. An entry that is not in use expires
/// some time after its last use. A use is a [`find`](Self::find), or the begin or end of a
/// [`StickUse`]. In a full table, a new client replaces the least recently used entry that
/// is not in use. If all are in use, the new client gets no entry. So a flood of addresses
/// cannot remove the entries of clients with open connections; it may remove the others.
///
/// (HAProxy: `stick-table type ip size N expire T` with `stick on src`. There, a connection
/// counts as a use only when it begins. The entry of a client with a long connection may
/// expire, or be removed by a flood, while the connection is open.)
///
/// # Hash or table
///
/// A scheduler that hashes ([`Maglev`](crate::scheduler::Maglev)) keeps clients on their
/// members without any memory.
///
/// | | hash | stick table |
/// |---|---|---|
/// | memory | none for a client | about 110 bytes for a client |
/// | several processes, a restart | give the same members | each process learns its own |
/// | load | as even as addresses are | as even as the scheduler |
/// | a member joins or leaves | its share of all clients moves | no other client moves |
/// | a member dies | its clients move, and go back when it returns | its clients move, and stay where they are |
/// | a flood of forged addresses (UDP) | changes nothing | may push out clients without a flow |
/// | a drain | new connections go elsewhere | clients stay, until they end or are removed |
///
/// Prefer the hash. Use the table if members keep state of a client that is costly to move,
/// or if load must be balanced by connections.
///
/// # Examples
///
/// ```
/// use equipoise::session::StickTable;
/// use equipoise::{Balancer, PickRequest};
/// use std::time::Duration;
///
/// let balancer = Balancer::new([("a", ()), ("b", ())])?;
/// let table = StickTable::new(100_000).with_expiry(Duration::from_secs(600));
///
/// let serve = |client| {
///     let member = table.find(client);
///     let lease = balancer.pick(&PickRequest::new().with_session_member(member.as_deref()))?;
///     // Connected to it:
///     let in_use = table.stick(client, lease.member().name());
///     in_use.move_to(lease.member().name());
///     Ok::<_, equipoise::PickError>(lease.member().name().to_owned())
/// };
/// let [one, other] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
/// assert_eq!([serve(one)?, serve(other)?, serve(other)?, serve(one)?], ["a", "b", "b", "a"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct StickTable {
    shared: Arc<SharedSlots>,
}

impl StickTable {
    /// Creates a table of at most `entries` entries. An entry takes about 110 bytes,
    /// allocated as entries are added. Entries expire half an hour after their last use,
    /// and each address is a client of its own.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        let prefixes = Prefixes { v4: 32, v6: 128 };
        let clock = Arc::new(SystemClock::new());
        Self::with(entries, Duration::from_secs(30 * 60), prefixes, clock)
    }

    fn with(most: usize, expiry: Duration, prefixes: Prefixes, clock: Arc<dyn Clock>) -> Self {
        Self {
            shared: Arc::new(SharedSlots::new(most, expiry, prefixes, clock)),
        }
    }

    /// Returns an empty table whose entries expire this long after their last use.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::ManualClock;
    /// use equipoise::session::StickTable;
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// let table = StickTable::new(1_000)
    ///     .with_expiry(Duration::from_secs(60))
    ///     .with_clock(clock.clone());
    /// let client = [10, 0, 0, 1].into();
    /// let connection = table.stick(client, "a");
    /// clock.advance(Duration::from_secs(3_600));
    /// drop(connection);
    /// clock.advance(Duration::from_secs(59));
    /// assert_eq!(table.find(client).as_deref(), Some("a"));
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(table.find(client), None);
    /// ```
    #[must_use]
    pub fn with_expiry(self, expiry: Duration) -> Self {
        let SharedSlots {
            most,
            prefixes,
            clock,
            ..
        } = &*self.shared;
        Self::with(*most, expiry, *prefixes, clock.clone())
    }

    /// Returns an empty table that compares only the first `v4` bits of IPv4 addresses and
    /// the first `v6` bits of IPv6 addresses. Larger numbers mean the whole address.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::session::StickTable;
    ///
    /// // A host in a /64 of IPv6 may take another address out of it at any time.
    /// let table = StickTable::new(1_000).with_prefixes(32, 64);
    /// drop(table.stick("2001:db8::1".parse()?, "a"));
    /// assert_eq!(table.find("2001:db8::2".parse()?).as_deref(), Some("a"));
    /// assert_eq!(table.find("2001:db8:0:1::1".parse()?), None);
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    #[must_use]
    pub fn with_prefixes(self, v4: u8, v6: u8) -> Self {
        let SharedSlots {
            most,
            expiry,
            clock,
            ..
        } = &*self.shared;
        Self::with(*most, *expiry, Prefixes { v4, v6 }, clock.clone())
    }

    /// Returns an empty table that reads the time from this clock.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        let SharedSlots {
            most,
            expiry,
            prefixes,
            ..
        } = *self.shared;
        Self::with(most, expiry, prefixes, Arc::new(clock))
    }

    /// Returns the name of the client's member; this counts as a use.
    #[must_use]
    pub fn find(&self, client: IpAddr) -> Option<Arc<str>> {
        self.shared.find(client)
    }

    /// Begins a use of a client's entry. A client without an entry gets one for `member`.
    /// An existing entry keeps its member; [`StickUse::move_to`] changes it.
    ///
    /// If the result is dropped at once, the client has an entry that is not in use.
    pub fn stick(&self, client: IpAddr, member: impl Into<Arc<str>>) -> StickUse {
        let place = self.shared.begin(client, member.into());
        StickUse::new(self.shared.clone(), place)
    }

    /// Removes the entry of a client, even if it is in use, and returns the name of its
    /// member. The client's connections continue; for its next one, a member is picked
    /// anew.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::session::StickTable;
    ///
    /// let table = StickTable::new(1_000);
    /// let client = [10, 0, 0, 1].into();
    /// drop(table.stick(client, "a"));
    /// assert_eq!(table.remove(client).as_deref(), Some("a"));
    /// assert!(table.is_empty());
    /// ```
    #[expect(
        clippy::must_use_candidate,
        reason = "the caller may only want the removal"
    )]
    pub fn remove(&self, client: IpAddr) -> Option<Arc<str>> {
        self.shared.remove_client(client)
    }

    /// Removes all entries, like [`remove`](Self::remove).
    pub fn clear(&self) {
        self.shared.clear();
    }

    /// Returns the number of entries. An expired entry counts until another takes its place
    /// or it is looked up.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Returns whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns an iterator over the entries that have not expired.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::session::StickTable;
    ///
    /// let table = StickTable::new(1_000);
    /// let connection = table.stick([10, 0, 0, 1].into(), "a");
    /// for entry in table.entries() {
    ///     assert_eq!(entry.client.to_string(), "10.0.0.1");
    ///     assert_eq!((&*entry.member, entry.open), ("a", 1));
    /// }
    /// # assert_eq!(table.entries().count(), 1);
    /// # drop(connection);
    /// ```
    pub fn entries(&self) -> StickEntries {
        StickEntries::new(self.shared.clone())
    }
}

impl fmt::Debug for StickTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SharedSlots {
            most,
            expiry,
            prefixes,
            ..
        } = &*self.shared;
        f.debug_struct("StickTable")
            .field("most", most)
            .field("expiry", expiry)
            .field("prefixes", prefixes)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
