//! Reports of requests in flight and latencies: with responses of a real server, and as
//! answers to questions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use equipoise::clock::ManualClock;
use equipoise::heartbeat::{InFlight, LoadReportLayer, OrcaLayer, OrcaReport, PrequalProbes};
use equipoise::scheduler::{Prequal, PrequalReports, PrequalTarget, ProbeReport};
use equipoise::service::CountedBody;
use equipoise::{BalanceService, Balancer, MemberSpec, PickRequest};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

use super::{until, within};

type Member = BoxCloneSyncService<Request<CountedBody<String>>, Response<String>, std::io::Error>;

/// A balancer of `a` and `b`, or more, with these payloads.
fn balancer<W: Send + Sync + 'static>(payloads: Vec<W>) -> (Balancer<W>, PrequalReports) {
    let reports = PrequalReports::new();
    let names = ["a", "b", "c", "d"].into_iter().zip(payloads);
    let balancer = Balancer::builder()
        .scheduler(Prequal::new(&reports))
        .seed(7)
        .members(names.map(|(name, payload)| (name, payload, MemberSpec::new())))
        .build()
        .unwrap();
    (balancer, reports)
}

fn report(in_flight: u32) -> ProbeReport {
    ProbeReport {
        in_flight,
        latency: Duration::from_millis(1),
    }
}

async fn server(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// The head of the response to a `GET`.
async fn head(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response.split("\r\n\r\n").next().unwrap().to_owned()
}

#[tokio::test]
async fn a_server_on_axum_reports_the_other_requests_in_flight() {
    let open = Arc::new(Semaphore::new(0));
    let gate = open.clone();
    let slow = move || {
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            "slow"
        }
    };
    let app = Router::new()
        .route("/", get(async || "hello"))
        .route("/slow", get(slow));
    let in_flight = InFlight::new();
    let layer = LoadReportLayer::new().in_flight(&in_flight);
    let address = server(app.layer(layer.clone())).await;
    within(async {
        let idle = head(address, "/").await;
        assert!(
            idle.contains(
                "endpoint-load-metrics: TEXT named_metrics.rif=0,named_metrics.latency=0."
            ),
            "{idle}"
        );
        let slow = [(); 3].map(|()| tokio::spawn(head(address, "/slow")));
        until(|| in_flight.count() == 3).await;
        let busy = head(address, "/").await;
        assert!(busy.contains("named_metrics.rif=3,"), "{busy}");
        assert_eq!(layer.report().in_flight, 3);
        open.add_permits(3);
        for slow in slow {
            slow.await.unwrap();
        }
        until(|| in_flight.count() == 0).await;
        assert_eq!(layer.report().in_flight, 0);
    })
    .await;
}

#[tokio::test]
async fn the_latency_is_that_of_requests_at_the_present_load_while_samples_are_fresh() {
    let clock = ManualClock::new();
    let handler = clock.clone();
    let app = service_fn(move |request: Request<u64>| {
        handler.advance(Duration::from_millis(request.into_body()));
        async { Ok::<_, std::io::Error>(Response::new(String::new())) }
    });
    let layer = LoadReportLayer::new().clock(clock.clone());
    let service = layer.layer(app);
    let latency = async |millis: u64| {
        let response = service.clone().oneshot(Request::new(millis)).await.unwrap();
        let value = response.headers()["endpoint-load-metrics"]
            .to_str()
            .unwrap();
        value.split("latency=").nth(1).unwrap().to_owned()
    };
    assert_eq!(latency(20).await, "0.020000000");
    assert_eq!(latency(4).await, "0.004000000", "the lower median of two");
    assert_eq!(latency(8).await, "0.008000000");
    clock.advance(Duration::from_millis(100));
    assert_eq!(
        layer.report().latency,
        Duration::ZERO,
        "idle, and nothing is known"
    );
}

#[tokio::test]
async fn failures_are_no_samples_and_still_report() {
    let clock = ManualClock::new();
    let handler = clock.clone();
    let app = service_fn(move |request: Request<StatusCode>| {
        let mut response = Response::new(String::new());
        *response.status_mut() = request.into_body();
        let fails = response.status().is_server_error();
        handler.advance(Duration::from_millis(if fails { 0 } else { 30 }));
        async { Ok::<_, std::io::Error>(response) }
    });
    let layer = LoadReportLayer::new()
        .clock(clock)
        .sample_lifetime(Duration::from_secs(9));
    let service = layer.layer(app);
    for status in [
        StatusCode::OK,
        StatusCode::BAD_GATEWAY,
        StatusCode::BAD_GATEWAY,
    ] {
        let response = service.clone().oneshot(Request::new(status)).await.unwrap();
        assert!(response.headers().contains_key("endpoint-load-metrics"));
        drop(response.into_body().collect().await);
    }
    assert_eq!(layer.report().latency, Duration::from_millis(30));
}

