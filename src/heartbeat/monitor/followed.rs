//! A balancer that a monitor follows, without its payload type: [`Followed`].

use std::sync::Arc;
use std::time::Duration;

use super::member_address::MemberAddress;
use crate::balancer::WeakBalancer;
use crate::scheduler::{HeartbeatReading, HeartbeatReadings};

/// A member's name and addresses.
pub(super) type Located = (Arc<str>, Vec<MemberAddress>);

/// The operations on a balancer that a monitor needs. They may run closures of the caller,
/// and are not called under the monitor's lock.
pub(super) trait Followed: Send + Sync {
    /// Returns the addresses of a member; `None` if there is none of that name.
    fn locate(&self, name: &str) -> Option<Vec<MemberAddress>>;

    /// Returns the addresses of all members; `None` if the balancer is dropped.
    fn locate_all(&self) -> Option<Vec<Located>>;

    /// Passes on a member's report of this age.
    fn report(&self, name: &str, reading: HeartbeatReading, age: Duration);
}

const _: Option<&dyn Followed> = None;

pub(super) struct FollowedBalancer<W, F> {
    pub(super) balancer: WeakBalancer<W>,
    pub(super) readings: HeartbeatReadings,
    pub(super) addresses: F,
}

impl<W, F, A> Followed for FollowedBalancer<W, F>
where
    W: Send + Sync + 'static,
    F: Fn(&W) -> A + Send + Sync,
    A: IntoIterator<Item = MemberAddress>,
{
    fn locate(&self, name: &str) -> Option<Vec<MemberAddress>> {
        let payload = self.balancer.upgrade()?.payload(name)?;
        Some((self.addresses)(&payload).into_iter().collect())
    }

    fn locate_all(&self) -> Option<Vec<Located>> {
        let balancer = self.balancer.upgrade()?;
        let located = balancer.members().into_iter().filter_map(|member| {
            let payload = balancer.payload(member.name())?;
            let addresses = (self.addresses)(&payload).into_iter().collect();
            Some((member.name_handle().clone(), addresses))
        });
        Some(located.collect())
    }

    fn report(&self, name: &str, reading: HeartbeatReading, age: Duration) {
        let Some(balancer) = self.balancer.upgrade() else {
            return;
        };
        // The reading of a member that was just removed is kept for a while, as for any
        // unknown name. If there are too many of these, it is dropped.
        let _ = self
            .readings
            .report_aged(name, reading, balancer.now(), age);
    }
}
