//! One connection, from its accept to its end: [`ConnectionSetup`].
//!
//! ```text
//! pick ─► connect ─► join ─► end
//!   ▲         │         │
//!   └─────────┴─────────┘  failed, and no byte has been forwarded: another member
//! ```
//!
//! Not here: how bytes are copied (`join`), and the settings (`settings`).

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::aborted::Aborted;
use super::join::{JoinEnd, JoinLimits, JoinedStreams, join};
use super::pump::Pump;
use super::reset_on_drop::ResetOnDrop;
use super::splice::Pipes;
use super::statistics::TcpStatistics;
use crate::balancer::{Balancer, Lease, PickError, PickRequest};
use crate::forward::address::Address;
use crate::forward::client_hash::client_hash;
use crate::forward::member_loss::LossWatcher;
use crate::forward::per_client::{Exceeded, PerClient};
use crate::forward::self_loop::{is_forwarder_itself, self_loop_cause};
use crate::forward::sticky_client::StickyClient;
use crate::member::{Cause, MemberId, Outcome};
use crate::net::{ConnectError, Connector, ProxyHeader, ProxyVersion, SocketLiveness, Stream};
use crate::session::StickTable;
use crate::timer::{Deadline, timeout};

/// The maximum number of members that are tried for one connection.
const TRIES: usize = 64;

/// The settings and state shared by all connections.
///
/// Futures that are needed only before bytes are copied are boxed, so that they use no
/// memory afterwards.
#[derive(Debug)]
pub(super) struct ConnectionSetup {
    pub(super) balancer: Balancer<Address>,
    /// Time limit for one attempt.
    pub(super) connect: Duration,
    /// Time limit until a member is connected.
    pub(super) opening: Duration,
    pub(super) idle: Duration,
    /// Maximum time without a byte, once one side has ended.
    pub(super) half_close: Duration,
    pub(super) lifetime: Duration,
    /// One permit for each connection that waits for a member.
    pub(super) waiting: Semaphore,
    /// Whether a failed member is put in error, and its client goes to another member.
    pub(super) fails_over: bool,
    /// Whether a member that ends its connection without a byte has failed.
    pub(super) fails_silent: bool,
    pub(super) liveness: SocketLiveness,
    pub(super) loss: Option<LossWatcher>,
    pub(super) pipes: Option<Arc<Pipes>>,
    pub(super) per_client: Option<PerClient>,
    pub(super) stick: Option<StickTable>,
    pub(super) statistics: TcpStatistics,
}

/// The client of a connection.
#[derive(Debug)]
pub(super) struct ConnectionClient {
    pub(super) address: Option<SocketAddr>,
    /// The PROXY header that members receive first.
    pub(super) header: Option<(ProxyHeader, ProxyVersion)>,
}

/// The attempts to serve one connection so far.
struct Attempts {
    fails_over: bool,
    hash: Option<u64>,
    sticking: Option<StickyClient>,
    tried: Vec<MemberId>,
    cause: Option<Cause>,
}

impl Attempts {
    fn request(&self) -> PickRequest<'_> {
        let request = PickRequest::new()
            .with_tried(&self.tried)
            .with_cause(self.cause.as_ref());
        let request = match self.hash {
            Some(hash) => request.with_hash(hash),
            None => request,
        };
        match &self.sticking {
            Some(sticking) => sticking.request(request),
            None => request,
        }
    }

    /// Ends the lease of a member with a failure. The connection then goes to another
    /// member, if that is allowed.
    fn failed(&mut self, lease: Lease<Address>, failure: Failure) {
        self.tried.push(lease.member().id());
        let Failure { cause, is_members } = failure;
        if is_members && self.fails_over {
            lease.put_in_error_because(cause.clone());
        }
        lease.fail(cause.clone());
        self.cause = Some(cause);
    }
}

/// The reason why a member did not serve a connection.
struct Failure {
    cause: Cause,
    /// Whether the failure counts against the member.
    is_members: bool,
}

impl Failure {
    const fn of_member(cause: Cause) -> Self {
        Self {
            cause,
            is_members: true,
        }
    }
}

