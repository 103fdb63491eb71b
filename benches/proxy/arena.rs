//! The processes of a measurement: servers, and one contender at a time in front of them.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use equipoise::service::BoxError;
use http::header::COOKIE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::backend::SERVED_BY;
use crate::contender::Contender;
use crate::front::Front;
use crate::load::{self, Course, Load};
use crate::side_by_side::peers::Place;
use crate::side_by_side::program::Program;
use crate::side_by_side::reading::{Reading, Usage};
use crate::side_by_side::results::Measured;
use crate::side_by_side::stage::Stage;
use crate::work::{self, Protocol, Task, Work};

/// So many servers.
const SERVERS: usize = 3;

pub(crate) struct Arena {
    stage: Stage,
    /// A certificate and its key.
    identity: PathBuf,
}

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
        let stage = Stage::new("backend", SERVERS).await?;
        let identity = stage.folder().join("identity.pem");
        #[cfg(feature = "tls")]
        let identity = crate::tls::make(identity)?;
        Ok(Self { stage, identity })
    }

    /// Starts a contender, in front of whose program `before` may put another, and asks it for
    /// what the work is about.
    pub(crate) async fn start(
        &self,
        contender: Contender,
        work: Work,
        before: impl FnOnce(&mut Command),
    ) -> Result<(Program, Course<'_>), BoxError> {
        let identity = self.identity.as_path();
        let prepare = |command: &mut _, program: &_, place: &Place<'_>| {
            before(command);
            contender.prepare(command, program, place, Front { work, identity })
        };
        let (mut running, address) = self.stage.start(contender, prepare)?;
        running.accepts_at(address).await?;
        let course = Course {
            address,
            folder: self.stage.folder(),
            identity,
        };
        check(course, contender, work.task()).await?;
        Ok((running, course))
    }

    /// Starts a contender, warms it up, and measures it.
    pub(crate) async fn measure(
        &self,
        contender: Contender,
        work: Work,
        seconds: u32,
    ) -> Result<Sample, BoxError> {
        let (running, course) = self.start(contender, work, |_| ()).await?;
        load::run(work, course, 1).await?;
        let before = Reading::now(&running, &self.stage.servers);
        let load = load::run(work, course, seconds).await?;
        let usage = before.until_now();
        Ok(Sample { load, usage })
    }
}

/// Whether answers are whole, and come from all servers.
async fn check(course: Course<'_>, contender: Contender, task: Task) -> Result<(), BoxError> {
    let mut seen = HashSet::new();
    let mut connections = JoinSet::new();
    for _ in 0..2 * SERVERS {
        let asked = timeout(
            Duration::from_secs(10),
            ask(course, &task, &mut connections),
        )
        .await;
        seen.insert(asked.map_err(|_| "no answer in ten seconds")??);
    }
    // A contender that is ended waits for clients that are still connected.
    while connections.join_next().await.is_some() {}
    if contender.is_proxy() && !task.has_cookie && seen.len() < SERVERS {
        return Err(format!("only {} of {SERVERS} servers were asked", seen.len()).into());
    }
    Ok(())
}

/// Asks once, and returns who answered.
async fn ask(
    course: Course<'_>,
    task: &Task,
    connections: &mut JoinSet<()>,
) -> Result<Vec<u8>, BoxError> {
    let stream = TcpStream::connect(course.address).await?;
    let response = match task.protocol {
        Protocol::Http1 => by_1(stream, course.address, task, connections).await?,
        Protocol::Http2 { .. } => by_2(stream, course.address, task, connections).await?,
        #[cfg(not(feature = "tls"))]
        Protocol::Tls => return Err("this needs the feature `tls`".into()),
        #[cfg(feature = "tls")]
        Protocol::Tls => {
            let config = crate::tls::client(course.identity, false)?;
            let name = course.address.ip().into();
            let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream);
            by_1(stream.await?, course.address, task, connections).await?
        }
    };
    let status = response.status();
    let name = response.headers().get(SERVED_BY).cloned();
    let body = response.into_body().collect().await?.to_bytes();
    if status != StatusCode::OK || body.len() != task.answer {
        return Err(format!("{status} with {} bytes", body.len()).into());
    }
    let name = name.ok_or("an answer of nobody's")?;
    Ok(name.as_bytes().to_vec())
}

async fn by_1<S>(
    stream: S,
    address: SocketAddr,
    task: &Task,
    connections: &mut JoinSet<()>,
) -> Result<Response<Incoming>, BoxError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    connections.spawn(async { drop(connection.await) });
    let mut request = request(task.path, task)?;
    let host = address.to_string().parse()?;
    request.headers_mut().insert(http::header::HOST, host);
    Ok(sender.send_request(request).await?)
}

async fn by_2(
    stream: TcpStream,
    address: SocketAddr,
    task: &Task,
    connections: &mut JoinSet<()>,
) -> Result<Response<Incoming>, BoxError> {
    let server = TokioIo::new(stream);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), server).await?;
    connections.spawn(async { drop(connection.await) });
    let uri = format!("http://{address}{}", task.path);
    Ok(sender.send_request(request(&uri, task)?).await?)
}

fn request(uri: &str, task: &Task) -> Result<Request<Full<Bytes>>, BoxError> {
    let mut request = Request::new(Full::new(vec![b'p'; task.body.unwrap_or(0)].into()));
    *request.uri_mut() = uri.parse()?;
    if task.body.is_some() {
        *request.method_mut() = Method::POST;
    }
    if task.has_cookie {
        request.headers_mut().insert(COOKIE, work::COOKIE.parse()?);
    }
    Ok(request)
}
