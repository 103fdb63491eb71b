//! The processes of a measurement: servers, and one contender at a time in front of them.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use equipoise::service::BoxError;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::backend::SERVED_BY;
use crate::contender::Contender;
use crate::peers::Place;
use crate::procfs;
use crate::program::{OTHER_CORE, PROXY_CORE, Program, free_addresses, pinned, tail};
use crate::scratch::Scratch;
use crate::work::Work;
use crate::wrk::{self, Load};

/// So many servers.
const SERVERS: usize = 3;

pub(crate) struct Arena {
    upstreams: Vec<SocketAddr>,
    backend: Program,
    // Last, so that nobody writes there any more when it goes.
    scratch: Scratch,
}

/// What one measurement came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) load: Load,
    /// Processor time of the contender, in seconds.
    pub(crate) used: f64,
    /// The same, in parts of its core.
    pub(crate) busy: f64,
    /// Cores that others used meanwhile.
    pub(crate) disturbed: f64,
    /// kB.
    pub(crate) memory: u64,
}

impl Sample {
    /// Seconds of processor time for a million requests, or µs for one.
    pub(crate) fn cost(&self) -> f64 {
        self.used / self.load.requests * 1e6
    }
}

impl Arena {
    pub(crate) async fn new() -> Result<Self, BoxError> {
        let scratch = Scratch::new()?;
        let upstreams = free_addresses(SERVERS)?;
        let mut command = pinned(OTHER_CORE);
        command
            .arg(std::env::current_exe()?)
            .arg("backend")
            .args(upstreams.iter().map(SocketAddr::to_string));
        let log = scratch.path().join("backend.log");
        let mut backend = Program::start(&mut command, log)?;
        for &upstream in &upstreams {
            answers(upstream, &mut backend).await?;
        }
        Ok(Self {
            upstreams,
            backend,
            scratch,
        })
    }

    /// Starts a contender, and asks it for what the work is about.
    pub(crate) async fn start(
        &self,
        contender: Contender,
        work: Work,
    ) -> Result<(Program, SocketAddr), BoxError> {
        let program = contender.program().ok_or("it is not installed")?;
        let listen = free_addresses(1)?.remove(0);
        let folder = self.scratch.room(contender.name())?;
        let mut command = pinned(PROXY_CORE);
        let place = Place {
            listen,
            upstreams: &self.upstreams,
            folder: &folder,
        };
        contender.prepare(&mut command, &program, &place)?;
        let mut running = Program::start(&mut command, folder.join("output.log"))?;
        answers(listen, &mut running).await?;
        check(listen, contender, work).await?;
        Ok((running, listen))
    }

    /// Starts a contender, warms it up, and measures it.
    pub(crate) async fn measure(
        &self,
        contender: Contender,
        work: Work,
        wrk: &std::path::Path,
        seconds: u32,
    ) -> Result<Sample, BoxError> {
        let (running, listen) = self.start(contender, work).await?;
        wrk::run(wrk, listen, work, 1, self.log()).await?;
        let family = running.family();
        let reading = || Reading {
            at: Instant::now(),
            idle: procfs::idle(),
            ours: procfs::used_by_us() + procfs::used(&self.backend.family()),
            used: procfs::used(&family),
        };
        let before = reading();
        let load = wrk::run(wrk, listen, work, seconds, self.log()).await?;
        let after = reading();
        let wall = (after.at - before.at).as_secs_f64();
        let used = seconds_between(before.used, after.used);
        let cores = std::thread::available_parallelism()?.get();
        let idle = seconds_between(before.idle, after.idle);
        #[expect(clippy::cast_precision_loss, reason = "a number of cores")]
        let taken = cores as f64 * wall - idle;
        let others = taken - used - seconds_between(before.ours, after.ours);
        Ok(Sample {
            load,
            used,
            busy: used / wall,
            disturbed: (others / wall).max(0.0),
            memory: procfs::peak_memory(&running.family()),
        })
    }

    fn log(&self) -> PathBuf {
        self.scratch.path().join("wrk.log")
    }
}

struct Reading {
    at: Instant,
    idle: Duration,
    ours: Duration,
    used: Duration,
}

fn seconds_between(before: Duration, after: Duration) -> f64 {
    after.saturating_sub(before).as_secs_f64()
}

/// Waits until somebody accepts connections there.
async fn answers(address: SocketAddr, program: &mut Program) -> Result<(), BoxError> {
    let asking = async {
        while TcpStream::connect(address).await.is_err() {
            if program.has_ended() {
                let log = program.log().unwrap_or_default();
                return Err(BoxError::from(format!("it has ended: {}", tail(&log))));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    let asked = timeout(Duration::from_secs(10), asking).await;
    asked.map_err(|_| "nobody listens after ten seconds")?
}

/// Whether answers are whole, and come from all servers.
async fn check(address: SocketAddr, contender: Contender, work: Work) -> Result<(), BoxError> {
    let mut seen = HashSet::new();
    for _ in 0..2 * SERVERS {
        let asked = timeout(Duration::from_secs(10), ask(address, work)).await;
        seen.insert(asked.map_err(|_| "no answer in ten seconds")??);
    }
    if contender.is_proxy() && seen.len() < SERVERS {
        return Err(format!("only {} of {SERVERS} servers were asked", seen.len()).into());
    }
    Ok(())
}

/// Asks once, and returns who answered.
async fn ask(address: SocketAddr, work: Work) -> Result<Vec<u8>, BoxError> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async { drop(connection.await) });
    let request = Request::get(work.path())
        .header(http::header::HOST, address.to_string())
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let name = response.headers().get(SERVED_BY).cloned();
    let body = response.into_body().collect().await?.to_bytes();
    if status != StatusCode::OK || body.len() != work.bytes() {
        return Err(format!("{status} with {} bytes", body.len()).into());
    }
    let name = name.ok_or("an answer of nobody's")?;
    Ok(name.as_bytes().to_vec())
}
