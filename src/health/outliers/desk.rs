//! What is decided and not yet carried out: [`DetectorState`], under the one lock of a detector.
//!
//! What does not live here: the decisions (`judge.rs`), and how they are carried out (`act.rs`).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::ledger::Ledger;
use super::signals::Signal;
use crate::balancer::WeakLimit;
use crate::clock::Timestamp;
use crate::member::MemberId;

/// What is decided.
pub(super) struct DetectorState {
    pub(super) ledger: Ledger<MemberId>,
    /// Why each that is out was ejected.
    pub(super) reasons: BTreeMap<MemberId, Signal>,
    /// The limits of those that are out or on trial.
    pub(super) limits: BTreeMap<MemberId, TrialLimit>,
    pub(super) orders: VecDeque<BalancerCommand>,
    pub(super) is_acting: bool,
    pub(super) is_stopped: bool,
    pub(super) interval_began: Timestamp,
}

/// The limit of a member that is out or on trial: one request at first, beside those that were
/// in flight when it was ejected. Some of these may last for hours, and must not keep it from
/// being tried.
pub(super) struct TrialLimit {
    pub(super) limit: WeakLimit,
    /// So many of those are still in flight.
    pub(super) older: u32,
    /// So many requests may try it at a time.
    pub(super) tries: u32,
}

impl TrialLimit {
    /// How many requests may be in flight.
    pub(super) const fn most(&self) -> u32 {
        self.older.saturating_add(self.tries)
    }
}

/// What is to be done to the balancer.
pub(super) enum BalancerCommand {
    Eject(Vec<(MemberId, Duration, Signal)>),
    /// Lifts the limit of a trial, or sets another.
    Limit(WeakLimit, Option<u32>),
    EndEjections(Vec<MemberId>),
}
