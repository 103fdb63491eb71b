//! What runs, and what a reload changes: [`Shared`], [`State`].

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::balancer::events::Observer;
use crate::config::Config;
use crate::config::assemble::{Change, Door, Key, Running, Surroundings};
use crate::config::front::Hosts;
use crate::sync::{Mutex, Published};

pub(super) struct Shared {
    pub(super) around: Surroundings,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) hosts: Arc<Published<Hosts>>,
    pub(super) state: Mutex<State>,
    /// There is another door to stand at.
    pub(super) opened: Notify,
}

/// What a reload changes.
pub(super) struct State {
    pub(super) config: Config,
    pub(super) balancers: BTreeMap<Key, Running>,
    pub(super) doors: Vec<Door>,
    /// Nobody serves any more.
    pub(super) ended: bool,
}

impl State {
    /// Closes all doors for good.
    pub(super) fn end(&mut self) {
        self.ended = true;
        for door in self.doors.drain(..) {
            door.close.send_replace(true);
        }
    }
}

pub(super) fn carry_out(changes: BTreeMap<Key, Change>) -> BTreeMap<Key, Running> {
    let changes = changes.into_iter();
    changes
        .map(|(key, change)| (key, change.carry_out()))
        .collect()
}
