//! `ZoneAware` against its definition: in which zones a member may be picked, for the picks of
//! the golden log and for random ones, and the shares of the zones for hash keys.
//!
//! Not here: the shares for requests without a key (`draws.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use equipoise::member::{Ended, MemberState};
use equipoise::scheduler::{
    Candidates, GroupChange, Needs, Pick, PickContext, Plan, PlanMembers, WeightedRandom, ZoneAware,
};
use equipoise::testkit::Replay;
use equipoise::testkit::models::zone_chances;
use equipoise::{MemberId, Outcome, PickRequest, Scheduler};

use super::churn::{Churn, assert_drawn};

/// A `ZoneAware` with the same number of callers in each zone, whose picks are checked.
struct CheckedZones {
    own: &'static str,
    zoned: ZoneAware<WeightedRandom>,
    /// The zones that have members, eligible or not.
    planned: Mutex<BTreeSet<String>>,
    /// How many picks kept to the own zone, and how many did not have to.
    picks: Arc<[AtomicUsize; 2]>,
}

impl CheckedZones {
    fn new(own: &'static str) -> Self {
        Self {
            own,
            zoned: ZoneAware::new(own, WeightedRandom::new),
            planned: Mutex::default(),
            picks: Default::default(),
        }
    }

    /// Returns the zones that may serve a request.
    fn allowed(&self, candidates: &Candidates<'_>) -> BTreeSet<String> {
        // The capacity of each zone, and whether it has a member for the request.
        let mut zones: BTreeMap<String, (u64, bool)> = BTreeMap::new();
        zones.insert(self.own.to_owned(), (0, false));
        for zone in self.planned.lock().unwrap().iter() {
            zones.entry(zone.clone()).or_default();
        }
        for one in (0..candidates.len()).filter_map(|at| candidates.at(at)) {
            let name = one.label("zone").unwrap_or_default().to_owned();
            let zone = zones.entry(name).or_default();
            zone.0 += u64::from(one.weight().units());
            zone.1 |= one.has_room()
                && one.state().status().is_usable()
                && !candidates.tried().contains(&one.id());
        }
        let capacity: u64 = zones.values().map(|zone| zone.0).sum();
        // A zone can spare what is above its callers' share, which is the same for all.
        let count = zones.len() as u64;
        let (own_capacity, own_is_open) = zones[self.own];
        let keeps_all = own_capacity > 0 && own_capacity * count >= capacity;
        self.picks[usize::from(!keeps_all)].fetch_add(1, Ordering::Relaxed);
        let others = zones.iter().filter(|(name, _)| **name != self.own);
        let open = others.clone().filter(|(_, (_, is_open))| *is_open);
        let open: BTreeSet<String> = open.map(|(name, _)| name.clone()).collect();
        let own = BTreeSet::from([self.own.to_owned()]);
        let instead = if own_is_open { own } else { open.clone() };
        if keeps_all {
            return instead;
        }
        let can_spare = |spare: bool| {
            let able = others.clone().filter(move |(_, (weight, _))| {
                *weight > 0 && (!spare || weight * count > capacity)
            });
            able.map(|(name, _)| name).collect::<Vec<_>>()
        };
        let mut first = can_spare(true);
        if first.is_empty() {
            first = can_spare(false);
        }
        let is_served = |name: &&&String| open.contains(**name);
        let mut allowed: BTreeSet<String> =
            first.iter().filter(is_served).copied().cloned().collect();
        if own_capacity > 0 || allowed.len() < first.len() {
            allowed.extend(instead);
        }
        allowed
    }
}

