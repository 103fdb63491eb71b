//! A bounded number of entries, and which of them is removed to make room: [`StickSlots`].
//!
//! Not here: the lock and the clock (`shared`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::client::ClientNetwork;
use super::stick_entry::StickEntry;
use crate::clock::Timestamp;

/// Stands for "no slot".
const NONE: u32 = u32::MAX;

/// How many expired entries are removed when one is added, so that their number falls with
/// each.
const REAPED: usize = 2;

/// Entries by client. The entries that are not in use form a list, ordered by their last
/// use. The list is linked through the slots, as is the list of free slots.
#[derive(Debug)]
pub(super) struct StickSlots {
    most: u32,
    expiry: Duration,
    /// The keys come from the network; the hasher of the standard library is keyed.
    by_client: HashMap<ClientNetwork, u32>,
    slots: Vec<EntrySlot>,
    free: u32,
    oldest: u32,
    newest: u32,
    next_serial: u64,
}

#[derive(Debug)]
struct EntrySlot {
    client: ClientNetwork,
    /// `None` if the slot is free.
    member: Option<Arc<str>>,
    used: Timestamp,
    serial: u64,
    open: u32,
    older: u32,
    /// In a free slot, the next free one.
    newer: u32,
}

/// Identifies one entry: slots are reused, serial numbers are not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct EntryRef {
    slot: u32,
    serial: u64,
}

