//! What runs, and what a reload changes: [`Shared`], [`State`].

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::balancer::events::Observer;
use crate::config::Config;
use crate::config::assemble::{
    Change, Door, Heart, HeartChange, Key, Means, Running, Surroundings,
};
use crate::config::front::Hosts;
use crate::sync::{Mutex, Published};

pub(super) struct Shared {
    pub(super) around: Surroundings,
    pub(super) observer: Option<Arc<dyn Observer>>,
    /// Where checks and heartbeats run.
    pub(super) runtime: Option<Handle>,
    pub(super) hosts: Arc<Published<Hosts>>,
    pub(super) state: Mutex<State>,
    /// There is another door to stand at.
    pub(super) opened: Notify,
}

/// What a reload changes.
pub(super) struct State {
    pub(super) config: Config,
    pub(super) balancers: BTreeMap<Key, Running>,
    pub(super) heart: Heart,
    pub(super) doors: Vec<Door>,
    /// Serving has ended.
    pub(super) ended: bool,
}

impl State {
    /// Closes all doors for good, and ends what runs beside them.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.balancers.values().for_each(|it| it.checks.end());
        self.heart.end();
        for door in self.doors.drain(..) {
            door.close.send_replace(true);
        }
    }
}

impl Shared {
    /// Carries out what is to become of heartbeats.
    pub(super) fn beat(self: &Arc<Self>, state: &mut State, change: HeartChange) {
        let system = Arc::downgrade(self);
        let busy = move || {
            let system = system.upgrade();
            system.map_or(0, |system| in_flight(&system.state.lock().balancers))
        };
        state.heart.carry_out(change, self.runtime.as_ref(), busy);
    }
}

/// How many requests members have in flight.
fn in_flight(balancers: &BTreeMap<Key, Running>) -> u32 {
    let members = balancers.values().flat_map(|it| it.balancer.members());
    members.fold(0, |sum: u32, member| sum.saturating_add(member.in_flight()))
}

pub(super) fn carry_out(
    changes: BTreeMap<Key, Change>,
    means: Means<'_>,
) -> BTreeMap<Key, Running> {
    let changes = changes.into_iter();
    changes
        .map(|(key, change)| (key, change.carry_out(means)))
        .collect()
}
