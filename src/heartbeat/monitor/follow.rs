//! Connects a monitor to the balancers that get its reports: [`FollowGuard`].

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
    /// Passes the reports of a balancer's members to its scheduler through `readings`,
    /// until the handle or the balancer is dropped. A monitor can follow several balancers.
    ///
    /// `addresses` returns the addresses of a member from its payload; a report from one of
    /// these addresses belongs to the member. Return several addresses for a server that
    /// sends its datagrams from another address than that for requests.
    /// [`run_maintenance`](Self::run_maintenance), which listeners also run, looks up names.
    /// Reports that arrived before the member was added count from then on.
    ///
    /// Added and removed members are noticed at once, replaced payloads within 30 s
    /// ([`lookup_interval`](super::MonitorBuilder::lookup_interval)) or by
    /// [`refresh`](Self::refresh).
    ///
    /// `readings` must be those of the balancer's [`Heartbeat`](crate::Heartbeat)
    /// scheduler.
    ///
    /// # Examples
    ///
    /// Payloads of this crate and your own (feature `proxy` for the first):
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
    ///     following.detach();
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
        // The observer comes first, so that no member is missed.
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

    /// Reads the addresses of all members of all balancers again, for payloads that were
    /// replaced.
    pub fn refresh(&self) {
        self.shared.look_at_all();
    }
}

/// Observes added and removed members.
struct Membership {
    shared: Weak<MonitorState>,
    group: u64,
}

impl Observer for Membership {
    fn observe(&self, event: &Event<'_>) {
        if let (Some(shared), Some(member)) = (self.shared.upgrade(), event.member) {
            // Events may be out of order: the current members count.
            shared.look_at(self.group, member.name_handle());
        }
    }

    fn interest(&self) -> Interest {
        Interest::JOINED | Interest::LEFT
    }
}

/// Passes the reports of its members to a balancer until it is dropped. It keeps neither
/// the monitor nor the balancer alive.
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
/// monitor.follow(&balancer, &readings, |&ip: &IpAddr| [MemberAddress::from(ip)]).detach();
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
    /// Follows the balancer for as long as the balancer and the monitor live.
    pub fn detach(mut self) {
        if let Some(observing) = self.observing.take() {
            observing.detach();
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
