//! The client side: [`ClientSocket`] receives the clients' datagrams and passes each to its
//! flow, or opens one.
//!
//! It is one task and owns all state about flows, so no lock is needed. It waits for
//! neither flows nor members: what cannot be sent at once is dropped.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::connected_socket::{self, ConnectedSocket, OpenFailure};
use super::dropped::Dropped;
use super::flow::{Flow, FlowGone, RunningFlow};
use super::flow_context::{FlowContext, dropped_by};
use super::flow_key::FlowKey;
use super::held_datagrams::HeldDatagrams;
use super::local_address;
use super::lookups::AddressLookups;
use super::lost_flows::LostMemberFlows;
use super::picked::{FailedMembers, PickedMember};
use super::socket_fault::SocketFault;
use super::table::FlowTable;
use crate::balancer::{Balancer, Lease, PickError, PickRequest};
use crate::forward::Address;
use crate::forward::client_hash::client_hash;
use crate::forward::per_client::{Clients, Exceeded, PerClientLimits};
use crate::forward::scratch;
use crate::forward::sticky_client::StickyClient;
use crate::member::{Cause, Outcome};
use crate::net::{DatagramsTo, ProxyHeader, Stopped, default_connections};
use crate::session::StickTable;
use crate::timer::timeout;

/// The number of datagrams received before other tasks, and ended flows, are served.
const BATCH: usize = 64;

/// The maximum number of members that are tried for one datagram.
const TRIES: usize = 8;

/// The pause after an error of the socket, which may persist.
const PAUSE: Duration = Duration::from_millis(50);

/// The maximum number of batches received after the stop, for datagrams that had arrived
/// before.
const LAST_BATCHES: usize = 64;

/// The result of receiving available datagrams.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ReceiveBatch {
    /// The queue of the system is empty.
    Drained,
    /// There may be more.
    Full,
}

pub(super) struct ClientSocket {
    balancer: Balancer<Address>,
    context: Arc<FlowContext>,
    flows: FlowTable<Arc<Flow>>,
    most: usize,
    clients: Clients,
    lost_flows: LostMemberFlows,
    lookups: AddressLookups,
    held: HeldDatagrams<PickedMember>,
    stick: Option<StickTable>,
    /// Memory for the system's information about a datagram.
    notes: Vec<u8>,
    tasks: JoinSet<()>,
    gone: mpsc::UnboundedSender<FlowGone>,
    ended: mpsc::UnboundedReceiver<FlowGone>,
}

/// What happened to a datagram that was not dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum DatagramFate {
    /// It waits until the name of its member is resolved.
    Held,
    Sent,
}

