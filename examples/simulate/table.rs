//! The table of an experiment, as text and as HTML and Markdown.

use crate::experiment::{Experiment, Finding, Findings};
use crate::numbers::{grouped, number};

/// The cells of a table; the first row is the head.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(experiment: &Experiment, findings: &Findings) -> Self {
        let many = experiment.balancers.len() > 1;
        let all = || findings.all.iter();
        let failed = all().any(|it| it.measured.failed() > 0);
        let refused = all().any(|it| it.measured.refused() > 0);
        let mut head = vec!["scheduler"];
        if many {
            head.push("balancers");
        }
        head.extend(["mean", "p50", "p99", "p99.9", "longest queue"]);
        if failed {
            head.push("failed");
        }
        if refused {
            head.push("refused");
        }
        let row = |finding: &Finding| {
            let measured = &finding.measured;
            let latencies = measured.latencies();
            let all = measured.answered() + measured.failed() + measured.refused();
            let time = |latency| number(experiment.unit.of(latency));
            let percent = |count: u64| percent(count as f64 / all.max(1) as f64);
            let mut row = vec![finding.scheduler.to_owned()];
            if many {
                row.push(grouped(&finding.balancers.to_string()));
            }
            row.push(time(latencies.mean()));
            row.extend([0.5, 0.99, 0.999].map(|share| time(latencies.quantile(share))));
            // The queue of the bound is the sum of all.
            row.push(match finding.colour {
                Some(_) => grouped(&measured.longest_queue().to_string()),
                None => "-".to_owned(),
            });
            if failed {
                row.push(percent(measured.failed()));
            }
            if refused {
                row.push(percent(measured.refused()));
            }
            row
        };
        let head = head.into_iter().map(str::to_owned).collect();
        Self {
            rows: std::iter::once(head).chain(all().map(row)).collect(),
        }
    }

    /// Returns lines of text, with columns of equal width.
    pub(crate) fn text(&self) -> String {
        let widths = self.widths();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate();
            let cells = cells.map(|(at, (cell, &width))| match at {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            format!("{}\n", line.trim_end())
        };
        self.rows.iter().map(line).collect()
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        (0..columns).map(width).collect()
    }

    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        for (at, row) in self.rows.iter().enumerate() {
            out += &format!("| {} |\n", row.join(" | "));
            if at == 0 {
                out += "|---|";
                out += &"--:|".repeat(row.len() - 1);
                out.push('\n');
            }
        }
        out
    }

    pub(crate) fn html(&self) -> String {
        let row = |cell: &str, row: &Vec<String>| {
            let cells = row.iter().map(|text| format!("<{cell}>{text}</{cell}>"));
            format!("<tr>{}</tr>\n", cells.collect::<String>())
        };
        let (head, body) = self.rows.split_at(1);
        let head: String = head.iter().map(|it| row("th", it)).collect();
        let body: String = body.iter().map(|it| row("td", it)).collect();
        format!("<table>\n<thead>\n{head}</thead>\n<tbody>\n{body}</tbody>\n</table>")
    }
}

fn percent(share: f64) -> String {
    format!("{} %", number(100.0 * share))
}
