//! Requests at members: [`HeldRequest`], and what servers do with them.
//!
//! Not here: the servers (`servers_in_turn`, `shared_servers`).

use crate::balancer::Lease;
use crate::member::MemberId;

/// A request; times are in nanoseconds.
#[derive(Debug)]
pub(super) struct SimulatedRequest {
    pub(super) arrived: u64,
    /// How long a member of speed 1 works on it.
    pub(super) work: u64,
    pub(super) balancer: usize,
    pub(super) hash: Option<u64>,
    /// Whether it is measured: it came after the warm-up.
    pub(super) measured: bool,
    pub(super) tried: Vec<MemberId>,
}

/// A request at a member.
#[derive(Debug)]
pub(super) struct HeldRequest {
    pub(super) lease: Lease<usize>,
    pub(super) request: SimulatedRequest,
    /// When it joined the queue of the member.
    pub(super) joined: u64,
}

/// When a server should be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct PlannedEnd {
    pub(super) server: u32,
    pub(super) at: u64,
}

/// What is found when a server should be done.
#[derive(Debug)]
pub(super) enum ServerEnd {
    /// The request is done; there may be a next end.
    Done(HeldRequest, Option<PlannedEnd>),
    /// A stall has moved the end.
    Moved(PlannedEnd),
}