impl ClientSocket {
    pub(super) fn new(
        balancer: Balancer<Address>,
        context: FlowContext,
        stick: Option<StickTable>,
    ) -> Self {
        let limits = context.limits;
        let most = limits.flows.unwrap_or_else(default_connections).max(1);
        let per_client = PerClientLimits {
            open: Some(limits.flows_per_client.unwrap_or(most.div_ceil(4))),
            per_second: Some(limits.new_flows_per_client),
        };
        let most = most as usize;
        let (gone, ended) = mpsc::unbounded_channel();
        Self {
            clients: Clients::new(per_client, most),
            lost_flows: LostMemberFlows::new(&balancer, limits.loss_delay),
            balancer,
            context: Arc::new(context),
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

    /// Serves until `stop` resolves, and then the existing flows until they have ended or
    /// the drain timeout has passed.
    pub(super) async fn serve(mut self, stop: impl Future<Output = ()>) -> Stopped {
        let mut stop = std::pin::pin!(stop);
        self.resolve_all();
        loop {
            tokio::select! {
                () = self.turn() => {}
                () = stop.as_mut() => break,
            }
        }
        // Datagrams that arrived before the stop are served.
        for _ in 0..LAST_BATCHES {
            if !matches!(self.take(), Ok(ReceiveBatch::Full)) {
                break;
            }
        }
        self.context.begin_to_stop();
        for _ in self.held.take() {
            self.context.statistics.count_dropped(Dropped::Stopping);
        }
        for (_, entry) in self.flows.entries_mut() {
            entry.flow.look();
        }
        let drain = self.context.limits.drain;
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

    /// Waits for one event, and processes it.
    async fn turn(&mut self) {
        tokio::select! {
            Some(gone) = self.ended.recv() => {
                self.forget(&gone);
                while let Ok(gone) = self.ended.try_recv() {
                    self.forget(&gone);
                }
            }
            Some(_) = self.tasks.join_next() => while self.tasks.try_join_next().is_some() {},
            () = self.lost_flows.next() => self.lost_flows.look(&self.balancer, &mut self.flows),
            () = self.lookups.next(|| self.context.now()) => self.take_held(),
            ready = self.context.inbound.readable() => {
                match ready.and_then(|()| self.take()) {
                    Ok(ReceiveBatch::Drained) => {}
                    // During a flood there are always more datagrams.
                    Ok(ReceiveBatch::Full) => tokio::task::yield_now().await,
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        }
    }

    /// Receives the available datagrams, up to a limit.
    fn take(&mut self) -> io::Result<ReceiveBatch> {
        let now = self.context.now();
        let mut memory = scratch::take();
        let mut taken = Ok(ReceiveBatch::Full);
        for _ in 0..BATCH {
            match self.context.inbound.receive(&mut memory, &mut self.notes) {
                Ok((length, key)) => self.datagram(key, &memory[..length], now, None),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    taken = Ok(ReceiveBatch::Drained);
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
        let (now, port) = (self.context.now(), self.context.inbound.here().port());
        for member in self.balancer.members() {
            let Some(to) = self.balancer.payload(member.name()) else {
                continue;
            };
            if let Ok(DatagramsTo::Host(host, port)) = to.datagrams_to(port) {
                // The first datagram looks it up again.
                let _ = self.lookups.find(host, port, now);
            }
        }
    }

    /// Processes the datagrams that have waited for a name. Some may have to wait further.
    fn take_held(&mut self) {
        let now = self.context.now();
        for (key, datagram, picked) in self.held.take() {
            self.datagram(key, &datagram, now, picked);
        }
    }

    /// Sends a datagram to a member: that of its flow, or if it has none, the one that was
    /// picked before.
    fn datagram(&mut self, key: FlowKey, datagram: &[u8], now: u64, picked: Option<PickedMember>) {
        let statistics = &self.context.statistics;
        if datagram.len() > self.context.limits.datagram {
            statistics.count_dropped(Dropped::Oversize);
            return;
        }
        let mut failed_members = FailedMembers::default();
        let sent = match self.by_flow(key, datagram, now, &mut failed_members) {
            Some(sent) => {
                if let Some(picked) = picked {
                    picked.lease.finish(Outcome::Cancelled);
                }
                sent
            }
            None => self.by_new_flow(key, datagram, now, failed_members, picked),
        };
        let statistics = &self.context.statistics;
        match sent {
            Ok(DatagramFate::Held) => {}
            Ok(DatagramFate::Sent) => statistics.count_to_member(),
            Err(reason) => statistics.count_dropped(reason),
        }
    }

    /// Sends a datagram through the client's existing flow; `None` if it needs a new one.
    fn by_flow(
        &mut self,
        key: FlowKey,
        datagram: &[u8],
        now: u64,
        failed_members: &mut FailedMembers,
    ) -> Option<Result<DatagramFate, Dropped>> {
        let entry = self.flows.get_mut(key)?;
        if !entry.flow.gate.pass(now) {
            return None;
        }
        match entry.flow.send(datagram) {
            Ok(()) => {
                if !entry.is_confirmed() && entry.flow.has_response() {
                    self.flows.confirm(key, now);
                }
                Some(Ok(DatagramFate::Sent))
            }
            Err(error) => match SocketFault::of(&error) {
                // The error is about an earlier datagram; this one has not been sent.
                SocketFault::Refused => {
                    entry.flow.refuse();
                    match entry.flow.one_of_several() {
                        Some(address) => self.lookups.refused(address),
                        None => failed_members.failed(entry.flow.member, Cause::Refused),
                    }
                    None
                }
                fault => Some(Err(dropped_by(fault))),
            },
        }
    }

    fn by_new_flow(
        &mut self,
        key: FlowKey,
        datagram: &[u8],
        now: u64,
        failed_members: FailedMembers,
        picked: Option<PickedMember>,
    ) -> Result<DatagramFate, Dropped> {
        if self.context.is_stopping() {
            return Err(Dropped::Stopping);
        }
        // Flows that were given up use a socket until their tasks have ended.
        if self.tasks.len() >= self.most.saturating_add(BATCH) {
            return Err(Dropped::Full);
        }
        if picked.is_none() && self.held.has(key) {
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
            .and_then(|()| self.open(key, datagram, now, failed_members, picked));
        match opened {
            Ok(DatagramFate::Sent) => {}
            // The flow begins when the name is resolved, and counts then.
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

    /// Ends the least valuable flow; returns whether there was one to end.
    fn give_up(&mut self, now: u64) -> bool {
        let Some(flow) = self.flows.give_up(now, |flow| flow.gate.used()) else {
            return false;
        };
        flow.cut();
        self.context.statistics.count_replaced();
        true
    }

    /// Keeps a datagram until the name of its member is resolved.
    fn hold(
        &mut self,
        key: FlowKey,
        datagram: &[u8],
        picked: Option<PickedMember>,
    ) -> Result<DatagramFate, Dropped> {
        match self.held.keep(key, datagram, picked) {
            Ok(()) => Ok(DatagramFate::Held),
            Err(picked) => {
                if let Some(picked) = picked {
                    picked.lease.finish(Outcome::Cancelled);
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
        mut failed_members: FailedMembers,
        picked: Option<PickedMember>,
    ) -> Result<DatagramFate, Dropped> {
        let client = key.client.ip();
        let (mut picked, mut sticking) = match picked {
            Some(PickedMember { lease, sticking }) => (Some(lease), sticking),
            None => {
                let table = self.stick.as_ref();
                (None, table.map(|table| StickyClient::new(table, client)))
            }
        };
        for _ in 0..TRIES {
            let mut lease = match picked.take() {
                Some(lease) => lease,
                None => {
                    let lease = self.pick(client, &failed_members, sticking.as_ref())?;
                    if let Some(sticking) = &mut sticking {
                        if !sticking.accepts(lease.name_handle()) {
                            continue;
                        }
                    }
                    lease
                }
            };
            let sent = match self.connect(&lease, now) {
                Ok(connected) => {
                    let flow = Arc::new(Flow::new(connected, self.header(key), &mut lease, now));
                    flow.send(datagram)
                        .map(|()| flow)
                        .map_err(|error| SocketFault::of(&error))
                }
                Err(OpenFailure::Resolving) => {
                    return self.hold(key, datagram, Some(PickedMember { lease, sticking }));
                }
                Err(OpenFailure::Shortage) => {
                    // Makes room for later ones, unless another ended flow is about to do
                    // so.
                    if self.tasks.len() <= self.flows.len() {
                        self.give_up(now);
                    }
                    return Err(Dropped::NoSocket);
                }
                Err(OpenFailure::Member(cause)) => {
                    failed_members.failed(lease.member().id(), cause.clone());
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
                    let (context, gone) = (self.context.clone(), self.gone.clone());
                    let stick_use = sticking.and_then(StickyClient::into_use);
                    let running =
                        RunningFlow::new(flow, context, lease, key, number, gone, stick_use);
                    self.tasks.spawn(running.run());
                    return Ok(DatagramFate::Sent);
                }
                Err(SocketFault::Refused) => {
                    failed_members.failed(lease.member().id(), Cause::Refused);
                    lease.put_in_error_because(Cause::Refused);
                    lease.fail(Cause::Refused);
                }
                Err(fault) => return Err(dropped_by(fault)),
            }
        }
        Err(Dropped::NoMember)
    }

    fn pick(
        &self,
        client: IpAddr,
        failed_members: &FailedMembers,
        sticking: Option<&StickyClient>,
    ) -> Result<Lease<Address>, Dropped> {
        let request = PickRequest::new()
            .with_hash(client_hash(client))
            .with_tried(&failed_members.members)
            .with_cause(failed_members.cause.as_ref());
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
    fn connect(&mut self, to: &Address, now: u64) -> Result<ConnectedSocket, OpenFailure> {
        let here = self.context.inbound.here();
        match to.datagrams_to(here.port()) {
            Ok(DatagramsTo::Address(to)) => connected_socket::connect(to, here),
            Ok(DatagramsTo::Host(host, port)) => {
                let found = self.lookups.find(host, port, now)?;
                connected_socket::connect_to_any(found, here)
            }
            Err(why) => Err(OpenFailure::Member(why.into())),
        }
    }

    /// Returns the bytes at the beginning of each datagram of a flow.
    fn header(&self, key: FlowKey) -> Bytes {
        if !self.context.limits.proxy_header {
            return Bytes::new();
        }
        let local = self.context.inbound.local(key);
        ProxyHeader::new(key.client, local).encode_for_datagram()
    }
}
