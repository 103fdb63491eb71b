//! The side of the clients: [`Front`] takes their datagrams and gives each to its flow, or
//! opens one.
//!
//! It is one task and owns all that knows of flows, so nothing of that is locked. It waits for
//! no flow and no member: what cannot be sent at once is dropped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::common::{Common, dropped_by};
use super::dropped::Dropped;
use super::flow::{Flow, Gone, Running};
use super::leaving::Leaving;
use super::opening::{self, Unopened};
use super::table::Table;
use super::trouble::Trouble;
use crate::balancer::{Balancer, PickError, PickRequest};
use crate::forward::course::hash_of;
use crate::forward::per_client::{Clients, Exceeded, PerClientLimits};
use crate::forward::scratch;
use crate::forward::sticking::Sticking;
use crate::member::{Cause, MemberId};
use crate::net::{Stopped, default_connections};
use crate::session::StickTable;
use crate::timer::timeout;

/// So many datagrams are taken before flows that have ended are looked after.
const BATCH: usize = 64;

/// So many members are tried for one datagram.
const TRIES: usize = 8;

/// After an error of the socket, which may last.
const PAUSE: Duration = Duration::from_millis(50);

/// Of this many batches, those that had come before the stop.
const LAST_BATCHES: usize = 64;

/// What was there to take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Taken {
    /// The queue of the system is empty.
    All,
    /// There may be more.
    Some,
}

pub(super) struct Front {
    balancer: Balancer<SocketAddr>,
    common: Arc<Common>,
    flows: Table<Arc<Flow>>,
    most: usize,
    clients: Clients,
    leaving: Leaving,
    stick: Option<StickTable>,
    tasks: JoinSet<()>,
    gone: mpsc::UnboundedSender<Gone>,
    ended: mpsc::UnboundedReceiver<Gone>,
}

/// The members that a datagram has tried, and why the last of them failed.
#[derive(Default)]
struct Tried {
    members: Vec<MemberId>,
    cause: Option<Cause>,
}

impl Tried {
    fn failed(&mut self, member: MemberId, cause: Cause) {
        self.members.push(member);
        self.cause = Some(cause);
    }
}

impl Front {
    pub(super) fn new(
        balancer: Balancer<SocketAddr>,
        common: Common,
        stick: Option<StickTable>,
    ) -> Self {
        let limits = common.limits;
        let most = limits.flows.unwrap_or_else(default_connections).max(1);
        let per_client = PerClientLimits {
            open: Some(limits.flows_per_client.unwrap_or(most.div_ceil(4))),
            per_second: Some(limits.new_flows_per_client),
        };
        let most = most as usize;
        let (gone, ended) = mpsc::unbounded_channel();
        Self {
            clients: Clients::new(per_client, most),
            leaving: Leaving::new(&balancer, limits.leave),
            balancer,
            common: Arc::new(common),
            flows: Table::new(),
            most,
            stick,
            tasks: JoinSet::new(),
            gone,
            ended,
        }
    }

