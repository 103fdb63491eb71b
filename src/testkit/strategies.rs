//! Strategies of the crate [`proptest`]: members, traffic, and changes of the members
//! (feature `proptest`).
//!
//! # Examples
//!
//! ```
//! use equipoise::ByRequests;
//! use equipoise::testkit::{Group, strategies};
//! use proptest::prelude::*;
//!
//! let steps = strategies::steps(4, 1..100);
//! proptest!(ProptestConfig::with_cases(8), |(members in strategies::members(1..=4), steps in steps)| {
//!     let mut group = Group::new(ByRequests::new());
//!     for (name, spec) in members {
//!         group.insert(&name, spec);
//!     }
//!     for step in &steps {
//!         step.apply(&mut group);
//!     }
//!     while group.end_oldest(equipoise::Outcome::Success).is_some() {}
//!     prop_assert_eq!(group.in_flight(), 0);
//! });
//! ```

use std::ops::RangeInclusive;
use std::time::Duration;

use proptest::collection::{SizeRange, vec};
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;

use super::group::{Group, GroupPickError};
use crate::balancer::PickRequest;
use crate::member::{Flag, MemberId, MemberSpec, Outcome, Weight};
use crate::scheduler::Scheduler;

/// Something that happens to a [`Group`].
///
/// Members are named `m0`, `m1` and so on, and are given by number here.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::Group;
/// use equipoise::testkit::strategies::GroupStep;
/// use equipoise::{ByRequests, MemberSpec};
///
/// let mut group = Group::new(ByRequests::new());
/// GroupStep::Insert(0, MemberSpec::new()).apply(&mut group);
/// let pick = GroupStep::Pick { key: None, tried: vec![] };
/// assert_eq!(pick.apply(&mut group), Some(Ok(group.id("m0").unwrap())));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GroupStep {
    /// Time passes.
    Advance(Duration),
    /// Bytes of a member are sent and received.
    Bytes(usize, u64, u64),
    /// A flag of a member is cleared.
    ClearFlag(usize, Flag),
    /// A request ends; the number counts from the oldest one and wraps around.
    End(usize, Outcome),
    /// A member is inserted, or gets another spec.
    Insert(usize, MemberSpec),
    /// A request is picked.
    Pick {
        /// The hash key.
        key: Option<u64>,
        /// The members that it has tried.
        tried: Vec<usize>,
    },
    /// A member is removed.
    Remove(usize),
    /// A session picks a member.
    Session(usize),
    /// A flag of a member is set.
    SetFlag(usize, Flag),
}

/// The name of a member.
fn name(member: usize) -> String {
    format!("m{member}")
}

impl GroupStep {
    /// Makes the step. A pick returns its result. A step of a member that is not there
    /// changes nothing.
    pub fn apply<S: Scheduler>(
        &self,
        group: &mut Group<S>,
    ) -> Option<Result<MemberId, GroupPickError>> {
        match self {
            Self::Advance(by) => group.advance(*by),
            Self::Bytes(member, sent, received) => {
                group.add_bytes(&name(*member), *sent, *received);
            }
            Self::ClearFlag(member, flag) => {
                group.clear_flag(&name(*member), *flag);
            }
            Self::End(at, outcome) => {
                let count = group.in_flight();
                if count > 0 {
                    group.end_at(at % count, *outcome);
                }
            }
            Self::Insert(member, spec) => {
                group.insert(&name(*member), spec.clone());
            }
            Self::Pick { key, tried } => {
                let tried = tried.iter().filter_map(|&member| group.id(&name(member)));
                let tried: Vec<MemberId> = tried.collect();
                let request = PickRequest::new().with_tried(&tried);
                return Some(group.pick(&match key {
                    Some(key) => request.with_hash(*key),
                    None => request,
                }));
            }
            Self::Remove(member) => {
                group.remove(&name(*member));
            }
            Self::Session(member) => {
                group.pick_session(&name(*member));
            }
            Self::SetFlag(member, flag) => {
                group.set_flag(&name(*member), *flag);
            }
        }
        None
    }
}

