//! The balancers that a monitor's reports go to: [`FollowGuard`].

use std::fmt;
use std::sync::{Arc, Weak};

use super::followed::FollowedBalancer;
use super::handle::HeartbeatMonitor;
use super::member_address::MemberAddress;
use super::state::MonitorState;
use crate::balancer::Balancer;
use crate::balancer::events::{Event, Interest, Observer, ObserverGuard};
use crate::scheduler::HeartbeatReadings;

impl HeartbeatMonitor {
    /// Gives the reports of a balancer's members to its scheduler, by `readings`, until the
    /// handle is dropped or the balancer is gone. A monitor can follow several balancers.
    ///
    /// `addresses` tells from a member's payload where the member is; a report that comes from
    /// one of these addresses is the member's. Several addresses are given for a server whose
    /// datagrams come from another address than it serves at. Names are looked up by
    /// [`keep_current`](Self::keep_current), which listeners run too. What a server has reported
    /// before its member joined counts from then on.
    ///
    /// Members that join and leave are noticed at once, other payloads of members within 30 s
    /// ([`lookup_interval`](super::MonitorBuilder::lookup_interval)) or by
    /// [`refresh`](Self::refresh).
    ///
    /// `readings` are those that the balancer's [`Heartbeat`](crate::Heartbeat) picks by.
    ///
    /// # Examples
    ///
    /// Payloads from this crate and from others (feature `proxy` for the first):
    ///
    /// ```
    /// use equipoise::heartbeat::{HeartbeatMonitor, MemberAddress};
    /// use equipoise::{Balancer, Heartbeat, HeartbeatReadings};
    /// use http::Uri;
    ///
    /// # #[cfg(feature = "proxy")]
    /// fn follow(
    ///     monitor: &HeartbeatMonitor,
    ///     balancer: &Balancer<equipoise::proxy::Endpoint>,
    ///     readings: &HeartbeatReadings,
    /// ) {
    ///     let following =
    ///         monitor.follow(balancer, readings, |it| MemberAddress::of_uri(it.uri()));
    ///     following.keep();
    /// }
    ///
    /// struct App {
    ///     base: Uri,
    ///     management: std::net::IpAddr,
    /// }
    ///
    /// fn both(app: &App) -> Vec<MemberAddress> {
    ///     let mut addresses = vec![MemberAddress::from(app.management)];
    ///     addresses.extend(MemberAddress::of_uri(&app.base));
    ///     addresses
    /// }
    /// # let _ = (App { base: Uri::default(), management: [10, 0, 0, 1].into() }, both);
    /// ```
    pub fn follow<W, F, A>(
        &self,
        balancer: &Balancer<W>,
        readings: &HeartbeatReadings,
        addresses: F,
    ) -> FollowGuard
    where
        W: Send + Sync + 'static,
        F: Fn(&W) -> A + Send + Sync + 'static,
        A: IntoIterator<Item = MemberAddress>,
    {
        let group = self.shared.add(Arc::new(FollowedBalancer {
            balancer: balancer.downgrade(),
            readings: readings.clone(),
            addresses,
        }));
        // First the observer, so that no member is missed.
        let observing = balancer.observe(Membership {
            shared: Arc::downgrade(&self.shared),
            group,
        });
        for member in balancer.members() {
            self.shared.look_at(group, member.name_handle());
        }
        FollowGuard {
            observing: Some(observing),
            shared: Arc::downgrade(&self.shared),
            group,
        }
    }

    /// Looks at all members of all balancers again, for payloads that were replaced.
    pub fn refresh(&self) {
        self.shared.look_at_all();
    }
}

/// Notices members that join and leave.
struct Membership {
    shared: Weak<MonitorState>,
    group: u64,
}

impl Observer for Membership {
    fn observe(&self, event: &Event<'_>) {
        if let (Some(shared), Some(member)) = (self.shared.upgrade(), event.member) {
            // Events may be out of order: what there is now counts.
            shared.look_at(self.group, member.name_handle());
        }
    }

    fn interest(&self) -> Interest {
        Interest::JOINED | Interest::LEFT
    }
}

/// Gives a balancer the reports of its members; dropping it ends that. It keeps neither the
/// monitor nor the balancer alive.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::{HeartbeatMonitor, MemberAddress};
/// use equipoise::{Balancer, Heartbeat, HeartbeatReadings};
/// use std::net::IpAddr;
///
/// let readings = HeartbeatReadings::new();
/// let balancer = Balancer::builder().scheduler(Heartbeat::new(&readings)).build()?;
/// let monitor = HeartbeatMonitor::new();
/// monitor.follow(&balancer, &readings, |&ip: &IpAddr| [MemberAddress::from(ip)]).keep();
/// balancer.insert("a", IpAddr::from([10, 0, 0, 1]), Default::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the balancer is followed until this is dropped"]
pub struct FollowGuard {
    observing: Option<ObserverGuard>,
    shared: Weak<MonitorState>,
    group: u64,
}

impl FollowGuard {
    /// Follows the balancer for as long as that and the monitor live.
    pub fn keep(mut self) {
        if let Some(observing) = self.observing.take() {
            observing.keep();
        }
        self.shared = Weak::new();
    }
}

impl Drop for FollowGuard {
    fn drop(&mut self) {
        drop(self.observing.take());
        if let Some(shared) = self.shared.upgrade() {
            shared.remove(self.group);
        }
    }
}

impl fmt::Debug for FollowGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowGuard")
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}
