//! Per-member entries, found by the member's slot without a lock: [`SlotEntries`].

use std::sync::Arc;

use crate::member::MemberId;
use crate::snapshot::{Roster, Seat};

/// One entry for each member, indexed by slot. A slot may have been reused for another
/// member, hence each entry has its member's id.
pub(super) type SlotEntries<T> = Vec<Option<Arc<T>>>;

pub(super) trait OfMember {
    fn member(&self) -> MemberId;
}

/// Returns the entry of a member.
#[inline]
pub(super) fn of<T: OfMember>(entries: &SlotEntries<T>, member: MemberId) -> Option<&Arc<T>> {
    let entry = entries.get(member.slot())?.as_ref()?;
    (entry.member() == member).then_some(entry)
}

/// Returns entries for exactly the current members: `known` ones are kept, missing ones are
/// created.
pub(super) fn renewed<T: OfMember>(
    known: &SlotEntries<T>,
    roster: &Roster,
    new: impl Fn(&Seat) -> T,
) -> SlotEntries<T> {
    let mut entries = SlotEntries::new();
    for seat in roster.by_tier() {
        let (id, slot) = (seat.state.id(), seat.slot());
        if entries.len() <= slot {
            entries.resize_with(slot + 1, || None);
        }
        let entry = of(known, id).cloned();
        entries[slot] = Some(entry.unwrap_or_else(|| Arc::new(new(seat))));
    }
    entries
}

pub(super) fn is_there(roster: &Roster, member: MemberId) -> bool {
    let seat = roster.seat(member.slot());
    seat.is_some_and(|seat| seat.state.id() == member)
}
