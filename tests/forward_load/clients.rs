//! Clients in a process of their own, as many as are asked for.

use std::fmt::{self, Display, Formatter};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::ending::End;
use crate::figures::figure;
use crate::process::{Role, orders, say, told};

/// What takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// How clients fared, in one line.
#[derive(Debug)]
pub(crate) struct Fares(String);

impl Fares {
    /// `served`, `reset`, `ended` (without an answer), `silent`, `unconnected` or `wrong`.
    pub(crate) fn of(&self, name: &str) -> u64 {
        figure(&self.0, name)
    }
}

pub(crate) struct Clients {
    pub(crate) role: Role,
}

impl Clients {
    /// Starts a process for clients of this address.
    pub(crate) fn of(address: SocketAddr) -> Self {
        let role = Role::start("clients::role_clients", &address.to_string());
        Self { role }
    }

    fn fares(&mut self, order: &str) -> Fares {
        self.role.tell(order);
        Fares(self.role.says("fares: "))
    }

    /// Opens connections, all at once, and keeps those that are served. A client `speaks` first,
    /// `listens` first, `speaks_and_ends`, or is `mute`.
    pub(crate) fn open(&mut self, number: usize, manner: &str) -> Fares {
        self.fares(&format!("open {number} {manner}"))
    }

    /// Begins to do so.
    pub(crate) fn begin(&mut self, number: usize, manner: &str) {
        self.role.tell(&format!("open {number} {manner}"));
    }

    /// How those fared that were begun.
    pub(crate) fn opened(&mut self) -> Fares {
        Fares(self.role.says("fares: "))
    }

    /// Exchanges a word on each connection, and gives up those that fail.
    pub(crate) fn ask(&mut self) -> Fares {
        self.fares("ask")
    }

    /// Closes so many, cleanly.
    pub(crate) fn close(&mut self, number: usize) {
        self.role.tell(&format!("close {number}"));
        self.role.says("closed: ");
    }

    /// Makes all end: `reset`, or `finish` those that flow.
    pub(crate) fn end_all(&mut self, how: &str) {
        self.role.tell(how);
    }

    /// Begins to exchange bytes on all without a pause: words (`small`), streams both ways
    /// (`large`), or a stream that goes to the member (`pour`). Returns when bytes have gone
    /// over each.
    pub(crate) fn flow(&mut self, how: &str) {
        self.role.tell(&format!("flow {how}"));
        self.role.says("flows: ");
    }

    /// Waits until all of these have ended, and returns how many there were.
    pub(crate) fn ends(&mut self) -> usize {
        self.role.tell("ends");
        self.role.says("ends: ").parse().unwrap()
    }
}

/// How a client fared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fare {
    Served,
    Reset,
    Ended,
    Silent,
    Unconnected,
    Wrong,
}

#[derive(Default)]
struct Fared([usize; 6]);

impl Fared {
    fn count(&mut self, fare: Fare) {
        self.0[fare as usize] += 1;
    }
}

impl Display for Fared {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [served, reset, ended, silent, unconnected, wrong] = self.0;
        write!(
            f,
            "served={served} reset={reset} ended={ended} silent={silent} \
             unconnected={unconnected} wrong={wrong}"
        )
    }
}

