//! Keeping a client on its member with a stick table: [`StickyClient`], for one connection
//! or flow.
//!
//! Not here: the table (`session`), and the pick (`balancer`).

use std::net::IpAddr;
use std::sync::Arc;

use crate::balancer::PickRequest;
use crate::session::{StickTable, StickUse};

/// How many picks of a connection yield to another connection of the same client.
const MAX_YIELDS: u32 = 3;

/// The member of a client during one connection or flow, which is one use of its table
/// entry.
///
/// A client without an entry gets one with its first pick, so that its other connections
/// meanwhile go to the same member. An existing entry moves once another member is
/// connected.
#[derive(Debug)]
pub(super) struct StickyClient {
    table: StickTable,
    client: IpAddr,
    /// The member in the entry at the last lookup.
    home: Option<Arc<str>>,
    /// `None` before the first pick.
    in_use: Option<StickUse>,
    yields: u32,
}

impl StickyClient {
    pub(super) fn new(table: &StickTable, client: IpAddr) -> Self {
        Self {
            home: table.find(client),
            table: table.clone(),
            client,
            in_use: None,
            yields: 0,
        }
    }

    /// Adds the client's member to a pick.
    pub(super) fn request<'r>(&'r self, request: PickRequest<'r>) -> PickRequest<'r> {
        request.with_session_member(self.home.as_deref())
    }

    /// Returns whether the picked member may be connected. It may not if another connection
    /// of the client has just chosen another member; then that one should be picked.
    pub(super) fn accepts(&mut self, picked: &Arc<str>) -> bool {
        let enter = || self.table.stick(self.client, picked.clone());
        let now = self.in_use.get_or_insert_with(enter).member();
        let is_agreed = now.is_none() || now == self.home || now.as_ref() == Some(picked);
        self.home = now;
        self.yields += u32::from(!is_agreed);
        is_agreed || self.yields > MAX_YIELDS
    }

    /// Records that a member is connected: the client moves to it, unless another
    /// connection of the client was faster.
    pub(super) fn connected(&mut self, member: &Arc<str>) {
        let Some(in_use) = &self.in_use else {
            return;
        };
        if self.home.as_ref() != Some(member) && in_use.member() == self.home {
            in_use.move_to(member.clone());
            self.home = Some(member.clone());
        }
    }

    /// Returns what must be kept once a member is connected and no other is needed.
    pub(super) fn into_use(self) -> Option<StickUse> {
        self.in_use
    }
}

#[cfg(test)]
mod tests {
    use super::StickyClient;
    use crate::session::StickTable;
    use std::net::IpAddr;
    use std::sync::Arc;

    fn name(text: &str) -> Arc<str> {
        text.into()
    }

    #[test]
    fn connections_that_a_new_client_opens_at_once_go_to_one_member() {
        let (table, client) = (StickTable::new(9), IpAddr::from([10, 0, 0, 1]));
        let mut first = StickyClient::new(&table, client);
        let mut second = StickyClient::new(&table, client);
        assert!(first.accepts(&name("a")));
        assert!(!second.accepts(&name("b")));
        assert_eq!(second.home, Some(name("a")));
        assert!(second.accepts(&name("a")));
        // The member of both cannot be connected; the first connection to reach another
        // decides.
        assert!(first.accepts(&name("b")) && second.accepts(&name("c")));
        first.connected(&name("b"));
        second.connected(&name("c"));
        assert_eq!(table.find(client), Some(name("b")));
    }

    #[test]
    fn a_client_that_is_known_moves_only_once_another_member_is_connected() {
        let (table, client) = (StickTable::new(9), IpAddr::from([10, 0, 0, 1]));
        drop(table.stick(client, "a"));
        let mut sticking = StickyClient::new(&table, client);
        assert!(sticking.accepts(&name("b")));
        assert_eq!(table.find(client), Some(name("a")));
        assert!(sticking.accepts(&name("c")));
        sticking.connected(&name("c"));
        assert_eq!(table.find(client), Some(name("c")));
    }

    #[test]
    fn a_client_without_room_for_an_entry_is_served_all_the_same() {
        let table = StickTable::new(0);
        let mut sticking = StickyClient::new(&table, [10, 0, 0, 1].into());
        assert!(sticking.accepts(&name("a")));
        sticking.connected(&name("a"));
        assert!(table.is_empty());
    }

    #[test]
    fn a_connection_yields_only_so_often() {
        let (table, client) = (StickTable::new(9), IpAddr::from([10, 0, 0, 1]));
        let other = table.stick(client, "a");
        let mut sticking = StickyClient::new(&table, client);
        let mut ways = 0;
        while !sticking.accepts(&name("z")) {
            ways += 1;
            other.move_to(ways.to_string());
        }
        assert!(ways <= super::MAX_YIELDS);
    }
}
