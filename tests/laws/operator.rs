//! What an operator overrides, done to both twins.

use equipoise::member::Overrides;

use crate::model::Said;
use crate::ops::Op;
use crate::twins::{Twins, called};

impl Twins {
    pub(crate) fn decide(&mut self, op: &Op) {
        match *op {
            Op::ClearOverrides(name) => {
                self.balancer.clear_overrides(&called(name));
                self.say(name, |said| *said = Said::default());
            }
            Op::OverrideCap(name, cap) => {
                self.overrides(name, |it| match cap {
                    Some(cap) => it.with_max_in_flight(cap),
                    None => it.without_max_in_flight(),
                });
                self.say(name, |said| said.cap = cap);
            }
            Op::OverrideRoute(name, route) => {
                self.overrides(name, |it| match route {
                    Some(route) => it.with_route(route),
                    None => it.without_route(),
                });
                self.say(name, |said| said.route = route);
            }
            Op::OverrideTier(name, tier) => {
                self.overrides(name, |it| match tier {
                    Some(tier) => it.with_tier(tier),
                    None => it.without_tier(),
                });
                self.say(name, |said| said.tier = tier);
            }
            Op::OverrideWeight(name, weight) => {
                self.overrides(name, |it| match weight {
                    Some(weight) => it.with_weight(weight),
                    None => it.without_weight(),
                });
                self.say(name, |said| said.weight = weight);
            }
            _ => unreachable!("{op:?} is no operator's"),
        }
    }

    /// Also of a name that is not there.
    fn overrides(&self, name: usize, edit: impl Fn(Overrides) -> Overrides + Send) {
        self.balancer.override_member(called(name), edit);
    }

    fn say(&mut self, name: usize, say: impl FnOnce(&mut Said)) {
        self.model.say(&called(name), say);
        if self.model.key(&called(name)).is_some() {
            self.model.refresh();
        }
    }
}
