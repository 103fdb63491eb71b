//! Servers that work on one request each, first come, first served: [`ServersInTurn`].

use std::collections::VecDeque;

use super::held_request::{HeldRequest, PlannedEnd, ServerEnd};

/// The servers of a member and the queue in front of them. Times are in nanoseconds.
#[derive(Debug)]
pub(super) struct ServersInTurn {
    /// Each request with its work at the speed of the member.
    waiting: VecDeque<(HeldRequest, u64)>,
    /// How many servers there are.
    count: usize,
    /// The servers that have worked: each request with the time of its end.
    servers: Vec<Option<(HeldRequest, u64)>>,
    /// Those of them that do not work now.
    idle: Vec<u32>,
    stalled_until: u64,
}

impl ServersInTurn {
    pub(super) fn new(servers: u32) -> Self {
        Self {
            waiting: VecDeque::new(),
            count: usize::try_from(servers).unwrap_or(usize::MAX),
            servers: Vec::new(),
            idle: Vec::new(),
            stalled_until: 0,
        }
    }

    #[inline]
    pub(super) fn in_flight(&self) -> usize {
        self.waiting.len() + self.servers.len() - self.idle.len()
    }

    /// Adds a request. If a server is idle, it starts.
    #[inline]
    pub(super) fn join(&mut self, held: HeldRequest, work: u64, now: u64) -> Option<PlannedEnd> {
        let Some(server) = self.idle.pop().or_else(|| self.add()) else {
            self.waiting.push_back((held, work));
            return None;
        };
        Some(self.start(server, (held, work), now))
    }

    /// Returns a server that has not worked yet, if there is one.
    fn add(&mut self) -> Option<u32> {
        let server = u32::try_from(self.servers.len()).ok()?;
        if self.servers.len() == self.count {
            return None;
        }
        self.servers.push(None);
        Some(server)
    }

    #[inline]
    fn start(&mut self, server: u32, (held, work): (HeldRequest, u64), now: u64) -> PlannedEnd {
        let at = now.max(self.stalled_until).saturating_add(work);
        self.servers[server as usize] = Some((held, at));
        PlannedEnd { server, at }
    }

    /// Ends the work of a server, if it is done; `None` if it does not work.
    #[inline]
    pub(super) fn end(&mut self, server: u32, now: u64) -> Option<ServerEnd> {
        let slot = &mut self.servers[server as usize];
        let moved = slot.as_ref().map(|(_, at)| *at).filter(|&at| at > now);
        if let Some(at) = moved {
            return Some(ServerEnd::Moved(PlannedEnd { server, at }));
        }
        let (done, _) = slot.take()?;
        let next = match self.waiting.pop_front() {
            Some(next) => Some(self.start(server, next, now)),
            None => {
                self.idle.push(server);
                None
            }
        };
        Some(ServerEnd::Done(done, next))
    }

    /// Lets all work stand still for a time. The ends that were planned are found moved.
    pub(super) fn stall(&mut self, now: u64, lasting: u64) {
        self.stalled_until = now.saturating_add(lasting);
        for (_, at) in self.servers.iter_mut().flatten() {
            *at = at.saturating_add(lasting);
        }
    }
}
