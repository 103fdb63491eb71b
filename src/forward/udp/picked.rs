//! The state of a datagram without a flow: the member picked for it ([`Elected`]), and the
//! members that have failed before ([`Tried`]).
//!
//! What does not live here: the pick (`front`).

use crate::balancer::Lease;
use crate::forward::Address;
use crate::forward::sticking::Sticking;
use crate::member::{Cause, MemberId};

/// The member that was picked for a datagram, and the stick table entry of its client.
#[derive(Debug)]
pub(super) struct Elected {
    pub(super) lease: Lease<Address>,
    pub(super) sticking: Option<Sticking>,
}

/// The members that were tried for a datagram, and the cause of the last failure.
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
