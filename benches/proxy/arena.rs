//! The processes of a measurement: servers, and one contender at a time in front of them.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use equipoise::service::BoxError;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::backend::SERVED_BY;
use crate::contender::Contender;
use crate::side_by_side::peers::Place;
use crate::side_by_side::program::Program;
use crate::side_by_side::reading::{Reading, Usage};
use crate::side_by_side::results::Measured;
use crate::side_by_side::stage::Stage;
use crate::work::Work;
use crate::wrk::{self, Load};

/// So many servers.
const SERVERS: usize = 3;

pub(crate) struct Arena(Stage);

/// What one measurement came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) load: Load,
    pub(crate) usage: Usage,
}

impl Measured for Sample {
    /// Seconds of processor time for a million requests, or µs for one.
    fn cost(&self) -> f64 {
        self.usage.used / self.load.requests * 1e6
    }

    fn usage(&self) -> &Usage {
        &self.usage
    }

    fn failed(&self) -> f64 {
        self.load.failed
    }
}

impl Arena {
    pub(crate) async fn new() -> Result<Self, BoxError> {
        Stage::new("backend", SERVERS).await.map(Self)
    }

    /// Starts a contender, and asks it for what the work is about.
    pub(crate) async fn start(
        &self,
        contender: Contender,
        work: Work,
    ) -> Result<(Program, SocketAddr), BoxError> {
        let prepare = |command: &mut _, program: &_, place: &Place<'_>| {
            contender.prepare(command, program, place)
        };
        let (mut running, listen) = self.0.start(contender, prepare)?;
        running.accepts_at(listen).await?;
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
        wrk::run(wrk, listen, work, 1, self.0.load_log()).await?;
        let before = Reading::now(&running, &self.0.servers);
        let load = wrk::run(wrk, listen, work, seconds, self.0.load_log()).await?;
        let usage = before.until_now();
        Ok(Sample { load, usage })
    }
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
