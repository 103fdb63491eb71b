//! The two directions of a connection side by side, with its limits: [`join`].
//!
//! What does not live here: one direction (`pump`), and what an end means for the member
//! (`course`).

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

/// How long a connection may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lasting {
    /// Without a byte in either direction.
    pub(super) idle: Duration,
    /// The same, once one side has ended.
    pub(super) half_close: Duration,
    /// At most until then.
    pub(super) until: Instant,
}

impl Lasting {
    /// The limit that has passed.
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
    /// The client's connection broke.
    ClientBroke,
    /// A limit has passed, or the member is lost.
    Cut(Aborted),
    /// The member's connection broke.
    MemberBroke,
    /// The member has ended without a byte, and the client goes on.
    MemberSilent,
}

/// The streams of a connection, and what has passed between them.
#[derive(Debug)]
pub(super) struct Joint<'j> {
    pub(super) client: &'j mut Stream,
    pub(super) member: &'j mut Stream,
    /// From the client to the member.
    pub(super) up: &'j mut Pump,
    /// From the member to the client.
    pub(super) down: Pump,
}

/// A client that is not read, as its member takes nothing, is looked at so often: it may have
/// broken off, which only its socket tells.
const LOOK: Duration = Duration::from_secs(1);

/// Passes bytes in both directions until both have ended, one side breaks, or a limit passes.
/// What passes is recorded in the lease.
pub(super) async fn join(
    joint: &mut Joint<'_>,
    lease: &mut Lease<Address>,
    lasting: Lasting,
) -> JoinEnd {
    let now = Instant::now();
    let mut last = now;
    let mut quiet = lasting.idle;
    let mut is_looked_at = false;
    let mut deadline = pin!(Deadline::at((now + quiet).min(lasting.until)));
    std::future::poll_fn(|context| {
        let (written, read, moved) = (joint.up.written(), joint.down.read(), joint.moved());
        let polled = joint.poll(context);
        let (sent, received) = (joint.up.written() - written, joint.down.read() - read);
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
        if joint.moved() > moved {
            last = Instant::now();
        }
        if quiet != lasting.half_close && joint.has_a_side_ended() {
            quiet = lasting.half_close;
            last = Instant::now();
            is_looked_at = false;
            deadline.as_mut().reset((last + quiet).min(lasting.until));
        }
        let is_held_up = joint.up.is_held_up();
        if is_held_up && !is_looked_at {
            is_looked_at = true;
            let next = (last + quiet).min(lasting.until);
            deadline.as_mut().reset(next.min(Instant::now() + LOOK));
        }
        // It is set for what counted when it was set, and set anew when it fires.
        while deadline.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let mut next = (last + quiet).min(lasting.until);
            if next <= now {
                let passed = lasting.passed(now, joint.has_a_side_ended());
                return Poll::Ready(JoinEnd::Cut(passed));
            }
            if is_held_up {
                if joint.client.is_broken() {
                    return Poll::Ready(JoinEnd::ClientBroke);
                }
                next = next.min(now + LOOK);
            }
            is_looked_at = is_held_up;
            deadline.as_mut().reset(next);
        }
        Poll::Pending
    })
    .await
}

impl Joint<'_> {
    /// Grows with each byte that is read or written on either side. What is read at once may be
    /// written in many steps.
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
        if let Poll::Ready(PumpProgress::SourceBroke) = sent {
            return Poll::Ready(JoinEnd::ClientBroke);
        }
        if let Poll::Ready(PumpProgress::SinkBroke) = sent {
            down.break_source();
        }
        let received = loop {
            match down.poll(member, client, context) {
                Poll::Ready(PumpProgress::Nothing) if up.has_source_ended() => {
                    down.pass_nothing_on();
                }
                other => break other,
            }
        };
        match (sent, received) {
            (_, Poll::Ready(PumpProgress::Nothing)) => Poll::Ready(JoinEnd::MemberSilent),
            (_, Poll::Ready(PumpProgress::SourceBroke)) => Poll::Ready(JoinEnd::MemberBroke),
            (_, Poll::Ready(PumpProgress::SinkBroke | PumpProgress::SinkClosed)) => {
                Poll::Ready(JoinEnd::ClientBroke)
            }
            // A member that takes no more may have sent something before, to its very end.
            (Poll::Ready(_), Poll::Ready(PumpProgress::All)) => Poll::Ready(JoinEnd::Both),
            _ => Poll::Pending,
        }
    }
}
