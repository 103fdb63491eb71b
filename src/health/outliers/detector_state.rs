//! The state of a detector under its one lock: [`DetectorState`].
//!
//! Not here: the decisions (`judge.rs`), and how they are carried out
//! (`execute.rs`).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::ledger::Ledger;
use super::signals::Signal;
use crate::balancer::WeakLimit;
use crate::clock::Timestamp;
use crate::member::MemberId;

/// Decisions, and commands that are not carried out yet.
pub(super) struct DetectorState {
    pub(super) ledger: Ledger<MemberId>,
    /// Why each ejected member was ejected.
    pub(super) reasons: BTreeMap<MemberId, Signal>,
    /// The limits of members that are ejected or on trial.
    pub(super) limits: BTreeMap<MemberId, TrialLimit>,
    pub(super) commands: VecDeque<BalancerCommand>,
    pub(super) is_acting: bool,
    pub(super) is_stopped: bool,
    pub(super) interval_began: Timestamp,
}

/// The limit of a member that is ejected or on trial. It admits one request at first,
/// besides the requests that were in flight at the ejection. Some of these may last for
/// hours, and must not delay the trial.
pub(super) struct TrialLimit {
    pub(super) limit: WeakLimit,
    /// The number of these requests that are still in flight.
    pub(super) older: u32,
    /// How many trial requests are admitted at a time.
    pub(super) tries: u32,
}

impl TrialLimit {
    /// Returns how many requests may be in flight.
    pub(super) const fn most(&self) -> u32 {
        self.older.saturating_add(self.tries)
    }
}

/// A command for the balancer.
pub(super) enum BalancerCommand {
    Eject(Vec<(MemberId, Duration, Signal)>),
    /// Removes the limit of a trial, or sets another.
    Limit(WeakLimit, Option<u32>),
    EndEjections(Vec<MemberId>),
}
