//! Which members are out as outliers, for how long, and when they are back: [`Ledger`].
//!
//! It is pure: facts, times and chance are arguments, so that its laws can be tested. It is
//! used under one lock (`judge`), which makes its two bounds hold under races:
//!
//! * at most so many of a hundred members are out, but one may always be;
//! * one is never ejected when no other could be picked instead.
//!
//! ```text
//!            eject              its time is over, a check passes
//! Serving ──────────► Away { until } ──────────────────► Trial ──┐ a request succeeds
//!    ▲                  ▲   │ ended early: forced recovery,  │   │
//!    │                  │   │ an operator, a failed check's end  │
//!    │                  └───┼─────── a request fails ────────┘   │
//!    └──────────────────────┴────────────────────────────────────┘
//! ```
//!
//! What does not live here: why a member is ejected, and what is done to the balancer.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Timestamp;

/// What holds for a member, whatever this detector has decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct MemberFacts {
    /// It takes part: it is not disabled, draining or stopped.
    pub(super) in_rotation: bool,
    /// It could be picked for a new request, at once or when its turn comes.
    pub(super) is_usable: bool,
    /// An ejection holds, of the detector or another.
    pub(super) is_ejected: bool,
}

/// The limits of a [`Ledger`].
#[derive(Clone, Copy, Debug)]
pub(super) struct EjectionLimits {
    pub(super) base: Duration,
    pub(super) max: Duration,
    pub(super) max_percent: u8,
    /// Nothing is ejected while fewer of a hundred members are well.
    pub(super) panic_percent: u8,
    pub(super) trial: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum EjectionStage {
    Away {
        until: Timestamp,
        /// Whether the balancer has ejected it already.
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
    /// How many base times the last ejection took; it falls in healthy intervals.
    multiplier: u32,
    /// Since when it was seen to serve, less the intervals that are accounted for.
    healthy_since: Option<Timestamp>,
}

impl LedgerEntry {
    const NEW: Self = Self {
        stage: EjectionStage::Serving,
        multiplier: 0,
        healthy_since: None,
    };
}

/// What the end of an ejection means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Recovery {
    /// The member serves as before.
    Full,
    /// The member is tried first.
    Trial,
}

/// How many members are bad, of how many.
#[derive(Clone, Copy, Debug, Default)]
struct Census {
    members: u64,
    away: u64,
    bad: u64,
}

/// Which members are out, by their key. A member without an entry serves and never was out.
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

    /// Whether a member is out or on trial.
    pub(super) fn is_busy(&self) -> bool {
        let mut entries = self.entries.values();
        entries.any(|entry| entry.stage != EjectionStage::Serving)
    }

