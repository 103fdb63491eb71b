//! Several sources side by side, and an operator over all of them.

use crate::support::{fleet, pick, picks, plain};
use equipoise::balancer::DEFAULT_SOURCE;
use equipoise::{Balancer, EditError, Flag, MemberSpec, PickRequest};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::thread;

fn spec() -> MemberSpec {
    MemberSpec::new()
}

fn for_owner(owner: &str, name: &str) -> EditError {
    EditError::OtherSource {
        name: name.into(),
        owner: owner.into(),
    }
}

#[test]
fn a_source_replaces_its_own_members_only() {
    let balancer = plain(["d"]);
    let (dns, etcd) = (balancer.source("dns"), balancer.source("etcd"));
    dns.replace_all(["a", "b"].map(|name| (name, name, spec())))
        .unwrap();
    etcd.insert("e", "e", spec()).unwrap();
    let edited = dns.replace_all([("b", "b", spec())]).unwrap();
    assert_eq!(edited.removed[0].name(), "a");
    assert_eq!(picks(&balancer, 3), "dbe");
    balancer.replace_all([("f", "f", spec())]).unwrap();
    assert!(balancer.member("d").is_none() && balancer.member("b").is_some());
    etcd.replace_all::<&str>([]).unwrap();
    assert_eq!(balancer.source_of("b").as_deref(), Some("dns"));
    assert_eq!(balancer.source_of("f").as_deref(), Some(DEFAULT_SOURCE));
    assert_eq!((balancer.source_of("e"), balancer.len()), (None, 2));
}

#[test]
fn a_name_of_another_source_is_refused_and_nothing_changes() {
    let balancer = plain(["d"]);
    let dns = balancer.source("dns");
    dns.insert("a", "a", spec()).unwrap();
    let mine = || for_owner("dns", "a");
    assert_eq!(balancer.insert("a", "x", spec()), Err(mine()));
    assert_eq!(balancer.update("a", |it| it.with_tier(1)), Err(mine()));
    assert_eq!(balancer.remove("a").unwrap_err(), mine());
    let listed = ["d", "a"].map(|name| (name, "x", spec().with_tier(1)));
    assert_eq!(balancer.replace_all(listed.clone()).unwrap_err(), mine());
    let other = dns.replace_all(listed).unwrap_err();
    assert_eq!(other, for_owner(DEFAULT_SOURCE, "d"));
    assert_eq!(*balancer.payload("a").unwrap(), "a");
    assert_eq!(balancer.spec("d"), Some(spec()));
    assert_eq!(balancer.len(), 2);
}

#[test]
fn a_source_goes_on_where_another_handle_of_its_name_left_off() {
    let balancer = plain([]);
    drop(balancer.source("dns").insert("a", "a", spec()));
    assert_eq!(picks(&balancer, 1), "a", "its members outlive the handle");
    let again = balancer.source("dns");
    again.insert("b", "b", spec()).unwrap();
    assert_eq!(again.remove("a").unwrap().name(), "a");
    let plainly = balancer.source(DEFAULT_SOURCE);
    balancer.insert("c", "c", spec()).unwrap();
    assert_eq!(plainly.remove("c").unwrap().name(), "c");
}

#[test]
fn a_member_that_moves_to_another_source_keeps_its_state_while_a_lease_lives() {
    let balancer = plain([]);
    let (dns, etcd) = (balancer.source("dns"), balancer.source("etcd"));
    dns.insert("a", "a", spec()).unwrap();
    balancer.set_flag("a", Flag::IgnoreErrors).unwrap();
    let lease = pick(&balancer).unwrap();
    dns.remove("a").unwrap();
    assert_eq!(etcd.insert("a", "A", spec()), Ok(lease.member().id()));
    assert_eq!(balancer.source_of("a").as_deref(), Some("etcd"));
    assert_eq!(balancer.overrides().len(), 1);
    assert_eq!(dns.insert("a", "a", spec()), Err(for_owner("etcd", "a")));
}

#[test]
fn what_an_operator_says_holds_for_the_members_of_all_sources() {
    let balancer = plain(["d"]);
    let dns = balancer.source("dns");
    let found = || [("a", "a", spec()), ("b", "b", spec())];
    dns.replace_all(found()).unwrap();
    balancer.set_flag("a", Flag::Draining).unwrap();
    balancer.override_member("b", |it| it.with_tier(1));
    dns.replace_all(found()).unwrap();
    dns.update("b", |it| it.with_route("r")).unwrap();
    assert_eq!(picks(&balancer, 2), "dd");
    assert_eq!(balancer.spec("b").unwrap().tier(), 1);
    balancer.clear_overrides("a");
    assert_eq!(balancer.spec("a"), Some(spec()));
}

