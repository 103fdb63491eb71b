//! Which flow belongs to which client, and which one is given up when there are too many:
//! [`Table`].

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use tokio::time::Instant;

/// One flow at most for each address of a client.
///
/// A flow is *confirmed* when its client has sent again after an answer. A sender that takes
/// another forged address for each datagram never gets that far, so when room is needed the
/// oldest flow that is not confirmed is given up, as the connection tracking of Linux does it.
#[derive(Debug)]
pub(super) struct Table<T> {
    /// The keys come from the network, and the hasher of the standard library is keyed.
    entries: HashMap<SocketAddr, Entry<T>>,
    /// Those that were not confirmed when they were inserted, the oldest first. Some of them
    /// may be confirmed or gone by now.
    unconfirmed: VecDeque<(SocketAddr, u64)>,
    next: u64,
}

#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) flow: T,
    pub(super) number: u64,
    pub(super) is_confirmed: bool,
    /// When it ends because its member is lost.
    pub(super) leaves_at: Option<Instant>,
}

/// Fewer than so many that are gone are not worth looking for.
const FEW: usize = 1024;

impl<T> Table<T> {
    pub(super) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            unconfirmed: VecDeque::new(),
            next: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get_mut(&mut self, client: SocketAddr) -> Option<&mut Entry<T>> {
        self.entries.get_mut(&client)
    }

    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = (SocketAddr, &mut Entry<T>)> {
        self.entries
            .iter_mut()
            .map(|(&client, entry)| (client, entry))
    }

    /// Puts a flow in the place of the one that the client had; returns its number.
    pub(super) fn insert(&mut self, client: SocketAddr, flow: T) -> u64 {
        if self.unconfirmed.len() >= 2 * self.entries.len() + FEW {
            let entries = &self.entries;
            self.unconfirmed
                .retain(|&(client, number)| is_unconfirmed(entries, client, number));
        }
        let number = self.next;
        self.next += 1;
        self.unconfirmed.push_back((client, number));
        let entry = Entry {
            flow,
            number,
            is_confirmed: false,
            leaves_at: None,
        };
        self.entries.insert(client, entry);
        number
    }

    /// Removes the flow of that number, unless the client has another one by now.
    pub(super) fn remove(&mut self, client: SocketAddr, number: u64) -> Option<T> {
        let entry = self.entries.get(&client)?;
        if entry.number != number {
            return None;
        }
        self.entries.remove(&client).map(|entry| entry.flow)
    }

    /// Removes the oldest flow that is not confirmed.
    pub(super) fn give_up(&mut self) -> Option<T> {
        while let Some((client, number)) = self.unconfirmed.pop_front() {
            if is_unconfirmed(&self.entries, client, number) {
                return self.remove(client, number);
            }
        }
        None
    }
}

fn is_unconfirmed<T>(
    entries: &HashMap<SocketAddr, Entry<T>>,
    client: SocketAddr,
    number: u64,
) -> bool {
    let entry = entries.get(&client);
    entry.is_some_and(|entry| entry.number == number && !entry.is_confirmed)
}

#[cfg(test)]
mod tests {
    use super::{FEW, Table};
    use std::net::{Ipv4Addr, SocketAddr};

    fn client(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    #[test]
    fn the_oldest_flow_that_is_not_confirmed_is_given_up() {
        let mut table = Table::new();
        let numbers = [1, 2, 3, 4].map(|port| table.insert(client(port), port));
        table.get_mut(client(1)).unwrap().is_confirmed = true;
        assert_eq!(table.remove(client(2), numbers[1]), Some(2));
        assert_eq!(table.give_up(), Some(3));
        assert_eq!(table.give_up(), Some(4));
        assert_eq!(table.give_up(), None);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn what_ends_late_leaves_the_flow_that_took_its_place() {
        let mut table = Table::new();
        let old = table.insert(client(1), "old");
        let new = table.insert(client(1), "new");
        assert_eq!(table.remove(client(1), old), None);
        assert_eq!(table.len(), 1);
        assert_eq!(table.give_up(), Some("new"));
        assert_eq!(table.remove(client(1), new), None);
    }

    #[test]
    fn flows_that_are_gone_are_forgotten() {
        let mut table = Table::new();
        for _ in 0..10 {
            for port in 1..FEW {
                let client = client(u16::try_from(port).unwrap());
                let number = table.insert(client, port);
                assert_eq!(table.remove(client, number), Some(port));
            }
        }
        assert!(table.unconfirmed.len() <= FEW);
    }
}