impl StickSlots {
    pub(super) fn new(most: usize, expiry: Duration) -> Self {
        Self {
            most: u32::try_from(most).unwrap_or(NONE).min(NONE - 1),
            expiry,
            by_client: HashMap::new(),
            slots: Vec::new(),
            free: NONE,
            oldest: NONE,
            newest: NONE,
            next_serial: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_client.len()
    }

    /// Returns the member of a client; this counts as a use.
    pub(super) fn find(&mut self, client: ClientNetwork, now: Timestamp) -> Option<Arc<str>> {
        let at = self.present(client, now)?;
        self.slots[at as usize].used = now;
        if self.slots[at as usize].open == 0 {
            self.unlink(at);
            self.link(at);
        }
        self.slots[at as usize].member.clone()
    }

    /// Begins a use of a client's entry; a client without one gets an entry for this
    /// member. `None` if there is no room because all entries are in use.
    pub(super) fn begin(
        &mut self,
        client: ClientNetwork,
        member: Arc<str>,
        now: Timestamp,
    ) -> Option<EntryRef> {
        let at = match self.present(client, now) {
            Some(at) => {
                if self.slots[at as usize].open == 0 {
                    self.unlink(at);
                }
                at
            }
            None => self.insert(client, member, now)?,
        };
        let slot = &mut self.slots[at as usize];
        slot.open += 1;
        slot.used = now;
        let serial = slot.serial;
        Some(EntryRef { slot: at, serial })
    }

    /// Ends a use.
    pub(super) fn end(&mut self, place: EntryRef, now: Timestamp) {
        let Some(slot) = self.slot_mut(place) else {
            return;
        };
        slot.open = slot.open.saturating_sub(1);
        slot.used = now;
        if slot.open == 0 {
            self.link(place.slot);
        }
    }

    pub(super) fn member(&self, place: EntryRef) -> Option<Arc<str>> {
        let slot = self.slots.get(place.slot as usize)?;
        let is_there = slot.serial == place.serial;
        slot.member.clone().filter(|_| is_there)
    }

    /// Replaces the member of an entry, and returns the former one.
    pub(super) fn move_to(&mut self, place: EntryRef, member: Arc<str>) -> Option<Arc<str>> {
        self.slot_mut(place)?.member.replace(member)
    }

    /// Removes the entry of a client, even if it is in use.
    pub(super) fn remove_client(
        &mut self,
        client: ClientNetwork,
        now: Timestamp,
    ) -> Option<Arc<str>> {
        let at = self.present(client, now)?;
        self.remove(at)
    }

    /// Removes all entries and returns them, so that the caller can drop them without the
    /// lock.
    pub(super) fn clear(&mut self) -> Self {
        let empty = Self {
            most: self.most,
            next_serial: self.next_serial,
            ..Self::new(0, self.expiry)
        };
        std::mem::replace(self, empty)
    }

    /// Returns the number of slots, including free ones.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Returns the entry in a slot, unless the slot is free or the entry has expired.
    pub(super) fn seen(&self, slot: usize, now: Timestamp) -> Option<StickEntry> {
        let slot = self.slots.get(slot)?;
        let member = slot.member.as_ref()?;
        if slot.has_expired(self.expiry, now) {
            return None;
        }
        let idle = if slot.open > 0 {
            Duration::ZERO
        } else {
            now.since(slot.used)
        };
        Some(StickEntry {
            client: slot.client.address(),
            member: member.clone(),
            open: slot.open,
            idle,
        })
    }

    /// Returns the slot of a client. An expired entry is removed and not returned.
    fn present(&mut self, client: ClientNetwork, now: Timestamp) -> Option<u32> {
        let at = *self.by_client.get(&client)?;
        if self.slots[at as usize].has_expired(self.expiry, now) {
            self.remove(at);
            return None;
        }
        Some(at)
    }

    /// Creates an entry that is in no list.
    fn insert(&mut self, client: ClientNetwork, member: Arc<str>, now: Timestamp) -> Option<u32> {
        for _ in 0..REAPED {
            let oldest = self.slots.get(self.oldest as usize);
            if !oldest.is_some_and(|slot| slot.has_expired(self.expiry, now)) {
                break;
            }
            self.remove(self.oldest);
        }
        if self.len() >= self.most as usize {
            if self.oldest == NONE {
                return None;
            }
            self.remove(self.oldest);
        }
        let slot = EntrySlot {
            client,
            member: Some(member),
            used: now,
            serial: self.next_serial,
            open: 0,
            older: NONE,
            newer: NONE,
        };
        self.next_serial += 1;
        let at = self.free;
        let at = if let Some(free) = self.slots.get_mut(at as usize) {
            self.free = free.newer;
            *free = slot;
            at
        } else {
            let len = self.slots.len();
            let at = u32::try_from(len).ok()?;
            if len == self.slots.capacity() {
                // Doubles, up to the maximum.
                let more = len.max(64).min(self.most as usize - len);
                self.slots.reserve_exact(more);
            }
            self.slots.push(slot);
            at
        };
        self.by_client.insert(client, at);
        Some(at)
    }

    fn remove(&mut self, at: u32) -> Option<Arc<str>> {
        let free = self.free;
        if self.slots.get(at as usize)?.open == 0 {
            self.unlink(at);
        }
        let slot = self.slots.get_mut(at as usize)?;
        let member = slot.member.take();
        slot.newer = free;
        // No use has this number, so a use that ends later finds nothing.
        slot.serial = u64::MAX;
        self.free = at;
        self.by_client.remove(&slot.client);
        member
    }

    fn slot_mut(&mut self, place: EntryRef) -> Option<&mut EntrySlot> {
        let slot = self.slots.get_mut(place.slot as usize)?;
        (slot.serial == place.serial).then_some(slot)
    }

    /// Appends an entry to the list.
    fn link(&mut self, at: u32) {
        let last = std::mem::replace(&mut self.newest, at);
        match self.slots.get_mut(last as usize) {
            Some(last) => last.newer = at,
            None => self.oldest = at,
        }
        let slot = &mut self.slots[at as usize];
        (slot.older, slot.newer) = (last, NONE);
    }

    /// Removes an entry from the list.
    fn unlink(&mut self, at: u32) {
        let EntrySlot { older, newer, .. } = self.slots[at as usize];
        match self.slots.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
    }
}

impl EntrySlot {
    fn has_expired(&self, expiry: Duration, now: Timestamp) -> bool {
        self.open == 0 && now.since(self.used) >= expiry
    }
}

#[cfg(test)]
mod tests {
    use super::EntrySlot;

    #[test]
    fn an_entry_is_one_line_of_a_cache() {
        assert_eq!(size_of::<EntrySlot>(), 64);
    }
}
