//! Nobody starves, and shares come out as the weights say.

use equipoise::{Balancer, MemberSpec, PickRequest, Weight};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(crate::lives(64))]

    /// Between two elections of a member of weight `w` among `n` of total weight `W`
    /// lie fewer than `2 * ceil(W / w) + n` others, from the first pick on.
    #[test]
    fn nobody_starves_by_requests(weights in vec(1_u32..=100, 1..=12), picks in 1_000..4_000_usize) {
        let balancer = balancer(&weights);
        let (total, members) = (weights.iter().sum::<u32>(), weights.len());
        let window = |weight: u32| 2 * total.div_ceil(weight) as usize + members;
        let mut last = vec![0; members];
        for pick in 1..=picks {
            let elected = *balancer.pick(&PickRequest::new()).unwrap();
            last[elected] = pick;
            for (member, &weight) in weights.iter().enumerate() {
                prop_assert!(pick - last[member] < window(weight), "member {} starves", member);
            }
        }
    }

    /// After as many picks as the total weight everybody had exactly its share, and
    /// everything begins again.
    #[test]
    fn shares_by_requests_are_exact_after_one_round(weights in vec(1_u32..=100, 1..=12)) {
        let balancer = balancer(&weights);
        for round in 1..=3 {
            for _ in 0..weights.iter().sum() {
                drop(balancer.pick(&PickRequest::new()).unwrap());
            }
            for (member, &weight) in balancer.members().iter().zip(&weights) {
                prop_assert_eq!(member.picked(), u64::from(round * weight));
                prop_assert_eq!(balancer.standing(member.name()), Some(0));
            }
        }
    }
}

fn balancer(weights: &[u32]) -> Balancer<usize> {
    let mut builder = Balancer::builder();
    for (at, &weight) in weights.iter().enumerate() {
        let weight = Weight::new(weight).unwrap();
        let spec = MemberSpec::new().with_weight(weight);
        builder = builder.member(format!("m{at}"), at, spec);
    }
    builder.build().unwrap()
}
