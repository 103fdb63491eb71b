//! HTTP/2 towards members: how many streams a connection has, what is done about one that
//! ends, and what was not processed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use equipoise::net::Listener;
use equipoise::proxy::{
    ClientBody, EdgeLayer, Endpoint, EndpointBody, EndpointError, Forwarding, HttpVersions,
    ReverseProxy, Server,
};
use equipoise::service::{BalanceLayer, Failover, Timeouts};
use equipoise::timer::TokioTimer;
use equipoise::{Balancer, MemberSpec};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::sync::{mpsc, watch};
use tower::ServiceExt;

use super::framed::{FramedMember, REFUSED_STREAM};
use super::line::within;

type Answered = Result<Response<EndpointBody>, EndpointError>;

fn get() -> Request<Full<Bytes>> {
    Request::get("/").body(Full::default()).unwrap()
}

fn post(body: &'static str) -> Request<Full<Bytes>> {
    Request::post("/").body(Full::from(body)).unwrap()
}

async fn text(answered: Answered) -> String {
    let body = answered.unwrap().into_body().collect().await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

/// One that allows so many streams, and never answers on its first `silent` connections.
async fn allowing(streams: u32, silent: usize) -> (FramedMember, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let member = FramedMember::scripted(move |mut talk| {
        counted.fetch_add(1, SeqCst);
        async move {
            talk.settings(Some(streams)).await;
            if talk.earlier < silent {
                return talk.until_gone().await;
            }
            while let Some((stream, _)) = talk.whole_request().await {
                talk.answer(stream).await;
            }
        }
    })
    .await;
    (member, connections)
}

/// Sends requests that are not answered, and returns once they are on their way.
async fn hold(endpoint: &Endpoint, requests: usize) -> Vec<tokio::task::JoinHandle<Answered>> {
    let held = (0..requests).map(|_| tokio::spawn(endpoint.clone().oneshot(get())));
    let held: Vec<_> = held.collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    held
}

#[tokio::test]
async fn a_request_for_which_there_is_no_stream_gets_another_connection() {
    within(async {
        let (member, connections) = allowing(5, 1).await;
        let endpoint = member.endpoint().build().unwrap();
        let held = hold(&endpoint, 5).await;
        assert_eq!(connections.load(SeqCst), 1, "all five fit on one");
        for _ in 0..3 {
            assert_eq!(text(endpoint.clone().oneshot(get()).await).await, "ok");
        }
        assert_eq!(connections.load(SeqCst), 2);
        for one in held {
            one.abort();
        }
    })
    .await;
}

#[tokio::test]
async fn many_requests_at_once_open_no_more_connections_than_they_need() {
    within(async {
        let (member, connections) = allowing(10, usize::MAX).await;
        let endpoint = member.endpoint().build().unwrap();
        let held = hold(&endpoint, 30).await;
        assert_eq!(connections.load(SeqCst), 3);
        for one in held {
            one.abort();
        }
    })
    .await;
}

#[tokio::test]
async fn beyond_its_connections_a_member_is_at_its_capacity() {
    within(async {
        let (member, connections) = allowing(2, usize::MAX).await;
        let endpoint = member.endpoint().http2_max_connections(2).build().unwrap();
        let mut held = hold(&endpoint, 4).await;
        let error = endpoint.clone().oneshot(get()).await.unwrap_err();
        assert!(matches!(error, EndpointError::AtCapacity { limit: 4, .. }));
        assert!(error.is_nothing_sent());
        assert_eq!(
            error.to_string(),
            "the member takes no more than 4 requests at the same time"
        );
        // One that is given up makes room.
        held.pop().unwrap().abort();
        let more = hold(&endpoint, 1).await;
        assert!(!more[0].is_finished());
        assert_eq!(connections.load(SeqCst), 2);
    })
    .await;
}

#[tokio::test]
async fn connections_beyond_need_are_closed_when_they_are_idle() {
    within(async {
        let (gone, mut closed) = mpsc::unbounded_channel();
        let (release, released) = watch::channel(false);
        let member = FramedMember::scripted(move |mut talk| {
            let (gone, mut released) = (gone.clone(), released.clone());
            async move {
                talk.settings(Some(1)).await;
                let (stream, _) = talk.whole_request().await.unwrap();
                released.wait_for(|released| *released).await.unwrap();
                talk.answer(stream).await;
                talk.until_gone().await;
                gone.send(talk.earlier).unwrap();
            }
        })
        .await;
        let life = Duration::from_millis(100);
        let endpoint = member.endpoint().idle_lifetime(life).build().unwrap();
        let held = hold(&endpoint, 3).await;
        release.send(true).unwrap();
        for one in held {
            assert_eq!(text(one.await.unwrap()).await, "ok");
        }
        let mut all = [0; 3].map(|_| 0);
        for one in &mut all {
            *one = closed.recv().await.unwrap();
        }
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    })
    .await;
}

fn proxy(endpoints: impl IntoIterator<Item = Endpoint>) -> (Balancer<Endpoint>, ReverseProxy) {
    let named = ["a", "b", "c"].into_iter().zip(endpoints);
    let balancer = Balancer::new(named).unwrap();
    let patience = Timeouts::new().with_pick_timeout(Duration::from_secs(5));
    let layer = BalanceLayer::new(balancer.clone()).timeouts(TokioTimer::new(), patience);
    let proxy = ReverseProxy::from_parts(layer, EdgeLayer::new(Forwarding::new()));
    (balancer, proxy)
}

fn asked() -> Request<Full<Bytes>> {
    let request = Request::get("/").header("host", "example.org");
    request.body(Full::default()).unwrap()
}

#[tokio::test]
async fn a_full_member_is_at_its_cap_and_a_request_waits_in_line_for_it() {
    within(async {
        let (release, released) = watch::channel(0);
        let member = FramedMember::scripted(move |mut talk| {
            let mut released = released.clone();
            async move {
                talk.settings(Some(2)).await;
                let mut streams = Vec::new();
                while streams.len() < 2 {
                    streams.push(talk.whole_request().await.unwrap().0);
                }
                released.wait_for(|released| *released > 0).await.unwrap();
                talk.answer(streams.remove(0)).await;
                let (third, _) = talk.whole_request().await.unwrap();
                talk.answer(third).await;
                talk.until_gone().await;
            }
        })
        .await;
        let endpoint = member.endpoint().http2_max_connections(1).build().unwrap();
        let (balancer, proxy) = proxy([endpoint]);
        let first = tokio::spawn(proxy.clone().oneshot(asked()));
        let second = tokio::spawn(proxy.clone().oneshot(asked()));
        let state = balancer.member("a").unwrap();
        while state.in_flight() < 2 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let third = tokio::spawn(proxy.clone().oneshot(asked()));
        while state.learned_limit() != Some(2) {
            tokio::task::yield_now().await;
        }
        assert!(!third.is_finished());
        assert!(!state.status().contains(equipoise::Flag::InError));
        release.send(1).unwrap();
        // The answer is read to its end, which gives its place to the one in line.
        tokio::spawn(async move {
            let _ = first.await.unwrap().unwrap().into_body().collect().await;
            let _ = second.await.unwrap().unwrap().into_body().collect().await;
        });
        assert_eq!(third.await.unwrap().unwrap().status(), 200);
    })
    .await;
}

#[tokio::test]
async fn a_member_that_allows_more_than_before_gets_more() {
    within(async {
        let (raise, raised) = watch::channel(false);
        let member = FramedMember::scripted(move |mut talk| {
            let mut raised = raised.clone();
            async move {
                talk.settings(Some(1)).await;
                let _silent = talk.whole_request().await.unwrap();
                raised.wait_for(|raised| *raised).await.unwrap();
                talk.settings(Some(3)).await;
                while let Some((stream, _)) = talk.whole_request().await {
                    talk.answer(stream).await;
                }
            }
        })
        .await;
        let endpoint = member.endpoint().http2_max_connections(1).build().unwrap();
        let (balancer, proxy) = proxy([endpoint]);
        let _first = tokio::spawn(proxy.clone().oneshot(asked()));
        tokio::time::sleep(Duration::from_millis(50)).await;
        let second = tokio::spawn(proxy.clone().oneshot(asked()));
        let state = balancer.member("a").unwrap();
        while state.learned_limit() != Some(1) {
            tokio::task::yield_now().await;
        }
        raise.send(true).unwrap();
        assert_eq!(second.await.unwrap().unwrap().status(), 200);
        assert_eq!(state.learned_limit(), Some(3));
    })
    .await;
}

#[tokio::test]
async fn a_member_that_gets_another_endpoint_forgets_the_limit_of_the_former() {
    within(async {
        let (few, _) = allowing(1, usize::MAX).await;
        let (many, _) = allowing(100, 0).await;
        let endpoint = few.endpoint().http2_max_connections(1).build().unwrap();
        let (balancer, proxy) = proxy([endpoint]);
        let state = balancer.member("a").unwrap();
        let first = tokio::spawn(proxy.clone().oneshot(asked()));
        tokio::time::sleep(Duration::from_millis(50)).await;
        let second = tokio::spawn(proxy.clone().oneshot(asked()));
        while state.learned_limit() != Some(1) {
            tokio::task::yield_now().await;
        }
        balancer
            .insert("a", many.endpoint().build().unwrap(), MemberSpec::new())
            .unwrap();
        first.abort();
        assert_eq!(second.await.unwrap().unwrap().status(), 200);
        while state.learned_limit().is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn members_whose_streams_others_use_are_asked_twice_at_most() {
    within(async {
        let (mut members, mut endpoints, mut held) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..3 {
            let (member, _) = allowing(1, usize::MAX).await;
            let endpoint = member.endpoint().http2_max_connections(1).build().unwrap();
            held.extend(hold(&endpoint, 1).await);
            endpoints.push(endpoint);
            members.push(member);
        }
        let (balancer, proxy) = proxy(endpoints);
        let answer = proxy.oneshot(asked()).await.unwrap();
        assert_eq!(answer.status(), 503);
        for member in balancer.members() {
            assert_eq!(member.in_flight(), 0);
            assert!(!member.status().contains(equipoise::Flag::InError));
        }
    })
    .await;
}

#[tokio::test]
async fn a_full_member_is_no_attempt_so_that_the_last_one_is_left() {
    within(async {
        let (full, _) = allowing(1, usize::MAX).await;
        let full = full.endpoint().http2_max_connections(1).build().unwrap();
        let _held = hold(&full, 1).await;
        let (other, _) = allowing(100, 0).await;
        let balancer =
            Balancer::new([("a", full), ("b", other.endpoint().build().unwrap())]).unwrap();
        let once = Failover::new().without_retries().with_max_attempts(1);
        let layer = BalanceLayer::new(balancer).failover(once);
        let proxy = ReverseProxy::from_parts(layer, EdgeLayer::new(Forwarding::new()));
        let request = Request::post("/").header("host", "example.org");
        let request = request.body(Full::from("x")).unwrap();
        let answer = proxy.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 200);
    })
    .await;
}

#[tokio::test]
async fn what_a_closing_connection_did_not_process_is_sent_again_on_a_new_one() {
    within(async {
        let (saw, mut seen) = mpsc::unbounded_channel();
        let member = FramedMember::scripted(move |mut talk| {
            let saw = saw.clone();
            async move {
                talk.settings(None).await;
                let (first, _) = talk.whole_request().await.unwrap();
                talk.answer(first).await;
                if talk.earlier > 0 {
                    return talk.until_gone().await;
                }
                let (_, body) = talk.whole_request().await.unwrap();
                saw.send(body).unwrap();
                talk.go_away(first).await;
                // It takes its time to close.
                while let Some(frame) = talk.frame().await {
                    saw.send(frame.payload).unwrap();
                }
            }
        })
        .await;
        let endpoint = member.endpoint().build().unwrap();
        assert_eq!(text(endpoint.clone().oneshot(get()).await).await, "ok");
        // By any method, with its body, and without anybody else to buffer that.
        let answered = endpoint.clone().oneshot(post("so much")).await;
        assert_eq!(text(answered).await, "ok");
        assert_eq!(seen.recv().await.unwrap(), b"so much");
        assert!(seen.try_recv().is_err(), "nothing more came that way");
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_has_announced_its_end_takes_no_new_request() {
    within(async {
        let member = FramedMember::scripted(move |mut talk| async move {
            talk.settings(None).await;
            let (first, _) = talk.whole_request().await.unwrap();
            if talk.earlier > 0 {
                talk.answer(first).await;
                return talk.until_gone().await;
            }
            // What it has is served to its end.
            talk.go_away(0x7fff_ffff).await;
            assert!(
                tokio::time::timeout(Duration::from_millis(300), talk.frame())
                    .await
                    .is_err()
            );
            talk.answer(first).await;
            talk.until_gone().await;
        })
        .await;
        let endpoint = member.endpoint().build().unwrap();
        let first = hold(&endpoint, 1).await.pop().unwrap();
        assert_eq!(
            text(endpoint.clone().oneshot(post("more")).await).await,
            "ok"
        );
        assert_eq!(text(first.await.unwrap()).await, "ok");
    })
    .await;
}

#[tokio::test]
async fn a_refused_stream_of_a_new_connection_goes_to_other_members() {
    within(async {
        let refused = Arc::new(AtomicUsize::new(0));
        let refusing = |refused: Arc<AtomicUsize>| {
            FramedMember::scripted(move |mut talk| {
                let refused = refused.clone();
                async move {
                    talk.settings(None).await;
                    while let Some((stream, _)) = talk.whole_request().await {
                        refused.fetch_add(1, SeqCst);
                        talk.reset(stream, REFUSED_STREAM).await;
                    }
                }
            })
        };
        let one = refusing(refused.clone()).await;
        let error = one.endpoint().build().unwrap().oneshot(post("x")).await;
        assert!(error.unwrap_err().is_nothing_sent());
        assert_eq!(refused.swap(0, SeqCst), 1, "the connection was new");

        let (other, _) = allowing(100, 0).await;
        let endpoints = [&one, &other].map(|member| member.endpoint().build().unwrap());
        let (balancer, proxy) = proxy(endpoints);
        for _ in 0..4 {
            let answer = proxy.clone().oneshot(asked()).await.unwrap();
            assert_eq!(answer.status(), 200);
        }
        let state = balancer.member("a").unwrap();
        assert!(!state.status().contains(equipoise::Flag::InError));
    })
    .await;
}

/// The place of a stream is free before the next request is elected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_requests_than_streams_wait_and_none_is_refused() {
    let answer = async |request: Request<ClientBody>| {
        let body = request.into_body().collect().await?;
        Ok::<_, equipoise::service::BoxError>(Response::new(Full::from(body.to_bytes())))
    };
    let server = Server::new().http2_max_concurrent_streams(4);
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let member = tower::service_fn(answer);
    tokio::spawn(async move { server.serve(listener, member, std::future::pending()).await });
    let endpoint = Endpoint::builder(format!("http://{address}").parse().unwrap())
        .versions(HttpVersions::Http2)
        .http2_max_connections(1)
        .build()
        .unwrap();
    let (balancer, proxy) = proxy([endpoint]);
    let client = |body: &'static str| {
        let proxy = proxy.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                let request = Request::put("/").header("host", "example.org");
                let request = request.body(Full::from(body)).unwrap();
                let answer = proxy.clone().oneshot(request).await.unwrap();
                assert_eq!(answer.status(), 200, "{body}");
                let _ = answer.into_body().collect().await;
            }
        })
    };
    let clients: Vec<_> = (0..100).map(|at| client(["", "x"][at % 2])).collect();
    for client in clients {
        client.await.unwrap();
    }
    let state = balancer.member("a").unwrap();
    assert_eq!((state.in_flight(), state.learned_limit()), (0, Some(4)));
}
