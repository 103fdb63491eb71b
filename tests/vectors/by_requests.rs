//! Sequences of `byrequests`, with everybody's standing after each request.

use crate::support::{Fleet, by_requests};

/// Weights, the first 14 elections, and the standings of one period.
struct Vector {
    weights: &'static str,
    sequence: &'static str,
    standings: &'static [&'static [i64]],
}

const VECTORS: &[Vector] = &[
    Vector {
        weights: "1:1",
        sequence: "ABABABABABABAB",
        standings: &[&[-100, 100], &[0, 0]],
    },
    Vector {
        weights: "25:25",
        sequence: "ABABABABABABAB",
        standings: &[&[-2500, 2500], &[0, 0]],
    },
    Vector {
        weights: "2:1",
        sequence: "ABAABAABAABAAB",
        standings: &[&[-100, 100], &[100, -100], &[0, 0]],
    },
    Vector {
        weights: "1.5:1",
        sequence: "ABABAABABAABAB",
        standings: &[&[-100, 100], &[50, -50], &[-50, 50], &[100, -100], &[0, 0]],
    },
    Vector {
        weights: "5:1:1",
        sequence: "AABACAAAABACAA",
        standings: &[
            &[-200, 100, 100],
            &[-400, 200, 200],
            &[100, -400, 300],
            &[-100, -300, 400],
            &[400, -200, -200],
            &[200, -100, -100],
            &[0, 0, 0],
        ],
    },
    Vector {
        weights: "1:5:1",
        sequence: "BBABCBBBBABCBB",
        standings: &[
            &[100, -200, 100],
            &[200, -400, 200],
            &[-400, 100, 300],
            &[-300, -100, 400],
            &[-200, 400, -200],
            &[-100, 200, -100],
            &[0, 0, 0],
        ],
    },
    Vector {
        weights: "1:1:5",
        sequence: "CCACBCCCCACBCC",
        standings: &[
            &[100, 100, -200],
            &[200, 200, -400],
            &[-400, 300, 100],
            &[-300, 400, -100],
            &[-200, -200, 400],
            &[-100, -100, 200],
            &[0, 0, 0],
        ],
    },
    Vector {
        weights: "1:2:1",
        sequence: "BACBBACBBACBBA",
        standings: &[
            &[100, -200, 100],
            &[-200, 0, 200],
            &[-100, 200, -100],
            &[0, 0, 0],
        ],
    },
];

#[test]
fn every_election_and_every_standing_is_apaches() {
    for vector in VECTORS {
        let fleet = by_requests(vector.weights);
        let expected = vector.standings.iter().cycle();
        for (at, (name, standings)) in vector.sequence.chars().zip(expected).enumerate() {
            let context = format!("{} after {}", vector.weights, at + 1);
            assert_eq!(fleet.picks(1), name.to_string(), "{context}");
            assert_eq!(fleet.standings(), *standings, "{context}");
        }
    }
}

#[test]
fn after_a_period_all_standings_are_zero_and_not_before() {
    let rows = [
        ("7:3", "ABAAABAABAABAA", 10),
        ("2.25:1", "ABAABAAABAABAA", 13),
        ("1.29:1", "ABABABAABABABA", 229),
    ];
    for (weights, sequence, period) in rows {
        let fleet = by_requests(weights);
        let first = fleet.picks(1);
        let is_balanced = |fleet: &Fleet| fleet.standings().iter().all(|&standing| standing == 0);
        let mut one_period = first;
        for at in 1..period {
            assert!(!is_balanced(&fleet), "{weights} after {at}");
            one_period += &fleet.picks(1);
        }
        assert!(is_balanced(&fleet), "{weights} after {period}");

        let again = fleet.picks(period);
        assert_eq!(again, one_period, "{weights}");
        assert!(is_balanced(&fleet), "{weights} after {}", 2 * period);
        let recorded: String = one_period.chars().chain(again.chars()).take(14).collect();
        assert_eq!(recorded, sequence, "{weights}");
    }
}

