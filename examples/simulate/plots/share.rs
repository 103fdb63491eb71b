//! Shares of picks against shares of weight, by member.

use super::axis::Scale;
use super::frame::{Axis, Frame, Key, Look, Panel, PlotError, View};
use crate::experiment::{Experiment, Finding, Findings};
use crate::numbers::{number, round_number};

const PANEL: Panel = Panel {
    left: 70.0,
    top: 98.0,
    right: 600.0,
    bottom: 420.0,
};

pub(crate) fn draw(experiment: &Experiment, findings: &Findings) -> Result<String, PlotError> {
    // One queue has one member: its share is all.
    let shown: Vec<&Finding> = findings.first_balancers().collect();
    let shown: Vec<&Finding> = shown.into_iter().filter(|it| it.colour.is_some()).collect();
    let weights = weights(&shown);
    if weights.len() > 1 {
        by_weight(experiment, &shown, &weights)
    } else {
        by_member(experiment, &shown)
    }
}

/// The share of picks of each member, as a multiple of its share of the weights; ascending.
fn ratios(finding: &Finding, weight: Option<f64>) -> Vec<f64> {
    let members = finding.measured.members().iter();
    let members = members.filter(|it| weight.is_none_or(|weight| it.weight() == weight));
    let mut ratios: Vec<f64> = members.map(|it| it.share() / it.weight_share()).collect();
    ratios.sort_by(f64::total_cmp);
    ratios
}

fn weights(shown: &[&Finding]) -> Vec<f64> {
    let members = shown.iter().flat_map(|it| it.measured.members());
    let mut weights: Vec<f64> = members.map(|it| it.weight()).collect();
    weights.sort_by(f64::total_cmp);
    weights.dedup();
    weights
}

/// Returns the vertical scale for some ratios. It always has 1, the exact share.
fn vertical(ratios: impl Iterator<Item = f64> + Clone) -> Scale {
    let greatest = ratios.clone().fold(1.0, f64::max);
    if greatest > 4.0 {
        Scale::log(ratios.map(|it| it.max(0.01)).chain([0.9, 1.1]))
    } else {
        Scale::about(ratios.chain([0.97, 1.03]))
    }
}

fn note(finding: &Finding) -> String {
    let ratios = ratios(finding, None);
    let end = |it: Option<&f64>| number(*it.unwrap_or(&0.0));
    format!("{} – {}", end(ratios.first()), end(ratios.last()))
}

fn keys(shown: &[&Finding]) -> Vec<Key> {
    let key = |it: &&Finding| Key {
        look: Look::of(it.colour),
        name: it.scheduler.to_owned(),
        note: note(it),
    };
    shown.iter().map(key).collect()
}

const VERTICAL: &str = "picks, as a multiple of the share by weight";
const SUBTITLE: &str = "Shares of the members: at 1, a member gets exactly its share by weight";

/// Equal weights: the members in the order of their shares.
fn by_member(experiment: &Experiment, shown: &[&Finding]) -> Result<String, PlotError> {
    let all = shown.iter().map(|it| ratios(it, None)).collect::<Vec<_>>();
    let members = all.first().map_or(1, Vec::len);
    let x = Axis {
        text: &|share| format!("{} %", round_number(share)),
        ..Axis::new(
            Scale::Linear {
                from: 0.0,
                to: 100.0,
            },
            "members, in the order of their shares",
        )
    };
    let y = Axis::new(vertical(all.iter().flatten().copied()), VERTICAL);
    let view = View {
        panel: PANEL,
        x: x.scale,
        y: y.scale,
    };
    Frame::draw((870, 480), (&experiment.plot_title(), SUBTITLE), |frame| {
        frame.axes(PANEL, &x, &y)?;
        frame.mark(&view, 1.0, "")?;
        for (finding, ratios) in shown.iter().zip(&all) {
            // Each member is a step.
            let step = |at: usize| 100.0 * at as f64 / members as f64;
            let points = ratios.iter().enumerate();
            let points = points.flat_map(|(at, &ratio)| [(step(at), ratio), (step(at + 1), ratio)]);
            frame.line(&view, points, Look::of(finding.colour))?;
        }
        let head = "least and greatest multiple";
        frame.legend(
            (PANEL.right + 24.0, PANEL.top + 4.0),
            230.0,
            head,
            &keys(shown),
        )
    })
}

/// Different weights: the members of each weight, from the least share to the greatest.
fn by_weight(
    experiment: &Experiment,
    shown: &[&Finding],
    weights: &[f64],
) -> Result<String, PlotError> {
    let ends = [weights.first(), weights.last()].map(|it| *it.unwrap_or(&1.0));
    let x = Axis {
        ticks: Some(weights.to_vec()),
        ..Axis::new(
            Scale::Log {
                from: ends[0] / 1.5,
                to: ends[1] * 1.5,
            },
            "weight of the member",
        )
    };
    let all = shown
        .iter()
        .flat_map(|it| ratios(it, None))
        .collect::<Vec<_>>();
    let y = Axis::new(vertical(all.iter().copied()), VERTICAL);
    let view = View {
        panel: PANEL,
        x: x.scale,
        y: y.scale,
    };
    Frame::draw((870, 480), (&experiment.plot_title(), SUBTITLE), |frame| {
        frame.axes(PANEL, &x, &y)?;
        frame.mark(&view, 1.0, "")?;
        for (at, finding) in shown.iter().enumerate() {
            let look = Look::of(finding.colour);
            // Beside each other, so that none hides another.
            let aside = 1.05_f64.powf(at as f64 - (shown.len() as f64 - 1.0) / 2.0);
            let mean = |&weight: &f64| {
                let ratios = ratios(finding, Some(weight));
                (
                    weight * aside,
                    ratios.iter().sum::<f64>() / ratios.len().max(1) as f64,
                )
            };
            frame.line(&view, weights.iter().map(mean), look.thin())?;
            for weight in weights {
                let ratios = ratios(finding, Some(*weight));
                if let (Some(least), Some(most)) = (ratios.first(), ratios.last()) {
                    let ends = [(weight * aside, *least), (weight * aside, *most)];
                    frame.line(&view, ends.into_iter(), look)?;
                }
                frame.dot(&view, mean(weight), 3.5, look)?;
            }
        }
        let head = "least and greatest multiple";
        frame.legend(
            (PANEL.right + 24.0, PANEL.top + 4.0),
            230.0,
            head,
            &keys(shown),
        )
    })
}
