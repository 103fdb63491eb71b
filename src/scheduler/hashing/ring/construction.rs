//! The kinds of rings: [`RingConstruction`].
//!
//! Not here: where each kind places its points (a file for each).

use std::sync::Arc;

use super::table::{RingDirection, RingTable};
use super::{envoy, haproxy, ketama, nginx, own};
use crate::member::MemberId;
use crate::scheduler::PlanMember;
use crate::scheduler::hashing::hashed_member::HashedMember;

/// How points are placed.
#[derive(Clone, Debug)]
pub(super) enum RingConstruction {
    Envoy { least: u32, greatest: u32 },
    Haproxy { id_label: Option<Arc<str>> },
    Ketama,
    Nginx,
    Own { each: u32 },
}

impl RingConstruction {
    /// Returns the name of a scheduler with such a ring.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Envoy { .. } => "ring-envoy",
            Self::Haproxy { .. } => "ring-haproxy",
            Self::Ketama => "ring-ketama",
            Self::Nginx => "ring-nginx",
            Self::Own { .. } => "ring",
        }
    }

    /// Makes the ring of some members, in the order of the configuration.
    pub(super) fn table(&self, mut members: Vec<RingMember<'_>>) -> RingTable {
        if let Self::Own { .. } = self {
            // Of points at one position, that of the first name remains.
            members.sort_unstable_by_key(|member| member.name);
        }
        let names: Vec<&str> = members.iter().map(|member| member.name).collect();
        let weights: Vec<u32> = members.iter().map(|member| member.hundredths).collect();
        let points = match self {
            Self::Envoy { least, greatest } => envoy::points(*least, *greatest, &names, &weights),
            Self::Haproxy { .. } => {
                let ids = haproxy::ids(members.iter().map(|member| member.haproxy_id));
                haproxy::points(&ids, &weights)
            }
            Self::Ketama => ketama::points(&names, &weights),
            Self::Nginx => nginx::points(&names, &weights),
            Self::Own { each } => own::points(*each, &names, &weights),
        };
        let (key_shift, direction) = match self {
            Self::Envoy { .. } | Self::Own { .. } => (0, RingDirection::Ahead),
            Self::Haproxy { .. } => (32, RingDirection::Both),
            Self::Ketama | Self::Nginx => (32, RingDirection::Ahead),
        };
        let hashed = members
            .iter()
            .map(|member| HashedMember::new(member.id, member.name));
        RingTable::new(points, &hashed.collect::<Vec<_>>(), key_shift, direction)
    }

    /// Returns what a ring needs of a member.
    pub(super) fn member<'m>(&self, member: &PlanMember<'m>) -> RingMember<'m> {
        let label = match self {
            Self::Haproxy { id_label } => id_label.as_deref(),
            _ => None,
        };
        let id = label.and_then(|label| member.label(label));
        RingMember {
            id: member.id(),
            name: member.name(),
            hundredths: member.weight().hundredths(),
            haproxy_id: id.and_then(|id| id.parse().ok()).filter(|&id| id > 0),
        }
    }
}

/// A member, as the input of a ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct RingMember<'m> {
    pub(super) id: MemberId,
    pub(super) name: &'m str,
    /// Its weight.
    pub(super) hundredths: u32,
    /// The number of its label, if it has that.
    pub(super) haproxy_id: Option<u32>,
}
