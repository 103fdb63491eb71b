//! Requests in flight over time.

use super::axis::Scale;
use super::frame::{Axis, Frame, Key, Look, Panel, PlotError, View};
use crate::experiment::{Experiment, Finding, Findings};
use crate::numbers::number;

const PANEL: Panel = Panel {
    left: 70.0,
    top: 98.0,
    right: 640.0,
    bottom: 420.0,
};

/// How many samples are averaged for one point.
const SMOOTHED: usize = 4;

pub(crate) fn draw(experiment: &Experiment, findings: &Findings) -> Result<String, PlotError> {
    let mut shown: Vec<&Finding> = findings.first_balancers().collect();
    let lines: Vec<Vec<(f64, f64)>> = shown.iter().map(|it| points(it)).collect();
    let all = || lines.iter().flatten();
    // Mean numbers after the start, when queues are still empty.
    let means: Vec<f64> = shown.iter().map(|it| mean(it)).collect();
    let least = means.iter().copied().fold(f64::INFINITY, f64::min);
    let most = means.iter().copied().fold(0.0, f64::max);
    let y = if most > 8.0 * least {
        Scale::log(all().map(|it| it.1.max(least / 4.0)))
    } else {
        Scale::from_zero(all().map(|it| it.1))
    };
    let x = Axis::new(Scale::exactly(all().map(|it| it.0)), "time, in seconds");
    let y = Axis::new(y, "requests in flight, on all members");
    let view = View {
        panel: PANEL,
        x: x.scale,
        y: y.scale,
    };
    let title = (
        &*experiment.plot_title(),
        "Requests in flight over time: waiting and worked on",
    );
    Frame::draw((870, 480), title, |frame| {
        frame.axes(PANEL, &x, &y)?;
        let mut order: Vec<usize> = (0..shown.len()).collect();
        // The calmest line is drawn last, on top.
        order.sort_by(|&a, &b| means[b].total_cmp(&means[a]));
        for at in order {
            let look = Look::of(shown[at].colour).thin();
            frame.line(&view, lines[at].iter().copied(), look)?;
        }
        shown.sort_by(|a, b| mean(a).total_cmp(&mean(b)));
        let key = |it: &&Finding| Key {
            look: Look::of(it.colour),
            name: it.scheduler.to_owned(),
            note: number(mean(it)),
        };
        let keys: Vec<_> = shown.iter().map(key).collect();
        frame.legend(
            (PANEL.right + 24.0, PANEL.top + 4.0),
            190.0,
            "mean, fewest first",
            &keys,
        )
    })
}

fn points(finding: &Finding) -> Vec<(f64, f64)> {
    let samples = finding.measured.in_flight().chunks(SMOOTHED);
    let mean = |numbers: &mut dyn Iterator<Item = f64>, count: usize| {
        numbers.sum::<f64>() / count.max(1) as f64
    };
    let point = |chunk: &[equipoise::testkit::simulation::InFlightSample]| {
        let at = mean(&mut chunk.iter().map(|it| it.at.as_secs_f64()), chunk.len());
        let total = mean(&mut chunk.iter().map(|it| it.total as f64), chunk.len());
        (at, total)
    };
    samples.map(point).collect()
}

/// The mean after the first tenth of the time.
fn mean(finding: &Finding) -> f64 {
    let samples = finding.measured.in_flight();
    let counted = &samples[samples.len() / 10..];
    counted.iter().map(|it| it.total as f64).sum::<f64>() / counted.len().max(1) as f64
}