#[test]
fn the_explanation_names_the_source_of_a_member() {
    let balancer = plain(["d"]);
    balancer.source("dns").insert("a", "a", spec()).unwrap();
    let explanation = balancer.explain(&PickRequest::new());
    let sources = explanation.members().iter().map(|it| it.source.to_string());
    assert_eq!(sources.collect::<Vec<_>>(), [DEFAULT_SOURCE, "dns"]);
    let table = explanation.to_string();
    assert!(table.contains("  source of a: dns\n"), "{table}");
    assert!(!table.contains("source of d"), "{table}");
}

#[test]
fn sources_that_change_at_once_do_not_lose_each_others_members() {
    let (balancer, _) = fleet([]);
    thread::scope(|scope| {
        for own in ["w", "x", "y", "z"] {
            let source = balancer.source(own);
            scope.spawn(move || {
                for round in 0..50 {
                    let members = (0..round % 7).map(|at| (format!("{own}{at}"), own, spec()));
                    source.replace_all(members.collect::<Vec<_>>()).unwrap();
                }
                source.replace_all([(own, own, spec())]).unwrap();
            });
        }
        for _ in 0..200 {
            drop(pick(&balancer));
        }
    });
    let mut names: Vec<_> = balancer.members();
    names.sort_by(|a, b| a.name().cmp(b.name()));
    let names: Vec<_> = names.iter().map(|it| it.name()).collect();
    assert_eq!(names, ["w", "x", "y", "z"]);
}

const NAMES: usize = 4;

/// One thing that happens, in one edit of a source.
#[derive(Clone, Debug)]
enum Step {
    Insert(usize, u16, bool),
    Remove(usize),
    Update(usize, u16),
    ReplaceAll(Vec<(usize, u16)>),
    SetFlag(usize, Flag, bool),
    OverrideTier(usize, Option<u16>),
    ClearOverrides(usize),
}

fn steps() -> impl Strategy<Value = Step> {
    let flag = || {
        prop::sample::select(vec![
            Flag::Disabled,
            Flag::Draining,
            Flag::InError,
            Flag::FailedCheck,
        ])
    };
    prop_oneof![
        (0..NAMES, 0..3_u16, any::<bool>()).prop_map(|(n, t, d)| Step::Insert(n, t, d)),
        (0..NAMES).prop_map(Step::Remove),
        (0..NAMES, 0..3_u16).prop_map(|(n, t)| Step::Update(n, t)),
        vec((0..NAMES, 0..3_u16), 0..3).prop_map(Step::ReplaceAll),
        (0..NAMES, flag(), any::<bool>()).prop_map(|(n, f, on)| Step::SetFlag(n, f, on)),
        (0..NAMES, prop::option::of(0..3_u16)).prop_map(|(n, t)| Step::OverrideTier(n, t)),
        (0..NAMES).prop_map(Step::ClearOverrides),
    ]
}

/// What a plain model knows: what each layer says, by name.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    /// Owner, tier, whether its source disables it, and what is wrong with its health.
    members: BTreeMap<String, (usize, u16, bool, Vec<Flag>)>,
    /// The flags that are set or cleared, and the tier.
    overrides: BTreeMap<String, (BTreeMap<Flag, bool>, Option<u16>)>,
    /// The health of members that this edit has removed: it is theirs again if the edit
    /// inserts them again. No lease lives that would keep it for longer.
    gone: BTreeMap<String, Vec<Flag>>,
}

impl Model {
    /// Whether the edit is accepted; if not, it is as before.
    fn edit(&mut self, owner: usize, steps: &[Step]) -> bool {
        self.gone.clear();
        let before = self.clone();
        let mut inserted = Vec::new();
        let fine = steps
            .iter()
            .all(|step| self.step(owner, step, &mut inserted));
        if !fine {
            *self = before;
        }
        fine
    }

    fn owns(&self, owner: usize, name: &str) -> bool {
        self.members.get(name).is_some_and(|it| it.0 == owner)
    }

    fn remove(&mut self, name: &str) {
        if let Some(member) = self.members.remove(name) {
            self.gone.insert(name.to_owned(), member.3);
        }
    }

    fn step(&mut self, owner: usize, step: &Step, inserted: &mut Vec<String>) -> bool {
        match *step {
            Step::Insert(name, tier, off) => {
                self.insert(owner, &called(name), (tier, off), inserted)
            }
            Step::Remove(name) => {
                let fine = self.owns(owner, &called(name));
                if fine {
                    self.remove(&called(name));
                }
                fine
            }
            Step::Update(name, tier) => {
                let fine = self.owns(owner, &called(name));
                if fine {
                    self.members.get_mut(&called(name)).unwrap().1 = tier;
                }
                fine
            }
            Step::ReplaceAll(ref list) => {
                let mut insert = |&(name, tier): &(usize, u16)| {
                    self.insert(owner, &called(name), (tier, false), inserted)
                };
                if !list.iter().all(&mut insert) {
                    return false;
                }
                let listed = |it: &str| list.iter().any(|&(name, _)| called(name) == it);
                let others = self
                    .members
                    .iter()
                    .filter(|(name, it)| it.0 == owner && !listed(name));
                let others: Vec<String> = others.map(|(name, _)| name.clone()).collect();
                others.iter().for_each(|name| self.remove(name));
                true
            }
            Step::SetFlag(name, flag, on) => {
                let Some(member) = self.members.get_mut(&called(name)) else {
                    return false;
                };
                if matches!(flag, Flag::InError | Flag::FailedCheck) {
                    member.3.retain(|&it| it != flag);
                    member.3.extend(on.then_some(flag));
                } else {
                    self.overrides
                        .entry(called(name))
                        .or_default()
                        .0
                        .insert(flag, on);
                }
                true
            }
            Step::OverrideTier(name, tier) => {
                self.overrides.entry(called(name)).or_default().1 = tier;
                true
            }
            Step::ClearOverrides(name) => {
                self.overrides.remove(&called(name));
                true
            }
        }
    }

