//! The two limits on a member's requests in flight, in one atomic word: the limit of its
//! spec and the learned limit. The smaller one counts.
//!
//! Several parts of the crate learn a limit, each its own; the smallest of them
//! ([`LearnedLimits`]) is the learned limit.
//!
//! # Orderings
//!
//! The word is sequentially consistent, as the counters are. A pick reads it before it
//! reads the requests in flight; the end of a request reads it after it has decremented
//! them. So an end that makes room sees the limit at which a pick has just found the member
//! full.

use super::MAX_IN_FLIGHT;
use crate::sync::{AtomicU64, SeqCst};

/// The part of the program that sets a learned limit. Each owner has a limit of its own;
/// the smallest counts.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::member::LimitOwner;
///
/// let balancer = Balancer::new([("a", ())])?;
/// let streams = balancer.learned_limit("a").unwrap();
/// let measured = streams.clone().for_owner(LimitOwner::Adaptive);
/// streams.set(Some(100));
/// measured.set(Some(8));
/// assert_eq!(balancer.member("a").unwrap().max_in_flight(), 8);
/// measured.set(None);
/// assert_eq!(balancer.member("a").unwrap().max_in_flight(), 100);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LimitOwner {
    /// A limit that follows latency (feature `health`).
    Adaptive,
    /// The limit that the member's protocol announces. Also the owner of a
    /// [`LearnedLimit`](crate::balancer::LearnedLimit) for which no other owner is set.
    #[default]
    Protocol,
    /// One request at a time after an ejection, until one has succeeded (feature `health`).
    /// Requests that began before the trial are not counted.
    Trial,
}

/// The learned limits of one member, by owner.
#[derive(Debug, Default)]
pub(super) struct LearnedLimits {
    adaptive: Option<u32>,
    protocol: Option<u32>,
    trial: Option<u32>,
}

impl LearnedLimits {
    pub(super) fn get(&self, owner: LimitOwner) -> Option<u32> {
        match owner {
            LimitOwner::Adaptive => self.adaptive,
            LimitOwner::Protocol => self.protocol,
            LimitOwner::Trial => self.trial,
        }
    }

    /// Sets the limit of one owner; returns the smallest of all limits.
    pub(super) fn set(&mut self, owner: LimitOwner, limit: Option<u32>) -> Option<u32> {
        let own = match owner {
            LimitOwner::Adaptive => &mut self.adaptive,
            LimitOwner::Protocol => &mut self.protocol,
            LimitOwner::Trial => &mut self.trial,
        };
        *own = limit.map(|limit| limit.min(MAX_IN_FLIGHT));
        let all = [self.adaptive, self.protocol, self.trial];
        all.into_iter().flatten().min()
    }
}

/// The low half is the spec's limit, the high half the learned one.
#[derive(Debug)]
pub(crate) struct Caps(AtomicU64);

const HALF: u32 = 32;
/// No limit was learned; a value above all limits of specs.
const UNLEARNED: u32 = u32::MAX;

impl Caps {
    pub(crate) fn new(spec: Option<u32>) -> Self {
        Self(AtomicU64::new(join(of_spec(spec), UNLEARNED)))
    }

    /// Returns the smaller of the two limits.
    #[inline]
    pub(crate) fn smaller(&self) -> u32 {
        smaller(self.0.load(SeqCst))
    }

    pub(crate) fn learned(&self) -> Option<u32> {
        let (_, learned) = split(self.0.load(SeqCst));
        (learned != UNLEARNED).then_some(learned)
    }

    pub(crate) fn set_spec(&self, limit: Option<u32>) {
        self.change(|(_, learned)| (of_spec(limit), learned));
    }

    /// Sets the learned limit; returns whether this allows more requests in flight than
    /// before.
    pub(crate) fn set_learned(&self, limit: Option<u32>) -> bool {
        let limit = limit.map_or(UNLEARNED, |limit| limit.min(MAX_IN_FLIGHT));
        self.change(|(spec, _)| (spec, limit))
    }

    fn change(&self, change: impl Fn((u32, u32)) -> (u32, u32)) -> bool {
        let apply = |word| {
            let (spec, learned) = change(split(word));
            join(spec, learned)
        };
        let before = self
            .0
            .fetch_update(SeqCst, SeqCst, |word| {
                let next = apply(word);
                (next != word).then_some(next)
            })
            .unwrap_or_else(|same| same);
        smaller(before) < smaller(apply(before))
    }
}

fn of_spec(limit: Option<u32>) -> u32 {
    limit.unwrap_or(MAX_IN_FLIGHT)
}

const fn join(spec: u32, learned: u32) -> u64 {
    (learned as u64) << HALF | spec as u64
}

#[expect(clippy::cast_possible_truncation, reason = "two halves of one word")]
const fn split(word: u64) -> (u32, u32) {
    (word as u32, (word >> HALF) as u32)
}

#[inline]
fn smaller(word: u64) -> u32 {
    let (spec, learned) = split(word);
    spec.min(learned)
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    use super::{Caps, LearnedLimits, LimitOwner};
    use crate::member::MAX_IN_FLIGHT;

    #[test]
    fn the_smaller_limit_counts_and_neither_overwrites_the_other() {
        let caps = Caps::new(Some(10));
        assert!(!caps.set_learned(Some(4)));
        assert_eq!((caps.smaller(), caps.learned()), (4, Some(4)));
        caps.set_spec(Some(2));
        assert_eq!((caps.smaller(), caps.learned()), (2, Some(4)));
        caps.set_spec(None);
        assert_eq!(caps.smaller(), 4);
        assert!(caps.set_learned(None));
        assert_eq!((caps.smaller(), caps.learned()), (MAX_IN_FLIGHT, None));
    }

    #[test]
    fn of_the_learned_limits_the_smallest_counts_and_each_owner_clears_its_own() {
        let mut limits = LearnedLimits::default();
        assert_eq!(limits.set(LimitOwner::Protocol, Some(100)), Some(100));
        assert_eq!(limits.set(LimitOwner::Adaptive, Some(20)), Some(20));
        assert_eq!(limits.set(LimitOwner::Trial, Some(1)), Some(1));
        assert_eq!(limits.set(LimitOwner::Adaptive, Some(u32::MAX)), Some(1));
        assert_eq!(limits.get(LimitOwner::Adaptive), Some(MAX_IN_FLIGHT));
        assert_eq!(limits.set(LimitOwner::Trial, None), Some(100));
        assert_eq!(limits.set(LimitOwner::Protocol, None), Some(MAX_IN_FLIGHT));
        assert_eq!(limits.set(LimitOwner::Adaptive, None), None);
    }

    #[test]
    fn only_a_limit_that_counts_makes_room() {
        let caps = Caps::new(Some(10));
        assert!(!caps.set_learned(Some(20)), "the spec's is smaller");
        assert!(!caps.set_learned(Some(10)));
        assert!(!caps.set_learned(Some(0)));
        assert!(!caps.set_learned(Some(0)), "nothing changes");
        assert!(caps.set_learned(Some(1)));
        assert!(
            caps.set_learned(Some(u32::MAX)),
            "as many as the spec allows"
        );
        assert_eq!(caps.learned(), Some(MAX_IN_FLIGHT));
    }
}
