//! Which members are ejected, for how long, and when they return: [`Ledger`].
//!
//! It is pure: facts, times and randomness are arguments, which makes its laws testable. It
//! is used under one lock (`judge`), which makes its two bounds hold under races:
//!
//! * at most a given percentage of the members is out, but one may always be;
//! * a member is never ejected if no other member could be picked instead.
//!
//! ```text
//!            eject              its time is over, a check passes
//! Serving ─────────► Ejected { until } ──────────────────► Trial ──┐ a request succeeds
//!    ▲                 ▲   │ ended early: forced recovery,   │   │
//!    │                 │   │ an operator, a failed check's end   │
//!    │                 └───┼─────── a request fails ─────────┘   │
//!    └─────────────────────┴─────────────────────────────────────┘
//! ```
//!
//! Not here: why a member is ejected, and changes of the balancer.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Timestamp;

/// The state of a member apart from the decisions of this detector.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct MemberFacts {
    /// Whether it takes part: it is not disabled, draining or stopped.
    pub(super) in_rotation: bool,
    /// Whether it could be picked for a new request, now or when its turn comes.
    pub(super) is_usable: bool,
    /// Whether it is ejected, by the detector or another source.
    pub(super) is_ejected: bool,
}

/// The limits of a [`Ledger`].
#[derive(Clone, Copy, Debug)]
pub(super) struct EjectionLimits {
    pub(super) base: Duration,
    pub(super) max: Duration,
    pub(super) max_percent: u8,
    /// Nothing is ejected while fewer than this percentage of the members is healthy.
    pub(super) panic_percent: u8,
    pub(super) trial: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum EjectionStage {
    Ejected {
        until: Timestamp,
        /// Whether the balancer has carried out the ejection.
        is_done: bool,
    },
    Serving,
    Trial {
        since: Timestamp,
    },
}

#[derive(Clone, Copy, Debug)]
struct LedgerEntry {
    stage: EjectionStage,
    /// The duration of the last ejection as a multiple of the base time; it decreases in
    /// healthy intervals.
    multiplier: u32,
    /// The start of its service, less the intervals that `decay` has counted.
    healthy_since: Option<Timestamp>,
}

impl LedgerEntry {
    const NEW: Self = Self {
        stage: EjectionStage::Serving,
        multiplier: 0,
        healthy_since: None,
    };
}

/// What follows the end of an ejection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Recovery {
    /// The member returns to full service.
    Full,
    /// The member is on trial.
    Trial,
}

/// The number of bad members, and of all members.
#[derive(Clone, Copy, Debug, Default)]
struct Census {
    members: u64,
    away: u64,
    bad: u64,
}

/// Which members are out, by key. A member without an entry is in service and was never
/// out.
#[derive(Debug)]
pub(super) struct Ledger<K> {
    terms: EjectionLimits,
    entries: BTreeMap<K, LedgerEntry>,
}

impl<K: Copy + Ord> Ledger<K> {
    pub(super) const fn new(terms: EjectionLimits) -> Self {
        Self {
            terms,
            entries: BTreeMap::new(),
        }
    }

    pub(super) fn stage(&self, key: K) -> EjectionStage {
        self.entries
            .get(&key)
            .map_or(EjectionStage::Serving, |it| it.stage)
    }

    fn stage_mut(&mut self, key: K) -> Option<&mut EjectionStage> {
        self.entries.get_mut(&key).map(|entry| &mut entry.stage)
    }

    /// Returns whether any member is ejected or on trial.
    pub(super) fn is_busy(&self) -> bool {
        let mut entries = self.entries.values();
        entries.any(|entry| entry.stage != EjectionStage::Serving)
    }

