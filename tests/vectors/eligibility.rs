//! Who is eligible: tiers, spares, standbys and members that drain.

use crate::support::{Fleet, flagged, fleet, spec};
use equipoise::ByRequests;

/// What is done before the next requests: `A+D` sets a flag, `A-D` clears it.
fn change(fleet: &Fleet, changes: &str) {
    for change in changes.split_whitespace() {
        let (name, letters) = change.split_at(1);
        let (sign, letter) = letters.split_at(1);
        let letter = letter.chars().next().unwrap();
        match sign {
            "+" => fleet.set(name, letter),
            _ => fleet.clear(name, letter),
        }
    }
}

/// Elects after each step's changes.
fn steps(fleet: &Fleet, row: &str, steps: &[(&str, &str)]) {
    for (changes, sequence) in steps {
        change(fleet, changes);
        assert_eq!(fleet.picks(sequence.len()), *sequence, "{row}: {changes}");
    }
}

type Row = (&'static str, &'static [(&'static str, &'static str)]);

#[test]
fn spares_and_standbys_step_in_as_apaches_do() {
    let rows: &[Row] = &[
        (
            "- - H",
            &[
                ("", "ABAB"),
                ("A+D", "BBBB"),
                ("B+D", "CCCC"),
                ("A-D", "AAAA"),
            ],
        ),
        (
            "- - R R",
            &[
                ("", "ABAB"),
                ("A+D", "BCBCBC"),
                ("B+N", "CDCDCD"),
                ("A-D", "ACACAC"),
            ],
        ),
        ("D - RD R", &[("", "BDBDBD")]),
        // Spares come after the primaries in ties, wherever they are written.
        ("R - D", &[("", "BABA")]),
        // A spare that is a standby too is a spare.
        ("- D HR", &[("", "ACAC")]),
        // Spares that cannot serve, or standbys, are nobody to stand in for.
        ("- RD HD R", &[("", "AAA")]),
        // A standby steps in when nobody else is left, spares included.
        ("D R H", &[("", "BB"), ("B+D", "CC"), ("A-D", "AA")]),
        // Whoever drains is out, in whatever role.
        ("N RN R HN H", &[("", "CC"), ("C+D", "EE"), ("E+N", "!!")]),
    ];
    for (flags, row) in rows {
        steps(&flagged(flags), flags, row);
    }
}

#[test]
fn a_lower_tier_is_used_before_a_higher_one_its_standbys_included() {
    let tiers = |rows: [(&str, u16); 4]| {
        let specs = rows.map(|(letters, tier)| spec(letters).with_tier(tier));
        fleet(ByRequests::new(), specs)
    };
    let plain = tiers([("-", 0), ("-", 0), ("-", 1), ("-", 5)]);
    let row = [
        ("", "ABAB"),
        ("A+D", "BBBB"),
        ("B+D", "CCCC"),
        ("C+D", "DDDD"),
        ("D+D", "!!!!"),
        ("D-D", "DDDD"),
        ("A-D", "AAAA"),
    ];
    steps(&plain, "0 0 1 5", &row);

    let standby = tiers([("D", 0), ("H", 0), ("-", 1), ("-", 1)]);
    steps(
        &standby,
        "a standby of the lower tier",
        &[("", "BBBB"), ("B+D", "CDCD")],
    );

    let spare = tiers([("-", 1), ("D", 0), ("R", 1), ("R", 0)]);
    steps(
        &spare,
        "a spare of its own tier only",
        &[("", "DD"), ("D+D", "AA")],
    );

    let unordered = tiers([("-", 65_535), ("-", 7), ("-", 65_535), ("D", 0)]);
    steps(
        &unordered,
        "tiers out of order",
        &[("", "BB"), ("B+D", "ACAC")],
    );
}

#[test]
fn a_draining_member_serves_its_sessions_and_no_one_else() {
    let fleet = flagged("N -");
    assert_eq!(fleet.picks(3), "BBB");
    assert_eq!(fleet.session("A"), "A");
    fleet.set("B", 'D');
    assert_eq!(fleet.picks(1), "!");
    assert_eq!(fleet.session("B"), "!");
    assert_eq!(fleet.session("A"), "A");
}

// Ledger 7: Apache never uses the spares of a balancer that has only spares.
#[test]
fn members_that_are_all_spares_are_ordinary_members() {
    let rows: &[Row] = &[
        ("R R", &[("", "ABAB"), ("A+D", "BB"), ("B+D", "!!")]),
        ("R RD", &[("", "AA")]),
        ("R H R", &[("", "BB"), ("B+D", "ACAC")]),
    ];
    for (flags, row) in rows {
        steps(&flagged(flags), flags, row);
    }
}
