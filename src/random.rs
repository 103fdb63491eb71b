//! Chance as an argument: one seedable source that many threads draw from.
//!
//! Not for secrets: SplitMix64 is predictable by design.

use std::hash::{BuildHasher, RandomState};

use crate::stable_hash::mix;
use crate::sync::{AtomicU64, Relaxed};

/// A source of chance: SplitMix64 over one shared counter, so that a draw costs
/// one atomic addition and needs no lock.
///
/// Source: Steele, Lea, Flood: *Fast splittable pseudorandom number generators*
/// (OOPSLA 2014).
///
/// # Examples
///
/// ```
/// use equipoise::random::Random;
///
/// let (a, b) = (Random::seeded(7), Random::seeded(7));
/// assert_eq!(a.next_u64(), b.next_u64(), "one seed, one sequence");
/// assert!(a.below(10) < 10);
/// ```
#[derive(Debug)]
pub struct Random {
    // Relaxed: only the additions' own order counts.
    state: AtomicU64,
}

impl Random {
    /// Makes a source that repeats itself for the same seed.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::random::Random;
    ///
    /// let draws = |seed| {
    ///     let random = Random::seeded(seed);
    ///     [random.below(100), random.below(100), random.below(100)]
    /// };
    /// assert_eq!(draws(7), draws(7));
    /// assert_ne!(draws(7), draws(8));
    /// ```
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            state: AtomicU64::new(seed),
        }
    }

    /// Makes a source that differs each time, seeded by the standard library's
    /// hash keys.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::random::Random;
    ///
    /// let (a, b) = (Random::from_entropy(), Random::from_entropy());
    /// assert_ne!(a.next_u64(), b.next_u64(), "all but surely");
    /// ```
    #[must_use]
    pub fn from_entropy() -> Self {
        Self::seeded(RandomState::new().hash_one(0_u64))
    }

    /// Draws 64 bits.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::random::Random;
    ///
    /// let random = Random::seeded(7);
    /// assert_ne!(random.next_u64(), random.next_u64());
    /// ```
    pub fn next_u64(&self) -> u64 {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        mix(self.state.fetch_add(GOLDEN, Relaxed).wrapping_add(GOLDEN))
    }

    /// Draws a number in `0..end`; 0 if `end` is 0.
    ///
    /// The draw is biased by less than `end / 2^64`.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::random::Random;
    ///
    /// let random = Random::seeded(7);
    /// let jitter: Vec<u64> = (0..100).map(|_| random.below(10)).collect();
    /// assert!(jitter.iter().all(|&draw| draw < 10));
    /// assert_eq!(random.below(0), 0);
    /// ```
    pub fn below(&self, end: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(end);
        // The upper half of a 128-bit product fits into 64 bits.
        u64::try_from(wide >> 64).unwrap_or(0)
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::from_entropy()
    }
}