/// A word, and whether the same is returned.
async fn exchange(stream: &mut TcpStream, word: u64) -> Fare {
    let sent = word.to_be_bytes();
    let mut back = [0; 8];
    let exchanged = async {
        stream.write_all(&sent).await?;
        stream.read_exact(&mut back).await
    };
    match timeout(PATIENCE, exchanged).await {
        Ok(Ok(_)) if back == sent => Fare::Served,
        Ok(Ok(_)) => Fare::Wrong,
        Ok(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => Fare::Ended,
        Ok(Err(_)) => Fare::Reset,
        Err(_) => Fare::Silent,
    }
}

async fn greeting(stream: &mut TcpStream) -> Fare {
    match timeout(PATIENCE, stream.read_u8()).await {
        Ok(Ok(b'!')) => Fare::Served,
        Ok(Ok(_)) => Fare::Wrong,
        Ok(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => Fare::Ended,
        Ok(Err(_)) => Fare::Reset,
        Err(_) => Fare::Silent,
    }
}

async fn opened(address: SocketAddr, number: u64, manner: Arc<str>) -> (Fare, Option<TcpStream>) {
    let mut stream = match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        // It was accepted, and reset before this was looked at.
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => return (Fare::Reset, None),
        _ => return (Fare::Unconnected, None),
    };
    let fare = match &*manner {
        "listens" => greeting(&mut stream).await,
        "mute" => Fare::Served,
        _ => exchange(&mut stream, number).await,
    };
    let stays = fare == Fare::Served && &*manner != "speaks_and_ends";
    (fare, stays.then_some(stream))
}

/// What more is on its way than the system takes by itself, and what is enough to be spliced.
const MANY: usize = 2 << 20;

/// Keeps a connection busy until it ends. `is_moving` is told once, when bytes have passed.
async fn flow(
    mut stream: TcpStream,
    how: Arc<str>,
    is_moving: mpsc::UnboundedSender<()>,
    ending: watch::Receiver<End>,
) {
    let use_it = async {
        match &*how {
            "small" => words(&mut stream, is_moving).await,
            "pour" => pour(&mut stream, is_moving).await,
            _ => streams_both_ways(&mut stream, is_moving).await,
        }
    };
    let end = tokio::select! {
        () = use_it => return,
        end = End::comes(ending) => end,
    };
    end.happens_to(stream).await;
}

async fn words(stream: &mut TcpStream, is_moving: mpsc::UnboundedSender<()>) {
    let mut word = 0;
    while exchange(stream, word).await == Fare::Served {
        if word == 0 {
            let _ = is_moving.send(());
        }
        word += 1;
    }
}

async fn pour(stream: &mut TcpStream, is_moving: mpsc::UnboundedSender<()>) {
    let piece = vec![b'x'; 64 * 1024];
    let mut is_first = true;
    while stream.write_all(&piece).await.is_ok() {
        if std::mem::take(&mut is_first) {
            let _ = is_moving.send(());
        }
    }
}

async fn streams_both_ways(stream: &mut TcpStream, is_moving: mpsc::UnboundedSender<()>) {
    let (mut from, mut to) = stream.split();
    let piece = vec![b'x'; 64 * 1024];
    let write = async { while to.write_all(&piece).await.is_ok() {} };
    let read = async {
        let (mut buffer, mut got) = (vec![0; 64 * 1024], 0);
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            if got < MANY && got + read >= MANY {
                let _ = is_moving.send(());
            }
            got += read;
        }
    };
    tokio::select! {
        () = write => {}
        () = read => {}
    }
}

/// Clients of the address that they are told; nothing unless they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn role_clients() {
    let Some(told) = told() else {
        return;
    };
    let address: SocketAddr = told.parse().unwrap();
    let mut streams: Vec<TcpStream> = Vec::new();
    let mut flowing = JoinSet::new();
    let (end, ending) = watch::channel(End::NotYet);
    let mut orders = orders();
    while let Ok(Some(order)) = orders.next_line().await {
        let words: Vec<_> = order.split(' ').collect();
        match words[..] {
            ["open", number, manner] => {
                let mut opening = JoinSet::new();
                for number in 0..number.parse().unwrap() {
                    opening.spawn(opened(address, number, manner.into()));
                }
                let mut fared = Fared::default();
                while let Some(opened) = opening.join_next().await {
                    let (fare, stream) = opened.unwrap();
                    fared.count(fare);
                    streams.extend(stream);
                }
                say("fares: ", fared);
            }
            ["ask"] => {
                let mut fared = Fared::default();
                let mut asking = JoinSet::new();
                for (number, mut stream) in (1_000..).zip(streams.drain(..)) {
                    asking.spawn(async move { (exchange(&mut stream, number).await, stream) });
                }
                while let Some(asked) = asking.join_next().await {
                    let (fare, stream) = asked.unwrap();
                    fared.count(fare);
                    streams.extend((fare == Fare::Served).then_some(stream));
                }
                say("fares: ", fared);
            }
            ["close", number] => {
                let number: usize = number.parse().unwrap();
                let left = streams.len().saturating_sub(number);
                streams.truncate(left);
                say("closed: ", number);
            }
            ["finish"] => drop(end.send_replace(End::Finish)),
            ["reset"] => {
                end.send_replace(End::Reset);
                for stream in streams.drain(..) {
                    End::Reset.happens_to(stream).await;
                }
            }
            ["flow", how] => {
                end.send_replace(End::NotYet);
                let (sender, mut moving) = mpsc::unbounded_channel();
                let number = streams.len();
                for stream in streams.drain(..) {
                    flowing.spawn(flow(stream, how.into(), sender.clone(), ending.clone()));
                }
                for begun in 0..number {
                    let next = timeout(PATIENCE, moving.recv()).await;
                    assert!(matches!(next, Ok(Some(()))), "{begun} of {number} flow");
                }
                say("flows: ", number);
            }
            ["ends"] => {
                let mut ended = 0;
                while let Ok(Some(_)) = timeout(PATIENCE, flowing.join_next()).await {
                    ended += 1;
                }
                assert!(flowing.is_empty(), "{} hang", flowing.len());
                say("ends: ", ended);
            }
            _ => panic!("{order}"),
        }
    }
}
