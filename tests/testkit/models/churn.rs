//! Random changes of a group, and what a model reads of it: [`Churn`] and [`Seen`].

use std::time::Duration;

use equipoise::random::Random;
use equipoise::testkit::{Group, GroupPickError};
use equipoise::{Flag, MemberId, MemberSpec, Outcome, PickRequest, Scheduler, Weight};

/// A group of up to `names` members, to which things happen at random.
pub(crate) struct Churn<S> {
    pub(crate) group: Group<S>,
    pub(crate) dice: Random,
    names: usize,
    weights: &'static [u32],
    zones: &'static [&'static str],
    thins: bool,
    caps: bool,
    /// The members that are there, in the order of their insertion, with their weights in
    /// hundredths.
    members: Vec<(String, u64)>,
}

/// An eligible member, as a pick sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) id: MemberId,
    pub(crate) name: String,
    /// The weight in sixteenths of hundredths.
    pub(crate) weight: u64,
    pub(crate) in_flight: u64,
    /// Whether it has room and is untried.
    pub(crate) is_open: bool,
}

impl<S: Scheduler> Churn<S> {
    pub(crate) fn new(scheduler: S, names: usize, seed: u64) -> Self {
        Self {
            group: Group::new(scheduler).with_seed(seed),
            dice: Random::seeded(seed),
            names,
            weights: &[100, 100, 150, 200, 300, 700],
            zones: &[],
            thins: true,
            caps: true,
            members: Vec::new(),
        }
    }

    pub(crate) fn with_weights(self, weights: &'static [u32]) -> Self {
        Self { weights, ..self }
    }

    /// Gives the members the label `zone`.
    pub(crate) fn with_zones(self, zones: &'static [&'static str]) -> Self {
        Self { zones, ..self }
    }

    /// All members have their full weights.
    pub(crate) fn without_ramps(self) -> Self {
        Self {
            thins: false,
            ..self
        }
    }

    pub(crate) fn without_caps(self) -> Self {
        Self {
            caps: false,
            ..self
        }
    }

    /// Inserts all members.
    pub(crate) fn full(mut self) -> Self {
        for at in 0..self.names {
            self.insert(&format!("m{at}"));
        }
        self
    }

    pub(crate) fn below(&self, end: usize) -> usize {
        usize::try_from(self.dice.below(end as u64)).unwrap()
    }

    fn spec(&self) -> MemberSpec {
        let weight = self.weights[self.below(self.weights.len())];
        let mut spec = MemberSpec::new().with_weight(Weight::from_hundredths(weight).unwrap());
        if !self.zones.is_empty() {
            spec = spec.with_label("zone", self.zones[self.below(self.zones.len())]);
        }
        if self.caps && self.below(4) == 0 {
            spec = spec.with_max_in_flight(1 + u32::try_from(self.below(4)).unwrap());
        }
        spec
    }

    fn insert(&mut self, name: &str) {
        let spec = self.spec();
        let weight = spec.weight().hundredths().into();
        self.group.insert(name, spec);
        match self.members.iter_mut().find(|one| one.0 == name) {
            Some(one) => one.1 = weight,
            None => self.members.push((name.to_owned(), weight)),
        }
    }

    /// Returns the members that are there, eligible or not, in the order of the
    /// configuration, with their weights in hundredths.
    pub(crate) fn members(&self) -> Vec<(String, u64)> {
        self.members.clone()
    }

    /// Changes a member.
    pub(crate) fn change(&mut self) {
        let name = format!("m{}", self.below(self.names));
        match self.below(8) {
            0..=2 => self.insert(&name),
            3 => {
                self.group.remove(&name);
                self.members.retain(|one| one.0 != name);
            }
            _ => self.change_health(&name),
        }
    }

    /// Changes a flag or the effective weight of a member.
    fn change_health(&mut self, name: &str) {
        let flags = [Flag::Disabled, Flag::Draining, Flag::InError];
        let flag = flags[self.below(3)];
        match self.below(4) {
            0 => {
                self.group.set_flag(name, flag);
            }
            1 if self.thins => {
                let sixteenths = [2, 4, 8, 16][self.below(4)];
                self.group.thin(name, sixteenths);
            }
            _ => flags.into_iter().for_each(|flag| {
                self.group.clear_flag(name, flag);
            }),
        }
    }

    /// Changes the health of a member: no member joins or leaves.
    pub(crate) fn change_health_of_any(&mut self) {
        let name = format!("m{}", self.below(self.names));
        self.change_health(&name);
    }

    /// Ends one of the oldest requests of any member.
    pub(crate) fn end(&mut self) -> Option<MemberId> {
        let outcome = [Outcome::Failure, Outcome::Success, Outcome::Success][self.below(3)];
        self.group.end_oldest(outcome)
    }

    pub(crate) fn advance(&mut self, most_millis: u64) {
        let millis = self.dice.below(most_millis);
        self.group.advance(Duration::from_millis(millis));
    }

    /// Returns up to two members that a request has tried.
    pub(crate) fn tried(&self) -> Vec<MemberId> {
        let count = [0, 0, 0, 1, 2][self.below(5)];
        let names = (0..count).map(|_| format!("m{}", self.below(self.names)));
        names.filter_map(|name| self.group.id(&name)).collect()
    }

    /// Returns the eligible members in the order of the configuration.
    pub(crate) fn seen(&self, tried: &[MemberId]) -> Vec<Seen> {
        let request = PickRequest::new();
        self.group.with_candidates(&request, |_, candidates, _| {
            let all = candidates.iter().map(|one| Seen {
                id: one.id(),
                name: one.state().name().to_owned(),
                weight: one.weight().units().into(),
                in_flight: one.state().in_flight().into(),
                is_open: one.has_room() && !tried.contains(&one.id()),
            });
            all.collect()
        })
    }

    /// Returns the eligible members, as a request sees them that has tried none.
    pub(crate) fn seen_all(&self) -> Vec<Seen> {
        self.seen(&[])
    }

    /// Picks; the index of the picked member in `seen`, or `None` if there is no open one.
    #[track_caller]
    pub(crate) fn pick(&mut self, request: &PickRequest<'_>, seen: &[Seen]) -> Option<usize> {
        let picked = self.group.pick(request);
        let is_open = seen.iter().any(|one| one.is_open);
        match picked {
            Ok(id) => {
                let at = seen.iter().position(|one| one.id == id).unwrap();
                assert!(seen[at].is_open, "{seen:?}");
                Some(at)
            }
            Err(GroupPickError::AtCapacity | GroupPickError::NoneUsable) if !is_open => None,
            Err(error) => panic!("{error}: {seen:?}"),
        }
    }
}

/// Asserts that each count is what its chance says, within five standard deviations.
#[track_caller]
pub(crate) fn assert_drawn(counts: &[u64], chances: &[f64]) {
    let all = counts.iter().sum::<u64>() as f64;
    for (&count, &chance) in counts.iter().zip(chances) {
        let deviation = (all * chance * (1.0 - chance)).max(0.0).sqrt();
        let off = (count as f64 - all * chance).abs();
        assert!(off <= 5.0 * deviation + 1e-6, "{counts:?} {chances:?}");
    }
}
