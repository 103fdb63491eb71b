//! Labels of members: what a scheduler sees of them, and when it is told.

use std::sync::{Arc, Mutex};

use crate::support::pick;
use equipoise::scheduler::{Candidates, GroupChange, Pick, PickContext, Scheduler};
use equipoise::{Balancer, Flag, MemberSpec, PickRequest};

/// Elects in the zone that it is told of, and writes down whose spec has changed.
#[derive(Clone, Debug, Default)]
struct InZone {
    zone: Arc<Mutex<String>>,
    changed: Arc<Mutex<Vec<String>>>,
}

impl Scheduler for InZone {
    fn name(&self) -> &'static str {
        "in zone"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        let zone = self.zone.lock().unwrap();
        let near = candidates.iter();
        candidates.claim_first(near.filter(|one| one.label("zone") == Some(&**zone)))
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        let changed = group.changed().map(|one| {
            let zone = one.spec().label("zone").unwrap_or("nowhere");
            format!("{} to {zone}", one.state().name())
        });
        self.changed.lock().unwrap().extend(changed);
    }
}

fn zoned(zone: &str) -> MemberSpec {
    MemberSpec::new().with_label("zone", zone)
}

#[test]
fn a_scheduler_elects_by_label_and_is_told_when_one_changes() {
    let scheduler = InZone::default();
    let balancer = Balancer::builder()
        .scheduler(scheduler.clone())
        .member("a", (), zoned("west"))
        .member("b", (), zoned("east"))
        .build()
        .unwrap();
    let elect = |zone: &str| {
        *scheduler.zone.lock().unwrap() = zone.to_owned();
        pick(&balancer).map(|lease| lease.member().name().to_owned())
    };
    assert_eq!(elect("east").unwrap(), "b");
    assert_eq!(elect("west").unwrap(), "a");
    assert!(elect("north").is_err());

    let told = || std::mem::take(&mut *scheduler.changed.lock().unwrap());
    assert!(told().is_empty());
    balancer.insert("a", (), zoned("north")).unwrap();
    assert_eq!(told(), ["a to north"]);
    assert_eq!(elect("north").unwrap(), "a");
    balancer.insert("a", (), zoned("north")).unwrap();
    assert!(told().is_empty(), "the same labels are no change");
    balancer
        .update("b", |spec| spec.without_label("zone"))
        .unwrap();
    assert_eq!(told(), ["b to nowhere"]);
}

#[test]
fn labels_are_the_sources_and_stay_beside_overrides() {
    let balancer = Balancer::builder()
        .member("a", (), zoned("west"))
        .build()
        .unwrap();
    balancer.set_flag("a", Flag::Draining).unwrap();
    assert_eq!(balancer.spec("a").unwrap().label("zone"), Some("west"));
    balancer.insert("a", (), zoned("east")).unwrap();
    assert_eq!(balancer.spec("a").unwrap().label("zone"), Some("east"));
    balancer.clear_overrides("a");
    assert_eq!(balancer.source_spec("a").unwrap(), zoned("east"));
}

#[test]
fn an_explanation_shows_the_labels() {
    let balancer = Balancer::builder()
        .member("a", (), zoned("west").with_label("rack", "7"))
        .member("b", (), MemberSpec::new())
        .build()
        .unwrap();
    let explanation = balancer.explain(&PickRequest::new());
    let [a, b] = explanation.members() else {
        panic!("two members")
    };
    assert_eq!(a.labels.get("zone"), Some("west"));
    assert!(b.labels.is_empty());
    let text = explanation.to_string();
    assert!(
        text.contains("\n  labels of a: rack=7, zone=west\n"),
        "{text}"
    );
    assert!(!text.contains("labels of b"));
}