    /// Decides which of `keys` are ejected now, in order; returns the durations, including
    /// jitter.
    ///
    /// `all` are all members with their facts; `is_suspect` returns whether a member in
    /// service may be bad, too.
    pub(super) fn eject_all(
        &mut self,
        keys: &[K],
        all: impl Iterator<Item = (K, MemberFacts)>,
        is_suspect: impl Fn(K) -> bool,
        now: Timestamp,
        mut jitter: impl FnMut() -> Duration,
    ) -> Vec<(K, Duration)> {
        let mut asked: BTreeMap<K, Option<MemberFacts>> =
            keys.iter().map(|&key| (key, None)).collect();
        let (mut census, mut serving) = (Census::default(), 0_usize);
        for (key, facts) in all {
            self.count(&mut census, key, facts, &is_suspect);
            serving += usize::from(self.serves(key, facts));
            if let Some(own) = asked.get_mut(&key) {
                *own = Some(facts);
            }
        }
        let mut granted = Vec::new();
        for &key in keys {
            let Some(own) = asked.remove(&key).flatten() else {
                continue;
            };
            let entry = *self.entries.get(&key).unwrap_or(&LedgerEntry::NEW);
            let is_away = own.is_ejected || matches!(entry.stage, EjectionStage::Ejected { .. });
            let others = serving - usize::from(self.serves(key, own));
            if is_away || !own.in_rotation || others == 0 {
                continue;
            }
            let is_counted = !own.is_usable || is_suspect(key);
            let after = Census {
                away: census.away + 1,
                bad: census.bad + u64::from(!is_counted),
                ..census
            };
            if after.away > self.allowed(after.members) || self.is_panic(after) {
                break;
            }
            (census, serving) = (after, others);
            let time = self.eject_at(key, entry, now, jitter());
            granted.push((key, time));
        }
        granted
    }

    /// Returns whether a member can be picked and is not on trial.
    fn serves(&self, key: K, facts: MemberFacts) -> bool {
        facts.is_usable && self.stage(key) == EjectionStage::Serving
    }

    fn eject_at(
        &mut self,
        key: K,
        entry: LedgerEntry,
        now: Timestamp,
        jitter: Duration,
    ) -> Duration {
        let multiplier = match entry.stage {
            EjectionStage::Trial { .. } => entry.multiplier.saturating_mul(2),
            EjectionStage::Ejected { .. } | EjectionStage::Serving => {
                entry.multiplier.saturating_add(1)
            }
        };
        let multiplier = multiplier.clamp(1, self.longest());
        let time = self.time(multiplier).saturating_add(jitter);
        let stage = EjectionStage::Ejected {
            until: now + time,
            is_done: false,
        };
        let entry = LedgerEntry {
            stage,
            multiplier,
            healthy_since: None,
        };
        self.entries.insert(key, entry);
        time
    }

    /// Records that the balancer has ejected a member, as [`eject_all`](Self::eject_all)
    /// decided.
    pub(super) fn ejected(&mut self, key: K) {
        if let Some(EjectionStage::Ejected { is_done, .. }) = self.stage_mut(key) {
            *is_done = true;
        }
    }

    /// Records that an ejection was prolonged.
    pub(super) fn prolong(&mut self, key: K, later: Timestamp) {
        if let Some(EjectionStage::Ejected { until, .. }) = self.stage_mut(key) {
            *until = later.max(*until);
        }
    }

    /// Ends the ejection of a member at `now`, as if its time had elapsed: it is on trial
    /// next. Returns whether it was out.
    pub(super) fn shorten(&mut self, key: K, now: Timestamp) -> bool {
        match self.stage_mut(key) {
            Some(EjectionStage::Ejected {
                until,
                is_done: true,
            }) => {
                *until = now.min(*until);
                true
            }
            _ => false,
        }
    }

    /// Records the end of an ejection: after its time, which leads to a trial, or earlier.
    /// `None` if this ledger did not decide it, or if it is not carried out yet.
    pub(super) fn recover(&mut self, key: K, now: Timestamp) -> Option<Recovery> {
        let entry = self.entries.get_mut(&key)?;
        let EjectionStage::Ejected {
            until,
            is_done: true,
        } = entry.stage
        else {
            return None;
        };
        if self.terms.trial && until <= now {
            entry.stage = EjectionStage::Trial { since: now };
            return Some(Recovery::Trial);
        }
        entry.stage = EjectionStage::Serving;
        Some(Recovery::Full)
    }

    /// Returns the members on trial, each with the number of requests that may try it at a
    /// time: one, and one more for each duration of its ejection that has elapsed, as a
    /// trial request may never end.
    pub(super) fn on_trial(
        &self,
        now: Timestamp,
        least: Duration,
    ) -> impl Iterator<Item = (K, u32)> {
        self.entries.iter().filter_map(move |(&key, entry)| {
            let EjectionStage::Trial { since } = entry.stage else {
                return None;
            };
            let patience = self.time(entry.multiplier).max(least).as_nanos().max(1);
            let more = u32::try_from(now.since(since).as_nanos() / patience).unwrap_or(u32::MAX);
            Some((key, more.saturating_add(1)))
        })
    }

