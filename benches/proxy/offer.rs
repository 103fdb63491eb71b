//! A load that `wrk` and `h2load` cannot make: requests at a fixed rate, whether or not there
//! are answers, and a new connection with TLS for each request. It has a thread for each
//! connection, and reports as `wrk` does.

#![expect(
    clippy::print_stdout,
    reason = "it reports to the program that started it"
)]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use equipoise::service::BoxError;

/// What to send, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Offer {
    address: SocketAddr,
    path: String,
    /// The bytes of an answer
    answer: usize,
    #[arg(long, default_value_t = 64)]
    connections: u32,
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Requests a second on kept connections; otherwise each has a new connection
    #[arg(long)]
    rate: Option<u32>,
    /// Instead of the seconds, so many requests, each on a new connection
    #[arg(long, conflicts_with = "rate")]
    requests: Option<u32>,
    /// The certificate of the server
    #[arg(long)]
    tls: Option<PathBuf>,
    /// New connections resume a session
    #[arg(long)]
    resumed: bool,
}

/// What one connection, or a chain of them, has had.
#[derive(Debug, Default)]
struct Tally {
    times: Vec<Duration>,
    failed: u64,
}

impl Offer {
    pub(crate) fn run(&self) -> Result<(), BoxError> {
        let client = Client::new(self)?;
        let began = now();
        let tallies: Vec<Tally> = thread::scope(|scope| {
            let clients = (0..self.connections).map(|number| {
                let client = &client;
                scope.spawn(move || match self.rate {
                    Some(rate) => self.at_a_rate(client, began, (number, rate)),
                    None => self.one_after_another(client, began, number),
                })
            });
            let clients: Vec<_> = clients.collect();
            let tallies = clients.into_iter().map(|client| client.join());
            tallies.map(Result::unwrap_or_default).collect()
        });
        let took = now() - began;
        let failed: u64 = tallies.iter().map(|tally| tally.failed).sum();
        let mut times: Vec<Duration> = tallies.into_iter().flat_map(|it| it.times).collect();
        times.sort_unstable();
        let part = |percent: usize| {
            let at = times.len() * percent / 100;
            times.get(at).map_or(0, Duration::as_micros)
        };
        println!("{} requests in {took:?}", times.len());
        println!("50% {}us\n99% {}us", part(50), part(99));
        println!("Requests/sec: {}", times.len() as f64 / took.as_secs_f64());
        println!("Non-2xx or none: {failed}");
        Ok(())
    }

    /// Each request counts from the moment at which it was due.
    fn at_a_rate(&self, client: &Client<'_>, began: Instant, (number, rate): (u32, u32)) -> Tally {
        let every = Duration::from_secs(1) * self.connections / rate;
        let mut due = began + every * number / self.connections;
        let mut tally = Tally::default();
        let mut stream = None;
        while due < began + Duration::from_secs(self.seconds) {
            sleep_until(due);
            let asked = match stream.take() {
                Some(stream) => Ok(stream),
                None => client.connect(),
            };
            let asked = asked.and_then(|mut stream| client.ask(&mut stream).map(|()| stream));
            match asked {
                Ok(asked) => {
                    tally.times.push(now() - due);
                    stream = Some(asked);
                }
                Err(_) => tally.failed += 1,
            }
            due += every;
        }
        tally
    }

    fn one_after_another(&self, client: &Client<'_>, began: Instant, number: u32) -> Tally {
        let mut tally = Tally::default();
        // Connection 0 makes the first request, connection 1 the second, and so on.
        let own = |all: u32| all.saturating_sub(number).div_ceil(self.connections);
        let own = self.requests.map(own);
        for done in 0.. {
            let start = now();
            let is_over = match own {
                Some(own) => done == own,
                None => start - began > Duration::from_secs(self.seconds),
            };
            if is_over {
                break;
            }
            let resumes = self.resumed && !tally.times.is_empty();
            match client.connect_and_ask(resumes) {
                Ok(()) => tally.times.push(now() - start),
                Err(_) => tally.failed += 1,
            }
        }
        tally
    }
}

/// What all connections share.
struct Client<'o> {
    offer: &'o Offer,
    request: String,
    #[cfg(feature = "tls")]
    tls: Option<std::sync::Arc<rustls::ClientConfig>>,
}

impl<'o> Client<'o> {
    fn new(offer: &'o Offer) -> Result<Self, BoxError> {
        let ends = if offer.rate.is_none() {
            "Connection: close\r\n"
        } else {
            ""
        };
        let Offer { path, address, .. } = offer;
        Ok(Self {
            offer,
            request: format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{ends}\r\n"),
            #[cfg(feature = "tls")]
            tls: match &offer.tls {
                Some(file) => Some(crate::tls::client(file, offer.resumed)?),
                None => None,
            },
        })
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.offer.address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Asks once. A connection that should resume a session and does not counts as failed.
    fn connect_and_ask(&self, resumes: bool) -> io::Result<()> {
        let mut stream = self.connect()?;
        #[cfg(feature = "tls")]
        if let Some(config) = &self.tls {
            let name = rustls::pki_types::ServerName::from(self.offer.address.ip());
            let connection = rustls::ClientConnection::new(config.clone(), name);
            let mut stream =
                rustls::StreamOwned::new(connection.map_err(io::Error::other)?, stream);
            self.ask(&mut stream)?;
            let was = stream.conn.handshake_kind();
            let has_resumed = was == Some(rustls::HandshakeKind::Resumed);
            return if resumes && !has_resumed {
                Err(io::Error::other("the session was not resumed"))
            } else {
                Ok(())
            };
        }
        let _ = resumes;
        self.ask(&mut stream)
    }

    fn ask(&self, stream: &mut (impl Read + Write)) -> io::Result<()> {
        const END: &[u8] = b"\r\n\r\n";
        stream.write_all(self.request.as_bytes())?;
        let mut answer = [0; 4096];
        let mut filled = 0;
        loop {
            let read = stream.read(answer.get_mut(filled..).unwrap_or_default())?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            let so_far = &answer[..filled];
            let head = so_far.windows(END.len()).position(|part| part == END);
            let whole = head.map(|head| head + END.len() + self.offer.answer);
            if whole.is_some_and(|whole| filled >= whole) {
                return if so_far.starts_with(b"HTTP/1.1 200") {
                    Ok(())
                } else {
                    Err(io::ErrorKind::InvalidData.into())
                };
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the load looks at the clock and sleeps"
)]
fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the load looks at the clock and sleeps"
)]
fn sleep_until(due: Instant) {
    thread::sleep(due.saturating_duration_since(now()));
}
