//! One flow: the client's side of it is [`Flow`], by which the front sends; the member's side
//! is [`RunningFlow`], a task that passes the answers on and knows when the flow ends.
//!
//! What does not live here: which flow a datagram belongs to (`front`).

use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::sync::{Notify, mpsc};

use super::common::Common;
use super::flow_key::FlowKey;
use super::gate::ClientGate;
use super::opening::ConnectedSocket;
use super::statistics::OpenFlow;
use super::trouble::Trouble;
use crate::balancer::{Lease, SentMeter};
use crate::forward::scratch;
use crate::member::{Cause, MemberId, Outcome};
use crate::session::StickUse;
use crate::sync::{AtomicU32, Relaxed};
use crate::timer::Deadline;

/// What the front uses of a flow.
#[derive(Debug)]
pub(super) struct Flow {
    way: ConnectedSocket,
    /// What each datagram begins with.
    header: Bytes,
    pub(super) gate: ClientGate,
    pub(super) member: MemberId,
    sent: SentMeter,
    // Relaxed: it matters only to which flow is given up when there are too many.
    is_answered: AtomicU32,
    // Relaxed: `told` is notified afterwards.
    order: AtomicU32,
    told: Notify,
}

/// What a flow waits for. A report of the member's host makes no socket readable.
const NEWS: Interest = Interest::READABLE.add(Interest::ERROR);

const CUT: u32 = 1;
const REFUSED: u32 = 2;

impl Flow {
    pub(super) fn new<W>(
        way: ConnectedSocket,
        header: Bytes,
        lease: &mut Lease<W>,
        now: u64,
    ) -> Self {
        Self {
            way,
            header,
            gate: ClientGate::passed_at(now),
            member: lease.member().id(),
            sent: lease.sent_meter(),
            is_answered: AtomicU32::new(0),
            order: AtomicU32::new(0),
            told: Notify::new(),
        }
    }

    /// Sends a datagram of the client, without waiting.
    pub(super) fn send(&self, datagram: &[u8]) -> io::Result<()> {
        // Not by tokio, which would wait until the system has told of the new socket.
        let socket = SockRef::from(&self.way.socket);
        if self.header.is_empty() {
            socket.send(datagram)?;
        } else {
            socket.send_vectored(&[IoSlice::new(&self.header), IoSlice::new(datagram)])?;
        }
        self.sent.record(datagram.len() as u64);
        Ok(())
    }

    /// Receives an answer, or what the member's host reports of an earlier datagram.
    fn receive(&self, memory: &mut [u8]) -> io::Result<usize> {
        match self.way.socket.try_recv(memory) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            received => return received,
        }
        // Tokio takes one interest at a time here; with both it would never try.
        let socket = &self.way.socket;
        socket.try_io(Interest::ERROR, || {
            let reported = socket.take_error()?;
            Err(reported.unwrap_or_else(|| ErrorKind::WouldBlock.into()))
        })
    }

    pub(super) fn is_answered(&self) -> bool {
        self.is_answered.load(Relaxed) != 0
    }

    /// Ends the flow, whatever it is about.
    pub(super) fn cut(&self) {
        self.tell(CUT);
    }

    /// Ends the flow, as its member refuses datagrams.
    pub(super) fn refuse(&self) {
        self.tell(REFUSED);
    }

    /// The member's address, if it has another one that may do better.
    pub(super) fn one_of_several(&self) -> Option<SocketAddr> {
        self.way.has_other.then_some(self.way.to)
    }

    /// Lets the flow look at how long it may be quiet.
    pub(super) fn look(&self) {
        self.told.notify_one();
    }

    fn tell(&self, order: u32) {
        self.gate.close();
        self.order.fetch_or(order, Relaxed);
        self.told.notify_one();
    }
}

/// Tells the front that a flow is gone.
#[derive(Debug)]
pub(super) struct FlowGone {
    pub(super) key: FlowKey,
    pub(super) number: u64,
    /// The address of its member, if that refused datagrams.
    pub(super) refused: Option<SocketAddr>,
}

/// Why a flow ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum FlowEnd {
    Answered,
    Cut,
    Quiet,
    Refused,
}

/// What was there to pass on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PassedOn {
    /// The queue of the system is empty.
    All,
    /// The flow ends.
    End(FlowEnd),
    /// There may be more.
    Some,
}

/// The member's side of a flow, and its accounting.
#[derive(Debug)]
pub(super) struct RunningFlow<W> {
    flow: Arc<Flow>,
    common: Arc<Common>,
    key: FlowKey,
    number: u64,
    answers: u64,
    refused: Option<SocketAddr>,
    gone: mpsc::UnboundedSender<FlowGone>,
    /// `None` once it has ended.
    lease: Option<Lease<W>>,
    /// Until the flow has ended.
    _stick_use: Option<StickUse>,
    _opened: OpenFlow,
}