    /// Serves until `stop` resolves, and then what flows there are until they have ended, or
    /// the time for that is over.
    pub(super) async fn serve(mut self, stop: impl Future<Output = ()>) -> Stopped {
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = self.turn() => {}
                () = stop.as_mut() => break,
            }
        }
        // What came before the stop is served.
        for _ in 0..LAST_BATCHES {
            if !matches!(self.take(), Ok(Taken::Some)) {
                break;
            }
        }
        self.common.begin_to_stop();
        for (_, entry) in self.flows.entries_mut() {
            entry.flow.look();
        }
        let drain = self.common.limits.drain;
        let emptied = async {
            while !self.tasks.is_empty() {
                self.turn().await;
            }
        };
        if timeout(drain, emptied).await.is_ok() {
            return Stopped::after(0);
        }
        while self.tasks.try_join_next().is_some() {}
        let cut = self.tasks.len();
        self.tasks.shutdown().await;
        Stopped::after(cut)
    }

    /// Waits for something to do, and does it.
    async fn turn(&mut self) {
        tokio::select! {
            Some(gone) = self.ended.recv() => {
                self.forget(&gone);
                while let Ok(gone) = self.ended.try_recv() {
                    self.forget(&gone);
                }
            }
            Some(_) = self.tasks.join_next() => while self.tasks.try_join_next().is_some() {},
            () = self.leaving.next() => self.leaving.look(&self.balancer, &mut self.flows),
            ready = self.common.socket.readable() => {
                if ready.is_err() || self.take().is_err() {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Takes the datagrams that are there, but not too many at once.
    fn take(&mut self) -> io::Result<Taken> {
        let now = self.common.now();
        let mut memory = scratch::take();
        let mut taken = Ok(Taken::Some);
        for _ in 0..BATCH {
            match self.common.socket.try_recv_from(&mut memory) {
                Ok((length, client)) => self.datagram(client, &memory[..length], now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    taken = Ok(Taken::All);
                    break;
                }
                Err(error) => {
                    taken = Err(error);
                    break;
                }
            }
        }
        scratch::put_back(memory);
        taken
    }

    fn forget(&mut self, gone: &Gone) {
        self.clients.end(gone.client.ip());
        self.flows.remove(gone.client, gone.number);
    }

    fn datagram(&mut self, client: SocketAddr, datagram: &[u8], now: u64) {
        let statistics = &self.common.statistics;
        if datagram.len() > self.common.limits.datagram {
            statistics.count_dropped(Dropped::Oversize);
            return;
        }
        let mut tried = Tried::default();
        let sent = match self.by_flow(client, datagram, now, &mut tried) {
            Some(sent) => sent,
            None => self.by_new_flow(client, datagram, now, tried),
        };
        let statistics = &self.common.statistics;
        match sent {
            Ok(()) => statistics.count_to_member(),
            Err(reason) => statistics.count_dropped(reason),
        }
    }

    /// Sends a datagram by the flow that the client has; `None` if it needs a new one.
    fn by_flow(
        &mut self,
        client: SocketAddr,
        datagram: &[u8],
        now: u64,
        tried: &mut Tried,
    ) -> Option<Result<(), Dropped>> {
        let entry = self.flows.get_mut(client)?;
        if !entry.flow.gate.pass(now) {
            return None;
        }
        match entry.flow.send(datagram) {
            Ok(()) => {
                entry.is_confirmed |= entry.flow.is_answered();
                Some(Ok(()))
            }
            Err(error) => match Trouble::of(&error) {
                // It answers an earlier datagram; this one has not been sent.
                Trouble::Refused => {
                    entry.flow.refuse();
                    tried.failed(entry.flow.member, Cause::Refused);
                    None
                }
                trouble => Some(Err(dropped_by(trouble))),
            },
        }
    }

    fn by_new_flow(
        &mut self,
        client: SocketAddr,
        datagram: &[u8],
        now: u64,
        tried: Tried,
    ) -> Result<(), Dropped> {
        if self.common.is_stopping() {
            return Err(Dropped::Stopping);
        }
        // Flows that were given up have sockets until their tasks have ended.
        if self.tasks.len() >= self.most.saturating_add(BATCH) {
            return Err(Dropped::Full);
        }
        self.clients
            .begin(client.ip(), now)
            .map_err(|exceeded| match exceeded {
                Exceeded::Open => Dropped::ClientFlows,
                Exceeded::Rate => Dropped::ClientRate,
            })?;
        let opened = self
            .make_room(client)
            .and_then(|()| self.open(client, datagram, now, tried));
        if opened.is_err() {
            self.clients.end(client.ip());
        }
        opened
    }

    fn make_room(&mut self, client: SocketAddr) -> Result<(), Dropped> {
        if self.flows.len() < self.most || self.flows.get_mut(client).is_some() {
            return Ok(());
        }
        let given_up = self.flows.give_up().ok_or(Dropped::Full)?;
        given_up.cut();
        self.common.statistics.count_replaced();
        Ok(())
    }

    /// Opens a flow to a member, and sends the datagram.
    fn open(
        &mut self,
        client: SocketAddr,
        datagram: &[u8],
        now: u64,
        mut tried: Tried,
    ) -> Result<(), Dropped> {
        let hash = hash_of(client.ip());
        let table = self.stick.as_ref();
        let mut sticking = table.map(|table| Sticking::new(table, client.ip()));
        for _ in 0..TRIES {
            let mut request = PickRequest::new()
                .with_hash(hash)
                .with_tried(&tried.members)
                .with_cause(tried.cause.as_ref());
            if let Some(sticking) = &sticking {
                request = sticking.request(request);
            }
            let mut lease = self.balancer.pick(&request).map_err(|error| match error {
                PickError::AtCapacity => Dropped::AtCapacity,
                _ => Dropped::NoMember,
            })?;
            if let Some(sticking) = &mut sticking {
                if !sticking.accepts(lease.name_handle()) {
                    continue;
                }
            }
            let sent = match opening::connect(*lease, self.common.here) {
                Ok(socket) => {
                    let flow = Arc::new(Flow::new(socket, &mut lease, now));
                    flow.send(datagram)
                        .map(|()| flow)
                        .map_err(|error| Trouble::of(&error))
                }
                Err(Unopened::Shortage) => return Err(Dropped::NoSocket),
                Err(Unopened::Member(cause)) => {
                    tried.failed(lease.member().id(), cause.clone());
                    lease.put_in_error_because(cause.clone());
                    lease.fail(cause);
                    continue;
                }
            };
            match sent {
                Ok(flow) => {
                    if let Some(sticking) = &mut sticking {
                        sticking.connected(lease.name_handle());
                    }
                    let number = self.flows.insert(client, flow.clone());
                    let (common, gone) = (self.common.clone(), self.gone.clone());
                    let stick_use = sticking.and_then(Sticking::into_use);
                    let running =
                        Running::new(flow, common, lease, client, number, gone, stick_use);
                    self.tasks.spawn(running.run());
                    return Ok(());
                }
                Err(Trouble::Refused) => {
                    tried.failed(lease.member().id(), Cause::Refused);
                    lease.put_in_error_because(Cause::Refused);
                    lease.fail(Cause::Refused);
                }
                Err(trouble) => return Err(dropped_by(trouble)),
            }
        }
        Err(Dropped::NoMember)
    }
}
