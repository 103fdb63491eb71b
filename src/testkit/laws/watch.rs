//! A watch over the case that a law is checked on: a scheduler that loops for ever is named,
//! with the law and the case.
//!
//! It changes no result: a case may take as long as it takes.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use super::case::{LawCase, name};
use crate::sync::Mutex;

/// How long a case takes before it is named.
const LONG: Duration = Duration::from_secs(10);

/// The case that is being checked.
#[derive(Debug, Default)]
pub(super) struct Watch {
    now: Mutex<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    /// How many cases there have been.
    count: u64,
    case: Option<LawCase>,
    is_over: bool,
}

impl Watch {
    /// Calls `check`, and writes to standard error if a case takes long. That output appears
    /// also in a test, whose `eprintln` would be held back.
    pub(super) fn over<R>(law: &str, scheduler: &str, check: impl FnOnce(&Self) -> R) -> R {
        Self::over_for(LONG, law, scheduler, &mut io::stderr(), check)
    }

    fn over_for<R>(
        long: Duration,
        law: &str,
        scheduler: &str,
        out: &mut (dyn Write + Send),
        check: impl FnOnce(&Self) -> R,
    ) -> R {
        let watch = Self::default();
        thread::scope(|scope| {
            let wait = || watch.wait(long, law, scheduler, out);
            let waits = thread::Builder::new().spawn_scoped(scope, wait);
            let _end = WatchEnd(&watch, waits.as_ref().map(|it| it.thread().clone()).ok());
            check(&watch)
        })
    }

    /// Notes the case that is checked next.
    pub(super) fn begin(&self, case: &LawCase) {
        let mut now = self.now.lock();
        now.count += 1;
        now.case = Some(case.clone());
    }

    /// Waits until all cases are checked; names one that is still checked after `long`.
    fn wait(&self, long: Duration, law: &str, scheduler: &str, out: &mut dyn Write) {
        let mut seen = 0;
        loop {
            thread::park_timeout(long);
            let now = self.now.lock();
            if now.is_over {
                return;
            }
            if let (true, Some(case)) = (now.count == seen, &now.case) {
                // Nobody can be told that standard error is closed.
                let _ = out.write_all(told(law, scheduler, case).as_bytes());
                return;
            }
            seen = now.count;
        }
    }
}

/// Ends a watch, also when the check panics.
struct WatchEnd<'w>(&'w Watch, Option<thread::Thread>);

impl Drop for WatchEnd<'_> {
    fn drop(&mut self) {
        self.0.now.lock().is_over = true;
        if let Some(waits) = &self.1 {
            waits.unpark();
        }
    }
}

fn told(law: &str, scheduler: &str, case: &LawCase) -> String {
    let mut text = format!(
        "`{scheduler}` has been at one case for {} s or more; does a pick loop for ever?\n\
         law: {law}\nmembers (seed {}):\n",
        LONG.as_secs(),
        case.seed
    );
    for (at, member) in case.members.iter().enumerate() {
        text += &format!("  {}: {member}\n", name(at));
    }
    if !case.steps.is_empty() {
        text += "steps, up to one of these:\n";
    }
    for (at, step) in case.steps.iter().enumerate() {
        text += &format!("  {}. {step}\n", at + 1);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use super::Watch;
    use crate::testkit::laws::case::{LawCase, LawStep};

    /// Sends what is written.
    struct Sent(Sender<String>);

    impl Write for Sent {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let sent = self.0.send(String::from_utf8_lossy(text).into());
            sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_case_that_does_not_end_is_named() {
        let (sender, written) = channel();
        let long = Duration::from_millis(1);
        let case = LawCase {
            steps: vec![LawStep::Reset],
            ..LawCase::plain(7, 1)
        };
        let text = Watch::over_for(long, "no pick loops", "spins", &mut Sent(sender), |watch| {
            watch.begin(&case);
            // As a pick that loops until the case is named.
            written.recv().unwrap()
        });
        assert_eq!(
            text,
            "\
`spins` has been at one case for 10 s or more; does a pick loop for ever?
law: no pick loops
members (seed 7):
  m0: weight 1
steps, up to one of these:
  1. reset the scheduler
"
        );
    }

    #[test]
    fn a_check_that_ends_or_panics_ends_the_watch() {
        let watched = || {
            Watch::over("a law", "a scheduler", |watch| {
                watch.begin(&LawCase::plain(1, 1));
            });
        };
        watched();
        let panics = || Watch::over("a law", "a scheduler", |_| panic!("within a check"));
        std::panic::catch_unwind(panics).unwrap_err();
    }
}
