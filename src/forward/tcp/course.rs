//! The course of one connection: from its client's first address to its end. [`ConnectionSetup`].
//!
//! ```text
//! pick ─► connect ─► join ─► end
//!   ▲         │         │
//!   └─────────┴─────────┘  failed, and no byte has been forwarded: another member
//! ```
//!
//! What does not live here: how bytes pass (`join`), and the settings (`settings`).

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::aborted::Aborted;
use super::cut::ResetOnDrop;
use super::join::{JoinEnd, Joint, Lasting, join};
use super::pump::Pump;
use super::splice::Pipes;
use super::statistics::TcpStatistics;
use crate::balancer::{Balancer, Lease, PickError, PickRequest};
use crate::forward::address::Address;
use crate::forward::client_hash::hash_of;
use crate::forward::itself::{is_itself, itself};
use crate::forward::lost::Lost;
use crate::forward::per_client::{Exceeded, PerClient};
use crate::forward::sticking::Sticking;
use crate::member::{Cause, MemberId, Outcome};
use crate::net::{ConnectError, Connector, ProxyHeader, ProxyVersion, Stream, Watching};
use crate::session::StickTable;
use crate::timer::{Deadline, timeout};

/// So many members are tried for one connection.
const TRIES: usize = 64;

/// What holds for each connection.
///
/// What passes before the bytes do is boxed, so that it costs no memory afterwards.
#[derive(Debug)]
pub(super) struct ConnectionSetup {
    pub(super) balancer: Balancer<Address>,
    /// For one attempt.
    pub(super) connect: Duration,
    /// Until a member is connected.
    pub(super) opening: Duration,
    pub(super) idle: Duration,
    /// Without a byte, once one side has ended.
    pub(super) half_close: Duration,
    pub(super) lifetime: Duration,
    /// One permit for each connection that may wait for a member.
    pub(super) waiting: Semaphore,
    /// Whether a member that fails is put in error, and its client goes to another.
    pub(super) fails_over: bool,
    /// Whether a member that ends without a byte has failed.
    pub(super) fails_silent: bool,
    pub(super) watching: Watching,
    pub(super) lost: Option<Lost>,
    pub(super) pipes: Option<Arc<Pipes>>,
    pub(super) per_client: Option<PerClient>,
    pub(super) stick: Option<StickTable>,
    pub(super) statistics: TcpStatistics,
}

/// Whose connection it is.
#[derive(Debug)]
pub(super) struct ConnectionClient {
    pub(super) address: Option<SocketAddr>,
    /// What members are told of it first.
    pub(super) header: Option<(ProxyHeader, ProxyVersion)>,
}

/// What one client's connection has come through.
struct Attempts {
    fails_over: bool,
    hash: Option<u64>,
    sticking: Option<Sticking>,
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

