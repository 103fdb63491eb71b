//! The state of a running configuration, and the part that a reload changes:
//! [`SharedConfig`], [`RunningState`].

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::balancer::events::Observer;
use crate::config::Config;
use crate::config::assemble::{
    ApplyContext, BalancerChange, BalancerKey, BuildEnvironment, HeartbeatChange, HeartbeatTasks,
    OpenListener, RunningBalancer,
};
use crate::config::front::Hosts;
use crate::sync::{Mutex, Published};

pub(super) struct SharedConfig {
    pub(super) environment: BuildEnvironment,
    pub(super) observer: Option<Arc<dyn Observer>>,
    /// The runtime for health checks and heartbeats.
    pub(super) runtime: Option<Handle>,
    pub(super) hosts: Arc<Published<Hosts>>,
    pub(super) state: Mutex<RunningState>,
    /// Notified when a listener has been opened.
    pub(super) opened: Notify,
}

/// The part that a reload changes.
pub(super) struct RunningState {
    pub(super) config: Config,
    pub(super) balancers: BTreeMap<BalancerKey, RunningBalancer>,
    pub(super) heartbeat_tasks: HeartbeatTasks,
    pub(super) listeners: Vec<OpenListener>,
    /// Whether serving has ended.
    pub(super) ended: bool,
}

impl RunningState {
    /// Closes all listeners, and ends health checks and heartbeats.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.balancers.values().for_each(|it| it.checks.end());
        self.heartbeat_tasks.end();
        for opened in self.listeners.drain(..) {
            opened.close.send_replace(true);
        }
    }
}

impl SharedConfig {
    /// Applies a change of the heartbeats.
    pub(super) fn apply_heartbeats(
        self: &Arc<Self>,
        state: &mut RunningState,
        change: HeartbeatChange,
    ) {
        let system = Arc::downgrade(self);
        let busy = move || {
            let system = system.upgrade();
            system.map_or(0, |system| in_flight(&system.state.lock().balancers))
        };
        state
            .heartbeat_tasks
            .apply(change, self.runtime.as_ref(), busy);
    }
}

/// Returns how many requests are in flight at members.
fn in_flight(balancers: &BTreeMap<BalancerKey, RunningBalancer>) -> u32 {
    let members = balancers.values().flat_map(|it| it.balancer.members());
    members.fold(0, |sum: u32, member| sum.saturating_add(member.in_flight()))
}

pub(super) fn apply(
    changes: BTreeMap<BalancerKey, BalancerChange>,
    context: ApplyContext<'_>,
) -> BTreeMap<BalancerKey, RunningBalancer> {
    let changes = changes.into_iter();
    changes
        .map(|(key, change)| (key, change.apply(context)))
        .collect()
}
