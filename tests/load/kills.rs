//! Members that are killed as processes are, by SIGKILL: no `GET` fails while two of three
//! live, and no `POST` is done twice.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use equipoise::net::Listener;
use equipoise::proxy::{ClientBody, Endpoint, ReverseProxy, Server};
use equipoise::{Balancer, MemberSpec};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

use crate::process::{Role, orders, say, told};

const GETTING: usize = 24;
const POSTING: usize = 8;

fn seconds() -> u64 {
    let told = std::env::var("EQUIPOISE_SOAK_SECONDS");
    told.map_or(3, |told| told.parse().unwrap())
}

/// Books of what was done, by a name in the path, that outlive the member.
struct Books(PathBuf);

impl Books {
    fn new() -> Self {
        let name = format!("equipoise-kills-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        File::create(&path).unwrap();
        Self(path)
    }

    /// How often each was done.
    fn done(&self) -> HashMap<String, usize> {
        let mut done = HashMap::new();
        for name in std::fs::read_to_string(&self.0).unwrap().lines() {
            *done.entry(name.to_owned()).or_default() += 1;
        }
        done
    }
}

impl Drop for Books {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A member in a process of its own.
struct Member {
    address: SocketAddr,
    books: PathBuf,
    /// `None` while it is dead.
    process: Option<Role>,
}

impl Member {
    fn start(books: &Books) -> Self {
        let mut member = Self {
            address: ([127, 0, 0, 1], 0).into(),
            books: books.0.clone(),
            process: None,
        };
        member.restart();
        member
    }

    fn restart(&mut self) {
        let told = format!("{} {}", self.address, self.books.display());
        let mut process = Role::start("kills::role_member", &told);
        self.address = process.says("listens on ").parse().unwrap();
        self.process = Some(process);
    }

    fn kill(&mut self) {
        self.process = None;
    }
}

/// A member that writes down what it has done before it answers; nothing unless it is told
/// where.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn role_member() {
    let Some(told) = told() else {
        return;
    };
    let (address, books) = told.split_once(' ').unwrap();
    let listener = Listener::bind(address.parse().unwrap()).unwrap();
    say("listens on ", listener.local_addr().unwrap());
    let books = OpenOptions::new().append(true).open(books).unwrap();
    let books = Arc::new(books);
    let service = tower::service_fn(move |request: Request<ClientBody>| {
        let books = books.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?;
            if head.method == Method::POST {
                // One write is one line, whoever else writes.
                let line = format!("{}\n", head.uri.path());
                (&*books).write_all(line.as_bytes()).unwrap();
            }
            let answer = Response::new(Full::new(body.to_bytes()));
            Ok::<_, equipoise::service::BoxError>(answer)
        }
    });
    let parent_is_gone = async {
        let _ = orders().next_line().await;
    };
    Server::new().serve(listener, service, parent_is_gone).await;
}

#[derive(Default)]
struct Counts {
    stop: AtomicBool,
    got: AtomicU64,
    not_got: AtomicU64,
    posts: AtomicU64,
    not_posted: AtomicU64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_get_fails_and_no_post_is_done_twice_while_members_are_killed() {
    let books = Books::new();
    let mut members = [(); 3].map(|()| Member::start(&books));
    let mut balancer = Balancer::builder();
    for (name, member) in ["a", "b", "c"].into_iter().zip(&members) {
        let uri = format!("http://{}", member.address).parse().unwrap();
        // As it is by default, with errors that last longer than the test.
        balancer = balancer.member(name, Endpoint::new(uri).unwrap(), MemberSpec::new());
    }
    let balancer = balancer.build().unwrap();
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let front: http::Uri = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let proxy = ReverseProxy::new(balancer.clone());
    let serving = tokio::spawn(Server::new().serve(listener, proxy, std::future::pending()));

    let counts = Arc::new(Counts::default());
    let mut clients = Vec::new();
    for number in 0..GETTING + POSTING {
        let client = Endpoint::new(front.clone()).unwrap();
        clients.push(tokio::spawn(ask_on(client, number, counts.clone())));
    }
    let kills = trouble(&mut members).await;
    counts.stop.store(true, Relaxed);
    let mut answered = Vec::new();
    for client in clients {
        answered.extend(client.await.unwrap());
    }
    serving.abort();
    let _ = serving.await;

    let (got, not_got) = (counts.got.load(Relaxed), counts.not_got.load(Relaxed));
    let (posts, not_posted) = (counts.posts.load(Relaxed), counts.not_posted.load(Relaxed));
    println!(
        "{kills} kills: {got} GETs answered, {not_got} not; {posts} POSTs answered, {not_posted} not"
    );
    assert_eq!(not_got, 0, "of {got}");
    assert!(got > 100 && posts > 10, "{got} {posts}");
    let done = books.done();
    let twice: Vec<_> = done.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let lost = answered.iter().filter(|name| !done.contains_key(*name));
    assert_eq!(lost.count(), 0, "what was answered was done");
    let in_flight = || -> u32 {
        let members = balancer.members();
        members.iter().map(|member| member.in_flight()).sum()
    };
    let end = Instant::now() + Duration::from_secs(5);
    while in_flight() > 0 && Instant::now() < end {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(in_flight(), 0);
}

/// Kills one after the other, each second another, and starts it again half a second later.
async fn trouble(members: &mut [Member; 3]) -> usize {
    let half = Duration::from_millis(500);
    let end = Instant::now() + Duration::from_secs(seconds());
    let mut kills = 0;
    while Instant::now() < end {
        let member = &mut members[kills % 3];
        block_in_place(|| member.kill());
        kills += 1;
        sleep(half).await;
        block_in_place(|| member.restart());
        sleep(half).await;
    }
    kills
}

/// Asks without a pause; returns the names of the `POST`s that were answered.
async fn ask_on(client: Endpoint, number: usize, counts: Arc<Counts>) -> Vec<String> {
    let is_post = number < POSTING;
    let mut answered = Vec::new();
    let mut turn = 0;
    while !counts.stop.load(Relaxed) {
        turn += 1;
        let name = format!("/{number}-{turn}");
        let (method, body) = if is_post {
            (Method::POST, Bytes::from_static(b"an order"))
        } else {
            (Method::GET, Bytes::new())
        };
        let request = Request::builder().method(method).uri(&name);
        let request = request.body(Full::new(body)).unwrap();
        let is_answered = match client.clone().oneshot(request).await {
            Ok(answer) if answer.status() == 200 => answer.into_body().collect().await.is_ok(),
            _ => false,
        };
        let count = match (is_post, is_answered) {
            (true, true) => &counts.posts,
            (true, false) => &counts.not_posted,
            (false, true) => &counts.got,
            (false, false) => &counts.not_got,
        };
        count.fetch_add(1, Relaxed);
        if is_post && is_answered {
            answered.push(name);
        }
    }
    answered
}
