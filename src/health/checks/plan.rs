//! What was said about the checks of a balancer before they began: [`CheckPlan`], [`FirstCheck`].
//!
//! What does not live here: saying it (`handle`), and doing it (`driver`).

use super::lookup::BoundedLookups;
use super::{Check, ProbeError, ProbeTarget};
use crate::member::MemberSpec;

/// When a member is checked for the first time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum FirstCheck {
    /// One interval after the checks have begun, or after the member has joined, as Apache does.
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
