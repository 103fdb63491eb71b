//! Output: tables, checks, and formatted numbers.

use std::time::Duration;

/// Prints rows in columns of the necessary width: the first left-aligned, the others
/// right-aligned.
pub(crate) fn print_table(heading: &[&str], rows: &[Vec<String>]) {
    let heading: Vec<String> = heading.iter().map(|&cell| cell.to_owned()).collect();
    let width = |column: usize| {
        let cells = std::iter::once(&heading).chain(rows);
        let widths = cells.map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    for row in std::iter::once(&heading).chain(rows) {
        let (first, others) = (&row[0], &row[1..]);
        let mut line = format!("  {first:<0$}", widths[0]);
        for (cell, width) in others.iter().zip(&widths[1..]) {
            line.push_str(&format!("  {cell:>width$}"));
        }
        println!("{line}");
    }
}

/// Runs checks, and counts those that failed.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    failed: usize,
}

impl Checks {
    /// Prints a check and its result, and counts it if it failed.
    pub(crate) fn check(&mut self, holds: bool, what: &str) {
        let verdict = if holds { "ok  " } else { "FAIL" };
        println!("  {verdict}  {what}");
        self.failed += usize::from(!holds);
    }

    pub(crate) fn failed(&self) -> usize {
        self.failed
    }
}

/// Formats a fraction in percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

pub(crate) fn megabytes(bytes: f64) -> String {
    format!("{:.2} MB", bytes / 1e6)
}

pub(crate) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
