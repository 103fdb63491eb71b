//! The layers of a member's settings ([`SettingLayer`]): what the source's and the
//! operator's settings combine to, and which overrides are kept while the member is absent.
//!
//! Not here: how overrides change a spec (`member/overrides.rs`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::member::{MemberSpec, Overrides, Status};
use crate::snapshot::SpecLayers;

/// The layer that has decided a setting of a member.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SettingLayer {
    /// Its health: in error, ejected, or a failed check. The cause is in its
    /// [`health`](super::MemberExplanation::health).
    Health,
    /// The [`Overrides`] of an operator.
    Operator,
    /// The [`MemberSpec`] that it was inserted or updated with.
    Source,
}

/// The number of absent members whose overrides are kept. Beyond it, the overrides of the
/// member that has been absent longest are dropped.
///
/// # Examples
///
/// ```
/// use equipoise::balancer::MAX_ABSENT_OVERRIDES;
///
/// assert_eq!(MAX_ABSENT_OVERRIDES, 10_000);
/// ```
pub const MAX_ABSENT_OVERRIDES: usize = 10_000;

/// The overrides of absent members, which apply again when a member of that name is
/// inserted.
#[derive(Debug, Default)]
pub(super) struct Absent {
    pub(super) by_name: HashMap<Arc<str>, (u64, Overrides)>,
    /// Oldest first.
    by_age: BTreeMap<u64, Arc<str>>,
    ages: u64,
}

impl Absent {
    pub(super) fn take(&mut self, name: &str) -> Overrides {
        let Some((age, overrides)) = self.by_name.remove(name) else {
            return Overrides::new();
        };
        self.by_age.remove(&age);
        overrides
    }

    pub(super) fn keep(&mut self, name: Arc<str>, overrides: Overrides) {
        drop(self.take(&name));
        if overrides.is_empty() {
            return;
        }
        self.ages += 1;
        self.by_age.insert(self.ages, name.clone());
        self.by_name.insert(name, (self.ages, overrides));
        if self.by_age.len() > MAX_ABSENT_OVERRIDES {
            if let Some((_, oldest)) = self.by_age.pop_first() {
                self.by_name.remove(&oldest);
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Overrides {
        let kept = self.by_name.get(name);
        kept.map_or_else(Overrides::new, |(_, overrides)| overrides.clone())
    }
}

/// Returns the spec that a source's spec and the overrides combine to, and the layers to be
/// kept.
pub(super) fn layered(
    source: MemberSpec,
    overrides: Overrides,
) -> (MemberSpec, Option<Arc<SpecLayers>>) {
    if overrides.is_empty() && source.status() == Status::NORMAL {
        return (source, None);
    }
    let spec = overrides.applied_to(source.clone());
    (spec, Some(Arc::new(SpecLayers { source, overrides })))
}