    /// Records the success of a trial request; returns whether the member was on trial.
    pub(super) fn pass(&mut self, key: K) -> bool {
        match self.entries.get_mut(&key) {
            Some(entry) if matches!(entry.stage, EjectionStage::Trial { .. }) => {
                entry.stage = EjectionStage::Serving;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Removes the stage that keeps a member out, and returns it.
    pub(super) fn clear(&mut self, key: K) -> EjectionStage {
        match self.entries.get_mut(&key) {
            Some(entry) => std::mem::replace(&mut entry.stage, EjectionStage::Serving),
            None => EjectionStage::Serving,
        }
    }

    /// Removes a member, and returns its stage.
    pub(super) fn remove(&mut self, key: K) -> EjectionStage {
        let entry = self.entries.remove(&key);
        entry.map_or(EjectionStage::Serving, |it| it.stage)
    }

    /// Takes one ejection off the count of each member for each interval that it has
    /// served.
    pub(super) fn decay(&mut self, now: Timestamp, interval: Duration) {
        self.entries.retain(|_, entry| {
            if entry.stage != EjectionStage::Serving {
                return true;
            }
            // A time in the future was recorded before the clock was set back.
            let since = entry.healthy_since.map_or(now, |since| since.min(now));
            let served = now.since(since).as_nanos() / interval.as_nanos().max(1);
            let served = u32::try_from(served).unwrap_or(u32::MAX);
            entry.healthy_since = Some(since + interval.saturating_mul(served));
            entry.multiplier = entry.multiplier.saturating_sub(served);
            entry.multiplier > 0
        });
    }

    /// Returns the members that must return to service because others were removed or
    /// became unhealthy, or because most are bad. `is_bad` returns whether a member in
    /// service is bad.
    pub(super) fn restore(
        &mut self,
        all: impl Iterator<Item = (K, MemberFacts)>,
        is_bad: impl Fn(K) -> bool,
    ) -> Vec<(K, EjectionStage)> {
        let (mut census, mut is_any) = (Census::default(), false);
        let mut ours = Vec::new();
        for (key, facts) in all {
            let stage = self.stage(key);
            self.count(&mut census, key, facts, &is_bad);
            is_any |= self.serves(key, facts);
            if facts.in_rotation && stage != EjectionStage::Serving {
                ours.push((key, stage));
            }
        }
        let back: Vec<_> = if !is_any || self.is_panic(census) {
            ours
        } else {
            let surplus = census.away.saturating_sub(self.allowed(census.members));
            let surplus = usize::try_from(surplus).unwrap_or(usize::MAX);
            ours.retain(|(_, stage)| matches!(stage, EjectionStage::Ejected { .. }));
            // Members whose ejections end first.
            ours.sort_by_key(|&(_, stage)| match stage {
                EjectionStage::Ejected { until, .. } => until,
                EjectionStage::Serving | EjectionStage::Trial { .. } => Timestamp::ORIGIN,
            });
            ours.truncate(surplus);
            ours
        };
        for &(key, _) in &back {
            self.clear(key);
        }
        back
    }

    /// Returns all members that are ejected or on trial; they return to service.
    pub(super) fn clear_all(&mut self) -> Vec<(K, EjectionStage)> {
        let entries = std::mem::take(&mut self.entries).into_iter();
        let busy = entries.filter(|(_, entry)| entry.stage != EjectionStage::Serving);
        busy.map(|(key, entry)| (key, entry.stage)).collect()
    }

    fn count(&self, census: &mut Census, key: K, facts: MemberFacts, is_bad: impl Fn(K) -> bool) {
        if !facts.in_rotation {
            return;
        }
        let is_away = facts.is_ejected || matches!(self.stage(key), EjectionStage::Ejected { .. });
        census.members += 1;
        census.away += u64::from(is_away);
        census.bad += u64::from(is_away || !facts.is_usable || is_bad(key));
    }

    /// Returns how many of this number of members may be out.
    fn allowed(&self, members: u64) -> u64 {
        (members * u64::from(self.terms.max_percent) / 100).max(1)
    }

    fn is_panic(&self, census: Census) -> bool {
        let well = census.members - census.bad;
        well * 100 < census.members * u64::from(self.terms.panic_percent)
    }

    fn time(&self, multiplier: u32) -> Duration {
        let max = self.terms.max.max(self.terms.base);
        self.terms.base.saturating_mul(multiplier).min(max)
    }

    /// Returns the multiplier of the longest time; a larger one would take longer to decay.
    fn longest(&self) -> u32 {
        let base = self.terms.base.as_nanos().max(1);
        let longest = self.terms.max.as_nanos().div_ceil(base).max(1);
        u32::try_from(longest).unwrap_or(u32::MAX)
    }
}
