//! Restarts without a refused connection: two processes on one port, and a socket that is
//! passed on.

use std::convert::Infallible;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use equipoise::net::Listener;
use equipoise::proxy::{ClientBody, Server};
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::service_fn;

use super::front::Front;
use super::unix::Folder;
use super::within;

const HEAD: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// A server among others on one port, that says its name.
fn serve_as(name: String, address: SocketAddr) -> Front {
    let listener = Listener::bind_shared(address).unwrap();
    let says_its_name = service_fn(move |_: Request<ClientBody>| {
        let name = name.clone();
        async move { Ok::<_, Infallible>(Response::new(name)) }
    });
    Front::on(listener, Server::new(), says_its_name)
}

/// Asks on a connection of its own.
async fn asked(address: SocketAddr) -> io::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(HEAD.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_refused_while_one_server_takes_over_from_another() {
    within(async {
        let mut old = serve_as("server-0".to_owned(), ([127, 0, 0, 1], 0).into());
        let address = old.address;
        let over = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let reset = Arc::new(AtomicUsize::new(0));
        let mut clients = Vec::new();
        for _ in 0..4 {
            let (over, answered, reset) = (over.clone(), answered.clone(), reset.clone());
            clients.push(tokio::spawn(async move {
                while !over.load(SeqCst) {
                    match asked(address).await {
                        Ok(answer) => {
                            assert!(answer.contains("\r\n\r\nserver-"), "{answer:?}");
                            answered.fetch_add(1, SeqCst);
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                            reset.fetch_add(1, SeqCst);
                        }
                    }
                }
            }));
        }
        for turn in 1..=10 {
            let new = serve_as(format!("server-{turn}"), address);
            let before = answered.load(SeqCst);
            super::eventually(|| answered.load(SeqCst) >= before + 50).await;
            assert_eq!(std::mem::replace(&mut old, new).stop().await.cut(), 0);
        }
        over.store(true, SeqCst);
        for client in clients {
            client.await.unwrap();
        }
        let last = asked(address).await.unwrap();
        assert!(last.ends_with("server-10"), "{last:?}");
        // The system accepts for a socket until the moment it is closed, which is one
        // later than the last look at its queue. In most runs there is none.
        assert!(reset.load(SeqCst) <= 5, "{reset:?} of {answered:?}");
    })
    .await;
}

/// What tells the other process that it is the other.
const ROLE: &str = "EQUIPOISE_TEST_TAKES_SOCKETS";

#[tokio::test]
async fn a_process_takes_the_sockets_that_it_was_started_with() {
    if std::env::var_os(ROLE).is_some() {
        return take_them().await;
    }
    let name = "handover::a_process_takes_the_sockets_that_it_was_started_with";
    let folder = Folder::new("passed-on");
    let path = folder.path("a.sock");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let address = tcp.local_addr().unwrap();
    // They may come while nobody serves.
    let mut one = TcpStream::connect(address).unwrap();
    let mut other = UnixStream::connect(&path).unwrap();
    one.set_read_timeout(Some(super::PATIENCE)).unwrap();
    other.set_read_timeout(Some(super::PATIENCE)).unwrap();
    one.write_all(HEAD.as_bytes()).unwrap();
    other.write_all(HEAD.as_bytes()).unwrap();
    // A shell puts them where they belong, and says so, as the process that it becomes.
    let script = "export LISTEN_PID=$$ LISTEN_FDS=2; exec \"$@\" 3<&0 4<&1 </dev/null >&2";
    let mut process = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ROLE, "1")
        .stdin(Stdio::from(OwnedFd::from(tcp)))
        .stdout(Stdio::from(OwnedFd::from(unix)))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut answers = [String::new(), String::new()];
    let read = one.read_to_string(&mut answers[0]);
    let read = read.and(other.read_to_string(&mut answers[1]));
    if read.is_err() {
        process.kill().unwrap();
    }
    let ended = process.wait().unwrap();
    read.unwrap();
    for (answer, name) in answers.iter().zip(["tcp", "unix"]) {
        assert!(answer.ends_with(&format!("\r\n\r\n{name}")), "{answer:?}");
    }
    assert!(ended.success(), "{ended}");
}

/// In the other process: serves one request on each socket, and ends.
async fn take_them() {
    within(async {
        let listeners = Listener::inherited().unwrap();
        assert_eq!(listeners.len(), 2);
        assert!(listeners[0].local_addr().is_some());
        assert!(listeners[1].local_addr().is_none());
        let again = Listener::inherited().unwrap();
        assert_eq!(again.len(), 0, "they have been taken");
        let mut serving = Vec::new();
        for (listener, name) in listeners.into_iter().zip(["tcp", "unix"]) {
            let asked = Arc::new(tokio::sync::Notify::new());
            let told = asked.clone();
            let service = service_fn(move |_: Request<ClientBody>| {
                told.notify_one();
                async move { Ok::<_, Infallible>(Response::new(name.to_owned())) }
            });
            let served = async move {
                let asked = asked.notified();
                Server::new().serve(listener, service, asked).await
            };
            serving.push(tokio::spawn(served));
        }
        for serving in serving {
            assert_eq!(serving.await.unwrap().cut(), 0);
        }
    })
    .await;
}
