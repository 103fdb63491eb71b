//! One flow. [`Flow`] is its client side, with which the client socket sends datagrams.
//! [`RunningFlow`] is its member side, a task that passes responses on and detects the end
//! of the flow.
//!
//! Not here: which flow a datagram belongs to (`client_socket`).

use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::sync::{Notify, mpsc};

use super::client_gate::ClientGate;
use super::connected_socket::ConnectedSocket;
use super::flow_context::FlowContext;
use super::flow_key::FlowKey;
use super::socket_fault::SocketFault;
use super::statistics::OpenFlow;
use crate::balancer::{Lease, SentMeter};
use crate::forward::scratch;
use crate::member::{Cause, MemberId, Outcome};
use crate::session::StickUse;
use crate::sync::{AtomicU32, Relaxed};
use crate::timer::Deadline;

/// The client side of a flow.
#[derive(Debug)]
pub(super) struct Flow {
    connected: ConnectedSocket,
    /// The PROXY header at the beginning of each datagram.
    header: Bytes,
    pub(super) gate: ClientGate,
    pub(super) member: MemberId,
    sent: SentMeter,
    // Relaxed: it only affects which flow is given up when there are too many.
    has_response: AtomicU32,
    // Relaxed: `wake` is notified afterwards.
    command: AtomicU32,
    wake: Notify,
}

/// The events a flow waits for. An error reported by the member's host does not make a
/// socket readable.
const EVENTS: Interest = Interest::READABLE.add(Interest::ERROR);

const CUT: u32 = 1;
const REFUSED: u32 = 2;

impl Flow {
    pub(super) fn new<W>(
        connected: ConnectedSocket,
        header: Bytes,
        lease: &mut Lease<W>,
        now: u64,
    ) -> Self {
        Self {
            connected,
            header,
            gate: ClientGate::passed_at(now),
            member: lease.member().id(),
            sent: lease.sent_meter(),
            has_response: AtomicU32::new(0),
            command: AtomicU32::new(0),
            wake: Notify::new(),
        }
    }

    /// Sends a datagram of the client, without waiting.
    pub(super) fn send(&self, datagram: &[u8]) -> io::Result<()> {
        // Not with tokio, which would wait until the system reports that the new socket is
        // writable.
        let socket = SockRef::from(&self.connected.socket);
        if self.header.is_empty() {
            socket.send(datagram)?;
        } else {
            socket.send_vectored(&[IoSlice::new(&self.header), IoSlice::new(datagram)])?;
        }
        self.sent.record(datagram.len() as u64);
        Ok(())
    }

    /// Receives a response, or the error that the member's host reported for an earlier
    /// datagram.
    fn receive(&self, memory: &mut [u8]) -> io::Result<usize> {
        match self.connected.socket.try_recv(memory) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            received => return received,
        }
        // Tokio accepts one interest here; with both it would never try.
        let socket = &self.connected.socket;
        socket.try_io(Interest::ERROR, || {
            let reported = socket.take_error()?;
            Err(reported.unwrap_or_else(|| ErrorKind::WouldBlock.into()))
        })
    }

    pub(super) fn has_response(&self) -> bool {
        self.has_response.load(Relaxed) != 0
    }

    /// Ends the flow in any state.
    pub(super) fn cut(&self) {
        self.end_with(CUT);
    }

    /// Ends the flow because its member refuses datagrams.
    pub(super) fn refuse(&self) {
        self.end_with(REFUSED);
    }

    /// Returns the member's address, if the member has another address to try.
    pub(super) fn one_of_several(&self) -> Option<SocketAddr> {
        self.connected.has_other.then_some(self.connected.to)
    }

    /// Makes the flow check its idle limit again.
    pub(super) fn look(&self) {
        self.wake.notify_one();
    }

    fn end_with(&self, order: u32) {
        self.gate.close();
        self.command.fetch_or(order, Relaxed);
        self.wake.notify_one();
    }
}

/// Notifies the client socket that a flow has ended.
#[derive(Debug)]
pub(super) struct FlowGone {
    pub(super) key: FlowKey,
    pub(super) number: u64,
    /// The address of its member, if it refused datagrams.
    pub(super) refused: Option<SocketAddr>,
}

/// The reason why a flow ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum FlowEnd {
    Complete,
    Cut,
    Quiet,
    Refused,
}

/// The result of passing on available responses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ResponseBatch {
    /// The queue of the system is empty.
    Drained,
    /// The flow ends.
    End(FlowEnd),
    /// There may be more.
    Full,
}

/// The member side of a flow, and its accounting.
#[derive(Debug)]
pub(super) struct RunningFlow<W> {
    flow: Arc<Flow>,
    context: Arc<FlowContext>,
    key: FlowKey,
    number: u64,
    responses: u64,
    refused: Option<SocketAddr>,
    gone: mpsc::UnboundedSender<FlowGone>,
    /// `None` once it has ended.
    lease: Option<Lease<W>>,
    /// Kept until the flow has ended.
    _stick_use: Option<StickUse>,
    _opened: OpenFlow,
}