/// So many answers are passed on before other tasks have their turn.
const BURST: usize = 32;

impl<W> RunningFlow<W> {
    pub(super) fn new(
        flow: Arc<Flow>,
        common: Arc<Common>,
        lease: Lease<W>,
        key: FlowKey,
        number: u64,
        gone: mpsc::UnboundedSender<FlowGone>,
        stick_use: Option<StickUse>,
    ) -> Self {
        Self {
            flow,
            key,
            number,
            answers: 0,
            refused: None,
            gone,
            lease: Some(lease),
            _stick_use: stick_use,
            _opened: common.statistics.count_opened(),
            common,
        }
    }

    /// Passes answers on until the flow ends.
    pub(super) async fn run(mut self) {
        let (flow, common) = (self.flow.clone(), self.common.clone());
        let mut deadline = pin!(Deadline::at(common.moment(common.now() + common.quiet())));
        let end = loop {
            tokio::select! {
                () = flow.told.notified() => match flow.order.load(Relaxed) {
                    0 => {}
                    order if order & REFUSED != 0 => break FlowEnd::Refused,
                    _ => break FlowEnd::Cut,
                },
                () = deadline.as_mut() => {}
                ready = flow.way.socket.ready(NEWS) => {
                    match ready.map(|_| self.pass_on()) {
                        Ok(PassedOn::All) => {}
                        // From a member that floods there is always more.
                        Ok(PassedOn::Some) => tokio::task::yield_now().await,
                        Ok(PassedOn::End(end)) => break end,
                        // The runtime shuts down.
                        Err(_) => break FlowEnd::Cut,
                    }
                    continue;
                }
            }
            match flow.gate.close_after(common.quiet(), common.now()) {
                Ok(()) => break FlowEnd::Quiet,
                Err(until) => deadline.as_mut().reset(common.moment(until)),
            }
        };
        self.end(end);
    }

    /// Passes on the answers that are there, but not too many at once.
    fn pass_on(&mut self) -> PassedOn {
        let mut memory = scratch::take();
        let mut passed = PassedOn::Some;
        for _ in 0..BURST {
            let end = match self.flow.receive(&mut memory) {
                Ok(length) => self.answer(&memory[..length]),
                Err(error) => match Trouble::of(&error) {
                    Trouble::Backlog => {
                        passed = PassedOn::All;
                        break;
                    }
                    Trouble::Refused => Some(FlowEnd::Refused),
                    Trouble::Oversize | Trouble::Shortage | Trouble::Unknown => None,
                },
            };
            if let Some(end) = end {
                passed = PassedOn::End(end);
                break;
            }
        }
        scratch::put_back(memory);
        passed
    }

    fn answer(&mut self, datagram: &[u8]) -> Option<FlowEnd> {
        let (common, flow) = (&self.common, &self.flow);
        match common.answer(datagram, self.key) {
            Ok(()) => common.statistics.count_to_client(),
            Err(reason) => common.statistics.count_dropped(reason),
        }
        flow.gate.answered(common.now());
        if let Some(lease) = &mut self.lease {
            lease.record_received(datagram.len() as u64);
            if self.answers == 0 {
                flow.is_answered.store(1, Relaxed);
                lease.record_head(None);
            }
        }
        self.answers += 1;
        let each = u64::from(common.limits.answers);
        let done = each > 0 && flow.gate.close_if_answered(self.answers, each);
        done.then_some(FlowEnd::Answered)
    }

    fn end(mut self, end: FlowEnd) {
        let Some(lease) = self.lease.take() else {
            return;
        };
        let expected = self.common.limits.answers > 0;
        match end {
            FlowEnd::Refused => {
                self.common.statistics.count_refused();
                self.refused = Some(self.flow.way.to);
                if self.flow.one_of_several().is_none() {
                    // Before the gate is closed, so that the next flow of the client finds it so.
                    lease.put_in_error_because(Cause::Refused);
                }
                self.flow.gate.close();
                lease.fail(Cause::Refused);
            }
            FlowEnd::Quiet if expected && self.answers == 0 => {
                // Once it stops, a member has no time to answer.
                if self.common.limits.fails_silent && !self.common.is_stopping() {
                    lease.put_in_error_because(Cause::TimedOut);
                }
                lease.fail(Cause::TimedOut);
            }
            FlowEnd::Cut if self.answers == 0 => lease.finish(Outcome::Cancelled),
            FlowEnd::Answered | FlowEnd::Cut | FlowEnd::Quiet => lease.finish(Outcome::Success),
        }
    }
}

impl<W> Drop for RunningFlow<W> {
    fn drop(&mut self) {
        self.flow.gate.close();
        // Without a front nothing is left to do.
        let _ = self.gone.send(FlowGone {
            key: self.key,
            number: self.number,
            refused: self.refused,
        });
    }
}