/// Generates weights: mostly small whole ones, some with hundredths, some at the ends of the
/// range.
pub fn weight() -> impl Strategy<Value = Weight> + Clone {
    let hundredths = prop_oneof![
        6 => (1..=10_u32).prop_map(|whole| 100 * whole),
        3 => 1..=2_000_u32,
        1 => select(vec![1, 6_553_500]),
    ];
    let weight = |hundredths| Weight::from_hundredths(hundredths).unwrap_or_default();
    hundredths.prop_map(weight).boxed()
}

/// Generates specs: weights, and now and then a cap, another tier or a flag.
pub fn spec() -> impl Strategy<Value = MemberSpec> + Clone {
    let cap = prop_oneof![3 => Just(None), 1 => (0..4_u32).prop_map(Some)];
    let tier = prop_oneof![5 => Just(0), 1 => Just(1_u16)];
    let flag = option::weighted(0.2, flag());
    let made = |(weight, cap, tier, flag): (Weight, Option<u32>, u16, Option<Flag>)| {
        let spec = MemberSpec::new().with_weight(weight).with_tier(tier);
        let spec = cap.into_iter().fold(spec, MemberSpec::with_max_in_flight);
        flag.into_iter().fold(spec, MemberSpec::with_flag)
    };
    (weight(), cap, tier, flag).prop_map(made).boxed()
}

/// Generates flags that change which members are eligible.
pub fn flag() -> impl Strategy<Value = Flag> + Clone {
    select(vec![
        Flag::Disabled,
        Flag::Draining,
        Flag::FailedCheck,
        Flag::HotSpare,
        Flag::HotStandby,
        Flag::InError,
        Flag::Stopped,
    ])
}

/// Generates members with their names: `m0`, `m1` and so on.
pub fn members(count: RangeInclusive<usize>) -> impl Strategy<Value = Vec<(String, MemberSpec)>> {
    let named = |specs: Vec<MemberSpec>| {
        let specs = specs.into_iter().enumerate();
        specs.map(|(at, spec)| (name(at), spec)).collect()
    };
    vec(spec(), count).prop_map(named)
}

/// Generates what requests do, among `members` members: picks with keys and tried members,
/// sessions, ends, bytes, and time that passes.
pub fn traffic(members: usize) -> impl Strategy<Value = GroupStep> + Clone {
    let member = 0..members.max(1);
    let outcomes = vec![Outcome::Cancelled, Outcome::Failure, Outcome::Success];
    let tried = prop_oneof![
        3 => Just(Vec::new()),
        1 => vec(member.clone(), 1..3),
    ];
    let bytes = prop_oneof![Just(0), 1..2_000_u64, 1..5_000_000_u64];
    prop_oneof![
        6 => (option::of(any::<u64>()), tried).prop_map(|(key, tried)| GroupStep::Pick { key, tried }),
        5 => (any::<usize>(), select(outcomes)).prop_map(|(at, how)| GroupStep::End(at, how)),
        1 => member.clone().prop_map(GroupStep::Session),
        2 => (member, bytes.clone(), bytes)
            .prop_map(|(member, sent, received)| GroupStep::Bytes(member, sent, received)),
        1 => (1..5_000_u64).prop_map(|millis| GroupStep::Advance(Duration::from_millis(millis))),
    ]
    .boxed()
}

/// Generates changes of `members` members: joins, leaves, specs and flags.
pub fn churn(members: usize) -> impl Strategy<Value = GroupStep> + Clone {
    let member = 0..members.max(1);
    prop_oneof![
        3 => (member.clone(), spec()).prop_map(|(member, spec)| GroupStep::Insert(member, spec)),
        2 => member.clone().prop_map(GroupStep::Remove),
        2 => (member.clone(), flag()).prop_map(|(member, flag)| GroupStep::SetFlag(member, flag)),
        3 => (member, flag()).prop_map(|(member, flag)| GroupStep::ClearFlag(member, flag)),
    ]
    .boxed()
}

/// Generates traffic with changes in between: one step in five is a change.
pub fn steps(members: usize, count: impl Into<SizeRange>) -> impl Strategy<Value = Vec<GroupStep>> {
    vec(
        prop_oneof![4 => traffic(members), 1 => churn(members)],
        count,
    )
}
