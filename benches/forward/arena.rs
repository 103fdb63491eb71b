//! The processes of a measurement: members, one contender at a time in front of them, and the
//! load.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use equipoise::service::BoxError;
use tokio::time::{sleep, timeout};

use crate::contender::Contender;
use crate::load::{self, Done, Load};
use crate::side_by_side::peers::Place;
use crate::side_by_side::procfs;
use crate::side_by_side::program::{OTHER_CORE, Program, pinned, tail};
use crate::side_by_side::reading::{Reading, Usage};
use crate::side_by_side::results::Measured;
use crate::side_by_side::stage::Stage;
use crate::work::{Extent, Work};

/// So many members.
const MEMBERS: usize = 3;

pub(crate) struct Arena {
    stage: Stage,
    /// How many files a process may have open.
    descriptors: u64,
}

/// What one measurement came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) done: Done,
    cost: f64,
    usage: Usage,
}

impl Measured for Sample {
    fn cost(&self) -> f64 {
        self.cost
    }

    fn usage(&self) -> &Usage {
        &self.usage
    }

    fn failed(&self) -> f64 {
        self.done.failed
    }
}

impl Arena {
    pub(crate) async fn new() -> Result<Self, BoxError> {
        let descriptors = allow_descriptors();
        let stage = Stage::new("members", MEMBERS).await?;
        Ok(Self { stage, descriptors })
    }

    /// Starts a contender, and lets it do a little, to warm up.
    async fn start(
        &self,
        contender: Contender,
        work: Work,
        warm_up: Duration,
    ) -> Result<(Program, SocketAddr), BoxError> {
        // Some that have ended are not given up yet.
        let clients = SPARE + work.whole(warm_up, self.descriptors).clients;
        let prepare = |command: &mut _, program: &_, place: &Place<'_>| {
            contender.prepare(command, program, place, (work, clients))
        };
        let (mut running, listen) = self.stage.start(contender, prepare)?;
        if work.is_udp() {
            answers_at(listen, &mut running).await?;
        } else {
            running.accepts_at(listen).await?;
        }
        check(listen, contender, work).await?;
        let part = work.part(warm_up, self.descriptors);
        self.load(listen, work, part).await?;
        Ok((running, listen))
    }

    /// Lets a contender do a little, and returns what was done.
    pub(crate) async fn try_out(&self, contender: Contender, work: Work) -> Result<Done, BoxError> {
        let time = Duration::from_millis(20);
        let (_running, listen) = self.start(contender, work, time).await?;
        let part = work.part(time, self.descriptors);
        self.load(listen, work, part).await.map(|(done, _)| done)
    }

    /// Starts a contender, warms it up, and measures it.
    pub(crate) async fn measure(
        &self,
        contender: Contender,
        work: Work,
        time: Duration,
    ) -> Result<Sample, BoxError> {
        let warm_up = time.min(Duration::from_millis(500));
        let (running, listen) = self.start(contender, work, warm_up).await?;
        let whole = work.whole(time, self.descriptors);
        let memory = || procfs::memory(&running.family(), "VmRSS:");
        let memory_before = memory();
        let before = Reading::now(&running, &self.stage.servers);
        let (done, _load) = self.load(listen, work, whole).await?;
        let usage = before.until_now();
        let (_, units) = work.cost();
        let used = match work {
            Work::Idle => {
                sleep(SETTLED).await;
                #[expect(clippy::cast_precision_loss, reason = "some MB")]
                let grown = memory().saturating_sub(memory_before) as f64;
                grown * 1024.0
            }
            _ => usage.used,
        };
        Ok(Sample {
            done,
            cost: used / done.amount * units,
            usage,
        })
    }

    /// Runs the load until it has done all. Idle connections last until it is dropped.
    async fn load(
        &self,
        to: SocketAddr,
        work: Work,
        extent: Extent,
    ) -> Result<(Done, Program), BoxError> {
        let mut command: Command = pinned(OTHER_CORE);
        command
            .arg(std::env::current_exe()?)
            .arg("load")
            .args(Load::arguments(work, to, extent));
        let mut load = Program::start(&mut command, self.stage.folder().join("load.log"))?;
        let ended = async {
            loop {
                let has_ended = load.has_ended();
                let printed = load.log()?;
                match Done::read(&printed) {
                    Some(done) if done.amount > 0.0 => return Ok(done),
                    Some(done) => return Err(format!("all {} have failed", done.failed).into()),
                    None if has_ended => return Err(tail(&printed).into()),
                    None => sleep(LOOK).await,
                }
            }
        };
        let ended: Result<Result<Done, BoxError>, _> = timeout(extent.time + PATIENCE, ended).await;
        let done = ended.map_err(|_| "the load does not end")??;
        Ok((done, load))
    }
}

/// So many connections more than there are clients.
const SPARE: usize = 400;

/// How long after the last connection its memory is measured.
const SETTLED: Duration = Duration::from_millis(200);

/// How often it is looked whether the load is done.
const LOOK: Duration = Duration::from_millis(5);

/// How long the load may take beyond its time; a stream has none.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until datagrams are answered there.
async fn answers_at(address: SocketAddr, program: &mut Program) -> Result<(), BoxError> {
    for _ in 0..10 {
        if load::flow(address).await.is_ok() {
            return Ok(());
        }
        if program.has_ended() {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    let log = program.log().unwrap_or_default();
    Err(format!("it does not answer: {}", tail(&log)).into())
}

/// Whether answers come from all members.
async fn check(address: SocketAddr, contender: Contender, work: Work) -> Result<(), BoxError> {
    let mut seen = HashSet::new();
    for _ in 0..2 * MEMBERS {
        let asking = async {
            match work.is_udp() {
                true => load::flow(address).await,
                false => load::connection(address).await,
            }
        };
        let asked = timeout(Duration::from_secs(10), asking).await;
        seen.insert(asked.map_err(|_| "no answer in ten seconds")??);
    }
    if contender != Contender::Direct && seen.len() < MEMBERS {
        return Err(format!("only {} of {MEMBERS} members were asked", seen.len()).into());
    }
    Ok(())
}

/// Allows this process, and those that it starts, as many open files as the system lets it.
/// Returns how many that are.
#[cfg(unix)]
fn allow_descriptors() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    now.unwrap_or(u64::MAX)
}

#[cfg(not(unix))]
const fn allow_descriptors() -> u64 {
    1024
}