#[tokio::test]
async fn the_reports_in_responses_reach_the_scheduler() {
    let member = |text: &'static str| {
        Member::new(service_fn(move |_| async move {
            let response = Response::builder().header("endpoint-load-metrics", text);
            Ok(response.body(String::new()).unwrap())
        }))
    };
    let (balancer, reports) = balancer(vec![
        member("TEXT named_metrics.rif=5,named_metrics.latency=0.1"),
        member("TEXT eps=1, named_metrics.rif=2"),
        member("TEXT eps=1"),
        member("TEXT named_metrics.rif=-1"),
    ]);
    let errors = Arc::new(AtomicUsize::new(0));
    let counted = errors.clone();
    let layer = OrcaLayer::for_prequal(&balancer, &reports).on_error(move |member, error| {
        assert_eq!(member, "d");
        assert!(error.to_string().contains("named_metrics.rif"));
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let service = layer.layer(BalanceService::over(balancer.clone()));
    // One after the other: each is the only one that serves.
    for name in ["a", "b", "c", "d"] {
        for other in ["a", "b", "c", "d"] {
            let status = if name == other {
                balancer.clear_flag(other, equipoise::Flag::Disabled)
            } else {
                balancer.set_flag(other, equipoise::Flag::Disabled)
            };
            status.unwrap();
        }
        let response = service.clone().oneshot(Request::new(String::new())).await;
        assert!(response.unwrap().headers().is_empty());
    }
    let standings = ["a", "b", "c", "d"].map(|name| balancer.standing(name));
    assert_eq!(standings, [Some(5), Some(2), None, None]);
    assert_eq!(errors.load(Ordering::SeqCst), 1);
}

/// A server that answers each connection with its requests in flight, as text.
async fn line_server(in_flight: u32) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(in_flight.to_string().as_bytes()).await;
        }
    });
    address
}

async fn ask_over_tcp(address: Arc<SocketAddr>) -> Option<ProbeReport> {
    let mut stream = TcpStream::connect(*address).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    Some(report(text.parse().ok()?))
}

#[tokio::test]
async fn members_are_asked_over_sockets_beside_the_requests() {
    let addresses = vec![
        line_server(9).await,
        line_server(1).await,
        line_server(5).await,
    ];
    let (balancer, reports) = balancer(addresses);
    let probes = PrequalProbes::builder(|_, address| ask_over_tcp(address))
        .time_limit(Duration::from_secs(5))
        .spawn(&balancer, &reports);
    within(async {
        assert_eq!(
            (probes.asked(), probes.answered()),
            (0, 0),
            "no request, no question"
        );
        drop(balancer.pick(&PickRequest::new()).unwrap());
        until(|| probes.answered() == 3).await;
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        assert_eq!(lease.member().name(), "b");
    })
    .await;
}

#[tokio::test]
async fn a_member_that_cannot_be_reached_has_no_report() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let (balancer, reports) = balancer(vec![line_server(7).await, address]);
    let probes = PrequalProbes::builder(|_, address| ask_over_tcp(address))
        .time_limit(Duration::from_secs(5))
        .spawn(&balancer, &reports);
    within(async {
        drop(balancer.pick(&PickRequest::new()).unwrap());
        until(|| probes.answered() == 1 && probes.asked() == 2).await;
        assert_eq!(balancer.standing("a"), Some(7));
        assert_eq!(balancer.standing("b"), None);
    })
    .await;
}

