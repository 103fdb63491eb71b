//! A member in a process of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, copy};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::ending::End;
use crate::process::{Role, orders, say, told};

pub(crate) struct Member {
    pub(crate) role: Role,
    pub(crate) address: SocketAddr,
}

impl Member {
    /// Starts one that returns what it gets (`echo`), that begins with a byte before it does
    /// (`greet`), that reads nothing (`deaf`), or that sends without end and reads nothing
    /// (`endless`). The first two may take their time (`echo_late`, `greet_late`).
    pub(crate) fn start(manner: &str) -> Self {
        let mut role = Role::start("member::role_member", manner);
        let address = role.says("listens on ").parse().unwrap();
        Self { role, address }
    }

    /// How many connections it has been given.
    pub(crate) fn accepted(&mut self) -> u64 {
        self.role.tell("accepted");
        self.role.says("accepted: ").parse().unwrap()
    }

    /// Makes it end all of its connections: `reset` or `finish`.
    pub(crate) fn end_all(&mut self, how: &str) {
        self.role.tell(how);
    }
}

/// How long a member takes that is late.
const LATE: Duration = Duration::from_millis(200);

async fn serve(mut stream: TcpStream, manner: Arc<str>, ending: watch::Receiver<End>) {
    let use_it = async {
        if manner.ends_with("late") {
            sleep(LATE).await;
        }
        if manner.starts_with("greet") {
            stream.write_all(b"!").await?;
        }
        let (mut from, mut to) = stream.split();
        match &*manner {
            "deaf" => std::future::pending().await,
            "endless" => {
                let piece = vec![b'x'; 64 * 1024];
                loop {
                    to.write_all(&piece).await?;
                }
            }
            _ => {
                copy(&mut from, &mut to).await?;
                to.shutdown().await
            }
        }
    };
    let end = tokio::select! {
        _ = use_it => return,
        end = End::comes(ending) => end,
    };
    end.happens_to(stream).await;
}

/// A member of the manner that it is told; nothing unless it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn role_member() {
    let Some(told) = told() else {
        return;
    };
    let manner: Arc<str> = told.into();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(4_096).unwrap();
    say("listens on ", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicU64::new(0));
    let (end, ending) = watch::channel(End::NotYet);
    let counted = accepted.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Relaxed);
            tokio::spawn(serve(stream, manner.clone(), ending.clone()));
        }
    });
    let mut orders = orders();
    while let Ok(Some(order)) = orders.next_line().await {
        match order.as_str() {
            "accepted" => say("accepted: ", accepted.load(Relaxed)),
            "finish" => drop(end.send_replace(End::Finish)),
            "reset" => drop(end.send_replace(End::Reset)),
            _ => panic!("{order}"),
        }
    }
}
