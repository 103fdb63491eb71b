//! The time of one change of the membership, until readers see it.

use std::net::SocketAddr;

use equipoise::{Balancer, Flag};

use crate::fleet::{self, Method, Weights};

/// What is changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Edit {
    /// A member starts or stops draining: one change.
    Drain,
    /// A member is inserted, or removed again: one change each.
    InsertRemove,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    pub(crate) edit: Edit,
    pub(crate) method: Method,
    pub(crate) weights: Weights,
    pub(crate) members: usize,
}

impl Change {
    pub(crate) fn all(full: bool) -> Vec<Self> {
        let mut all = Vec::new();
        for members in [100, 1_000, 10_000] {
            for edit in [Edit::Drain, Edit::InsertRemove] {
                for method in Method::ALL {
                    all.extend([Weights::Equal, Weights::All].map(|weights| Self {
                        edit,
                        method,
                        weights,
                        members,
                    }));
                }
            }
        }
        all.retain(|change| {
            let plain = change.weights == Weights::Equal;
            full || match change.method {
                Method::ByRequests => plain || change.members == 10_000,
                // Each table at the size that its documentation recommends.
                Method::Modulo | Method::Ring => {
                    plain && change.members == if change.is_drain() { 10_000 } else { 1_000 }
                }
                // The others have the tables of these, or none.
                Method::BoundedLoad
                | Method::First
                | Method::LeastRequest
                | Method::PeakEwma
                | Method::Prequal
                | Method::Rendezvous
                | Method::Rotation
                | Method::TwoChoices => false,
                _ => plain && change.members == 10_000,
            }
        });
        all
    }

    fn is_drain(self) -> bool {
        self.edit == Edit::Drain
    }

    pub(crate) fn group(self) -> String {
        format!("publish_one_change_among_{}_members", self.members)
    }

    pub(crate) fn label(self) -> String {
        let edit = match self.edit {
            Edit::Drain => "drain",
            Edit::InsertRemove => "insert or remove",
        };
        let weights = match self.weights {
            Weights::Equal => "",
            Weights::All | Weights::Ten => ", all weights distinct",
        };
        format!("{}, {edit}{weights}", self.method.name())
    }

    pub(crate) fn id(self) -> String {
        let label = self.label().to_lowercase();
        label.replace(", ", "-").replace(' ', "_")
    }

    pub(crate) fn build(self) -> Editing {
        Editing {
            change: self,
            balancer: fleet::balancer(self.method, self.weights, self.members, true),
        }
    }
}

pub(crate) struct Editing {
    change: Change,
    balancer: Balancer<SocketAddr>,
}

impl Editing {
    /// Makes `changes` changes, every second of which takes the one before back.
    pub(crate) fn run(&self, changes: u64) {
        let index = self.change.members / 2;
        let old = fleet::address(index).to_string();
        let new = fleet::address(self.change.members);
        let name = new.to_string();
        for turn in 0..changes {
            let forth = turn % 2 == 0;
            match self.change.edit {
                Edit::Drain if forth => {
                    self.balancer
                        .set_flag(&old, Flag::Draining)
                        .expect("a member");
                }
                Edit::Drain => {
                    self.balancer
                        .clear_flag(&old, Flag::Draining)
                        .expect("a member");
                }
                Edit::InsertRemove if forth => {
                    let spec = fleet::spec(self.change.weights, index);
                    let inserted = self.balancer.insert(name.as_str(), new, spec);
                    inserted.expect("a name of its own");
                }
                Edit::InsertRemove => drop(self.balancer.remove(&name)),
            }
        }
    }
}