    /// Decides which of `keys` are ejected now, the first ones first; returns for how long, the
    /// jitter included.
    ///
    /// `all` are all members that there are with their facts, `is_suspect` tells which of
    /// those in service may be bad as well.
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
            let is_away = own.is_ejected || matches!(entry.stage, EjectionStage::Away { .. });
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
            let time = self.away(key, entry, now, jitter());
            granted.push((key, time));
        }
        granted
    }

    /// Whether a member can be picked and is not on trial.
    fn serves(&self, key: K, facts: MemberFacts) -> bool {
        facts.is_usable && self.stage(key) == EjectionStage::Serving
    }

    fn away(&mut self, key: K, entry: LedgerEntry, now: Timestamp, jitter: Duration) -> Duration {
        let multiplier = match entry.stage {
            EjectionStage::Trial { .. } => entry.multiplier.saturating_mul(2),
            EjectionStage::Away { .. } | EjectionStage::Serving => {
                entry.multiplier.saturating_add(1)
            }
        };
        let multiplier = multiplier.clamp(1, self.longest());
        let time = self.time(multiplier).saturating_add(jitter);
        let stage = EjectionStage::Away {
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

    /// The balancer has ejected a member, as [`eject_all`](Self::eject_all) decided.
    pub(super) fn ejected(&mut self, key: K) {
        if let Some(EjectionStage::Away { is_done, .. }) = self.stage_mut(key) {
            *is_done = true;
        }
    }

    /// An ejection has been prolonged.
    pub(super) fn prolong(&mut self, key: K, later: Timestamp) {
        if let Some(EjectionStage::Away { until, .. }) = self.stage_mut(key) {
            *until = later.max(*until);
        }
    }

    /// The ejection of a member is over by `now`, as if its time had come: it is tried next.
    /// Returns whether it is out.
    pub(super) fn shorten(&mut self, key: K, now: Timestamp) -> bool {
        match self.stage_mut(key) {
            Some(EjectionStage::Away {
                until,
                is_done: true,
            }) => {
                *until = now.min(*until);
                true
            }
            _ => false,
        }
    }

    /// The ejection of a member has ended: by its time, which is a reason to try it, or before.
    /// `None` if it was no decision of this ledger, or is not yet carried out.
    pub(super) fn recover(&mut self, key: K, now: Timestamp) -> Option<Recovery> {
        let entry = self.entries.get_mut(&key)?;
        let EjectionStage::Away {
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

    /// The members on trial, each with how many requests may try it at a time: one, and one more
    /// for each time that its ejection took, as what tries it may never come to an end.
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

    /// A request of a member on trial has succeeded; returns whether it was on trial.
    pub(super) fn pass(&mut self, key: K) -> bool {
        match self.entries.get_mut(&key) {
            Some(entry) if matches!(entry.stage, EjectionStage::Trial { .. }) => {
                entry.stage = EjectionStage::Serving;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Ends what keeps a member out; returns what it was.
    pub(super) fn clear(&mut self, key: K) -> EjectionStage {
        match self.entries.get_mut(&key) {
            Some(entry) => std::mem::replace(&mut entry.stage, EjectionStage::Serving),
            None => EjectionStage::Serving,
        }
    }

    /// The member is gone; returns how it stood.
    pub(super) fn remove(&mut self, key: K) -> EjectionStage {
        let entry = self.entries.remove(&key);
        entry.map_or(EjectionStage::Serving, |it| it.stage)
    }

    /// Forgets one ejection of each member for each interval that it has served.
    pub(super) fn decay(&mut self, now: Timestamp, interval: Duration) {
        self.entries.retain(|_, entry| {
            if entry.stage != EjectionStage::Serving {
                return true;
            }
            // A time that lies ahead was noted before the clock was put back.
            let since = entry.healthy_since.map_or(now, |since| since.min(now));
            let served = now.since(since).as_nanos() / interval.as_nanos().max(1);
            let served = u32::try_from(served).unwrap_or(u32::MAX);
            entry.healthy_since = Some(since + interval.saturating_mul(served));
            entry.multiplier = entry.multiplier.saturating_sub(served);
            entry.multiplier > 0
        });
    }

    /// The members that have to be in service again, because others left or fell ill, or
    /// because most are bad: `is_bad` tells which of those in service are. They serve from now
    /// on.
    pub(super) fn mend(
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
            ours.retain(|(_, stage)| matches!(stage, EjectionStage::Away { .. }));
            // Those that would be back first.
            ours.sort_by_key(|&(_, stage)| match stage {
                EjectionStage::Away { until, .. } => until,
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

    /// All that are out or on trial; they serve from now on.
    pub(super) fn clear_all(&mut self) -> Vec<(K, EjectionStage)> {
        let entries = std::mem::take(&mut self.entries).into_iter();
        let busy = entries.filter(|(_, entry)| entry.stage != EjectionStage::Serving);
        busy.map(|(key, entry)| (key, entry.stage)).collect()
    }

    fn count(&self, census: &mut Census, key: K, facts: MemberFacts, is_bad: impl Fn(K) -> bool) {
        if !facts.in_rotation {
            return;
        }
        let is_away = facts.is_ejected || matches!(self.stage(key), EjectionStage::Away { .. });
        census.members += 1;
        census.away += u64::from(is_away);
        census.bad += u64::from(is_away || !facts.is_usable || is_bad(key));
    }

    /// How many of so many may be out.
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

    /// The multiplier that reaches the longest time; a larger one would take longer to decay.
    fn longest(&self) -> u32 {
        let base = self.terms.base.as_nanos().max(1);
        let longest = self.terms.max.as_nanos().div_ceil(base).max(1);
        u32::try_from(longest).unwrap_or(u32::MAX)
    }
}
