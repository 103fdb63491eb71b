//! One use of an entry: [`StickUse`].

use std::fmt;
use std::sync::Arc;

use super::entries::EntryRef;
use super::shared::SharedSlots;

/// One use of a client's entry in a [`StickTable`](super::StickTable), such as a connection
/// of that client. Until it is dropped, the entry does not expire and is not removed to
/// make room.
///
/// # Examples
///
/// ```
/// use equipoise::session::StickTable;
///
/// let table = StickTable::new(1);
/// let [one, other] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
/// let connection = table.stick(one, "a");
/// assert_eq!(connection.member().as_deref(), Some("a"));
/// // There is no room for another client.
/// assert_eq!(table.stick(other, "b").member(), None);
/// drop(connection);
/// assert_eq!(table.stick(other, "b").member().as_deref(), Some("b"));
/// assert_eq!(table.find(one), None);
/// ```
pub struct StickUse {
    table: Arc<SharedSlots>,
    /// `None` if there was no room for an entry.
    place: Option<EntryRef>,
}

impl StickUse {
    pub(super) fn new(table: Arc<SharedSlots>, place: Option<EntryRef>) -> Self {
        Self { table, place }
    }

    /// Returns the member in the client's entry; `None` if there was no room for an entry,
    /// or if it has been removed.
    #[must_use]
    pub fn member(&self) -> Option<Arc<str>> {
        self.table.member(self.place?)
    }

    /// Changes the member in the client's entry, after its member could not serve and
    /// another one does. Without an entry this does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::session::StickTable;
    ///
    /// let table = StickTable::new(1_000);
    /// let client = [10, 0, 0, 1].into();
    /// let connection = table.stick(client, "a");
    /// connection.move_to("b"); // as "a" refuses connections
    /// assert_eq!(table.find(client).as_deref(), Some("b"));
    /// ```
    pub fn move_to(&self, member: impl Into<Arc<str>>) {
        if let Some(place) = self.place {
            self.table.move_to(place, member.into());
        }
    }
}

impl Drop for StickUse {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.table.end(place);
        }
    }
}

impl fmt::Debug for StickUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StickUse")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