/// The number of responses passed on before the task yields.
const BURST: usize = 32;

impl<W> RunningFlow<W> {
    pub(super) fn new(
        flow: Arc<Flow>,
        context: Arc<FlowContext>,
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
            responses: 0,
            refused: None,
            gone,
            lease: Some(lease),
            _stick_use: stick_use,
            _opened: context.statistics.count_opened(),
            context,
        }
    }

    /// Passes responses on until the flow ends.
    pub(super) async fn run(mut self) {
        let (flow, context) = (self.flow.clone(), self.context.clone());
        let mut deadline = pin!(Deadline::at(
            context.moment(context.now() + context.quiet())
        ));
        let end = loop {
            tokio::select! {
                () = flow.wake.notified() => match flow.command.load(Relaxed) {
                    0 => {}
                    order if order & REFUSED != 0 => break FlowEnd::Refused,
                    _ => break FlowEnd::Cut,
                },
                () = deadline.as_mut() => {}
                ready = flow.connected.socket.ready(EVENTS) => {
                    match ready.map(|_| self.pass_on()) {
                        Ok(ResponseBatch::Drained) => {}
                        // A member that floods always has more datagrams.
                        Ok(ResponseBatch::Full) => tokio::task::yield_now().await,
                        Ok(ResponseBatch::End(end)) => break end,
                        // The runtime is shutting down.
                        Err(_) => break FlowEnd::Cut,
                    }
                    continue;
                }
            }
            match flow.gate.close_after(context.quiet(), context.now()) {
                Ok(()) => break FlowEnd::Quiet,
                Err(until) => deadline.as_mut().reset(context.moment(until)),
            }
        };
        self.end(end);
    }

    /// Passes on the available responses, up to a limit.
    fn pass_on(&mut self) -> ResponseBatch {
        let mut memory = scratch::take();
        let mut passed = ResponseBatch::Full;
        for _ in 0..BURST {
            let end = match self.flow.receive(&mut memory) {
                Ok(length) => self.respond(&memory[..length]),
                Err(error) => match SocketFault::of(&error) {
                    SocketFault::Backlog => {
                        passed = ResponseBatch::Drained;
                        break;
                    }
                    SocketFault::Refused => Some(FlowEnd::Refused),
                    SocketFault::Oversize | SocketFault::Shortage | SocketFault::Unknown => None,
                },
            };
            if let Some(end) = end {
                passed = ResponseBatch::End(end);
                break;
            }
        }
        scratch::put_back(memory);
        passed
    }

    fn respond(&mut self, datagram: &[u8]) -> Option<FlowEnd> {
        let (context, flow) = (&self.context, &self.flow);
        match context.respond(datagram, self.key) {
            Ok(()) => context.statistics.count_to_client(),
            Err(reason) => context.statistics.count_dropped(reason),
        }
        flow.gate.response_passed(context.now());
        if let Some(lease) = &mut self.lease {
            lease.record_received(datagram.len() as u64);
            if self.responses == 0 {
                flow.has_response.store(1, Relaxed);
                lease.record_head(None);
            }
        }
        self.responses += 1;
        let each = u64::from(context.limits.responses);
        let done = each > 0 && flow.gate.close_if_complete(self.responses, each);
        done.then_some(FlowEnd::Complete)
    }

    fn end(mut self, end: FlowEnd) {
        let Some(lease) = self.lease.take() else {
            return;
        };
        let expected = self.context.limits.responses > 0;
        match end {
            FlowEnd::Refused => {
                self.context.statistics.count_refused();
                self.refused = Some(self.flow.connected.to);
                if self.flow.one_of_several().is_none() {
                    // Before the gate is closed, so that the client's next flow sees the
                    // error.
                    lease.put_in_error_because(Cause::Refused);
                }
                self.flow.gate.close();
                lease.fail(Cause::Refused);
            }
            FlowEnd::Quiet if expected && self.responses == 0 => {
                // After the stop, a member has no time to respond.
                if self.context.limits.fails_silent && !self.context.is_stopping() {
                    lease.put_in_error_because(Cause::TimedOut);
                }
                lease.fail(Cause::TimedOut);
            }
            FlowEnd::Cut if self.responses == 0 => lease.finish(Outcome::Cancelled),
            FlowEnd::Complete | FlowEnd::Cut | FlowEnd::Quiet => lease.finish(Outcome::Success),
        }
    }
}

impl<W> Drop for RunningFlow<W> {
    fn drop(&mut self) {
        self.flow.gate.close();
        // Fails if the client socket is gone, which does not matter.
        let _ = self.gone.send(FlowGone {
            key: self.key,
            number: self.number,
            refused: self.refused,
        });
    }
}
