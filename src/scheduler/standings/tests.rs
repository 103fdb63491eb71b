//! The ranking against a plain loop, for cases that public methods do not reach: ticks that
//! are about to be folded, and many weights.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use super::{ClassLoad, FOLD_AFTER, Standings};
use crate::clock::Timestamp;
use crate::member::{MemberId, MemberSpec, MemberState, Weight};
use crate::random::Random;
use crate::scheduler::ahead::{Ahead, Sequence};
use crate::scheduler::ranking::{Ranking, pick_ranked};
use crate::scheduler::{Candidates, Claim, GroupChange, Pick};
use crate::snapshot::{Factors, Picture, Roster, Seat, walk};
use crate::sync::{AtomicU64, Mutex, Relaxed};

fn picture(hundredths: &[u32]) -> Picture {
    let mut roster = Roster::default();
    for (slot, &weight) in (0..).zip(hundredths) {
        let spec = MemberSpec::new().with_weight(Weight::from_hundredths(weight).unwrap());
        let name: Arc<str> = format!("m{slot}").into();
        let state = Arc::new(MemberState::new(name, slot, &spec, Timestamp::ORIGIN));
        roster.put(Arc::new(Seat {
            state,
            spec,
            order: slot.into(),
            owner: "".into(),
            layers: Mutex::default(),
        }));
    }
    let found = walk(&roster, |seat| seat.state.status());
    Picture::new(1, Arc::new(roster), found, Factors::default())
}

fn follow(standings: &mut Standings, picture: &Picture) {
    let change = picture.since_nothing();
    standings.follow(&GroupChange {
        picture,
        left: &change.left,
        joined: &change.joined,
        changed: &change.changed,
    });
}

fn picked(standings: &mut Standings, picture: &Picture) -> usize {
    let candidates = Candidates::new(picture, &[]);
    match pick_ranked(standings, &candidates) {
        Pick::Claimed(claim) => claim.member().id().slot(),
        other => panic!("{other:?}"),
    }
}

/// Apache's loop.
struct Plain(Vec<(i64, i64)>);

impl Plain {
    fn new(hundredths: &[u32]) -> Self {
        Self(hundredths.iter().map(|&w| (i64::from(w) * 16, 0)).collect())
    }

    fn picked(&mut self) -> usize {
        let total: i64 = self.0.iter().map(|(weight, _)| weight).sum();
        for (weight, standing) in &mut self.0 {
            *standing += *weight;
        }
        let best = (0..self.0.len())
            .reduce(|a, b| if self.0[b].1 > self.0[a].1 { b } else { a })
            .unwrap();
        self.0[best].1 -= total;
        best
    }
}

#[test]
fn folding_the_ticks_changes_neither_order_nor_standings() {
    for weights in [vec![500, 100, 100], (1..=60).map(|w| w * 7).collect()] {
        let picture = picture(&weights);
        let mut standings = Standings::new(ClassLoad::Ignored);
        standings.tick = FOLD_AFTER - 50;
        follow(&mut standings, &picture);
        let mut plain = Plain::new(&weights);
        for step in 0..200 {
            assert_eq!(picked(&mut standings, &picture), plain.picked(), "{step}");
            for (slot, (_, standing)) in plain.0.iter().enumerate() {
                let id = picture.roster.seat(slot).unwrap().state.id();
                assert_eq!(standings.standing(id), *standing);
            }
        }
        assert!(standings.tick < 200, "the ticks were folded");
    }
}

#[test]
fn the_tournament_picks_as_the_plain_loop_does() {
    let random = Random::seeded(11);
    for members in [33_u64, 64, 65, 200] {
        let weights: Vec<u32> = (0..members)
            .map(|_| u32::try_from(random.below(1_000_000)).unwrap() + 1)
            .collect();
        let picture = picture(&weights);
        let mut standings = Standings::new(ClassLoad::Ignored);
        follow(&mut standings, &picture);
        assert!(standings.classes.tournament.is_some());
        let mut plain = Plain::new(&weights);
        for step in 0..5_000 {
            assert_eq!(
                picked(&mut standings, &picture),
                plain.picked(),
                "{members} {step}"
            );
        }
    }
}

#[test]
fn ten_thousand_weights_that_differ_are_one_tournament() {
    let weights: Vec<u32> = (1..=10_000).collect();
    let picture = picture(&weights);
    let mut standings = Standings::new(ClassLoad::Ignored);
    follow(&mut standings, &picture);
    let mut plain = Plain::new(&weights);
    for _ in 0..300 {
        assert_eq!(picked(&mut standings, &picture), plain.picked());
    }
}

/// Counts elections, also those that are undone.
#[derive(Debug)]
struct Counted {
    standings: Standings,
    elections: Arc<AtomicU64>,
}

impl Ranking for Counted {
    fn generation(&self) -> u64 {
        self.standings.generation()
    }

    fn slot(&self, member: MemberId) -> Option<u32> {
        self.standings.slot(member)
    }

    fn first(&mut self, candidates: &Candidates<'_>) -> Option<(u32, MemberId)> {
        self.standings.first(candidates)
    }

    fn picked(&mut self, slot: u32, claim: &Claim<'_>) {
        self.elections.fetch_add(1, Relaxed);
        self.standings.picked(slot, claim);
    }

    fn skip(&mut self, slot: u32) {
        self.standings.skip(slot);
    }

    fn restore_skipped(&mut self) {
        self.standings.restore_skipped();
    }

    fn park(&mut self, slot: u32) {
        self.standings.park(slot);
    }

    fn parked(&self) -> usize {
        self.standings.parked()
    }

    fn is_parked(&self, slot: u32) -> bool {
        self.standings.is_parked(slot)
    }
}

impl Sequence for Counted {
    fn elect(&mut self) -> Option<u32> {
        self.elections.fetch_add(1, Relaxed);
        self.standings.elect()
    }

    fn undo(&mut self, slot: u32) {
        self.elections.fetch_add(1, Relaxed);
        self.standings.undo(slot);
    }

    fn session_pick(&mut self, slot: u32) {
        self.standings.session_pick(slot);
    }

    fn slots(&self) -> usize {
        self.standings.slots()
    }

    fn round(&self) -> Option<usize> {
        self.standings.round()
    }

    fn is_round(&mut self, slots: &[u32]) -> bool {
        self.standings.is_round(slots)
    }
}

#[test]
fn no_pick_makes_or_undoes_more_than_4096_elections() {
    let random = Random::seeded(5);
    for weights in [vec![100; 10], (1..=22).collect(), vec![100; 1_000]] {
        let picture = picture(&weights);
        let mut standings = Standings::new(ClassLoad::Ignored);
        follow(&mut standings, &picture);
        let elections: Arc<AtomicU64> = Arc::default();
        let ahead = Ahead::new(Counted {
            standings,
            elections: elections.clone(),
        });
        let mut plain = Plain::new(&weights);
        let (mut most, mut picks) = (0, 0_u64);
        for _ in 0..200 {
            for _ in 0..random.below(1_000) {
                let before = elections.load(Relaxed);
                match ahead.pick(&Candidates::new(&picture, &[])) {
                    Pick::Claimed(claim) => assert_eq!(claim.member().id().slot(), plain.picked()),
                    other => panic!("{other:?}"),
                }
                most = most.max(elections.load(Relaxed) - before);
                picks += 1;
            }
            let before = elections.load(Relaxed);
            ahead.settled(|_| ());
            most = most.max(elections.load(Relaxed) - before);
        }
        assert!((8..1 << 12).contains(&most), "{most}");
        assert!(elections.load(Relaxed) < 3 * picks, "little is lost");
    }
}
