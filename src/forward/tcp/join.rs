//! Copying both directions of a connection, within its time limits: [`join`].
//!
//! Not here: one direction (`pump`), and what an end means for the member
//! (`connection`).

use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::aborted::Aborted;
use super::pump::{Pump, PumpProgress};
use crate::balancer::Lease;
use crate::forward::address::Address;
use crate::net::Stream;
use crate::timer::Deadline;

/// The time limits of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct JoinLimits {
    /// Maximum time without a byte in either direction.
    pub(super) idle: Duration,
    /// The same, once one side has ended.
    pub(super) half_close: Duration,
    /// The end of its lifetime.
    pub(super) until: Instant,
}

impl JoinLimits {
    /// Returns the limit that has passed.
    fn passed(&self, now: Instant, has_a_side_ended: bool) -> Aborted {
        if self.until <= now {
            Aborted::Lifetime
        } else if has_a_side_ended {
            Aborted::HalfCloseTimeout
        } else {
            Aborted::IdleTimeout
        }
    }
}

/// How a connection to a member ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum JoinEnd {
    /// Both sides have ended, and all bytes have arrived.
    Both,
    /// The client's connection failed.
    ClientFailed,
    /// A limit has passed, or the member is lost.
    Cut(Aborted),
    /// The member's connection failed.
    MemberFailed,
    /// The member has ended without a byte, and the client has not ended.
    MemberSilent,
}

/// The two streams of a connection, and the state of both directions.
#[derive(Debug)]
pub(super) struct JoinedStreams<'j> {
    pub(super) client: &'j mut Stream,
    pub(super) member: &'j mut Stream,
    /// From the client to the member.
    pub(super) up: &'j mut Pump,
    /// From the member to the client.
    pub(super) down: Pump,
}

/// The interval at which a client is checked that is not read because its member accepts
/// nothing. Its socket tells whether it has disconnected.
const CLIENT_CHECK: Duration = Duration::from_secs(1);

/// Copies bytes in both directions until both have ended, one side fails, or a limit
/// passes. The bytes are recorded in the lease.
pub(super) async fn join(
    streams: &mut JoinedStreams<'_>,
    lease: &mut Lease<Address>,
    limits: JoinLimits,
) -> JoinEnd {
    let now = Instant::now();
    let mut last = now;
    let mut quiet = limits.idle;
    let mut is_check_due = false;
    let mut deadline = pin!(Deadline::at((now + quiet).min(limits.until)));
    std::future::poll_fn(|context| {
        let (written, read, moved) = (streams.up.written(), streams.down.read(), streams.moved());
        let polled = streams.poll(context);
        let (sent, received) = (streams.up.written() - written, streams.down.read() - read);
        if sent > 0 {
            lease.record_sent(sent);
        }
        if received > 0 {
            lease.record_received(received);
            if read == 0 {
                lease.record_head(None);
            }
        }
        if polled.is_ready() {
            return polled;
        }
        if streams.moved() > moved {
            last = Instant::now();
        }
        if quiet != limits.half_close && streams.has_a_side_ended() {
            quiet = limits.half_close;
            last = Instant::now();
            is_check_due = false;
            deadline.as_mut().reset((last + quiet).min(limits.until));
        }
        let is_held_up = streams.up.is_held_up();
        if is_held_up && !is_check_due {
            is_check_due = true;
            let next = (last + quiet).min(limits.until);
            deadline
                .as_mut()
                .reset(next.min(Instant::now() + CLIENT_CHECK));
        }
        // The deadline may be outdated when it fires; it is then set again.
        while deadline.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let mut next = (last + quiet).min(limits.until);
            if next <= now {
                let passed = limits.passed(now, streams.has_a_side_ended());
                return Poll::Ready(JoinEnd::Cut(passed));
            }
            if is_held_up {
                if streams.client.is_broken() {
                    return Poll::Ready(JoinEnd::ClientFailed);
                }
                next = next.min(now + CLIENT_CHECK);
            }
            is_check_due = is_held_up;
            deadline.as_mut().reset(next);
        }
        Poll::Pending
    })
    .await
}

impl JoinedStreams<'_> {
    /// Grows with each byte that is read or written on either side. Bytes of one read may
    /// be written in many steps.
    const fn moved(&self) -> u64 {
        let (up, down) = (&self.up, &self.down);
        up.read() + up.written() + down.read() + down.written()
    }

    fn has_a_side_ended(&self) -> bool {
        self.up.has_source_ended() || self.down.has_source_ended()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<JoinEnd> {
        let Self {
            client,
            member,
            up,
            down,
        } = self;
        let sent = up.poll(client, member, context);
        if let Poll::Ready(PumpProgress::SourceFailed) = sent {
            return Poll::Ready(JoinEnd::ClientFailed);
        }
        if let Poll::Ready(PumpProgress::SinkFailed) = sent {
            down.fail_source();
        }
        let received = loop {
            match down.poll(member, client, context) {
                Poll::Ready(PumpProgress::EndedSilent) if up.has_source_ended() => {
                    down.pass_silence_on();
                }
                other => break other,
            }
        };
        match (sent, received) {
            (_, Poll::Ready(PumpProgress::EndedSilent)) => Poll::Ready(JoinEnd::MemberSilent),
            (_, Poll::Ready(PumpProgress::SourceFailed)) => Poll::Ready(JoinEnd::MemberFailed),
            (_, Poll::Ready(PumpProgress::SinkFailed | PumpProgress::SinkClosed)) => {
                Poll::Ready(JoinEnd::ClientFailed)
            }
            // A member that accepts no more bytes may have sent all of its own before, up
            // to its end.
            (Poll::Ready(_), Poll::Ready(PumpProgress::Ended)) => Poll::Ready(JoinEnd::Both),
            _ => Poll::Pending,
        }
    }
}