    /// Ends the use of a member as its failure. Another is picked next, if any may be.
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

/// Why a member did not serve a connection.
struct Failure {
    cause: Cause,
    /// Whether it is held against the member.
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
    /// Serves one connection, to its end.
    ///
    /// # Errors
    ///
    /// If it did not end well.
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
        // One that is gone already needs no member.
        if client_stream.is_broken() {
            return Err(Aborted::ClientBroke);
        }
        client_stream.watch(self.watching);
        let mut up = Pump::new(self.pipes.clone());
        let mut attempts = Attempts {
            fails_over: self.fails_over,
            hash: client.address.map(|client| hash_of(client.ip())),
            sticking: self
                .stick
                .as_ref()
                .zip(client.address)
                .map(|(table, client)| Sticking::new(table, client.ip())),
            tried: Vec::new(),
            cause: None,
        };
        let here = client_stream.local_addr();
        let give_up = now + self.opening;
        loop {
            let mut lease = self.elect(&attempts, give_up, &client_stream).await?;
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
                attempts.failed(lease, Failure::of_member(itself()));
                continue;
            }
            if let Some((header, version)) = &client.header {
                connector = connector.proxy_header(header, *version);
            }
            let member = match self.connect(connector, give_up, &client_stream).await {
                Some(Ok(member)) if address.is_none() && leads_back(member.peer_addr(), here) => {
                    // Its other end is a client here, which is to need no member.
                    member.reset_when_dropped();
                    attempts.failed(lease, Failure::of_member(itself()));
                    continue;
                }
                Some(Ok(member)) => member,
                Some(Err(failure)) => {
                    attempts.failed(lease, failure);
                    continue;
                }
                None => {
                    lease.finish(Outcome::Cancelled);
                    return Err(Aborted::ClientBroke);
                }
            };
            if let Some(sticking) = &mut attempts.sticking {
                sticking.connected(lease.name_handle());
            }
            member.watch(self.watching);
            let mut member = ResetOnDrop::new(member);
            let mut joint = Joint {
                client: &mut client_stream,
                member: &mut member,
                up: &mut up,
                down: if self.fails_silent {
                    Pump::new(self.pipes.clone()).telling_nothing()
                } else {
                    Pump::new(self.pipes.clone())
                },
            };
            let lasting = Lasting {
                idle: self.idle,
                half_close: self.half_close,
                until: now + self.lifetime,
            };
            let id = lease.member().id();
            let end = match &self.lost {
                None => join(&mut joint, &mut lease, lasting).await,
                Some(lost) => {
                    let name = lease.member().name().to_owned();
                    let lost = Box::pin(lost.is_lost(&self.balancer, id, &name));
                    tokio::select! {
                        biased;
                        end = join(&mut joint, &mut lease, lasting) => end,
                        () = lost => JoinEnd::Cut(Aborted::MemberLost),
                    }
                }
            };
            let is_answered = joint.down.read() > 0;
            // The member's side is closed before it is counted out.
            if end == JoinEnd::Both {
                member.close();
                client_stream.close();
                lease.finish(Outcome::Success);
                return Ok(());
            }
            drop(member);
            let aborted = match end {
                JoinEnd::MemberBroke if is_answered => {
                    lease.fail(Cause::BrokenBody);
                    return Err(Aborted::MemberBroke);
                }
                JoinEnd::MemberBroke | JoinEnd::MemberSilent => {
                    let failure = Failure {
                        cause: Cause::Broken,
                        is_members: self.fails_silent,
                    };
                    attempts.failed(lease, failure);
                    if !self.fails_silent || up.written() > 0 {
                        return Err(Aborted::MemberBroke);
                    }
                    up.begin_again();
                    continue;
                }
                JoinEnd::Cut(reason) => reason,
                JoinEnd::Both | JoinEnd::ClientBroke => Aborted::ClientBroke,
            };
            lease.finish(Outcome::Cancelled);
            return Err(aborted);
        }
    }

    /// Picks a member, or waits for one that has room, as long as the client does.
    async fn elect(
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
            None => Err(Aborted::ClientBroke),
        }
    }

    /// Picks a member that has not been tried, or one that stands in for those. Observers are
    /// not told if there is none: the connection may wait for one.
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

    /// Opens a connection to a member. `None` if the client's breaks meanwhile.
    async fn connect(
        &self,
        to: Connector,
        give_up: Instant,
        client: &Stream,
    ) -> Option<Result<Stream, Failure>> {
        let limit = self.connect.min(give_up - Instant::now());
        let connector = to.timeout(limit);
        // Boxed before all else, as it is large, and each future around it would move it.
        let opening = Box::pin(connector.open(Vec::new()));
        let mut failure = match unless_broken(client, timeout(limit, opening)).await? {
            Ok(Ok(member)) => return Some(Ok(member)),
            Ok(Err(error)) => failure_of(&error),
            Err(_) => Failure::of_member(Cause::TimedOut),
        };
        // It did not have all of its time if other members took most of it.
        failure.is_members &= limit == self.connect || !matches!(failure.cause, Cause::TimedOut);
        Some(Err(failure))
    }
}

/// Resolves with the future, or with `None` as soon as the client's connection breaks. A client
/// that has only ended its side may have sent all that it wants to.
async fn unless_broken<F: Future>(client: &Stream, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = client.broken() => None,
    }
}

/// Whether a connection to this address comes in where the client's did.
fn leads_back(to: Option<SocketAddr>, here: Option<SocketAddr>) -> bool {
    to.zip(here)
        .is_some_and(|(to, here)| is_itself(to, here.ip(), here))
}

fn failure_of(error: &ConnectError) -> Failure {
    let cause = match error {
        error if error.is_exhaustion() => Cause::Unsent,
        ConnectError::Resolve { .. } => Cause::Unresolved,
        ConnectError::Secure { .. } => Cause::Tls,
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
    use crate::net::{Stream, Watching};
    use std::time::Duration;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn an_idle_connection_costs_little_memory() {
        let course = ConnectionSetup {
            balancer: Balancer::builder().build().unwrap(),
            connect: Duration::ZERO,
            opening: Duration::ZERO,
            idle: Duration::ZERO,
            half_close: Duration::ZERO,
            lifetime: Duration::ZERO,
            waiting: Semaphore::new(1),
            fails_over: true,
            fails_silent: false,
            watching: Watching::default(),
            lost: None,
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
        let serving = course.serve(Stream::from(stream.unwrap()), client);
        let size = size_of_val(&serving);
        assert!(size <= 4_096, "{size} bytes");
    }
}