impl Scheduler for CheckedZones {
    fn name(&self) -> &'static str {
        self.zoned.name()
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let allowed = self.allowed(candidates);
        let picked = self.zoned.pick(candidates, context);
        if let Pick::Claimed(claim) = &picked {
            let picked = candidates.get(claim.member().id()).unwrap();
            let zone = picked.label("zone").unwrap_or_default();
            assert!(allowed.contains(zone), "{zone}, not one of {allowed:?}");
        } else {
            assert!(allowed.is_empty(), "none, not one of {allowed:?}");
        }
        picked
    }

    fn on_session_pick(&self, candidates: &Candidates<'_>, member: &MemberState) {
        self.zoned.on_session_pick(candidates, member);
    }

    fn on_ended(&self, member: &MemberState, ended: &Ended) {
        self.zoned.on_ended(member, ended);
    }

    fn on_room(&self, member: &MemberState) {
        self.zoned.on_room(member);
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.zoned.on_group_change(group);
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        let zones = members.iter().map(|one| one.label("zone"));
        let zones = zones.map(|zone| zone.unwrap_or_default().to_owned());
        *self.planned.lock().unwrap() = zones.collect();
        self.zoned.plan(members)
    }

    fn reset(&self) {
        self.zoned.reset();
    }

    fn standing(&self, member: MemberId) -> Option<i64> {
        self.zoned.standing(member)
    }

    fn needs(&self) -> Needs {
        self.zoned.needs()
    }
}

impl std::fmt::Debug for CheckedZones {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.zoned.fmt(f)
    }
}

/// The random numbers of the log decide between these zones, and nothing else.
#[test]
fn the_picks_of_the_golden_log_are_in_the_zones_of_the_definition() {
    let log = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/testkit/golden/zoneaware.log");
    let replay = Replay::parse(&std::fs::read_to_string(log).unwrap()).unwrap();
    let checked = CheckedZones::new("near");
    let picks = checked.picks.clone();
    replay.run(checked).unwrap();
    assert!(
        picks.iter().all(|it| it.load(Ordering::Relaxed) > 20),
        "{picks:?}"
    );
}

#[test]
fn a_request_goes_only_to_the_zones_of_the_definition() {
    const ZONES: [&str; 4] = ["a", "b", "c", "d"];
    let mut picks = [0; 2];
    for seed in 0..20 {
        let mut churn = Churn::new(CheckedZones::new("a"), 9, seed).with_zones(&ZONES);
        for _ in 0..500 {
            match churn.below(4) {
                0 => churn.change(),
                1 => drop(churn.end()),
                _ => {
                    let tried = churn.tried();
                    let request = PickRequest::new().with_tried(&tried);
                    let keyed = request.with_hash(churn.dice.next_u64());
                    let has_key = churn.below(2) == 0;
                    let _ = churn.group.pick(if has_key { &keyed } else { &request });
                }
            }
        }
        for (sum, picks) in picks.iter_mut().zip(churn.group.scheduler().picks.iter()) {
            *sum += picks.load(Ordering::Relaxed);
        }
    }
    assert!(picks.iter().all(|&picks| picks > 500), "{picks:?}");
}

#[test]
fn keys_go_to_the_zones_in_proportion_to_their_shares() {
    const ZONES: [&str; 3] = ["a", "b", "c"];
    let mut compared = 0;
    for seed in 0..20 {
        let zoned = ZoneAware::new("a", WeightedRandom::new);
        let churn = Churn::new(zoned, 9, seed).with_zones(&ZONES);
        let mut churn = churn.without_caps().full();
        for _ in 0..5 {
            churn.change();
        }
        let mut capacity = [0; 3];
        let mut zones = BTreeMap::new();
        let request = PickRequest::new();
        churn.group.with_candidates(&request, |_, all, _| {
            for one in all.iter() {
                let zone = ZONES.iter().position(|it| Some(*it) == one.label("zone"));
                capacity[zone.unwrap()] += u64::from(one.weight().units());
                zones.insert(one.id(), zone.unwrap());
            }
        });
        if capacity.contains(&0) {
            // Callers are counted by zones with members, which are not seen here.
            continue;
        }
        compared += 1;
        let mut counts = vec![0; ZONES.len()];
        for _ in 0..1_500 {
            let request = PickRequest::new().with_hash(churn.dice.next_u64());
            let picked = churn.group.pick(&request).unwrap();
            counts[zones[&picked]] += 1;
            churn.group.end(picked, Outcome::Success);
        }
        let chances = zone_chances(0, &capacity.map(|capacity| (capacity, 1)));
        assert_drawn(&counts, &chances);
    }
    assert!(compared > 10, "{compared}");
}
