//! What the layer adds around a real client: many tasks on keep-alive connections, with
//! and without it in turn.

#![expect(clippy::print_stdout, reason = "the tables are what a user asked for")]

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tower::{Service, ServiceExt};

use crate::cpu;
use crate::extent::Extent;
use crate::lanes::{self, median};
use crate::loopback::{self, Pointed};
use crate::noop::{Template, Traffic};
use crate::proxies::{self, Setup};

/// So many requests are under way at a time.
const TASKS: usize = 64;

/// What one round of requests took, for each of them in microseconds.
#[derive(Clone, Copy, Debug)]
struct Lap {
    wall: f64,
    cpu: Option<f64>,
}

/// Does so many requests in each task.
type Load<'r> = Box<dyn Fn(usize) + 'r>;

/// Measures all rows whose name contains `filter` beside the client alone, and prints a
/// table.
pub(crate) fn run(extent: Extent, filter: &str) {
    for threads in [1, 2] {
        let mut builder = if threads == 1 {
            Builder::new_current_thread()
        } else {
            Builder::new_multi_thread()
        };
        let runtime = builder.worker_threads(threads).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let servers = runtime.block_on(loopback::servers());
        let mut loads = loads(&runtime, &servers);
        let (_, alone) = loads.remove(0);
        loads.retain(|(name, _)| name.contains(filter));
        if loads.is_empty() {
            return;
        }
        let rounds = rounds(extent, &alone, &loads);
        if extent == Extent::Measure {
            print(threads, &loads, &rounds);
        }
    }
}

/// All rows; the first is the client alone.
fn loads<'r>(runtime: &'r Runtime, servers: &[Uri]) -> Vec<(&'static str, Load<'r>)> {
    let _entered = runtime.enter();
    let layered = |setup| load(runtime, proxies::layered(servers, setup));
    vec![
        ("nothing", load(runtime, Pointed::new(servers))),
        (
            "`BalanceService::over`",
            load(runtime, proxies::over(servers)),
        ),
        ("`BalanceLayer`", layered(Setup::Plain)),
        ("`BalanceLayer`, one attempt", layered(Setup::OneAttempt)),
        (
            "`BalanceLayer`, sticky with `RouteCookie`, time limit",
            layered(Setup::Full),
        ),
        (
            "tower p2c behind Buffer",
            load(runtime, proxies::p2c(servers)),
        ),
    ]
}

fn load<'r, S, B>(runtime: &'r Runtime, service: S) -> Load<'r>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: Debug, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Debug> + Send + Unpin + 'static,
{
    let template = |task| Template::of(Traffic::TenHeaders, &loopback::route(task));
    let templates: Vec<_> = (0..TASKS).map(|task| Arc::new(template(task))).collect();
    Box::new(move |each| {
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for template in &templates {
                tasks.spawn(client(service.clone(), template.clone(), each));
            }
            while let Some(ended) = tasks.join_next().await {
                ended.expect("no task panics");
            }
        });
    })
}

/// One task: request after request, each answer read to its end.
async fn client<S, B>(mut service: S, template: Arc<Template>, requests: usize)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: Debug>,
    B: Body<Data = Bytes, Error: Debug> + Unpin,
{
    for _ in 0..requests {
        let ready = service.ready().await.expect("a client that is ready");
        let answer = ready.call(template.request()).await.expect("an answer");
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            drop(frame.expect("a whole answer"));
        }
    }
}

/// In each round everybody runs once, the client alone first.
fn rounds(extent: Extent, alone: &Load<'_>, loads: &[(&str, Load<'_>)]) -> Vec<Vec<Lap>> {
    let (rounds, each) = match extent {
        Extent::Measure => (21, 128),
        Extent::Trial => (1, 2),
    };
    let all = || std::iter::once(alone).chain(loads.iter().map(|(_, load)| load));
    // Connections are made.
    all().for_each(|load| load(each));
    (0..rounds)
        .map(|_| all().map(|load| lap(load, each)).collect())
        .collect()
}

fn lap(load: &Load<'_>, each: usize) -> Lap {
    let requests = (TASKS * each) as f64;
    let (cpu_before, before) = (cpu::used(), lanes::now());
    load(each);
    let wall = before.elapsed().as_secs_f64();
    let cpu = cpu::used().zip(cpu_before);
    Lap {
        wall: wall * 1e6 / requests,
        cpu: cpu.map(|(after, before)| (after - before).as_secs_f64() * 1e6 / requests),
    }
}

fn print(threads: usize, loads: &[(&str, Load<'_>)], rounds: &[Vec<Lap>]) {
    let plural = if threads == 1 { "" } else { "s" };
    println!("\n### Around a client: {TASKS} tasks and {threads} thread{plural}\n");
    println!("| in front | requests/s | × alone | µs of processor time | more | × alone |");
    println!("|---|---:|---:|---:|---:|---:|");
    let names = std::iter::once("nothing").chain(loads.iter().map(|(name, _)| *name));
    for (index, name) in names.enumerate() {
        let of = |figure: &dyn Fn(Lap, Lap) -> Option<f64>| {
            median(
                rounds
                    .iter()
                    .filter_map(|laps| figure(laps[index], laps[0])),
            )
        };
        let cell = |value: Option<f64>, digits: usize| {
            value.map_or(String::from("–"), |value| format!("{value:.digits$}"))
        };
        println!(
            "| {name} | {} | {} | {} | {} | {} |",
            cell(of(&|own, _| Some(1e6 / own.wall)), 0),
            cell(of(&|own, alone| Some(alone.wall / own.wall)), 3),
            cell(of(&|own, _| own.cpu), 2),
            cell(of(&|own, alone| Some(own.cpu? - alone.cpu?)), 2),
            cell(of(&|own, alone| Some(own.cpu? / alone.cpu?)), 3),
        );
    }
}
