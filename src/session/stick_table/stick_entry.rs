//! A copy of one entry: [`StickEntry`].

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// One entry of a [`StickTable`](super::StickTable), as it was when it was read.
///
/// # Examples
///
/// ```
/// use equipoise::session::StickTable;
///
/// let table = StickTable::new(1_000);
/// let connection = table.stick([10, 0, 0, 1].into(), "a");
/// for entry in table.entries() {
///     println!("{}: {}, idle for {:?}", entry.client, entry.member, entry.idle);
///     assert_eq!(entry.open, 1);
/// }
/// # drop(connection);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StickEntry {
    /// The client's address, or the first address of its network.
    pub client: IpAddr,
    /// The name of the client's member.
    pub member: Arc<str>,
    /// How many uses of the entry are open.
    pub open: u32,
    /// The time since its last use; zero if it is in use.
    pub idle: Duration,
}
