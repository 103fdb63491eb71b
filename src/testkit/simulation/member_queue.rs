//! A member while the simulation runs: [`MemberQueue`], with its servers, its stalls and its
//! failures.
//!
//! Not here: the events at which these methods are called (`engine`).

use std::ops::Range;

use super::held_request::{HeldRequest, PlannedEnd, ServerEnd};
use super::member::SimulatedMember;
use super::servers_in_turn::ServersInTurn;
use super::service_times::exponential;
use super::shared_servers::SharedServers;
use super::{nanos, whole_nanos};
use crate::random::Random;

/// The queue and the servers of a member. Times are in nanoseconds.
#[derive(Debug)]
pub(super) struct MemberQueue {
    name: String,
    speed: f64,
    servers: MemberServers,
    stalled_until: u64,
    /// Mean times from stall to stall, and of a stall.
    stalls: Option<(f64, f64)>,
    /// When it fails, and after which time.
    failing: Option<(Range<u64>, u64)>,
    answered: u64,
    latency: Option<u64>,
}

#[derive(Debug)]
enum MemberServers {
    InTurn(ServersInTurn),
    Shared(SharedServers),
}

impl MemberQueue {
    pub(super) fn new(name: String, member: &SimulatedMember) -> Self {
        let stalls = member.stalls;
        let failing = member.failing.as_ref();
        Self {
            name,
            speed: member.speed,
            servers: if member.is_shared {
                MemberServers::Shared(SharedServers::new(member.servers))
            } else {
                MemberServers::InTurn(ServersInTurn::new(member.servers))
            },
            stalled_until: 0,
            stalls: stalls.map(|it| (nanos(it.every) as f64, nanos(it.lasting) as f64)),
            failing: failing.map(|it| {
                let during = nanos(it.during.start)..nanos(it.during.end);
                (during, nanos(it.after))
            }),
            answered: 0,
            latency: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns how many requests wait and are worked on.
    #[inline]
    pub(super) fn in_flight(&self) -> u32 {
        let in_flight = match &self.servers {
            MemberServers::InTurn(servers) => servers.in_flight(),
            MemberServers::Shared(servers) => servers.in_flight(),
        };
        u32::try_from(in_flight).unwrap_or(u32::MAX)
    }

    /// Returns how many requests it has answered.
    pub(super) fn answered(&self) -> u64 {
        self.answered
    }

    /// Returns how long the request that it answered last was there.
    pub(super) fn latency(&self) -> Option<u64> {
        self.latency
    }

    /// Returns after which time a request that comes now fails, if it does.
    #[inline]
    pub(super) fn fails_after(&self, now: u64) -> Option<u64> {
        let (during, after) = self.failing.as_ref()?;
        during.contains(&now).then_some(*after)
    }

    /// Adds a request; returns an end, if one is planned anew.
    #[inline]
    pub(super) fn join(&mut self, held: HeldRequest, now: u64) -> Option<PlannedEnd> {
        let work = whole_nanos(held.request.work as f64 / self.speed);
        match &mut self.servers {
            MemberServers::InTurn(servers) => servers.join(held, work, now),
            MemberServers::Shared(servers) => servers.join(held, work, now),
        }
    }

    /// Carries out an end that was planned; `None` if it is void.
    #[inline]
    pub(super) fn end(&mut self, server: u32, now: u64) -> Option<ServerEnd> {
        let end = match &mut self.servers {
            MemberServers::InTurn(servers) => servers.end(server, now),
            MemberServers::Shared(servers) => servers.end(server, now),
        };
        if let Some(ServerEnd::Done(done, _)) = &end {
            self.answered += 1;
            self.latency = Some(now.saturating_sub(done.joined));
        }
        end
    }

    /// Draws when the next stall begins, if it stalls at all.
    pub(super) fn next_stall(&self, now: u64, random: &Random) -> Option<u64> {
        let (every, _) = self.stalls?;
        let from = now.max(self.stalled_until);
        Some(from.saturating_add(whole_nanos(every * exponential(random))))
    }

    /// Stalls for a time that is drawn; returns an end, if one is planned anew.
    pub(super) fn stall(&mut self, now: u64, random: &Random) -> Option<PlannedEnd> {
        let (_, lasting) = self.stalls?;
        let lasting = whole_nanos(lasting * exponential(random));
        self.stalled_until = now.saturating_add(lasting);
        match &mut self.servers {
            MemberServers::InTurn(servers) => {
                servers.stall(now, lasting);
                None
            }
            MemberServers::Shared(servers) => servers.stall(now, lasting),
        }
    }
}
