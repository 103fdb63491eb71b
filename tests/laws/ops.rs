//! What may happen to a balancer, and how proptest dreams it up.
//!
//! Members are meant by the number in their name, leases by an index that wraps
//! around those that live.

use std::time::Duration;

use equipoise::{Flag, MemberSpec, Outcome, Weight};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::methods::Method;

/// A whole life of a balancer.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) method: Method,
    pub(crate) forced_recovery: bool,
    /// Who is there from the start; of those with the same name only the last.
    pub(crate) members: Vec<(usize, MemberSpec)>,
    pub(crate) ops: Vec<Op>,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Advance(Duration),
    Bytes {
        lease: usize,
        sent: u64,
        received: u64,
    },
    ClearFlag(usize, Flag),
    ClearOverrides(usize),
    Drop(usize),
    Finish(usize, Outcome),
    Insert(usize, MemberSpec),
    IntoGuard(usize),
    NoticeTime,
    OverrideCap(usize, Option<u32>),
    OverrideRoute(usize, Option<&'static str>),
    OverrideTier(usize, Option<u16>),
    OverrideWeight(usize, Option<Weight>),
    Pick(Request),
    PutInError(usize),
    Recap(usize, Option<u32>),
    Remove(usize),
    ReplaceAll(Vec<(usize, MemberSpec)>),
    ResetStandings,
    Retier(usize, u16),
    Reweigh(usize, Weight),
    SetFlag(usize, Flag),
    SetMethod(Method),
    SetRecoveryDelay(usize, Duration),
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) tried: Vec<usize>,
    pub(crate) sessions: bool,
    pub(crate) route: Option<&'static str>,
    pub(crate) no_failover: bool,
}

/// The route that no member ever has is the last one.
pub(crate) const ROUTES: [&str; 5] = ["r0", "r1", "r2", "r3", "nobody's"];

/// Which names, weights and how much churn there are.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) names: usize,
    pub(crate) weights: BoxedStrategy<Weight>,
    pub(crate) methods: Vec<Method>,
    /// So many picks come upon one change.
    pub(crate) picks: u32,
}

impl World {
    pub(crate) fn scenario(
        self,
        members: std::ops::RangeInclusive<usize>,
        ops: std::ops::RangeInclusive<usize>,
    ) -> impl Strategy<Value = Scenario> {
        let member = (0..self.names, spec(self.weights.clone()));
        (
            select(self.methods.clone()),
            proptest::bool::weighted(0.7),
            vec(member, members),
            vec(self.op(), ops),
        )
            .prop_map(|(method, forced_recovery, members, ops)| Scenario {
                method,
                forced_recovery,
                members,
                ops,
            })
    }

    pub(crate) fn op(&self) -> impl Strategy<Value = Op> + use<> {
        let name = 0..self.names;
        let lease = any::<usize>();
        let member = (name.clone(), spec(self.weights.clone()));
        let change = prop_oneof![
            4 => member.clone().prop_map(|(name, spec)| Op::Insert(name, spec)),
            4 => name.clone().prop_map(Op::Remove),
            1 => vec(member, 0..4).prop_map(Op::ReplaceAll),
            4 => (name.clone(), self.weights.clone()).prop_map(|(name, w)| Op::Reweigh(name, w)),
            2 => (name.clone(), tier()).prop_map(|(name, tier)| Op::Retier(name, tier)),
            3 => (name.clone(), cap()).prop_map(|(name, cap)| Op::Recap(name, cap)),
            1 => (name.clone(), delay()).prop_map(|(name, d)| Op::SetRecoveryDelay(name, d)),
            5 => (name.clone(), flag()).prop_map(|(n, f)| Op::SetFlag(n, f)),
            7 => (name.clone(), flag()).prop_map(|(n, f)| Op::ClearFlag(n, f)),
            4 => self.overriding(),
            1 => select(self.methods.clone()).prop_map(Op::SetMethod),
            1 => Just(Op::ResetStandings),
        ];
        let moved = prop_oneof![Just(0), 1..200_u64, 1..5_000_000_u64];
        let use_of_lease = prop_oneof![
            3 => (lease, outcome()).prop_map(|(lease, outcome)| Op::Finish(lease, outcome)),
            2 => lease.prop_map(Op::Drop),
            3 => (lease, moved.clone(), moved)
                .prop_map(|(lease, sent, received)| Op::Bytes { lease, sent, received }),
            2 => lease.prop_map(Op::PutInError),
            1 => lease.prop_map(Op::IntoGuard),
        ];
        prop_oneof![
            self.picks => self.request().prop_map(Op::Pick),
            self.picks => use_of_lease,
            2 => elapsed().prop_map(Op::Advance),
            1 => Just(Op::NoticeTime),
            10 => change,
        ]
    }

