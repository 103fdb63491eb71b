//! The load, a process of its own: [`Load`]. It checks each answer, and ends with a line that
//! tells what it has done, which [`Done`] reads.

#![expect(clippy::print_stdout, reason = "its line is its result")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use equipoise::service::BoxError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::members::{MESSAGE, Order, port_in};
use crate::work::{Extent, Work};

#[derive(Debug, clap::Args)]
pub(crate) struct Load {
    work: Work,
    to: SocketAddr,
    clients: usize,
    bytes: u64,
    milliseconds: u64,
}

/// What has been done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// In the units of the work.
    pub(crate) amount: f64,
    pub(crate) failed: f64,
    pub(crate) seconds: f64,
}

impl Done {
    fn print(self) {
        let Self {
            amount,
            failed,
            seconds,
        } = self;
        println!("done {amount} failed {failed} in {seconds} seconds");
    }

    /// Finds the line in what a load has printed.
    pub(crate) fn read(printed: &str) -> Option<Self> {
        printed.lines().find_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let ["done", amount, "failed", failed, "in", seconds, "seconds"] = *words else {
                return None;
            };
            Some(Self {
                amount: amount.parse().ok()?,
                failed: failed.parse().ok()?,
                seconds: seconds.parse().ok()?,
            })
        })
    }
}

/// So many connections that are to be idle are opened at once.
const AT_ONCE: usize = 64;

/// After a failure, so that a contender that is gone is not asked without a pause.
const PAUSE: Duration = Duration::from_millis(1);

impl Load {
    /// The arguments of a process that is this load.
    pub(crate) fn arguments(work: Work, to: SocketAddr, extent: Extent) -> [String; 5] {
        [
            work.name().to_owned(),
            to.to_string(),
            extent.clients.to_string(),
            extent.bytes.to_string(),
            extent.time.as_millis().to_string(),
        ]
    }

    /// Does the work, and prints what came of it. Idle connections stay until the process is
    /// ended.
    pub(crate) async fn run(self) -> Result<(), BoxError> {
        let began = Instant::now();
        let until = began + Duration::from_millis(self.milliseconds);
        let (to, bytes) = (self.to, self.bytes);
        let mut clients = JoinSet::new();
        match self.work {
            Work::Idle => {
                for first in 0..AT_ONCE {
                    let mine = (first..self.clients).step_by(AT_ONCE).count();
                    clients.spawn(idle(to, mine));
                }
            }
            work => {
                for _ in 0..self.clients {
                    clients.spawn(async move {
                        let mut client = Client::new(to, until);
                        let ended = client.work(work, bytes).await;
                        client.done.failed += f64::from(u8::from(ended.is_err()));
                        (client.done, Vec::new())
                    });
                }
            }
        }
        let mut total = Done::default();
        let mut kept = Vec::new();
        while let Some(ended) = clients.join_next().await {
            let (done, connections) = ended?;
            total.amount += done.amount;
            total.failed += done.failed;
            kept.push(connections);
        }
        total.seconds = began.elapsed().as_secs_f64();
        total.print();
        if self.work == Work::Idle {
            std::future::pending::<()>().await;
        }
        drop(kept);
        Ok(())
    }
}

/// Opens connections, and uses each once.
async fn idle(to: SocketAddr, connections: usize) -> (Done, Vec<TcpStream>) {
    let mut done = Done::default();
    let mut kept = Vec::new();
    for _ in 0..connections {
        match open(to, Order::Echo).await {
            Ok((stream, _)) => {
                kept.push(stream);
                done.amount += 1.0;
            }
            Err(_) => done.failed += 1.0,
        }
    }
    (done, kept)
}

/// Connects, and sends an order that is returned.
async fn open(to: SocketAddr, order: Order) -> io::Result<(TcpStream, [u8; MESSAGE])> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let mut message = order.write();
    stream.write_all(&message).await?;
    stream.read_exact(&mut message).await?;
    Ok((stream, message))
}

