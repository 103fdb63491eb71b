//! What is known of a datagram without a flow: the member picked for it ([`Picked`]), and those
//! that have failed before ([`Tried`]).
//!
//! What does not live here: the pick (`front`).

use crate::balancer::Lease;
use crate::forward::Address;
use crate::forward::sticking::Sticking;
use crate::member::{Cause, MemberId};

/// The member that was picked for a datagram, and what keeps its client on it.
#[derive(Debug)]
pub(super) struct Elected {
    pub(super) lease: Lease<Address>,
    pub(super) sticking: Option<Sticking>,
}

/// The members that a datagram has tried, and why the last of them failed.
#[derive(Debug, Default)]
pub(super) struct Tried {
    pub(super) members: Vec<MemberId>,
    pub(super) cause: Option<Cause>,
}

impl Tried {
    pub(super) fn failed(&mut self, member: MemberId, cause: Cause) {
        self.members.push(member);
        self.cause = Some(cause);
    }
}
