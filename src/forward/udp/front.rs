//! The side of the clients: [`ClientSocket`] takes their datagrams and gives each to its flow, or
//! opens one.
//!
//! It is one task and owns all that knows of flows, so nothing of that is locked. It waits for
//! no flow and no member: what cannot be sent at once is dropped.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::common::{Common, dropped_by};
use super::dropped::Dropped;
use super::flow::{Flow, FlowGone, RunningFlow};
use super::flow_key::FlowKey;
use super::held::HeldDatagrams;
use super::leaving::Leaving;
use super::local_address;
use super::lookups::AddressLookups;
use super::opening::{self, ConnectedSocket, Unopened};
use super::picked::{Elected, Tried};
use super::table::FlowTable;
use super::trouble::Trouble;
use crate::balancer::{Balancer, Lease, PickError, PickRequest};
use crate::forward::Address;
use crate::forward::client_hash::hash_of;
use crate::forward::per_client::{Clients, Exceeded, PerClientLimits};
use crate::forward::scratch;
use crate::forward::sticking::Sticking;
use crate::member::{Cause, Outcome};
use crate::net::{DatagramsTo, ProxyHeader, Stopped, default_connections};
use crate::session::StickTable;
use crate::timer::timeout;

/// So many datagrams are taken before other tasks, and flows that have ended, have their turn.
const BATCH: usize = 64;

/// So many members are tried for one datagram.
const TRIES: usize = 8;

/// After an error of the socket, which may last.
const PAUSE: Duration = Duration::from_millis(50);

/// Of this many batches, those that had come before the stop.
const LAST_BATCHES: usize = 64;

/// What was there to take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ReceivedDatagram {
    /// The queue of the system is empty.
    All,
    /// There may be more.
    Some,
}

pub(super) struct ClientSocket {
    balancer: Balancer<Address>,
    common: Arc<Common>,
    flows: FlowTable<Arc<Flow>>,
    most: usize,
    clients: Clients,
    leaving: Leaving,
    lookups: AddressLookups,
    held: HeldDatagrams<Elected>,
    stick: Option<StickTable>,
    /// For what the system tells of a datagram.
    notes: Vec<u8>,
    tasks: JoinSet<()>,
    gone: mpsc::UnboundedSender<FlowGone>,
    ended: mpsc::UnboundedReceiver<FlowGone>,
}

/// What became of a datagram that was not dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum DatagramFate {
    /// It waits for the name of its member.
    Held,
    Sent,
}