impl ConnectionSetup {
    /// Serves one connection until it ends.
    ///
    /// # Errors
    ///
    /// The reason, if it did not end normally.
    pub(super) async fn serve(
        &self,
        stream: Stream,
        client: ConnectionClient,
    ) -> Result<(), Aborted> {
        let now = Instant::now();
        let mut client_stream = ResetOnDrop::new(stream);
        let _admitted = match (&self.per_client, client.address) {
            (Some(clients), Some(client)) => {
                let admitted = clients.admit(client.ip());
                Some(admitted.map_err(|exceeded| match exceeded {
                    Exceeded::Open => Aborted::ClientConnections,
                    Exceeded::Rate => Aborted::ClientRate,
                })?)
            }
            _ => None,
        };
        // A client that is gone already needs no member.
        if client_stream.is_broken() {
            return Err(Aborted::ClientDisconnected);
        }
        client_stream.watch(self.liveness);
        let mut up = Pump::new(self.pipes.clone());
        let mut attempts = Attempts {
            fails_over: self.fails_over,
            hash: client.address.map(|client| client_hash(client.ip())),
            sticking: self
                .stick
                .as_ref()
                .zip(client.address)
                .map(|(table, client)| StickyClient::new(table, client.ip())),
            tried: Vec::new(),
            cause: None,
        };
        let here = client_stream.local_addr();
        let give_up = now + self.opening;
        loop {
            let mut lease = self
                .pick_or_wait(&attempts, give_up, &client_stream)
                .await?;
            if let Some(sticking) = &mut attempts.sticking {
                if !sticking.accepts(lease.name_handle()) {
                    continue;
                }
            }
            if attempts.tried.len() == 1 {
                self.statistics.count_failed_over();
            }
            let mut connector = lease.connector(|| here.map(|here| here.port()));
            let address = connector.address();
            if leads_back(address, here) {
                attempts.failed(lease, Failure::of_member(self_loop_cause()));
                continue;
            }
            if let Some((header, version)) = &client.header {
                connector = connector.proxy_header(header, *version);
            }
            let member = match self.connect(connector, give_up, &client_stream).await {
                Some(Ok(member)) if address.is_none() && leads_back(member.peer_addr(), here) => {
                    // The other end of this connection is accepted here as a client; the
                    // reset keeps it from using a member.
                    member.reset_when_dropped();
                    attempts.failed(lease, Failure::of_member(self_loop_cause()));
                    continue;
                }
                Some(Ok(member)) => member,
                Some(Err(failure)) => {
                    attempts.failed(lease, failure);
                    continue;
                }
                None => {
                    lease.finish(Outcome::Cancelled);
                    return Err(Aborted::ClientDisconnected);
                }
            };
            if let Some(sticking) = &mut attempts.sticking {
                sticking.connected(lease.name_handle());
            }
            member.watch(self.liveness);
            let mut member = ResetOnDrop::new(member);
            let mut streams = JoinedStreams {
                client: &mut client_stream,
                member: &mut member,
                up: &mut up,
                down: if self.fails_silent {
                    Pump::new(self.pipes.clone()).reporting_silence()
                } else {
                    Pump::new(self.pipes.clone())
                },
            };
            let limits = JoinLimits {
                idle: self.idle,
                half_close: self.half_close,
                until: now + self.lifetime,
            };
            let id = lease.member().id();
            let end = match &self.loss {
                None => join(&mut streams, &mut lease, limits).await,
                Some(loss) => {
                    let name = lease.member().name().to_owned();
                    let loss = Box::pin(loss.is_lost(&self.balancer, id, &name));
                    tokio::select! {
                        biased;
                        end = join(&mut streams, &mut lease, limits) => end,
                        () = loss => JoinEnd::Cut(Aborted::MemberLost),
                    }
                }
            };
            let is_answered = streams.down.read() > 0;
            // The member's connection is closed before its lease ends.
            if end == JoinEnd::Both {
                member.close();
                client_stream.close();
                lease.finish(Outcome::Success);
                return Ok(());
            }
            drop(member);
            let aborted = match end {
                JoinEnd::MemberFailed if is_answered => {
                    lease.fail(Cause::BrokenBody);
                    return Err(Aborted::MemberDisconnected);
                }
                JoinEnd::MemberFailed | JoinEnd::MemberSilent => {
                    let failure = Failure {
                        cause: Cause::Broken,
                        is_members: self.fails_silent,
                    };
                    attempts.failed(lease, failure);
                    if !self.fails_silent || up.written() > 0 {
                        return Err(Aborted::MemberDisconnected);
                    }
                    up.replace_sink();
                    continue;
                }
                JoinEnd::Cut(reason) => reason,
                JoinEnd::Both | JoinEnd::ClientFailed => Aborted::ClientDisconnected,
            };
            lease.finish(Outcome::Cancelled);
            return Err(aborted);
        }
    }

