//! What is measured, one work after another; or, without measuring, whether each contender
//! answers.

use equipoise::service::BoxError;

use crate::arena::Arena;
use crate::contender::Contender;
use crate::report;
use crate::side_by_side::contestant::Contestant;
use crate::side_by_side::options::Options;
use crate::side_by_side::program::{find, version};
use crate::side_by_side::progress::{Progress, say};
use crate::side_by_side::results::{Measured, Results};
use crate::side_by_side::setting;
use crate::work::Work;

/// Measures, or without that only asks each contender a few times.
pub(crate) async fn run(options: &Options<Contender, Work>) -> Result<(), BoxError> {
    if !setting::is_fit() {
        return Ok(());
    }
    let contenders = setting::installed(&options.contenders());
    let wrk = find("wrk");
    if options.measures() && wrk.is_none() {
        return Err("there is no wrk, which makes the load; on Debian: apt-get install wrk".into());
    }
    let arena = Arena::new().await?;
    let works = options.works();
    let Some(wrk) = wrk.filter(|_| options.measures()) else {
        return trial(&arena, &contenders, &works).await;
    };
    // It knows no flag for its version, and says it with its help.
    let load = version(&wrk, "-v");
    let extent = (options.rounds, options.seconds);
    setting::describe(&contenders, load.as_deref(), extent);
    let progress = Progress::of(works.len() * contenders.len() * options.rounds as usize);
    for work in works {
        let measure = async |contender: Contender| {
            progress.begin(work.path(), contender.name());
            let measured = arena.measure(contender, work, &wrk, options.seconds).await;
            progress.tell(measured, |sample| {
                let (per_second, cost) = (sample.load.per_second, sample.cost());
                format!("{per_second:8.0} requests/s {cost:8.2} µs of processor time")
            })
        };
        let results = Results::measure(contenders.clone(), options.rounds, measure).await;
        progress.aside(|| report::print(work, &results));
    }
    Ok(())
}

async fn trial(arena: &Arena, contenders: &[Contender], works: &[Work]) -> Result<(), BoxError> {
    for &work in works {
        for &contender in contenders {
            let asked = arena.start(contender, work).await;
            let name = contender.name();
            asked.map_err(|error| format!("{name}, {}: {error}", work.path()))?;
            say(format_args!("{name} answers {}", work.path()));
        }
    }
    Ok(())
}
