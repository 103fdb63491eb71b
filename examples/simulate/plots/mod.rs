//! The plots of an experiment, as SVG.

mod axis;
mod balancers;
mod frame;
mod in_flight;
mod latency;
mod share;

use frame::PlotError;

use crate::experiment::{Experiment, Findings};
use crate::scenarios::PlotKind;

/// A plot with the end of its file name.
pub(crate) struct Plot {
    pub(crate) kind: PlotKind,
    pub(crate) name: &'static str,
    pub(crate) svg: String,
}

/// Draws all plots that an experiment has something for.
pub(crate) fn draw(experiment: &Experiment, findings: &Findings) -> Result<Vec<Plot>, PlotError> {
    let mut plots = Vec::new();
    if experiment.balancers.len() > 1 {
        plots.push(Plot {
            kind: PlotKind::Balancers,
            name: "balancers",
            svg: balancers::draw(experiment, findings)?,
        });
    }
    plots.push(Plot {
        kind: PlotKind::Latency,
        name: "latency",
        svg: latency::draw(experiment, findings)?,
    });
    plots.push(Plot {
        kind: PlotKind::Share,
        name: "share",
        svg: share::draw(experiment, findings)?,
    });
    plots.push(Plot {
        kind: PlotKind::InFlight,
        name: "in-flight",
        svg: in_flight::draw(experiment, findings)?,
    });
    Ok(plots)
}