/// One connection, whose member ends it. Returns the member's port.
pub(crate) async fn connection(to: SocketAddr) -> io::Result<u16> {
    let (mut stream, answer) = open(to, Order::Once).await?;
    match stream.read(&mut [0]).await? {
        0 => Ok(port_in(&answer)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// One exchange from a new port. Returns the member's port.
pub(crate) async fn flow(to: SocketAddr) -> io::Result<u16> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(to).await?;
    datagram(&socket).await
}

/// What it takes to call a datagram lost.
const PATIENCE: Duration = Duration::from_secs(1);

async fn datagram(socket: &UdpSocket) -> io::Result<u16> {
    let mut message = Order::Echo.write();
    socket.send(&message).await?;
    match timeout(PATIENCE, socket.recv(&mut message)).await?? {
        MESSAGE => Ok(port_in(&message)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// One client, and what it has done.
struct Client {
    to: SocketAddr,
    until: Instant,
    done: Done,
}

impl Client {
    fn new(to: SocketAddr, until: Instant) -> Self {
        let done = Done::default();
        Self { to, until, done }
    }

    fn has_time(&self) -> bool {
        Instant::now() < self.until
    }

    async fn work(&mut self, work: Work, bytes: u64) -> io::Result<()> {
        let to = self.to;
        match work {
            Work::Stream | Work::Streams => self.stream(bytes).await,
            Work::Exchanges => self.exchange().await,
            Work::Connections => self.repeat(|| connection(to)).await,
            Work::Flows => self.repeat(|| flow(to)).await,
            Work::Datagrams => {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                socket.connect(to).await?;
                self.repeat(|| datagram(&socket)).await
            }
            Work::Idle => Ok(()),
        }
    }

    async fn repeat<F>(&mut self, mut once: impl FnMut() -> F) -> io::Result<()>
    where
        F: Future<Output = io::Result<u16>>,
    {
        loop {
            match once().await {
                Ok(_) => self.done.amount += 1.0,
                Err(_) => {
                    self.done.failed += 1.0;
                    sleep(PAUSE).await;
                }
            }
            if !self.has_time() {
                return Ok(());
            }
        }
    }

    async fn exchange(&mut self) -> io::Result<()> {
        let (mut stream, mut message) = open(self.to, Order::Echo).await?;
        self.done.amount += 1.0;
        while self.has_time() {
            stream.write_all(&message).await?;
            stream.read_exact(&mut message).await?;
            self.done.amount += 1.0;
        }
        Ok(())
    }

    async fn stream(&mut self, bytes: u64) -> io::Result<()> {
        let mut stream = TcpStream::connect(self.to).await?;
        stream.write_all(&Order::Stream(bytes).write()).await?;
        let mut memory = vec![0; DISCARDED];
        let mut left = bytes;
        loop {
            match discard(&stream, &mut memory).await? {
                0 if left == 0 => break,
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => left = left.checked_sub(length).ok_or(io::ErrorKind::InvalidData)?,
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "some GiB")]
        let gibibytes = bytes as f64 / f64::from(1 << 30);
        self.done.amount += gibibytes;
        Ok(())
    }
}

/// At most so many bytes at once.
const DISCARDED: usize = 1024 * 1024;

/// Takes bytes without a look at them, so that the load is not what limits a stream: on Linux
/// they are not even copied.
#[cfg(target_os = "linux")]
async fn discard(stream: &TcpStream, memory: &mut [u8]) -> io::Result<u64> {
    use rustix::net::{RecvFlags, recv};
    let receive = |memory: &mut [u8]| recv(stream, memory, RecvFlags::TRUNC);
    loop {
        stream.readable().await?;
        let received = stream.try_io(tokio::io::Interest::READABLE, || Ok(receive(memory)?));
        match received {
            Ok((_, length)) => return Ok(length as u64),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(not(target_os = "linux"))]
async fn discard(stream: &TcpStream, memory: &mut [u8]) -> io::Result<u64> {
    loop {
        stream.readable().await?;
        match stream.try_read(memory) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return Ok(read? as u64),
        }
    }
}
