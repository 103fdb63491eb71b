//! How time is taken: a contender runs on one or more threads, and what counts is
//! wall time for each pick and core.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// Picks between two looks at whether the time is over.
const BATCH: u64 = 16;

/// What can be raced.
pub(crate) trait Contender: Send + Sync {
    /// Does `picks` picks, and ends each of them.
    fn run(&self, lane: &mut Lane, picks: u64);
}

/// What one thread has for itself.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Where a rotation of this thread's own stands.
    pub(crate) turn: usize,
    draw: u64,
}

impl Lane {
    fn new(thread: usize) -> Self {
        Self {
            turn: 7 * thread,
            draw: 0x9e37_79b9_7f4a_7c15 ^ (thread as u64) << 32,
        }
    }

    /// Draws 64 bits, for a nanosecond or two (xorshift64*).
    #[inline]
    pub(crate) fn draw(&mut self) -> u64 {
        self.draw ^= self.draw >> 12;
        self.draw ^= self.draw << 25;
        self.draw ^= self.draw >> 27;
        self.draw.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where a benchmark looks at the clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// So many parts of a lap are timed apart.
const PARTS: u64 = 32;

/// The other threads ran if each did between a fourth and the fourfold of one's own.
const UNEVEN: u64 = 4;

/// How many of so many threads run at once.
fn at_once(threads: usize) -> usize {
    let cores = thread::available_parallelism();
    threads.min(cores.map_or(1, std::num::NonZero::get))
}

/// Whether there are fewer cores than threads: then threads lose their cores while they pick,
/// also while they hold a lock, and that belongs to what is measured.
pub(crate) fn is_crowded(threads: usize) -> bool {
    at_once(threads) < threads
}

/// How long a lap took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lap {
    /// Nanoseconds for each pick, in the mean.
    pub(crate) mean: f64,
    /// Nanoseconds for each pick, in the median of the lap's parts: they are so short
    /// that many are not disturbed by whoever else uses the machine. Parts in which a
    /// thread hardly ran do not count. With fewer cores than threads it is the mean.
    pub(crate) ns: f64,
}

/// Times `picks` picks: wall time times threads (or cores, if they are fewer), divided by all
/// picks that all threads did meanwhile.
pub(crate) fn time(contender: &dyn Contender, threads: usize, picks: u64) -> Lap {
    let done = Padded(AtomicU64::new(0));
    let mut lane = Lane::new(0);
    if threads == 1 || picks == 0 {
        return in_parts(contender, &mut lane, (1, &done), picks);
    }
    let over = AtomicBool::new(false);
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        for thread in 1..threads {
            let (over, done, barrier) = (&over, &done, &barrier);
            scope.spawn(move || {
                let mut lane = Lane::new(thread);
                barrier.wait();
                while !over.load(Relaxed) {
                    contender.run(&mut lane, BATCH);
                    done.0.fetch_add(BATCH, Relaxed);
                }
            });
        }
        barrier.wait();
        // The others have to wake up first.
        while done.0.load(Relaxed) == 0 {
            contender.run(&mut lane, BATCH);
        }
        let lap = in_parts(contender, &mut lane, (threads, &done), picks);
        over.store(true, Relaxed);
        lap
    })
}

/// Does `picks` picks while the other threads count theirs in `done`.
fn in_parts(
    contender: &dyn Contender,
    lane: &mut Lane,
    (threads, done): (usize, &Padded<AtomicU64>),
    picks: u64,
) -> Lap {
    let mut parts = Vec::with_capacity(usize::try_from(PARTS).unwrap_or(0));
    let (mut others, mut at) = (done.0.load(Relaxed), now());
    let (mut total, mut left) = (Duration::ZERO, picks);
    let busy = at_once(threads);
    for part in (1..=PARTS).rev() {
        let own = left / part;
        if own == 0 {
            continue;
        }
        contender.run(lane, own);
        let (others_then, then) = (done.0.load(Relaxed), now());
        let theirs = others_then - others;
        let share = own as f64 / (own + theirs) as f64;
        let time = (then - at).mul_f64(busy as f64 * share);
        let each = theirs / (threads as u64 - 1).max(1);
        if threads == 1 || (own / UNEVEN..=own * UNEVEN).contains(&each) {
            parts.push(time.as_secs_f64() * 1e9 / own as f64);
        }
        total += time;
        left -= own;
        (others, at) = (others_then, then);
    }
    let mean = total.as_secs_f64() * 1e9 / picks.max(1) as f64;
    let ns = match is_crowded(threads) {
        true => mean,
        false => median(parts.into_iter()).unwrap_or(mean),
    };
    Lap { mean, ns }
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Alone on its cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);
