//! A balancer that a monitor follows: [`Followed`], which forgets its payload's type.

use std::sync::Arc;
use std::time::Duration;

use super::member_address::MemberAddress;
use crate::balancer::WeakBalancer;
use crate::scheduler::{HeartbeatReading, HeartbeatReadings};

/// A member's name, and where it is.
pub(super) type Located = (Arc<str>, Vec<MemberAddress>);

/// What a monitor asks of a balancer. None of it is called under the monitor's lock, as each may
/// run code of the balancer's owner.
pub(super) trait Followed: Send + Sync {
    /// Where a member is; `None` if there is none of that name.
    fn locate(&self, name: &str) -> Option<Vec<MemberAddress>>;

    /// Where all members are; `None` if the balancer is gone.
    fn locate_all(&self) -> Option<Vec<Located>>;

    /// Gives a member's report on, which came in so long ago.
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
        // A member that has just left is remembered for a while, as any name that is none. If
        // there are too many of those, there is nothing to report it to.
        let _ = self
            .readings
            .report_aged(name, reading, balancer.now(), age);
    }
}
