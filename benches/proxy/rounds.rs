//! Who is measured when: all contenders in each round, and the other way round in each
//! second one, so that a machine that drifts does not favour anybody.

use clap::ValueEnum;
use equipoise::service::BoxError;

use crate::arena::{Arena, Sample};
use crate::contender::Contender;
use crate::program::{find, say};
use crate::report::{self, Results};
use crate::setting;
use crate::work::Work;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often each is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// For how long, each time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Who; all by default
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Contender>,
    /// At what; all by default
    #[arg(long, value_enum, value_delimiter = ',')]
    work: Vec<Work>,
}

impl Options {
    fn contenders(&self) -> Vec<Contender> {
        chosen(&self.only)
    }

    fn works(&self) -> Vec<Work> {
        chosen(&self.work)
    }
}

fn chosen<T: Copy + PartialEq + ValueEnum>(only: &[T]) -> Vec<T> {
    let all = T::value_variants().iter().copied();
    all.filter(|it| only.is_empty() || only.contains(it))
        .collect()
}

/// Measures, or without that only asks each contender a few times.
pub(crate) async fn run(options: &Options, measures: bool) -> Result<(), BoxError> {
    if !setting::is_fit() {
        return Ok(());
    }
    let contenders = setting::installed(&options.contenders());
    let wrk = find("wrk");
    if measures && wrk.is_none() {
        return Err("there is no wrk, which makes the load; on Debian: apt-get install wrk".into());
    }
    let arena = Arena::new().await?;
    let Some(wrk) = wrk.filter(|_| measures) else {
        return trial(&arena, &contenders, &options.works()).await;
    };
    setting::describe(&contenders, &wrk, options.rounds, options.seconds);
    for work in options.works() {
        let mut rounds = Vec::new();
        for round in 0..options.rounds {
            let mut samples = vec![None; contenders.len()];
            let mut order: Vec<usize> = (0..contenders.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                let contender = contenders[index];
                let measured = arena.measure(contender, work, &wrk, options.seconds).await;
                samples[index] = tell(contender, work, measured);
            }
            rounds.push(samples);
        }
        let contenders = contenders.clone();
        report::print(work, &Results { contenders, rounds });
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

fn tell(contender: Contender, work: Work, measured: Result<Sample, BoxError>) -> Option<Sample> {
    let (name, path) = (contender.name(), work.path());
    match measured {
        Ok(sample) => {
            let (per_second, cost) = (sample.load.per_second, sample.cost());
            say(format_args!(
                "{path:5} {name:9} {per_second:8.0} requests/s {cost:8.2} µs of processor time"
            ));
            Some(sample)
        }
        Err(error) => {
            say(format_args!("{path:5} {name:9} failed: {error}"));
            None
        }
    }
}
