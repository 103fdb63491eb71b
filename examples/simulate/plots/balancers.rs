//! The effect of the number of balancers.

use std::time::Duration;

use super::axis::Scale;
use super::frame::{Axis, Frame, Key, Look, Panel, PlotError, View};
use crate::experiment::{Experiment, Finding, Findings};
use crate::numbers::number;

const TOP: f64 = 126.0;
const BOTTOM: f64 = 420.0;

const LEFT: Panel = Panel {
    left: 70.0,
    top: TOP,
    right: 350.0,
    bottom: BOTTOM,
};

const RIGHT: Panel = Panel {
    left: 424.0,
    top: TOP,
    right: 704.0,
    bottom: BOTTOM,
};

/// What a panel shows of a finding.
type Figure = fn(&Finding) -> Duration;

pub(crate) fn draw(experiment: &Experiment, findings: &Findings) -> Result<String, PlotError> {
    let unit = experiment.unit;
    let mean: Figure = |it| it.latencies().mean();
    let p99: Figure = |it| it.latencies().quantile(0.99);
    let counts: Vec<f64> = experiment
        .balancers
        .iter()
        .map(|&it| f64::from(it))
        .collect();
    let (first, last) = counts
        .iter()
        .fold((f64::INFINITY, 1.0), |(first, last), &it| {
            (it.min(first), it.max(last))
        });
    let x = Scale::Log {
        from: first / 1.3,
        to: last * 1.3,
    };
    let title = (
        &*experiment.title,
        "The effect of many balancers: each only counts its own requests",
    );
    Frame::draw((940, 480), title, |frame| {
        for (panel, heading, figure) in [(LEFT, "Mean", mean), (RIGHT, "99th percentile", p99)] {
            let all = findings.all.iter().map(|it| unit.of(figure(it)));
            let name = format!("latency, in {}", unit.name);
            let x = Axis {
                ticks: Some(counts.clone()),
                ..Axis::new(x, "number of balancers")
            };
            let y = Axis::new(Scale::log(all), &name);
            let view = View {
                panel,
                x: x.scale,
                y: y.scale,
            };
            frame.axes(panel, &x, &y)?;
            frame.heading(panel, heading)?;
            for colour in experiment.schedulers.iter().map(|it| it.colour()) {
                let rows = findings.all.iter().filter(|it| it.colour == Some(colour));
                let points = rows.map(|it| (f64::from(it.balancers), unit.of(figure(it))));
                let look = Look::of(Some(colour));
                frame.line(&view, points.clone(), look)?;
                for point in points {
                    frame.dot(&view, point, 4.0, look)?;
                }
            }
            for bound in findings.all.iter().filter(|it| it.colour.is_none()) {
                let level = unit.of(figure(bound));
                let ends = [(first / 1.3, level), (last * 1.3, level)];
                frame.line(&view, ends.into_iter(), Look::of(None))?;
            }
        }
        let most = experiment.balancers.iter().max();
        let mut shown: Vec<&Finding> = findings.all.iter().collect();
        shown.retain(|it| it.colour.is_none() || Some(&it.balancers) == most);
        shown.sort_by_key(|it| it.latencies().mean());
        let key = |it: &&Finding| Key {
            look: Look::of(it.colour),
            name: it.scheduler.to_owned(),
            note: number(unit.of(it.latencies().mean())),
        };
        let keys: Vec<_> = shown.iter().map(key).collect();
        let head = format!("mean with {last} balancers");
        frame.legend((RIGHT.right + 24.0, TOP + 4.0), 190.0, &head, &keys)
    })
}
