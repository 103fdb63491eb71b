//! What remains to be done after a change was made: [`AfterChange`].

use std::sync::Arc;

use super::events::{EventKind, Interest};
use super::layers::SettingLayer;
use super::lease::MemberEntry;
use super::shared::Shared;
use super::view::View;
use crate::clock::Timestamp;
use crate::member::{Cause, Flag, MemberState, Status};

/// One change of a member, to be reported to observers.
enum Fact {
    Changed(SettingLayer, Status, Status, Option<Cause>),
    Ejected(Timestamp, Cause),
    Joined,
    Left,
    PassedCheck,
    Recovered,
}

/// The work that follows a change, outside the lock: observers are notified, and what
/// readers no longer see is dropped. Dropping a payload may run any code.
#[must_use]
pub(super) struct AfterChange<W> {
    facts: Vec<(Arc<MemberState>, Fact)>,
    /// The number of the picture that shows the change.
    pub(super) generation: u64,
    pub(super) former: Vec<Arc<View<W>>>,
    /// Entries that were replaced or removed; readers may never have seen them.
    pub(super) replaced: Vec<Arc<MemberEntry<W>>>,
    /// Whether the scheduler has to make a plan, unless another caller does so first.
    pub(super) owes_plan: bool,
}

impl<W> AfterChange<W> {
    pub(super) const NONE: Self = Self {
        facts: Vec::new(),
        generation: 0,
        former: Vec::new(),
        replaced: Vec::new(),
        owes_plan: false,
    };

    pub(super) fn report(self, shared: &Shared) {
        if self.facts.is_empty() && self.former.is_empty() {
            return;
        }
        shared.wake_after_change();
        if shared.observers.want(REPORTED) {
            let mut delivery = shared.observers.deliver();
            for (state, fact) in &self.facts {
                let kind = fact.kind();
                delivery.event(&shared.event(self.generation, Some(state), kind));
            }
            delivery.end();
        }
    }

    /// Adds the remaining work of another change.
    pub(super) fn join(&mut self, mut other: Self) {
        self.facts.append(&mut other.facts);
        self.generation = self.generation.max(other.generation);
        self.former.append(&mut other.former);
        self.replaced.append(&mut other.replaced);
        self.owes_plan |= other.owes_plan;
    }

    /// Records a change of a member's flags, if they did change, and the layer that made
    /// it.
    pub(super) fn note(
        &mut self,
        state: &Arc<MemberState>,
        layer: SettingLayer,
        (before, after): (Status, Status),
    ) {
        if before != after {
            let changed = Fact::Changed(layer, before, after, None);
            self.facts.push((state.clone(), changed));
        }
        if before.contains(Flag::Ejected) && !after.contains(Flag::Ejected) {
            self.facts.push((state.clone(), Fact::Recovered));
        }
    }

    /// Records that a health check failed, if that is a change.
    pub(super) fn note_failed(
        &mut self,
        state: &Arc<MemberState>,
        (before, after): (Status, Status),
        cause: &Cause,
    ) {
        if before != after {
            let changed = Fact::Changed(SettingLayer::Health, before, after, Some(cause.clone()));
            self.facts.push((state.clone(), changed));
        }
    }

    /// Records an ejection that began or was extended.
    pub(super) fn note_ejected(
        &mut self,
        state: &Arc<MemberState>,
        (before, after): (Status, Status),
        until: Timestamp,
        cause: &Cause,
    ) {
        if before != after {
            let changed = Fact::Changed(SettingLayer::Health, before, after, Some(cause.clone()));
            self.facts.push((state.clone(), changed));
        }
        let ejected = Fact::Ejected(until, cause.clone());
        self.facts.push((state.clone(), ejected));
    }

    pub(super) fn note_joined(&mut self, state: &Arc<MemberState>) {
        self.facts.push((state.clone(), Fact::Joined));
    }

    pub(super) fn note_passed(&mut self, state: &Arc<MemberState>) {
        self.facts.push((state.clone(), Fact::PassedCheck));
    }

    pub(super) fn note_left(&mut self, state: &Arc<MemberState>) {
        self.facts.push((state.clone(), Fact::Left));
    }
}

/// The kinds of events that facts are reported as.
const REPORTED: Interest = Interest::CHANGED
    .union(Interest::EJECTED)
    .union(Interest::JOINED)
    .union(Interest::LEFT)
    .union(Interest::PASSED_CHECK)
    .union(Interest::RECOVERED);

impl Fact {
    fn kind(&self) -> EventKind<'_> {
        match self {
            &Self::Changed(layer, before, after, ref cause) => EventKind::Changed {
                before,
                after,
                layer,
                cause: cause.as_ref(),
            },
            Self::Ejected(until, cause) => EventKind::Ejected {
                until: *until,
                cause: Some(cause),
            },
            Self::Joined => EventKind::Joined,
            Self::Left => EventKind::Left,
            Self::PassedCheck => EventKind::PassedCheck,
            Self::Recovered => EventKind::Recovered,
        }
    }
}
