//! Properties of a [`Ledger`] after any sequence of events, and tables of examples.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::ledger::{EjectionLimits, EjectionStage, Ledger, MemberFacts, Recovery};
use crate::clock::Timestamp;

const SECOND: Duration = Duration::from_secs(1);

const TERMS: EjectionLimits = EjectionLimits {
    base: Duration::from_secs(30),
    max: Duration::from_secs(300),
    max_percent: 10,
    panic_percent: 50,
    trial: true,
};

const WELL: MemberFacts = MemberFacts {
    in_rotation: true,
    is_usable: true,
    is_ejected: false,
};

const DISABLED: MemberFacts = MemberFacts {
    in_rotation: false,
    is_usable: false,
    is_ejected: false,
};

const IN_ERROR: MemberFacts = MemberFacts {
    is_usable: false,
    ..WELL
};

impl Ledger<u32> {
    fn eject(
        &mut self,
        key: u32,
        all: impl Iterator<Item = (u32, MemberFacts)>,
        is_suspect: impl Fn(u32) -> bool,
        (now, jitter): (Timestamp, Duration),
    ) -> Option<Duration> {
        let granted = self.eject_all(&[key], all, is_suspect, now, || jitter);
        granted.first().map(|&(_, time)| time)
    }
}

fn at(seconds: u32) -> Timestamp {
    Timestamp::ORIGIN + SECOND * seconds
}

fn all_well(count: u32) -> impl Iterator<Item = (u32, MemberFacts)> + Clone {
    (0..count).map(|key| (key, WELL))
}

/// Ejects a member and carries it out.
fn eject(ledger: &mut Ledger<u32>, key: u32, count: u32, now: u32) -> Option<u64> {
    let when = (at(now), Duration::ZERO);
    let time = ledger.eject(key, all_well(count), |_| false, when)?;
    ledger.ejected(key);
    Some(time.as_secs())
}

