//! What the clones of a table share, and its lock: [`SharedSlots`].
//!
//! Not here: which entry is removed to make room (`entries`).

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::client::Prefixes;
use super::entries::{EntryRef, StickSlots};
use super::stick_entry::StickEntry;
use crate::clock::Clock;
use crate::sync::Mutex;

/// The settings of a table, and its slots.
pub(super) struct SharedSlots {
    pub(super) most: usize,
    pub(super) expiry: Duration,
    pub(super) prefixes: Prefixes,
    pub(super) clock: Arc<dyn Clock>,
    slots: Mutex<StickSlots>,
}

/// How many slots are read while the lock is held once.
const READ: usize = 256;

impl SharedSlots {
    pub(super) fn new(
        most: usize,
        expiry: Duration,
        prefixes: Prefixes,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            most,
            expiry,
            prefixes,
            clock,
            slots: Mutex::new(StickSlots::new(most, expiry)),
        }
    }

    pub(super) fn find(&self, client: IpAddr) -> Option<Arc<str>> {
        let (client, now) = (self.prefixes.network(client), self.clock.now());
        self.slots.lock().find(client, now)
    }

    pub(super) fn begin(&self, client: IpAddr, member: Arc<str>) -> Option<EntryRef> {
        let (client, now) = (self.prefixes.network(client), self.clock.now());
        self.slots.lock().begin(client, member, now)
    }

    pub(super) fn end(&self, place: EntryRef) {
        let now = self.clock.now();
        self.slots.lock().end(place, now);
    }

    pub(super) fn member(&self, place: EntryRef) -> Option<Arc<str>> {
        self.slots.lock().member(place)
    }

    pub(super) fn move_to(&self, place: EntryRef, member: Arc<str>) {
        let before = self.slots.lock().move_to(place, member);
        // After the lock has been released.
        drop(before);
    }

    pub(super) fn remove_client(&self, client: IpAddr) -> Option<Arc<str>> {
        let (client, now) = (self.prefixes.network(client), self.clock.now());
        self.slots.lock().remove_client(client, now)
    }

    pub(super) fn clear(&self) {
        let cleared = self.slots.lock().clear();
        // After the lock has been released, as this may be a lot.
        drop(cleared);
    }

    pub(super) fn len(&self) -> usize {
        self.slots.lock().len()
    }

    /// Reads the entries of some slots, starting at `from`. Returns the slot to continue
    /// from.
    pub(super) fn read(&self, from: usize, into: &mut VecDeque<StickEntry>) -> Option<usize> {
        let now = self.clock.now();
        let slots = self.slots.lock();
        let until = slots.slots().min(from.saturating_add(READ));
        let entries = (from..until).filter_map(|slot| slots.seen(slot, now));
        into.extend(entries);
        (until > from).then_some(until)
    }
}
