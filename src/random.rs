//! Random numbers: one seedable source that many threads draw from, and a generator of the
//! crate `rand`.
//!
//! Not for secrets: SplitMix64 is predictable by design.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};

use rand::TryRng;
use rand::rand_core::utils::fill_bytes_via_next_word;

use crate::sync::{AtomicU64, Relaxed};

/// A source of random numbers: SplitMix64 over one shared counter, so that a draw costs one
/// atomic addition and needs no lock.
///
/// Source: Steele, Lea, Flood: *Fast splittable pseudorandom number generators* (OOPSLA
/// 2014).
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
///
/// `&Random` is a generator of the crate [`rand`] (0.10), so that a scheduler of your own
/// can use its distributions. The schedulers of this crate draw integers with
/// [`next_u64`](Self::next_u64) and [`below`](Self::below): one seed gives the same picks
/// on every machine.
///
/// ```
/// use equipoise::scheduler::{Candidates, GroupChange, Pick, PickContext, Scheduler};
/// use equipoise::{Balancer, MemberSpec, PickRequest, Weight};
/// use rand::distr::Distribution;
/// use rand::distr::weighted::WeightedIndex;
/// use std::sync::Mutex;
///
/// /// Draws a member in proportion to its weight.
/// #[derive(Debug, Default)]
/// struct Lottery {
///     // Created when the group changes: a pick never allocates.
///     tickets: Mutex<Option<WeightedIndex<u32>>>,
/// }
///
/// impl Scheduler for Lottery {
///     fn name(&self) -> &'static str {
///         "lottery"
///     }
///
///     fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
///         let tickets = self.tickets.lock().unwrap();
///         let drawn = tickets.as_ref().map(|tickets| tickets.sample(&mut context.random()));
///         let drawn = drawn.and_then(|index| candidates.at(index));
///         candidates.claim_first(drawn.into_iter().chain(candidates.iter()))
///     }
///
///     fn on_group_change(&self, group: &GroupChange<'_>) {
///         let weights = group.iter().map(|one| one.weight().units());
///         *self.tickets.lock().unwrap() = WeightedIndex::new(weights).ok();
///     }
/// }
///
/// let balancer = Balancer::builder()
///     .scheduler(Lottery::default())
///     .seed(7)
///     .member("a", (), MemberSpec::new())
///     .member("b", (), MemberSpec::new().with_weight(Weight::new(9)?))
///     .build()?;
/// for _ in 0..1_000 {
///     drop(balancer.pick(&PickRequest::new())?);
/// }
/// let picked = balancer.member("b").unwrap().picked();
/// assert!((850..950).contains(&picked));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Random {
    // Relaxed: only the order of the additions themselves matters.
    state: AtomicU64,
}

impl Random {
    /// Creates a source that gives the same numbers for the same seed.
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

    /// Returns a source that gives the numbers that this one would give next.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::random::Random;
    ///
    /// let random = Random::seeded(7);
    /// let next = random.duplicate().next_u64();
    /// assert_eq!(random.next_u64(), next);
    /// ```
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::seeded(self.state.load(Relaxed))
    }

    /// Creates a source with a different seed each time, from the standard library's random
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
        scaled(self.next_u64(), end)
    }
}

impl Random {
    /// Returns a generator for one pick, which draws from this source only once.
    pub(crate) fn split(&self) -> SplitRandom {
        SplitRandom(self.next_u64())
    }
}

/// A generator of one thread, which costs no atomic operation: SplitMix64, seeded by a draw
/// from a [`Random`].
#[derive(Debug)]
pub(crate) struct SplitRandom(u64);

impl SplitRandom {
    /// Draws 64 bits.
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Draws a number in `0..end`; 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        scaled(self.next_u64(), end)
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::from_entropy()
    }
}

/// A draw needs no exclusive access: any number of threads may share a `&Random`.
impl TryRng for &Random {
    type Error = Infallible;

    /// Returns the upper half of one draw of 64 bits.
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next_u64() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(Random::next_u64(self))
    }

    /// Fills `bytes` with draws of 64 bits, little-endian.
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        fill_bytes_via_next_word(bytes, || self.try_next_u64())
    }
}

/// The step of SplitMix64.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Returns a number in `0..end` for 64 random bits.
fn scaled(bits: u64, end: u64) -> u64 {
    let wide = u128::from(bits) * u128::from(end);
    // The upper half of a 128-bit product fits into 64 bits.
    u64::try_from(wide >> 64).unwrap_or(0)
}

/// SplitMix64's finaliser: every input bit reaches every output bit.
const fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    use super::Random;
    use rand::{Rng, RngExt};

    #[test]
    fn the_sequence_is_that_of_splitmix64() {
        // The first outputs of the reference implementation for the seed 1234567.
        let random = Random::seeded(1_234_567);
        let draws = [(); 3].map(|()| random.next_u64());
        assert_eq!(
            draws,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn a_generator_that_is_split_off_repeats_and_leaves_the_source_one_draw_ahead() {
        let (one, other) = (Random::seeded(7), Random::seeded(7));
        let (mut first, mut second) = (one.split(), other.split());
        let draws = [(); 3].map(|()| first.next_u64());
        assert_eq!(draws, [(); 3].map(|()| second.next_u64()));
        assert!((0..100).all(|_| first.below(10) < 10));
        assert_eq!(one.next_u64(), other.next_u64());
    }

    #[test]
    fn as_a_generator_of_rand_it_draws_the_same_numbers() {
        let (plain, generator) = (Random::seeded(7), Random::seeded(7));
        let mut generator = &generator;
        assert_eq!(Rng::next_u64(&mut generator), plain.next_u64());
        assert_eq!(u64::from(generator.next_u32()), plain.next_u64() >> 32);
        let mut bytes = [0; 12];
        generator.fill_bytes(&mut bytes);
        let (first, second) = (plain.next_u64(), plain.next_u64());
        assert_eq!(bytes[..8], first.to_le_bytes());
        assert_eq!(bytes[8..], second.to_le_bytes()[..4]);
    }

    #[test]
    fn several_threads_draw_from_one_source() {
        let random = Random::seeded(7);
        let drawn: Vec<u64> = std::thread::scope(|scope| {
            let draw = || {
                (0..100)
                    .map(|_| (&random).random::<u64>())
                    .collect::<Vec<_>>()
            };
            let threads = [scope.spawn(draw), scope.spawn(draw)];
            threads
                .into_iter()
                .flat_map(|it| it.join().unwrap())
                .collect()
        });
        let mut once = drawn.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), drawn.len(), "no number is drawn twice");
    }
}
