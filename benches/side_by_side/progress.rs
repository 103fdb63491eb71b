//! How far it is, on the terminal: a bar, and a line for each measurement above it.
//! [`Progress`], and [`say`] where there is no bar.

use std::cell::RefCell;
use std::fmt;

use equipoise::service::BoxError;
use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts measurements. Where there is no terminal, only its lines are seen.
pub(crate) struct Progress {
    bar: ProgressBar,
    what: RefCell<String>,
}

impl Progress {
    /// So many measurements are to be made.
    pub(crate) fn of(measurements: usize) -> Self {
        let bar = ProgressBar::new(measurements as u64);
        let style = "[{elapsed_precise}] {bar:30} {pos}/{len}, {eta_precise} left: {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        let what = RefCell::default();
        Self { bar, what }
    }

    /// Tells what is being measured.
    pub(crate) fn begin(&self, work: &str, contender: &str) {
        let what = format!("{work:11} {contender:14}");
        self.bar.set_message(what.clone());
        self.what.replace(what);
    }

    /// One more is measured, of which a line tells. Returns it unless that failed.
    pub(crate) fn tell<S>(
        &self,
        measured: Result<S, BoxError>,
        line: impl FnOnce(&S) -> String,
    ) -> Option<S> {
        let told = match &measured {
            Ok(sample) => line(sample),
            Err(error) => format!("failed: {error}"),
        };
        self.aside(|| say(format_args!("{} {told}", self.what.borrow())));
        self.bar.inc(1);
        measured.ok()
    }

    /// Runs what prints, without the bar.
    pub(crate) fn aside(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Tells how it goes, beside the tables.
#[expect(clippy::print_stderr, reason = "it tells how far a long run is")]
pub(crate) fn say(what: fmt::Arguments<'_>) {
    eprintln!("{what}");
}
