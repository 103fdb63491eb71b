//! The distribution of latencies: the share of requests above each latency.

use super::axis::Scale;
use super::frame::{Axis, Frame, Key, Look, Panel, PlotError, View};
use crate::experiment::{Experiment, Finding, Findings};
use crate::numbers::{number, round_number};

const PANEL: Panel = Panel {
    left: 70.0,
    top: 98.0,
    right: 640.0,
    bottom: 420.0,
};

pub(crate) fn draw(experiment: &Experiment, findings: &Findings) -> Result<String, PlotError> {
    let unit = experiment.unit;
    let mut shown: Vec<&Finding> = findings.first_balancers().collect();
    shown.retain(|it| it.latencies().count() > 0);
    let most = shown
        .iter()
        .map(|it| it.latencies().count())
        .max()
        .unwrap_or(1);
    // Below this share, single requests make steps.
    let shares = [1e-6, 1e-5, 1e-4, 0.001, 0.01];
    let least = shares.into_iter().find(|share| share * most as f64 >= 10.0);
    let least = least.unwrap_or(0.1);
    let lasts = shown
        .iter()
        .map(|it| unit.of(it.latencies().quantile(1.0 - least)));
    let firsts = shown.iter().map(|it| unit.of(it.latencies().quantile(0.1)));
    let name = format!("latency, in {}", unit.name);
    let x = Axis::new(Scale::log(firsts.chain(lasts)), &name);
    let text = |share: f64| match share {
        one if one > 0.9 => "all".to_owned(),
        share => format!("{} %", round_number(share * 100.0)),
    };
    let y = Axis {
        text: &text,
        ticks: Some(decades(least)),
        ..Axis::new(
            Scale::Log {
                from: least,
                to: 1.0,
            },
            "share of requests that take longer",
        )
    };
    let view = View {
        panel: PANEL,
        x: x.scale,
        y: y.scale,
    };
    let title = (
        &*experiment.plot_title(),
        "Latencies: the further left and below, the better",
    );
    Frame::draw((870, 480), title, |frame| {
        frame.axes(PANEL, &x, &y)?;
        for (share, name) in [(0.01, "p99"), (0.001, "p99.9")] {
            if share > least {
                frame.mark(&view, share, name)?;
            }
        }
        // The bound last: it is dotted, and does not hide a line below it.
        for finding in &shown {
            let curve = finding.latencies().curve();
            let start = std::iter::once((1e-9, 1.0));
            let points = curve.map(|(latency, share)| (unit.of(latency), share));
            let points = points.map(|(latency, share)| (latency.max(1e-9), share.max(1e-12)));
            frame.line(&view, start.chain(points), Look::of(finding.colour))?;
        }
        shown.sort_by_key(|it| it.latencies().quantile(0.99));
        let key = |it: &&Finding| Key {
            look: Look::of(it.colour),
            name: it.scheduler.to_owned(),
            note: number(unit.of(it.latencies().quantile(0.99))),
        };
        let keys: Vec<_> = shown.iter().map(key).collect();
        frame.legend(
            (PANEL.right + 24.0, PANEL.top + 4.0),
            190.0,
            "p99, best first",
            &keys,
        )
    })
}

/// 1, 0.1 and so on, down to a share.
fn decades(least: f64) -> Vec<f64> {
    let all = std::iter::successors(Some(1.0), |share| Some(share / 10.0));
    all.take_while(|share| *share > least * 0.99).collect()
}
