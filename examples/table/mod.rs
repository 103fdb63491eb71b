//! A table of the current state: [`Screen`], shared by the examples of health checks and
//! heartbeats.
//!
//! On a terminal it is redrawn in place, with the latest events below it. Elsewhere each
//! drawing is plain lines, after the events since the previous one.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use equipoise::balancer::events::{EventKind, Interest};
use equipoise::service::BoxError;
use equipoise::{Event, Observer};
use tokio::time::Instant;

/// The width of the smallest usual terminal, less one.
const WIDTH: usize = 79;

/// How many events are shown below the table on a terminal.
const LATEST: usize = 6;

/// Draws the table.
pub(crate) struct Screen {
    events: EventLog,
    is_terminal: bool,
    /// The number of lines on the terminal.
    drawn: usize,
    latest: VecDeque<String>,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let knows_codes = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        Self {
            events: EventLog {
                begun: Instant::now(),
                fresh: Arc::default(),
            },
            is_terminal: io::stdout().is_terminal() && knows_codes,
            drawn: 0,
            latest: VecDeque::new(),
        }
    }

    /// Returns a log of events; the next table shows what is added to it.
    pub(crate) fn events(&self) -> EventLog {
        self.events.clone()
    }

    /// Draws a table in place of the previous one. Long lines are cut on a terminal.
    pub(crate) fn draw(&mut self, head: &str, rows: &[String]) -> io::Result<()> {
        let fresh = self.events.take();
        let head = format!("{:>6.1} s  {head}", self.events.seconds());
        let rows = rows.iter().map(|row| format!("          {row}"));
        let table = std::iter::once(head).chain(rows);
        let mut out = String::new();
        if self.is_terminal {
            self.latest.extend(fresh);
            while self.latest.len() > LATEST {
                self.latest.pop_front();
            }
            let events = (0..LATEST).map(|at| self.latest.get(at).cloned().unwrap_or_default());
            let lines: Vec<String> = table.chain([String::new()]).chain(events).collect();
            // Hides the cursor, turns wrapping off, returns to the first line, and rewrites
            // each line to its end. All in one write, to avoid flicker.
            out += "\x1b[?25l\x1b[?7l";
            if self.drawn > 0 {
                out += &format!("\x1b[{}F", self.drawn);
            }
            for line in &lines {
                out += &format!("{}\x1b[K\n", cut(line.trim_end(), WIDTH));
            }
            self.drawn = lines.len();
        } else {
            for line in fresh.into_iter().chain(table) {
                out += line.trim_end();
                out.push('\n');
            }
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(out.as_bytes())?;
        stdout.flush()
    }
}

/// Restores the terminal, also after a panic.
impl Drop for Screen {
    fn drop(&mut self) {
        if self.drawn > 0 {
            // The terminal may be gone.
            let _ = io::stdout().write_all(b"\x1b[?25h\x1b[?7h");
        }
    }
}

/// Returns whether the output is closed, as after `| head`.
pub(crate) fn is_closed(error: &BoxError) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|it| it.kind() == io::ErrorKind::BrokenPipe)
}

/// Cuts a text that is too long, and marks the cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// Shows a number as a bar of `#`; `full` fills the width.
pub(crate) fn bar(number: f64, full: f64, width: usize) -> String {
    let filled = |at: usize| number * width as f64 >= (at as f64 + 0.5) * full;
    "#".repeat((0..width).take_while(|&at| filled(at)).count())
}

/// Collects events with their times; as an observer of a balancer it adds changes of
/// members' flags.
#[derive(Clone)]
pub(crate) struct EventLog {
    begun: Instant,
    fresh: Arc<Mutex<Vec<String>>>,
}

impl EventLog {
    pub(crate) fn add(&self, what: impl Display) {
        let text = format!("{:>6.1} s  * {what}", self.seconds());
        self.lines().push(text);
    }

    fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines())
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for EventLog {
    fn observe(&self, event: &Event<'_>) {
        if let (
            Some(member),
            EventKind::Changed {
                before,
                after,
                cause,
                ..
            },
        ) = (event.member, event.kind)
        {
            let cause = cause.map(|it| format!(": {it}")).unwrap_or_default();
            let name = member.name();
            self.add(format_args!(
                "balancer: {name} goes from {before} to {after}{cause}"
            ));
        }
    }

    fn interest(&self) -> Interest {
        Interest::CHANGED
    }
}
