//! What a contender has used from one moment to another: [`Reading`] and [`Usage`].

use std::time::Duration;

use tokio::time::Instant;

use super::procfs;
use super::program::Program;

/// What the system has counted so far.
pub(crate) struct Reading<'r> {
    contender: &'r Program,
    others: &'r Program,
    at: Instant,
    idle: Duration,
    ours: Duration,
    used: Duration,
}

/// What a contender has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Processor time in seconds.
    pub(crate) used: f64,
    /// The same, in parts of its core.
    pub(crate) busy: f64,
    /// Cores that other programs of this machine used meanwhile.
    pub(crate) disturbed: f64,
    /// The most that it has had, in kB.
    pub(crate) memory: u64,
}

impl<'r> Reading<'r> {
    /// `others` belongs to the measurement, too.
    pub(crate) fn now(contender: &'r Program, others: &'r Program) -> Self {
        Self {
            contender,
            others,
            at: Instant::now(),
            idle: procfs::idle(),
            ours: procfs::used_by_us() + procfs::used(&others.family()),
            used: procfs::used(&contender.family()),
        }
    }

    /// What was used from then on.
    pub(crate) fn until_now(&self) -> Usage {
        let now = Self::now(self.contender, self.others);
        let wall = (now.at - self.at).as_secs_f64();
        let used = seconds_between(self.used, now.used);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        #[expect(clippy::cast_precision_loss, reason = "a number of cores")]
        let taken = cores as f64 * wall - seconds_between(self.idle, now.idle);
        let others = taken - used - seconds_between(self.ours, now.ours);
        Usage {
            used,
            busy: used / wall,
            disturbed: (others / wall).max(0.0),
            memory: procfs::memory(&self.contender.family(), "VmHWM:"),
        }
    }
}

fn seconds_between(before: Duration, after: Duration) -> f64 {
    after.saturating_sub(before).as_secs_f64()
}