#[test]
fn ejections_last_longer_each_time_and_less_after_healthy_intervals() {
    let mut ledger = Ledger::new(EjectionLimits {
        trial: false,
        ..TERMS
    });
    let mut lasted = Vec::new();
    for _ in 0..12 {
        lasted.push(eject(&mut ledger, 0, 10, 0).unwrap());
        assert_eq!(ledger.recover(0, at(900)), Some(Recovery::Full));
    }
    assert_eq!(
        lasted,
        [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]
    );
    for now in [900, 905, 912, 925, 940] {
        ledger.decay(at(now), SECOND * 10);
    }
    assert_eq!(
        eject(&mut ledger, 0, 10, 0),
        Some(210),
        "six are left, and one more"
    );
    ledger.decay(at(2_000), SECOND * 10);
    ledger.recover(0, at(2_000));
    for now in [2_000, 2_090] {
        ledger.decay(at(now), SECOND * 10);
    }
    assert_eq!(eject(&mut ledger, 0, 10, 0), Some(30));
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_ejections_long() {
    let mut ledger = Ledger::new(EjectionLimits {
        trial: false,
        ..TERMS
    });
    for wanted in [30, 60, 90] {
        assert_eq!(eject(&mut ledger, 0, 10, 50_000), Some(wanted));
        ledger.recover(0, at(50_100));
    }
    // It serves, and in the second of these the clock is put back by hours.
    for now in [50_100, 100, 110, 120, 130] {
        ledger.decay(at(now), SECOND * 10);
    }
    assert_eq!(eject(&mut ledger, 0, 10, 130), Some(30));
}

#[test]
fn a_failed_trial_doubles_the_time_and_a_passed_one_ends_it() {
    let mut ledger = Ledger::new(TERMS);
    let mut lasted = Vec::new();
    for _ in 0..6 {
        lasted.push(eject(&mut ledger, 0, 10, 0).unwrap());
        assert_eq!(ledger.recover(0, at(900)), Some(Recovery::Trial));
        assert!(matches!(ledger.stage(0), EjectionStage::Trial { .. }));
    }
    assert_eq!(lasted, [30, 60, 120, 240, 300, 300]);
    assert!(ledger.pass(0) && !ledger.pass(0));
    assert_eq!(ledger.stage(0), EjectionStage::Serving);
}

#[test]
fn no_trial_follows_an_ejection_that_ends_early() {
    let mut ledger = Ledger::new(TERMS);
    eject(&mut ledger, 0, 10, 0);
    assert_eq!(ledger.recover(0, at(29)), Some(Recovery::Full));
    assert_eq!(ledger.recover(0, at(29)), None);
    let when = (at(30), SECOND * 5);
    let time = ledger.eject(0, all_well(10), |_| false, when);
    assert_eq!(time, Some(SECOND * 65));
    assert_eq!(ledger.recover(0, at(99)), None, "not yet carried out");
    ledger.ejected(0);
    ledger.prolong(0, at(100));
    assert_eq!(ledger.recover(0, at(99)), Some(Recovery::Full));
}

#[test]
fn an_ejection_that_a_check_ends_is_followed_by_a_trial() {
    let mut ledger = Ledger::new(TERMS);
    assert!(!ledger.shorten(0, at(0)), "it serves");
    let when = (at(0), Duration::ZERO);
    ledger.eject(0, all_well(10), |_| false, when).unwrap();
    assert!(!ledger.shorten(0, at(1)), "not yet carried out");
    ledger.ejected(0);
    assert!(ledger.shorten(0, at(1)));
    assert!(ledger.shorten(0, at(9)), "it is over since the first");
    assert_eq!(ledger.recover(0, at(1)), Some(Recovery::Trial));
    assert!(!ledger.shorten(0, at(2)), "only a request ends the trial");
    assert_eq!(eject(&mut ledger, 0, 10, 2), Some(60), "it has failed");
}

#[test]
fn a_tenth_or_one_may_be_out_but_never_the_last_usable_member() {
    let mut ledger = Ledger::new(TERMS);
    assert_eq!(eject(&mut ledger, 0, 1, 0), None, "it is alone");
    assert!(eject(&mut ledger, 0, 2, 0).is_some());
    assert_eq!(eject(&mut ledger, 1, 2, 0), None);
    assert_eq!(eject(&mut ledger, 1, 19, 0), None);
    assert!(eject(&mut ledger, 1, 20, 0).is_some());
    assert_eq!(eject(&mut ledger, 0, 20, 0), None, "it is out");

    let mut ledger = Ledger::new(TERMS);
    let when = (at(0), Duration::ZERO);
    let others_out = [(0, WELL), (1, IN_ERROR), (2, DISABLED)];
    assert_eq!(
        ledger.eject(0, others_out.into_iter(), |_| false, when),
        None
    );
    assert_eq!(
        ledger.eject(2, others_out.into_iter(), |_| false, when),
        None
    );
    assert_eq!(
        ledger.eject(7, all_well(3), |_| false, when),
        None,
        "it left"
    );
}

#[test]
fn a_member_on_trial_does_not_allow_another_ejection() {
    let mut ledger = Ledger::new(EjectionLimits {
        max_percent: 100,
        ..TERMS
    });
    assert!(eject(&mut ledger, 0, 2, 0).is_some());
    ledger.recover(0, at(30));
    assert_eq!(eject(&mut ledger, 1, 2, 30), None);
    ledger.pass(0);
    assert!(eject(&mut ledger, 1, 2, 30).is_some());
}

#[test]
fn nothing_is_ejected_while_most_may_be_bad() {
    let when = (at(0), Duration::ZERO);
    for (suspects, panic_percent, ejects) in [(5, 50, true), (6, 50, false), (9, 0, true)] {
        let mut ledger = Ledger::new(EjectionLimits {
            panic_percent,
            ..TERMS
        });
        let time = ledger.eject(0, all_well(10), |key| key < suspects, when);
        assert_eq!(time.is_some(), ejects, "{suspects}");
    }
}

#[test]
fn members_return_when_most_are_bad_or_others_are_removed_or_fail() {
    let out = || {
        let mut ledger = Ledger::new(EjectionLimits {
            max_percent: 20,
            ..TERMS
        });
        eject(&mut ledger, 3, 10, 0);
        eject(&mut ledger, 4, 10, 1);
        ledger
    };
    let keys =
        |back: Vec<(u32, EjectionStage)>| back.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(out().restore(all_well(10), |key| key > 6)), [0_u32; 0]);
    assert_eq!(
        keys(out().restore(all_well(10), |key| key > 5)),
        [3, 4],
        "most are bad"
    );
    assert_eq!(
        keys(out().restore(all_well(9), |_| false)),
        [3],
        "of nine only one may be out"
    );
    let no_panic = || {
        let mut ledger = out();
        ledger.recover(4, at(900));
        ledger
    };
    let ill = |key| {
        (
            key,
            if (3..=4).contains(&key) {
                WELL
            } else {
                IN_ERROR
            },
        )
    };
    assert_eq!(
        keys(no_panic().restore((0..10).map(ill), |_| false)),
        [3, 4]
    );
    assert_eq!(keys(out().clear_all().into_iter().collect()), [3, 4]);
}

