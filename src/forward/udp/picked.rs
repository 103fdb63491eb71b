//! The state of a datagram without a flow: the member picked for it ([`PickedMember`]), and
//! the members that have failed before ([`FailedMembers`]).
//!
//! Not here: the pick (`client_socket`).

use crate::balancer::Lease;
use crate::forward::Address;
use crate::forward::sticky_client::StickyClient;
use crate::member::{Cause, MemberId};

/// The member that was picked for a datagram, and the stick table entry of its client.
#[derive(Debug)]
pub(super) struct PickedMember {
    pub(super) lease: Lease<Address>,
    pub(super) sticking: Option<StickyClient>,
}

/// The members that were tried for a datagram, and the cause of the last failure.
#[derive(Debug, Default)]
pub(super) struct FailedMembers {
    pub(super) members: Vec<MemberId>,
    pub(super) cause: Option<Cause>,
}

impl FailedMembers {
    pub(super) fn failed(&mut self, member: MemberId, cause: Cause) {
        self.members.push(member);
        self.cause = Some(cause);
    }
}