/// Lets all tasks run until they wait.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_ends_at_its_time_limit_and_at_most_so_many_run() {
    let (balancer, reports) = balancer(vec![(); 4]);
    let running = Arc::new(AtomicUsize::new(0));
    let (counted, most) = (running.clone(), Arc::new(AtomicUsize::new(0)));
    let highest = most.clone();
    struct Running(Arc<AtomicUsize>);
    impl Drop for Running {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let probe = move |_: PrequalTarget, _: Arc<()>| {
        let count = counted.fetch_add(1, Ordering::SeqCst) + 1;
        highest.fetch_max(count, Ordering::SeqCst);
        let running = Running(counted.clone());
        async move {
            let _running = running;
            std::future::pending().await
        }
    };
    let probes = PrequalProbes::builder(probe)
        .concurrency(2)
        .time_limit(Duration::from_millis(10))
        .spawn(&balancer, &reports);
    drop(balancer.pick(&PickRequest::new()).unwrap());
    settle().await;
    assert_eq!((probes.asked(), running.load(Ordering::SeqCst)), (2, 2));
    tokio::time::advance(Duration::from_millis(9)).await;
    settle().await;
    assert_eq!(probes.asked(), 2);
    tokio::time::advance(Duration::from_millis(1)).await;
    settle().await;
    assert_eq!(probes.asked(), 3, "the third of the pick");
    tokio::time::advance(Duration::from_millis(10)).await;
    settle().await;
    assert_eq!(running.load(Ordering::SeqCst), 0);
    assert_eq!((most.load(Ordering::SeqCst), probes.answered()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn probes_stop_when_the_handle_is_dropped() {
    let (balancer, reports) = balancer(vec![(); 2]);
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let probes = PrequalProbes::new(&balancer, &reports, move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Some(report(1)) }
    });
    drop(balancer.pick(&PickRequest::new()).unwrap());
    settle().await;
    assert_eq!((asked.load(Ordering::SeqCst), probes.answered()), (2, 2));
    drop(probes);
    settle().await;
    drop(balancer.pick(&PickRequest::new()).unwrap());
    settle().await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn probes_end_with_the_balancer() {
    let (balancer, reports) = balancer(vec![(); 2]);
    let probes = PrequalProbes::builder(|_, _| async { None }).run(&balancer, &reports);
    let task = tokio::spawn(probes);
    drop(balancer.pick(&PickRequest::new()).unwrap());
    settle().await;
    assert!(!task.is_finished());
    drop(balancer);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_has_no_answer_and_harms_no_other() {
    let (balancer, reports) = balancer(vec!["at once", "later", "never"]);
    let probe = |_: PrequalTarget, payload: Arc<&'static str>| {
        assert_ne!(*payload, "at once", "on purpose");
        async move {
            tokio::task::yield_now().await;
            assert_ne!(*payload, "later", "on purpose");
            Some(report(4))
        }
    };
    let probes = PrequalProbes::new(&balancer, &reports, probe);
    for _ in 0..2 {
        drop(balancer.pick(&PickRequest::new()).unwrap());
        settle().await;
    }
    assert_eq!((probes.asked(), probes.answered()), (6, 2));
    assert!(balancer.standing("c").is_some());
    assert_eq!(
        (balancer.standing("a"), balancer.standing("b")),
        (None, None)
    );
}

#[tokio::test]
async fn a_report_has_the_time_of_the_balancers_clock() {
    let (reports, clock) = (PrequalReports::new(), ManualClock::new());
    clock.advance(Duration::from_secs(100));
    let balancer = Balancer::builder()
        .scheduler(Prequal::new(&reports))
        .clock(clock.clone())
        .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
        .build()
        .unwrap();
    let probes = PrequalProbes::new(&balancer, &reports, |_, _: Arc<()>| async {
        Some(report(1))
    });
    drop(balancer.pick(&PickRequest::new()).unwrap());
    within(until(|| probes.answered() == 2)).await;
    let used = || {
        balancer
            .explain(&PickRequest::new())
            .details()
            .samples
            .is_empty()
    };
    assert!(used());
    clock.advance(Duration::from_secs(1));
    assert!(!used());
}

#[tokio::test]
async fn probes_are_neither_counted_nor_samples() {
    let clock = ManualClock::new();
    let handler = clock.clone();
    let in_flight = InFlight::new();
    let counted = in_flight.clone();
    let app = service_fn(move |request: Request<()>| {
        let is_get = request.method() == Method::GET;
        assert_eq!(counted.count(), u32::from(is_get));
        handler.advance(Duration::from_millis(if is_get { 20 } else { 0 }));
        async { Ok::<_, std::io::Error>(Response::new(String::new())) }
    });
    let layer = LoadReportLayer::new().clock(clock).in_flight(&in_flight);
    let service = layer.layer(app);
    for method in [Method::GET, Method::HEAD, Method::HEAD, Method::OPTIONS] {
        let mut request = Request::new(());
        *request.method_mut() = method;
        let response = service.clone().oneshot(request).await.unwrap();
        let report = response.headers()["endpoint-load-metrics"].as_bytes();
        let latency = Duration::from_millis(20);
        let expected = ProbeReport {
            in_flight: 0,
            latency,
        };
        let read = OrcaReport::parse(report).unwrap().probe_report();
        assert_eq!(read, Some(expected));
    }
    assert_eq!(layer.report().latency, Duration::from_millis(20));
}

#[tokio::test]
async fn of_two_layers_the_outer_one_reports() {
    let clock = ManualClock::new();
    let handler = clock.clone();
    let app = service_fn(move |_: Request<()>| {
        handler.advance(Duration::from_millis(5));
        async {
            let response = Response::builder().header("endpoint-load-metrics", "TEXT eps=1");
            Ok::<_, std::io::Error>(response.body(String::new()).unwrap())
        }
    });
    let inner = LoadReportLayer::new().layer(app);
    let service = LoadReportLayer::new().clock(clock).layer(inner);
    let response = service.oneshot(Request::new(())).await.unwrap();
    let value = &response.headers()["endpoint-load-metrics"];
    assert_eq!(
        value,
        "TEXT eps=1,named_metrics.rif=0,named_metrics.latency=0.005000000"
    );
}

#[tokio::test(start_paused = true)]
async fn any_number_of_probes_may_be_allowed() {
    let (balancer, reports) = balancer(vec![(); 4]);
    let probes = PrequalProbes::builder(|_, _: Arc<()>| async { Some(report(1)) })
        .concurrency(usize::MAX)
        .spawn(&balancer, &reports);
    drop(balancer.pick(&PickRequest::new()).unwrap());
    settle().await;
    assert_eq!(probes.answered(), 3);
}