#[test]
fn ejecting_many_at_once_ejects_as_many_as_one_by_one() {
    let keys = [3, 9, 3, 40, 0, 5, 1];
    for (max_percent, panic_percent) in [(10, 50), (30, 50), (100, 50), (100, 80), (100, 0)] {
        let terms = EjectionLimits {
            max_percent,
            panic_percent,
            ..TERMS
        };
        let (mut at_once, mut one_by_one) = (Ledger::new(terms), Ledger::new(terms));
        let granted = at_once.eject_all(&keys, all_well(6), |_| false, at(0), || SECOND);
        let singly: Vec<_> = keys
            .iter()
            .filter_map(|&key| {
                let time = one_by_one.eject(key, all_well(6), |_| false, (at(0), SECOND))?;
                Some((key, time))
            })
            .collect();
        assert_eq!(granted, singly, "{max_percent} {panic_percent}");
        assert!(!granted.is_empty());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Decay,
    Eject(u32, bool),
    Fact(u32, u8),
    Leave(u32),
    Mend(u8),
    Pass(u32),
    Recover(u32),
    Shorten(u32),
    Wait(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0_u32..24;
    let step = prop_oneof![
        1 => proptest::strategy::Just(Step::Decay),
        8 => (key.clone(), any::<bool>()).prop_map(|(key, panic)| Step::Eject(key, panic)),
        3 => (key.clone(), 0_u8..4).prop_map(|(key, fact)| Step::Fact(key, fact)),
        1 => key.clone().prop_map(Step::Leave),
        2 => any::<u8>().prop_map(Step::Mend),
        3 => key.clone().prop_map(Step::Pass),
        4 => key.clone().prop_map(Step::Recover),
        2 => key.prop_map(Step::Shorten),
        3 => (0_u32..90).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn no_sequence_of_events_ejects_too_many_or_the_last_in_service(
        steps in steps(),
        max_percent in 0_u8..=100,
        count in 1_u32..24,
    ) {
        let mut ledger = Ledger::new(EjectionLimits { max_percent, ..TERMS });
        let mut facts: BTreeMap<u32, MemberFacts> = all_well(count).collect();
        let mut out = BTreeSet::new();
        let mut now = 0;
        for step in steps {
            let seen = facts.clone();
            let all = || seen.iter().map(|(&key, &it)| (key, MemberFacts {
                is_usable: it.is_usable && !out.contains(&key),
                is_ejected: out.contains(&key),
                ..it
            }));
            match step {
                Step::Decay => ledger.decay(at(now), SECOND * 10),
                Step::Eject(key, suspicious) => {
                    let when = (at(now), Duration::ZERO);
                    let time = ledger.eject(key, all(), |it| suspicious && it % 2 == 0, when);
                    if let Some(time) = time {
                        prop_assert!(time >= SECOND * 30 && time <= SECOND * 300);
                        let others = all().filter(|&(it, _)| it != key);
                        let serve = others.filter(|&(it, facts)| {
                            facts.is_usable && ledger.stage(it) == EjectionStage::Serving
                        });
                        prop_assert!(serve.count() > 0, "it was the last");
                        let members = all().filter(|(_, it)| it.in_rotation).count();
                        let away = all().filter(|&(it, facts)| {
                            facts.in_rotation && (facts.is_ejected || it == key)
                        });
                        let allowed = (members * usize::from(max_percent) / 100).max(1);
                        prop_assert!(away.count() <= allowed);
                        out.insert(key);
                        ledger.ejected(key);
                    }
                }
                Step::Fact(key, fact) => {
                    let fact = [WELL, DISABLED, IN_ERROR, WELL][usize::from(fact)];
                    facts.entry(key).and_modify(|it| *it = fact);
                }
                Step::Leave(key) => {
                    facts.remove(&key);
                    out.remove(&key);
                    ledger.remove(key);
                }
                Step::Mend(bad) => {
                    let back = ledger.restore(all(), |key| key < u32::from(bad % 24));
                    for (key, _) in back {
                        out.remove(&key);
                    }
                    let members = facts.values().filter(|it| it.in_rotation).count();
                    let away = out.iter().filter(|it| facts[it].in_rotation).count();
                    let allowed = (members * usize::from(max_percent) / 100).max(1);
                    prop_assert!(away <= allowed);
                }
                Step::Pass(key) => {
                    ledger.pass(key);
                }
                Step::Recover(key) => {
                    let was_out = out.remove(&key);
                    prop_assert_eq!(ledger.recover(key, at(now)).is_some(), was_out);
                }
                Step::Shorten(key) => {
                    prop_assert_eq!(ledger.shorten(key, at(now)), out.contains(&key));
                }
                Step::Wait(seconds) => now += seconds,
            }
            for key in 0..24 {
                let is_away = matches!(ledger.stage(key), EjectionStage::Ejected { .. });
                prop_assert_eq!(is_away, out.contains(&key));
            }
        }
    }
}