    /// Picks a member, or waits for one with free capacity as long as the client stays.
    async fn pick_or_wait(
        &self,
        attempts: &Attempts,
        give_up: Instant,
        client: &Stream,
    ) -> Result<Lease<Address>, Aborted> {
        let (balancer, request) = (&self.balancer, attempts.request());
        let tried = &attempts.tried;
        if Instant::now() >= give_up {
            return Err(Aborted::OpeningTimeout);
        }
        if (!tried.is_empty() && !self.fails_over) || tried.len() >= TRIES {
            return Err(Aborted::NoMember);
        }
        let error = match self.pick(&request, tried) {
            Ok(lease) => return Ok(lease),
            Err(error) => error,
        };
        let (place, otherwise) = match error {
            PickError::AtCapacity => (self.waiting.try_acquire().ok(), Aborted::QueueFull),
            _ => (None, Aborted::NoMember),
        };
        let Some(_place) = place else {
            balancer.report_refused(&request, &error);
            return Err(otherwise);
        };
        let waiting = Box::pin(balancer.pick_wait(&request, Deadline::at(give_up)));
        match unless_broken(client, waiting).await {
            Some(Ok(lease)) => Ok(lease),
            Some(Err(PickError::AtCapacity)) => Err(Aborted::OpeningTimeout),
            Some(Err(_)) => Err(Aborted::NoMember),
            None => Err(Aborted::ClientDisconnected),
        }
    }

    /// Picks a member that has not been tried, or else one from the reserve. Observers are
    /// not notified if there is none, because the connection may wait for one.
    fn pick(
        &self,
        request: &PickRequest<'_>,
        tried: &[MemberId],
    ) -> Result<Lease<Address>, PickError> {
        let balancer = &self.balancer;
        let picked = balancer.pick_untried(request);
        if tried.is_empty() || !matches!(picked, Err(PickError::NoneUsable { .. })) {
            return picked;
        }
        let reserve = balancer.pick_in_reserve(request);
        let reserve = reserve.or_else(|| balancer.pick_with_forced_recovery(request));
        reserve.map_or(picked, Ok)
    }

    /// Opens a connection to a member. Returns `None` if the client's connection fails
    /// meanwhile.
    async fn connect(
        &self,
        to: Connector,
        give_up: Instant,
        client: &Stream,
    ) -> Option<Result<Stream, Failure>> {
        let limit = self.connect.min(give_up - Instant::now());
        let connector = to.timeout(limit);
        // Boxed first, as it is large, and each future around it would move it.
        let opening = Box::pin(connector.open(Vec::new()));
        let mut failure = match unless_broken(client, timeout(limit, opening)).await? {
            Ok(Ok(member)) => return Some(Ok(member)),
            Ok(Err(error)) => failure_of(&error),
            Err(_) => Failure::of_member(Cause::TimedOut),
        };
        // The member did not have its full time if other members used most of it.
        failure.is_members &= limit == self.connect || !matches!(failure.cause, Cause::TimedOut);
        Some(Err(failure))
    }
}

/// Resolves with the future, or with `None` as soon as the client's connection fails. A
/// client that has only ended its sending side may have sent all it wants to.
async fn unless_broken<F: Future>(client: &Stream, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = client.broken() => None,
    }
}

/// Returns whether a connection to this address would be accepted by the client's own
/// listener.
fn leads_back(to: Option<SocketAddr>, here: Option<SocketAddr>) -> bool {
    to.zip(here)
        .is_some_and(|(to, here)| is_forwarder_itself(to, here.ip(), here))
}

fn failure_of(error: &ConnectError) -> Failure {
    let cause = match error {
        error if error.is_exhaustion() => Cause::Unsent,
        ConnectError::Resolve { .. } => Cause::Unresolved,
        ConnectError::Tls { .. } => Cause::Tls,
        ConnectError::TimedOut { .. } => Cause::TimedOut,
        ConnectError::Open { source } if source.kind() == ErrorKind::TimedOut => Cause::TimedOut,
        ConnectError::Open { .. } => Cause::Refused,
    };
    Failure {
        cause,
        is_members: !error.is_exhaustion(),
    }
}

#[cfg(test)]
mod tests {
    use super::{ConnectionClient, ConnectionSetup, TcpStatistics};
    use crate::balancer::Balancer;
    use crate::net::{SocketLiveness, Stream};
    use std::time::Duration;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn an_idle_connection_costs_little_memory() {
        let setup = ConnectionSetup {
            balancer: Balancer::builder().build().unwrap(),
            connect: Duration::ZERO,
            opening: Duration::ZERO,
            idle: Duration::ZERO,
            half_close: Duration::ZERO,
            lifetime: Duration::ZERO,
            waiting: Semaphore::new(1),
            fails_over: true,
            fails_silent: false,
            liveness: SocketLiveness::default(),
            loss: None,
            pipes: None,
            per_client: None,
            stick: None,
            statistics: TcpStatistics::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
        let client = ConnectionClient {
            address: None,
            header: None,
        };
        let serving = setup.serve(Stream::from(stream.unwrap()), client);
        let size = size_of_val(&serving);
        assert!(size <= 4_096, "{size} bytes");
    }
}
