//! The settings of a balancer's checks: [`CheckPlan`], [`FirstCheck`].
//!
//! Not here: the builder (`handle`), and the task (`driver`).

use super::lookup::BoundedLookups;
use super::{Check, ProbeError, ProbeTarget};
use crate::member::MemberSpec;

/// When a member is checked for the first time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum FirstCheck {
    /// One interval after the checks have started, or after the member was added, as in
    /// Apache.
    AfterInterval,
    /// At once.
    #[default]
    AtOnce,
}

pub(super) type ChooseCheck<W> = dyn Fn(&str, &MemberSpec, &W) -> Option<Check> + Send + Sync;
pub(super) type FindTarget<W> = dyn Fn(&W) -> Result<ProbeTarget, ProbeError> + Send + Sync;

pub(super) struct CheckPlan<W> {
    pub(super) check: Check,
    pub(super) choose: Option<Box<ChooseCheck<W>>>,
    pub(super) target: Box<FindTarget<W>>,
    pub(super) slots: usize,
    pub(super) first: FirstCheck,
    pub(super) lookups: BoundedLookups,
}
