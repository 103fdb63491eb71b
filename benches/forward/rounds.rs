//! What is measured, one work after another; or, without measuring, whether each contender can
//! do it.

use std::time::Duration;

use equipoise::service::BoxError;

use crate::arena::Arena;
use crate::contender::Contender;
use crate::report;
use crate::side_by_side::contestant::Contestant;
use crate::side_by_side::options::Options;
use crate::side_by_side::progress::{Progress, say};
use crate::side_by_side::results::{Measured, Results};
use crate::side_by_side::setting;
use crate::targets;
use crate::work::Work;

/// Measures, or without that only lets each contender do a little.
pub(crate) async fn run(options: &Options<Contender, Work>) -> Result<(), BoxError> {
    if !setting::is_fit() {
        return Ok(());
    }
    let contenders = setting::installed(&options.contenders());
    let can_do = |work: Work| {
        let able = contenders.iter().filter(move |it| it.does(work));
        able.copied().collect::<Vec<_>>()
    };
    let arena = Arena::new().await?;
    let works = options.works();
    if !options.measures() {
        for work in works {
            for contender in can_do(work) {
                let (name, work_name) = (contender.name(), work.name());
                let done = arena.try_out(contender, work).await;
                let done = done.map_err(|error| format!("{name}, {work_name}: {error}"))?;
                say(format_args!(
                    "{work_name:11} {name:14} {} {}",
                    done.amount,
                    work.unit()
                ));
            }
        }
        return Ok(());
    }
    setting::describe(&contenders, None, (options.rounds, options.seconds));
    let turns = works.iter().map(|&work| can_do(work).len());
    let progress = Progress::of(turns.sum::<usize>() * options.rounds as usize);
    let mut measured = Vec::new();
    for work in works {
        let measure = async |contender: Contender| {
            progress.begin(work.name(), contender.name());
            let time = Duration::from_secs(options.seconds.into());
            let sample = arena.measure(contender, work, time).await;
            progress.tell(sample, |sample| {
                format!("{:10.3} {}", sample.cost(), work.cost().0)
            })
        };
        let results = Results::measure(can_do(work), options.rounds, measure).await;
        progress.aside(|| report::print(work, &results));
        measured.push((work, results));
    }
    progress.aside(|| targets::print(&measured));
    Ok(())
}
