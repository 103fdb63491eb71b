//! The ranking against a plain loop, for cases that public methods do not reach: ticks that
//! are about to be folded, and many weights.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::cell::Cell;
use std::sync::Arc;
use std::thread;

use super::recent::RECENT;
use super::{ClassLoad, FOLD_AFTER, Standings};
use crate::clock::Timestamp;
use crate::member::{MemberId, MemberSpec, MemberState, Weight};
use crate::random::Random;
use crate::scheduler::ahead::{Ahead, MOST_ELECTIONS, Sequence};
use crate::scheduler::ranking::{Ranking, pick_ranked};
use crate::scheduler::{Candidates, Claim, GroupChange, Pick};
use crate::snapshot::{Factors, Picture, Roster, Seat, walk};
use crate::sync::Mutex;

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
            owner: Arc::new("".into()),
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

thread_local! {
    /// The elections that this thread has made or undone.
    static ELECTIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts elections, also those that are undone.
#[derive(Debug)]
struct Counted(Standings);

fn count_election() {
    ELECTIONS.set(ELECTIONS.get() + 1);
}

impl Ranking for Counted {
    fn generation(&self) -> u64 {
        self.0.generation()
    }

    fn slot(&self, member: MemberId) -> Option<u32> {
        self.0.slot(member)
    }

    fn first(&mut self, candidates: &Candidates<'_>) -> Option<(u32, MemberId)> {
        self.0.first(candidates)
    }

    fn picked(&mut self, slot: u32, claim: &Claim<'_>, candidates: &Candidates<'_>) {
        count_election();
        self.0.picked(slot, claim, candidates);
    }

    fn skip(&mut self, slot: u32) {
        self.0.skip(slot);
    }

    fn restore_skipped(&mut self) {
        self.0.restore_skipped();
    }

    fn park(&mut self, slot: u32) {
        self.0.park(slot);
    }

    fn parked(&self) -> usize {
        self.0.parked()
    }

    fn is_parked(&self, slot: u32) -> bool {
        self.0.is_parked(slot)
    }
}

impl Sequence for Counted {
    fn elect(&mut self) -> Option<u32> {
        count_election();
        self.0.elect()
    }

    fn undo(&mut self, slot: u32) {
        count_election();
        self.0.undo(slot);
    }

    fn session_pick(&mut self, slot: u32) {
        self.0.session_pick(slot);
    }

    fn slots(&self) -> usize {
        self.0.slots()
    }

    fn round(&self) -> Option<usize> {
        self.0.round()
    }

    fn is_round(&mut self, slots: &[u32]) -> bool {
        self.0.is_round(slots)
    }
}

#[test]
fn the_elections_of_one_pick_are_bounded() {
    let random = Random::seeded(5);
    for weights in [vec![100; 10], (1..=22).collect(), vec![100; 1_000]] {
        let picture = picture(&weights);
        let mut standings = Standings::new(ClassLoad::Ignored);
        follow(&mut standings, &picture);
        let ahead = Ahead::new(Counted(standings));
        let mut plain = Plain::new(&weights);
        let (mut most, mut picks) = (0, 0_u64);
        ELECTIONS.set(0);
        for _ in 0..200 {
            for _ in 0..random.below(1_000) {
                let before = ELECTIONS.get();
                match ahead.pick(&Candidates::new(&picture, &[])) {
                    Pick::Claimed(claim) => assert_eq!(claim.member().id().slot(), plain.picked()),
                    other => panic!("{other:?}"),
                }
                most = most.max(ELECTIONS.get() - before);
                picks += 1;
            }
            let before = ELECTIONS.get();
            ahead.settled(|_| ());
            most = most.max(ELECTIONS.get() - before);
        }
        assert!((8..=MOST_ELECTIONS).contains(&most), "{most}");
        assert!(ELECTIONS.get() < 3 * picks, "little is lost");
    }
}

#[test]
fn the_elections_of_one_pick_are_bounded_among_other_picks() {
    const PICKS: u32 = 30_000;
    let weights = [300, 200, 200, 100];
    let picture = &picture(&weights);
    let mut standings = Standings::new(ClassLoad::Ignored);
    follow(&mut standings, picture);
    let ahead = &Ahead::new(Counted(standings));
    let run = |cuts: u32| {
        let mut picked = [0_i64; 4];
        for at in 0..PICKS {
            let before = ELECTIONS.get();
            match ahead.pick(&Candidates::new(picture, &[])) {
                Pick::Claimed(claim) => picked[claim.member().id().slot()] += 1,
                other => panic!("{other:?}"),
            }
            if at % 500 < cuts {
                let slot = picture.roster.seat(at as usize % 4).unwrap();
                ahead.session_pick(&slot.state);
                picked[at as usize % 4] += 1;
            }
            let made = ELECTIONS.get() - before;
            assert!(made <= 2 * MOST_ELECTIONS, "{made}");
        }
        picked
    };
    let picked = thread::scope(|scope| {
        let threads = [0, 0, 0, 3].map(|cuts| scope.spawn(move || run(cuts)));
        threads.map(|thread| thread.join().unwrap())
    });
    let picks: i64 = picked.iter().flatten().sum();
    assert!(picks > 4 * i64::from(PICKS));
    for (slot, weight) in weights.into_iter().enumerate() {
        let own: i64 = picked.iter().map(|picked| picked[slot]).sum();
        let id = picture.roster.seat(slot).unwrap().state.id();
        let standing = ahead.settled(|it| it.0.standing(id));
        assert_eq!(standing, 16 * (i64::from(weight) * picks - 800 * own));
    }
}

#[test]
fn only_the_loads_of_the_members_picked_last_are_noted_too_low() {
    for load in [ClassLoad::Plain, ClassLoad::PerWeight] {
        let picture = picture(&vec![100; 3 * RECENT]);
        let mut standings = Standings::new(load);
        follow(&mut standings, &picture);
        let in_flight = |slot: usize| picture.roster.seat(slot).unwrap().state.in_flight();
        // Each lease is held.
        for _ in 0..7 * RECENT {
            let slot = picked(&mut standings, &picture);
            let least = (0..3 * RECENT).map(in_flight).min().unwrap();
            assert!(in_flight(slot) <= least + 1);
            let nodes = standings.nodes.0.iter().enumerate();
            let low = nodes.filter(|(slot, node)| node.load < in_flight(*slot));
            assert!(low.count() <= RECENT);
        }
    }
}
