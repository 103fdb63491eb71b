//! A table that shows what goes on: [`Screen`], shared by the examples of health.
//!
//! On a terminal it is drawn again in its place, with the latest news below it; elsewhere each
//! drawing is plain lines, after the news since the one before.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use equipoise::balancer::events::{EventKind, Interest};
use equipoise::service::BoxError;
use equipoise::{Event, Observer};
use tokio::time::Instant;

/// As wide as the smallest usual terminal, less one.
const WIDTH: usize = 79;

/// How much news is shown below the table on a terminal.
const LATEST: usize = 6;

/// Where the table is drawn.
pub(crate) struct Screen {
    news: News,
    is_terminal: bool,
    /// How many lines stand on the terminal.
    drawn: usize,
    latest: VecDeque<String>,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let knows_codes = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        Self {
            news: News {
                begun: Instant::now(),
                fresh: Arc::default(),
            },
            is_terminal: io::stdout().is_terminal() && knows_codes,
            drawn: 0,
            latest: VecDeque::new(),
        }
    }

    /// What is added to it is shown with the next table.
    pub(crate) fn news(&self) -> News {
        self.news.clone()
    }

    /// Draws a table in place of the one before. Long lines are cut on a terminal.
    pub(crate) fn draw(&mut self, head: &str, rows: &[String]) -> io::Result<()> {
        let fresh = self.news.take();
        let head = format!("{:>6.1} s  {head}", self.news.seconds());
        let rows = rows.iter().map(|row| format!("          {row}"));
        let table = std::iter::once(head).chain(rows);
        let mut out = String::new();
        if self.is_terminal {
            self.latest.extend(fresh);
            while self.latest.len() > LATEST {
                self.latest.pop_front();
            }
            let news = (0..LATEST).map(|at| self.latest.get(at).cloned().unwrap_or_default());
            let lines: Vec<String> = table.chain([String::new()]).chain(news).collect();
            // Without a cursor and without wrapping, back to the first line, and each line to its
            // end: all at once, so that it does not flicker.
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

/// The terminal is as it was before, also after a panic.
impl Drop for Screen {
    fn drop(&mut self) {
        if self.drawn > 0 {
            // It may be gone.
            let _ = io::stdout().write_all(b"\x1b[?25h\x1b[?7h");
        }
    }
}

/// Whether nothing reads the output any more, as after `| head`.
pub(crate) fn is_closed(error: &BoxError) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|it| it.kind() == io::ErrorKind::BrokenPipe)
}

/// Cuts a text that is too long, and shows that it is cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// Shows a number by `#`; one of `full` fills the width.
pub(crate) fn bar(number: f64, full: f64, width: usize) -> String {
    let filled = |at: usize| number * width as f64 >= (at as f64 + 0.5) * full;
    "#".repeat((0..width).take_while(|&at| filled(at)).count())
}

/// Takes in what happens, with its time; told of members' flags if it observes a balancer.
#[derive(Clone)]
pub(crate) struct News {
    begun: Instant,
    fresh: Arc<Mutex<Vec<String>>>,
}

impl News {
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

impl Observer for News {
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