    /// What an operator says of a member, and takes back.
    fn overriding(&self) -> impl Strategy<Value = Op> + use<> {
        let name = || 0..self.names;
        let route = select(vec!["", "r0", "r1"]);
        prop_oneof![
            2 => name().prop_map(Op::ClearOverrides),
            1 => (name(), option::of(0..3_u32)).prop_map(|(n, cap)| Op::OverrideCap(n, cap)),
            1 => (name(), option::of(route)).prop_map(|(n, r)| Op::OverrideRoute(n, r)),
            1 => (name(), option::of(tier())).prop_map(|(n, t)| Op::OverrideTier(n, t)),
            1 => (name(), option::of(self.weights.clone()))
                .prop_map(|(n, w)| Op::OverrideWeight(n, w)),
        ]
    }

    fn request(&self) -> impl Strategy<Value = Request> + use<> {
        let tried = prop_oneof![
            3 => Just(Vec::new()),
            1 => vec(0..self.names, 1..4),
        ];
        let route = prop_oneof![
            3 => Just(None),
            2 => select(&ROUTES[..]).prop_map(Some),
        ];
        let no_failover = proptest::bool::weighted(0.2);
        (tried, any::<bool>(), route, no_failover).prop_map(
            |(tried, sessions, route, no_failover)| Request {
                tried,
                sessions: sessions || route.is_some(),
                route,
                no_failover,
            },
        )
    }
}

fn spec(weights: BoxedStrategy<Weight>) -> impl Strategy<Value = MemberSpec> + Clone {
    let flags = prop_oneof![
        6 => Just(Vec::new()),
        3 => flag().prop_map(|flag| vec![flag]),
        1 => vec(flag(), 2),
    ];
    let route = || prop_oneof![2 => Just(""), 3 => select(&ROUTES[..4])];
    let redirect = prop_oneof![2 => Just(""), 1 => select(&ROUTES[..])];
    (weights, tier(), cap(), delay(), flags, route(), redirect)
        .prop_map(|(weight, tier, cap, delay, flags, route, redirect)| {
            let spec = MemberSpec::new()
                .with_weight(weight)
                .with_tier(tier)
                .with_recovery_delay(delay)
                .with_route(route)
                .with_redirect_route(redirect);
            let spec = flags.into_iter().fold(spec, MemberSpec::with_flag);
            cap.into_iter().fold(spec, MemberSpec::with_max_in_flight)
        })
        .boxed()
}

/// Any flag; more often one that changes the role of a member, or of others.
fn flag() -> impl Strategy<Value = Flag> + Clone {
    prop_oneof![
        2 => Just(Flag::Disabled),
        2 => Just(Flag::Draining),
        4 => Just(Flag::HotSpare),
        2 => Just(Flag::HotStandby),
        4 => select(&Flag::ALL[..]),
    ]
}

fn tier() -> impl Strategy<Value = u16> + Clone {
    prop_oneof![5 => Just(0), 2 => Just(1), 1 => Just(7)].boxed()
}

fn cap() -> impl Strategy<Value = Option<u32>> + Clone {
    prop_oneof![
        3 => Just(None),
        3 => (1_u32..4).prop_map(Some),
        1 => Just(Some(0)),
    ]
    .boxed()
}

fn delay() -> impl Strategy<Value = Duration> + Clone {
    prop_oneof![Just(0), Just(1_000), Just(5_000), Just(60_000)].prop_map(Duration::from_millis)
}

fn elapsed() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(1), Just(999), 1_u64..5_000, Just(60_000)].prop_map(Duration::from_millis)
}

fn outcome() -> impl Strategy<Value = Outcome> {
    select(vec![Outcome::Cancelled, Outcome::Failure, Outcome::Success])
}

/// A strategy of weights, given in hundredths.
pub(crate) fn hundredths(of: impl Strategy<Value = u32> + 'static) -> BoxedStrategy<Weight> {
    of.prop_map(|hundredths| Weight::from_hundredths(hundredths).unwrap())
        .boxed()
}
