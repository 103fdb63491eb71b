//! Each model and its scheduler see the same requests.
//!
//! Not here: the elections by requests, busyness and traffic, which `tests/laws` compares
//! with everything that can happen to a balancer.

mod churn;
mod draws;
mod hashing;
mod orders;
mod prequal;
mod zones;

use equipoise::clock::Timestamp;
use equipoise::random::Random;
use equipoise::scheduler::{HeartbeatReading, Maglev};
use equipoise::testkit::Group;
use equipoise::testkit::models::{MaglevModel, by_sum};
use equipoise::{Heartbeat, HeartbeatReadings, MemberId, MemberSpec, Outcome, PickRequest, Weight};

#[test]
fn heartbeat_draws_by_idle_capacity() {
    for seed in 0..50 {
        let dice = Random::seeded(seed);
        let readings = HeartbeatReadings::new();
        let heartbeat = Heartbeat::new(&readings).without_fallback();
        let mut group = Group::new(heartbeat).with_seed(seed);
        let count = 1 + usize::try_from(dice.below(8)).unwrap();
        let name = |at: usize| format!("m{at}");
        let ids: Vec<MemberId> = (0..count)
            .map(|at| group.insert(&name(at), MemberSpec::new()))
            .collect();
        let mut idle = Vec::new();
        for at in 0..count {
            let ready = u32::try_from(dice.below(20)).unwrap();
            let reading = HeartbeatReading { ready, busy: 1 };
            readings
                .report(&name(at), reading, Timestamp::ORIGIN)
                .unwrap();
            idle.push(u64::from(ready));
        }
        // The scheduler draws from the group's source, and the model from an equal one.
        let random = Random::seeded(seed);
        let mut held: Vec<usize> = Vec::new();
        for _ in 0..idle.iter().sum::<u64>() {
            if dice.below(3) == 0 {
                if let Some(at) = held.pop() {
                    group.end(ids[at], Outcome::Success);
                    idle[at] += 1;
                }
            }
            let total = idle.iter().sum();
            if total == 0 {
                break;
            }
            let expected = by_sum(&idle, random.below(total)).unwrap();
            assert_eq!(
                group.pick(&PickRequest::new()),
                Ok(ids[expected]),
                "seed {seed}"
            );
            idle[expected] -= 1;
            held.push(expected);
        }
    }
}

#[test]
fn maglev_looks_each_key_up_in_the_table_of_the_paper() {
    for seed in 0..12 {
        let dice = Random::seeded(seed);
        let mut group = Group::new(Maglev::with_table_size(509).unwrap());
        let count = 1 + dice.below(9);
        let mut members = Vec::new();
        for at in 0..count {
            let weight = 1 + u32::try_from(dice.below(700)).unwrap();
            // Names whose order is not that of their insertion.
            let name = format!("{}-{at}", dice.below(100));
            let of = Weight::from_hundredths(weight).unwrap();
            group.insert(&name, MemberSpec::new().with_weight(of));
            members.push((name, u64::from(weight)));
        }
        let members: Vec<(&str, u64)> = members.iter().map(|(name, it)| (&**name, *it)).collect();
        let model = MaglevModel::new(509, &members);
        for key in 0..509 {
            let picked = group.pick(&PickRequest::new().with_hash(key)).unwrap();
            assert_eq!(
                group.id(model.owner(key).unwrap()),
                Some(picked),
                "key {key}"
            );
        }
    }
}
