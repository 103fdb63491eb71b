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
    pub(super) limits: BTreeMap<MemberId, WeakLimit>,
    pub(super) orders: VecDeque<BalancerCommand>,
    pub(super) is_acting: bool,
    pub(super) is_stopped: bool,
    pub(super) interval_began: Timestamp,
}

/// What is to be done to the balancer.
pub(super) enum BalancerCommand {
    Eject(Vec<(MemberId, Duration, Signal)>),
    /// Lifts the limit of a trial.
    Open(WeakLimit),
    EndEjections(Vec<MemberId>),
}