    fn insert(
        &mut self,
        owner: usize,
        name: &str,
        (tier, off): (u16, bool),
        inserted: &mut Vec<String>,
    ) -> bool {
        if inserted.iter().any(|it| it == name) {
            return false;
        }
        inserted.push(name.to_owned());
        let member = self.members.entry(name.to_owned());
        let health = self.gone.remove(name).unwrap_or_default();
        let member = member.or_insert((owner, 0, false, health));
        if member.0 != owner {
            return false;
        }
        (member.1, member.2) = (tier, off);
        true
    }
}

fn called(name: usize) -> String {
    format!("m{name}")
}

fn of_tier(tier: u16, off: bool) -> MemberSpec {
    let spec = spec().with_tier(tier);
    if off {
        spec.with_flag(Flag::Disabled)
    } else {
        spec
    }
}

fn carry_out(balancer: &Balancer<()>, owner: usize, steps: &[Step]) -> bool {
    let mut edit = balancer.source(["one", "two"][owner]).edit();
    for step in steps {
        match *step {
            Step::Insert(name, tier, off) => edit.insert(called(name), (), of_tier(tier, off)),
            Step::Remove(name) => edit.remove(called(name)),
            Step::Update(name, tier) => {
                edit.update(called(name), move |spec: MemberSpec| spec.with_tier(tier));
            }
            Step::ReplaceAll(ref list) => {
                let list = list.iter();
                edit.replace_all(
                    list.map(|&(name, tier)| (called(name), (), of_tier(tier, false))),
                );
            }
            Step::SetFlag(name, flag, true) => edit.set_flag(called(name), flag),
            Step::SetFlag(name, flag, false) => edit.clear_flag(called(name), flag),
            Step::OverrideTier(name, tier) => {
                edit.override_member(called(name), move |it| match tier {
                    Some(tier) => it.with_tier(tier),
                    None => it.without_tier(),
                });
            }
            Step::ClearOverrides(name) => edit.clear_overrides(called(name)),
        }
    }
    edit.apply().is_ok()
}

proptest! {
    /// What holds is what the source, the operator and the health together say, after any
    /// course of edits by two sources and an operator; a refused edit changes nothing.
    #[test]
    fn no_layer_of_a_member_is_lost_by_a_change_of_another(
        edits in vec((0..2_usize, vec(steps(), 1..5)), 1..30),
    ) {
        let balancer = Balancer::builder()
            .clock(equipoise::clock::ManualClock::new())
            .forced_recovery(false)
            .build()
            .unwrap();
        let mut model = Model::default();
        for (owner, steps) in &edits {
            let fine = model.edit(*owner, steps);
            prop_assert_eq!(carry_out(&balancer, *owner, steps), fine);
            agree(&balancer, &model)?;
        }
    }
}

fn agree(balancer: &Balancer<()>, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(balancer.len(), model.members.len());
    for (name, (owner, tier, off, health)) in &model.members {
        let (flags, over) = model.overrides.get(name).cloned().unwrap_or_default();
        let mut expected = spec().with_tier(over.unwrap_or(*tier));
        for flag in [Flag::Disabled, Flag::Draining] {
            let source = *off && flag == Flag::Disabled;
            if flags.get(&flag).copied().unwrap_or(source) {
                expected = expected.with_flag(flag);
            }
        }
        for &flag in health {
            expected = expected.with_flag(flag);
        }
        prop_assert_eq!(balancer.spec(name), Some(expected));
        prop_assert_eq!(balancer.source_spec(name), Some(of_tier(*tier, *off)));
        let source = balancer.source_of(name).map(|it| it.to_string());
        prop_assert_eq!(source.as_deref(), Some(["one", "two"][*owner]));
    }
    let listed = model
        .overrides
        .iter()
        .filter(|(_, it)| !it.0.is_empty() || it.1.is_some());
    let listed: Vec<_> = listed.map(|(name, _)| name.clone()).collect();
    let overrides = balancer.overrides().into_keys();
    prop_assert_eq!(
        overrides.map(|it| it.to_string()).collect::<Vec<_>>(),
        listed
    );
    Ok(())
}
