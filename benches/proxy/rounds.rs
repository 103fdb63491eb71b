//! What is measured, one work after another; or, without measuring, whether each contender
//! answers.

use clap::ValueEnum;
use equipoise::service::BoxError;

use crate::arena::Arena;
use crate::contender::Contender;
use crate::load;
use crate::report;
use crate::side_by_side::contestant::Contestant;
use crate::side_by_side::options::Options;
use crate::side_by_side::program::{find, version};
use crate::side_by_side::progress::{Progress, say};
use crate::side_by_side::results::{Measured, Results};
use crate::side_by_side::setting;
use crate::targets;
use crate::work::Work;

/// Measures, or without that only asks each contender a few times.
pub(crate) async fn run(options: &Options<Contender, Work>) -> Result<(), BoxError> {
    if !setting::is_fit() {
        return Ok(());
    }
    let chosen = options.contenders();
    let is_choice = chosen.len() < Contender::value_variants().len();
    let contenders = setting::installed(&chosen);
    let arena = Arena::new().await?;
    let mut works = options.works();
    let of_work = |work: Work| {
        let mut its = contenders.clone();
        its.retain(|it| it.is_about(work) || is_choice && it.does(work));
        its
    };
    if !options.measures() {
        for work in works {
            trial(&arena, &of_work(work), work).await?;
        }
        return Ok(());
    }
    works.retain(|&work| {
        let there = load::is_there(work);
        if let Err(program) = there {
            let (name, remedy) = (work.name(), load::remedy(program));
            say(format_args!(
                "{name} is left out: there is no {program}; {remedy}"
            ));
        }
        there.is_ok()
    });
    // It knows no flag for its version, and says it with its help.
    let load = find("wrk").and_then(|wrk| version(&wrk, "-v"));
    let extent = (options.rounds, options.seconds);
    setting::describe(&contenders, load.as_deref(), extent);
    let measurements: usize = works.iter().map(|&work| of_work(work).len()).sum();
    let progress = Progress::of(measurements * options.rounds as usize);
    let mut all = Vec::new();
    for work in works {
        let measure = async |contender: Contender| {
            progress.begin(&work.name(), contender.name());
            let measured = arena.measure(contender, work, options.seconds).await;
            progress.tell(measured, |sample| {
                let (per_second, cost) = (sample.load.per_second, sample.cost());
                format!("{per_second:8.0} requests/s {cost:8.2} µs of processor time")
            })
        };
        let results = Results::measure(of_work(work), options.rounds, measure).await;
        progress.aside(|| report::print(work, &results));
        all.push((work, results));
    }
    progress.aside(|| targets::print(&all));
    Ok(())
}

async fn trial(arena: &Arena, contenders: &[Contender], work: Work) -> Result<(), BoxError> {
    for &contender in contenders {
        let asked = arena.start(contender, work, |_| ()).await;
        let (name, asks) = (contender.name(), work.name());
        asked.map_err(|error| format!("{name}, {asks}: {error}"))?;
        say(format_args!("{name} answers {asks}"));
    }
    Ok(())
}