/// Somebody is taken out after some requests and put back after some more.
struct Absence {
    weights: &'static str,
    who: &'static str,
    /// Elections before, during and after the absence.
    sequence: [&'static str; 3],
    /// Standings when leaving, when returning, and at the end; empty if not recorded.
    standings: [&'static [i64]; 3],
}

const ABSENCES: &[Absence] = &[
    Absence {
        weights: "5:1:1",
        who: "A",
        sequence: ["AAB", "CCCC", "AABAACAAABAACA"],
        standings: [&[100, -400, 300], &[100, 0, -100], &[100, 0, -100]],
    },
    Absence {
        weights: "1:1:1",
        who: "B",
        sequence: ["A", "CCACAC", "BACBACBAC"],
        standings: [&[-200, 100, 100], &[0, 100, -100], &[0, 100, -100]],
    },
    Absence {
        weights: "1:1",
        who: "B",
        sequence: ["ABA", "AAA", "BABA"],
        standings: [&[-100, 100], &[-100, 100], &[-100, 100]],
    },
    Absence {
        weights: "2:1",
        who: "B",
        sequence: ["AB", "AAA", "AABAAB"],
        standings: [&[100, -100], &[100, -100], &[100, -100]],
    },
    Absence {
        weights: "1.5:1",
        who: "A",
        sequence: ["AB", "BB", "ABAABA"],
        standings: [&[50, -50], &[50, -50], &[]],
    },
];

#[test]
fn who_is_out_keeps_its_standing_and_returns_with_it() {
    for (letter, cause) in [('D', "disabled"), ('E', "in error"), ('N', "draining")] {
        for row in ABSENCES {
            let fleet = by_requests(row.weights);
            for (phase, sequence) in row.sequence.into_iter().enumerate() {
                let context = format!("{} {}, {} {cause}", row.weights, phase, row.who);
                assert_eq!(fleet.picks(sequence.len()), sequence, "{context}");
                if !row.standings[phase].is_empty() {
                    assert_eq!(fleet.standings(), row.standings[phase], "{context}");
                }
                match phase {
                    0 => fleet.set(row.who, letter),
                    1 => fleet.clear(row.who, letter),
                    _ => {}
                }
            }
        }
    }
}

// Ledger 11 and 36: Apache's manager sets every standing to its member's weight.
#[test]
fn a_new_weight_leaves_the_standings_as_they_are() {
    let fleet = by_requests("1:1:1");
    fleet.picks(1);
    fleet.set("B", 'D');
    fleet.picks(6);
    fleet.clear("B", 'D');
    assert_eq!(fleet.standings(), [0, 100, -100]);

    fleet.set_weight("A", 2);
    assert_eq!(fleet.standings(), [0, 100, -100], "Apache: 200, 100, 100");
    assert_eq!(fleet.picks(8), "ABACABAC", "as Apache's");
    assert_eq!(fleet.standings(), [0, 100, -100]);
}

// Ledger 11: to disable and enable again resets nothing, nor does an update of the route.
#[test]
fn an_update_of_anything_but_the_weight_changes_no_election() {
    let fleet = by_requests("5:1:1");
    let plain = by_requests("5:1:1");
    for at in 0..28 {
        fleet
            .balancer
            .update("A", |spec| spec.with_route(format!("r{at}")))
            .unwrap();
        fleet.set("B", 'D');
        fleet.clear("B", 'D');
        assert_eq!(fleet.picks(1), plain.picks(1), "request {at}");
        assert_eq!(fleet.standings(), plain.standings(), "request {at}");
    }
}

#[test]
fn a_failure_during_selection_counts_for_its_member_and_the_probe_comes_in_its_turn() {
    let fleet = by_requests("1:1");
    assert_eq!(fleet.request("A"), "AB");
    assert_eq!(fleet.standings(), [-100, 100]);
    assert_eq!(fleet.picks(3), "BBB");
    assert_eq!(fleet.standings(), [-100, 100]);

    fleet.wait(60);
    assert_eq!(fleet.picks(2), "BA", "the probe is the second request");
    assert_eq!(fleet.standings(), [-100, 100]);
}