impl ClientSocket {
    pub(super) fn new(
        balancer: Balancer<Address>,
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
            flows: FlowTable::new(),
            most,
            lookups: AddressLookups::default(),
            held: HeldDatagrams::new(),
            stick,
            notes: local_address::memory(),
            tasks: JoinSet::new(),
            gone,
            ended,
        }
    }

    /// Serves until `stop` resolves, and then what flows there are until they have ended, or
    /// the time for that is over.
    pub(super) async fn serve(mut self, stop: impl Future<Output = ()>) -> Stopped {
        let mut stop = std::pin::pin!(stop);
        self.resolve_all();
        loop {
            tokio::select! {
                () = self.turn() => {}
                () = stop.as_mut() => break,
            }
        }
        // What came before the stop is served.
        for _ in 0..LAST_BATCHES {
            if !matches!(self.take(), Ok(ReceivedDatagram::Some)) {
                break;
            }
        }
        self.common.begin_to_stop();
        for _ in self.held.take() {
            self.common.statistics.count_dropped(Dropped::Stopping);
        }
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
            () = self.lookups.next(|| self.common.now()) => self.take_held(),
            ready = self.common.inbound.readable() => {
                match ready.and_then(|()| self.take()) {
                    Ok(ReceivedDatagram::All) => {}
                    // Under a flood there is always more.
                    Ok(ReceivedDatagram::Some) => tokio::task::yield_now().await,
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        }
    }

    /// Takes the datagrams that are there, but not too many at once.
    fn take(&mut self) -> io::Result<ReceivedDatagram> {
        let now = self.common.now();
        let mut memory = scratch::take();
        let mut taken = Ok(ReceivedDatagram::Some);
        for _ in 0..BATCH {
            match self.common.inbound.receive(&mut memory, &mut self.notes) {
                Ok((length, key)) => self.datagram(key, &memory[..length], now, None),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    taken = Ok(ReceivedDatagram::All);
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

    fn forget(&mut self, gone: &FlowGone) {
        if let Some(address) = gone.refused {
            self.lookups.refused(address);
        }
        self.clients.end(gone.key.client.ip());
        self.flows.remove(gone.key, gone.number);
    }

    /// Begins to resolve the names of all members.
    fn resolve_all(&mut self) {
        let (now, port) = (self.common.now(), self.common.inbound.here().port());
        for member in self.balancer.members() {
            let Some(to) = self.balancer.payload(member.name()) else {
                continue;
            };
            if let Ok(DatagramsTo::Host(host, port)) = to.datagrams_to(port) {
                // It is asked for again with the first datagram.
                let _ = self.lookups.find(host, port, now);
            }
        }
    }

    /// Takes the datagrams that have waited for a name. Some may have to wait on.
    fn take_held(&mut self) {
        let now = self.common.now();
        for (key, datagram, elected) in self.held.take() {
            self.datagram(key, &datagram, now, elected);
        }
    }

    /// Sends a datagram to a member: the one of its flow, or if it has none, the one that was
    /// picked for it before.
    fn datagram(&mut self, key: FlowKey, datagram: &[u8], now: u64, elected: Option<Elected>) {
        let statistics = &self.common.statistics;
        if datagram.len() > self.common.limits.datagram {
            statistics.count_dropped(Dropped::Oversize);
            return;
        }
        let mut tried = Tried::default();
        let sent = match self.by_flow(key, datagram, now, &mut tried) {
            Some(sent) => {
                if let Some(elected) = elected {
                    elected.lease.finish(Outcome::Cancelled);
                }
                sent
            }
            None => self.by_new_flow(key, datagram, now, tried, elected),
        };
        let statistics = &self.common.statistics;
        match sent {
            Ok(DatagramFate::Held) => {}
            Ok(DatagramFate::Sent) => statistics.count_to_member(),
            Err(reason) => statistics.count_dropped(reason),
        }
    }

    /// Sends a datagram by the flow that the client has; `None` if it needs a new one.
    fn by_flow(
        &mut self,
        key: FlowKey,
        datagram: &[u8],
        now: u64,
        tried: &mut Tried,
    ) -> Option<Result<DatagramFate, Dropped>> {
        let entry = self.flows.get_mut(key)?;
        if !entry.flow.gate.pass(now) {
            return None;
        }
        match entry.flow.send(datagram) {
            Ok(()) => {
                if !entry.is_confirmed() && entry.flow.is_answered() {
                    self.flows.confirm(key, now);
                }
                Some(Ok(DatagramFate::Sent))
            }
            Err(error) => match Trouble::of(&error) {
                // It answers an earlier datagram; this one has not been sent.
                Trouble::Refused => {
                    entry.flow.refuse();
                    match entry.flow.one_of_several() {
                        Some(address) => self.lookups.refused(address),
                        None => tried.failed(entry.flow.member, Cause::Refused),
                    }
                    None
                }
                trouble => Some(Err(dropped_by(trouble))),
            },
        }
    }

    fn by_new_flow(
        &mut self,
        key: FlowKey,
        datagram: &[u8],
        now: u64,
        tried: Tried,
        elected: Option<Elected>,
    ) -> Result<DatagramFate, Dropped> {
        if self.common.is_stopping() {
            return Err(Dropped::Stopping);
        }
        // Flows that were given up have sockets until their tasks have ended.
        if self.tasks.len() >= self.most.saturating_add(BATCH) {
            return Err(Dropped::Full);
        }
        if elected.is_none() && self.held.has(key) {
            return self.hold(key, datagram, None);
        }
        let client = key.client.ip();
        self.clients
            .begin(client, now)
            .map_err(|exceeded| match exceeded {
                Exceeded::Open => Dropped::ClientFlows,
                Exceeded::Rate => Dropped::ClientRate,
            })?;
        let opened = self
            .make_room(key, now)
            .and_then(|()| self.open(key, datagram, now, tried, elected));
        match opened {
            Ok(DatagramFate::Sent) => {}
            // It begins when the name is resolved, and counts then.
            Ok(DatagramFate::Held) => self.clients.take_back(client),
            Err(_) => self.clients.end(client),
        }
        opened
    }

    fn make_room(&mut self, key: FlowKey, now: u64) -> Result<(), Dropped> {
        if self.flows.len() < self.most || self.flows.get_mut(key).is_some() {
            return Ok(());
        }
        self.give_up(now).then_some(()).ok_or(Dropped::Full)
    }

    /// Ends the flow that is worth least; returns whether there was one to end.
    fn give_up(&mut self, now: u64) -> bool {
        let Some(flow) = self.flows.give_up(now, |flow| flow.gate.used()) else {
            return false;
        };
        flow.cut();
        self.common.statistics.count_replaced();
        true
    }

    /// Keeps a datagram until the name of its member is resolved.
    fn hold(
        &mut self,
        key: FlowKey,
        datagram: &[u8],
        elected: Option<Elected>,
    ) -> Result<DatagramFate, Dropped> {
        match self.held.keep(key, datagram, elected) {
            Ok(()) => Ok(DatagramFate::Held),
            Err(elected) => {
                if let Some(elected) = elected {
                    elected.lease.finish(Outcome::Cancelled);
                }
                Err(Dropped::Resolving)
            }
        }
    }

    /// Opens a flow to a member, and sends the datagram.
    fn open(
        &mut self,
        key: FlowKey,
        datagram: &[u8],
        now: u64,
        mut tried: Tried,
        elected: Option<Elected>,
    ) -> Result<DatagramFate, Dropped> {
        let client = key.client.ip();
        let (mut elected, mut sticking) = match elected {
            Some(Elected { lease, sticking }) => (Some(lease), sticking),
            None => {
                let table = self.stick.as_ref();
                (None, table.map(|table| Sticking::new(table, client)))
            }
        };
        for _ in 0..TRIES {
            let mut lease = match elected.take() {
                Some(lease) => lease,
                None => {
                    let lease = self.elect(client, &tried, sticking.as_ref())?;
                    if let Some(sticking) = &mut sticking {
                        if !sticking.accepts(lease.name_handle()) {
                            continue;
                        }
                    }
                    lease
                }
            };
            let sent = match self.connect(&lease, now) {
                Ok(way) => {
                    let flow = Arc::new(Flow::new(way, self.header(key), &mut lease, now));
                    flow.send(datagram)
                        .map(|()| flow)
                        .map_err(|error| Trouble::of(&error))
                }
                Err(Unopened::Resolving) => {
                    return self.hold(key, datagram, Some(Elected { lease, sticking }));
                }
                Err(Unopened::Shortage) => {
                    // Later ones find room, unless another flow is about to make it.
                    if self.tasks.len() <= self.flows.len() {
                        self.give_up(now);
                    }
                    return Err(Dropped::NoSocket);
                }
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
                    let number = self.flows.insert(key, flow.clone());
                    let (common, gone) = (self.common.clone(), self.gone.clone());
                    let stick_use = sticking.and_then(Sticking::into_use);
                    let running =
                        RunningFlow::new(flow, common, lease, key, number, gone, stick_use);
                    self.tasks.spawn(running.run());
                    return Ok(DatagramFate::Sent);
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

    fn elect(
        &self,
        client: IpAddr,
        tried: &Tried,
        sticking: Option<&Sticking>,
    ) -> Result<Lease<Address>, Dropped> {
        let request = PickRequest::new()
            .with_hash(hash_of(client))
            .with_tried(&tried.members)
            .with_cause(tried.cause.as_ref());
        let request = match sticking {
            Some(sticking) => sticking.request(request),
            None => request,
        };
        self.balancer.pick_untried(&request).map_err(|error| {
            self.balancer.report_refused(&request, &error);
            match error {
                PickError::AtCapacity => Dropped::AtCapacity,
                _ => Dropped::NoMember,
            }
        })
    }

    /// Opens a socket to a member.
    fn connect(&mut self, to: &Address, now: u64) -> Result<ConnectedSocket, Unopened> {
        let here = self.common.inbound.here();
        match to.datagrams_to(here.port()) {
            Ok(DatagramsTo::Address(to)) => opening::connect(to, here),
            Ok(DatagramsTo::Host(host, port)) => {
                let found = self.lookups.find(host, port, now)?;
                opening::connect_to_any(found, here)
            }
            Err(why) => Err(Unopened::Member(why.into())),
        }
    }

    /// What each datagram of a flow begins with.
    fn header(&self, key: FlowKey) -> Bytes {
        if !self.common.limits.proxy_header {
            return Bytes::new();
        }
        let local = self.common.inbound.local(key);
        ProxyHeader::new(key.client, local).encode_for_datagram()
    }
}
