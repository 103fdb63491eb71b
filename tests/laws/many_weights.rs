//! More distinct weights than are compared one by one (32): the scheduler keeps the
//! heads of its classes in a tournament then, which must come to the same elections as
//! a look at everybody.

use equipoise::{MemberSpec, Weight};
use proptest::collection::{hash_set, vec};
use proptest::prelude::*;
use proptest::sample::select;

use crate::methods::Method;
use crate::ops::{Op, ROUTES, Scenario, World, hundredths};
use crate::twins::Twins;

const BY_STANDING: [Method; 3] = [Method::Busyness, Method::WeightedBusyness, Method::Requests];

/// Distinct weights: spread out, close together, and from one end to the other.
fn distinct() -> impl Strategy<Value = Vec<u32>> {
    let any = hash_set(1..=6_553_500_u32, 40..=80).prop_map(|set| set.into_iter().collect());
    let close =
        (1..=6_553_400_u32, 40..=80_u32).prop_map(|(from, count)| (from..from + count).collect());
    let extreme = (20..=40_u32).prop_map(|half| {
        let (light, heavy) = (1..=half, 6_553_500 - half..=6_553_500);
        light.chain(heavy).collect()
    });
    let small = (40..=80_u32).prop_map(|count| (1..=count).map(|weight| weight * 100).collect());
    prop_oneof![any, close, extreme, small]
}

/// Long plain rotation, broken by bursts of sessions and by churn.
fn scenario() -> impl Strategy<Value = Scenario> {
    (distinct(), select(BY_STANDING.to_vec())).prop_flat_map(|(weights, method)| {
        let names = weights.len();
        let specs: Vec<_> = weights
            .iter()
            .enumerate()
            .map(|(name, &weight)| {
                let weight = Weight::from_hundredths(weight).unwrap();
                let spec = MemberSpec::new().with_weight(weight);
                let route = ROUTES[name % ROUTES.len()];
                (name, spec.with_route(route))
            })
            .collect();
        let world = World {
            names,
            weights: hundredths(select(weights)),
            methods: BY_STANDING.to_vec(),
            picks: 60,
        };
        (Just(specs), vec(world.op(), 80..=160)).prop_map(move |(members, ops)| Scenario {
            method,
            forced_recovery: true,
            members,
            ops,
        })
    })
}

proptest! {
    #![proptest_config(crate::lives(12))]

    #[test]
    fn a_tournament_of_weights_elects_as_a_look_at_everybody_does(
        scenario in scenario(),
        runs in vec(1..40_usize, 8),
    ) {
        let mut twins = Twins::start(&scenario);
        for (at, op) in scenario.ops.iter().enumerate() {
            // A run of plain picks, some of which stay in flight, and one other thing.
            for pick in 0..runs[at % runs.len()] {
                twins.pick_plainly();
                if pick % 4 != 0 {
                    twins.step(&Op::Drop(0));
                }
            }
            twins.step(op);
            twins.agree();
        }
    }
}

/// Plain picks only, which leave everybody where it was after one round.
#[test]
fn a_tournament_of_weights_turns_exactly() {
    let members = (0..60).map(|name| {
        let weight = Weight::new(u32::try_from(name).unwrap() + 1).unwrap();
        (name, MemberSpec::new().with_weight(weight))
    });
    let scenario = Scenario {
        method: Method::Requests,
        forced_recovery: true,
        members: members.collect(),
        ops: Vec::new(),
    };
    let mut twins = Twins::start(&scenario);
    for _ in 0..2 * 60 * 61 / 2 {
        twins.pick_plainly();
        twins.step(&Op::Drop(0));
    }
    twins.agree();
    twins.all_stand_at_zero();
}
