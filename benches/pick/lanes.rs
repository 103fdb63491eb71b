//! How time is taken: a contender runs on one or more threads, and what counts is
//! wall time for each pick and core.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// Picks between two looks at whether the time is over.
const BATCH: u64 = 64;

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

/// Returns the time that `picks` picks take: wall time times threads, divided by all
/// picks that all threads did meanwhile.
pub(crate) fn time(contender: &dyn Contender, threads: usize, picks: u64) -> Duration {
    if threads == 1 {
        let mut lane = Lane::new(0);
        let start = now();
        contender.run(&mut lane, picks);
        return start.elapsed();
    }
    let (over, done) = (AtomicBool::new(false), Padded(AtomicU64::new(0)));
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
        let mut lane = Lane::new(0);
        barrier.wait();
        // The others have to wake up first.
        while done.0.load(Relaxed) == 0 {
            contender.run(&mut lane, BATCH);
        }
        let (start, before) = (now(), done.0.load(Relaxed));
        contender.run(&mut lane, picks);
        let wall = start.elapsed();
        let others = done.0.load(Relaxed) - before;
        over.store(true, Relaxed);
        let share = picks as f64 / (picks + others) as f64;
        wall.mul_f64(threads as f64 * share)
    })
}

/// Alone on its cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);
