//! A kinetic tournament: the first among many lines that grow at different rates.
//!
//! Each inner node stores the winner below it and the times for which that holds; asking
//! for the first line replays only the matches that do not hold. Time may also go back.
//! Source: Basch, Guibas, Hershberger: *Data structures for mobile data* (SODA 1997).

use super::class::{ClassFront, ClassLoad, NONE, StandingLine};

/// The contestant of an empty leaf.
pub(super) const NO_CONTESTANT: u32 = u32::MAX;

/// The winner below a node, with its line, so that a match is played without reading the
/// contestants.
#[derive(Clone, Copy, Debug)]
struct Match {
    /// The winner's line, with the value at time 0.
    line: StandingLine,
    winner: u32,
    /// The results of this match and of those below it hold from here on,
    since: i64,
    /// and before this time.
    due: i64,
}

impl Match {
    const EMPTY: Self = Self {
        line: StandingLine {
            load: 0,
            value: 0,
            weight: 0,
            rank: 0,
        },
        winner: NO_CONTESTANT,
        since: i64::MIN,
        due: i64::MAX,
    };

    /// Returns whether this contestant is ahead; any contestant is ahead of an empty leaf.
    fn is_ahead(&self, other: &Self, time: i64, by: ClassLoad) -> bool {
        if self.winner == NO_CONTESTANT || other.winner == NO_CONTESTANT {
            return self.winner != NO_CONTESTANT;
        }
        let (mine, theirs) = (self.line.at(time), other.line.at(time));
        mine.compare(&theirs, by).is_lt()
    }

    /// Returns the times for which this contestant, which is behind `winner` at `time`,
    /// certainly stays behind: the first of them, and the first after them.
    fn is_behind(&self, winner: &Self, time: i64, by: ClassLoad) -> (i64, i64) {
        let gain = self.line.weight - winner.line.weight;
        let equal = self.line.compare_load(&winner.line, by).is_eq();
        if self.winner == NO_CONTESTANT || gain == 0 || !equal {
            return (i64::MIN, i64::MAX);
        }
        let gap = winner.line.at(time).value - self.line.at(time).value;
        // Too short is harmless, too long is not: hence the rounding down, and a margin for
        // what 53 bits of mantissa lose. A float division is the cheaper one.
        #[expect(clippy::cast_precision_loss, reason = "covered by the margin")]
        #[expect(clippy::cast_possible_truncation, reason = "the floor is wanted")]
        let wait = (gap as f64 / gain.abs() as f64 * (1.0 - 1e-14)) as i64;
        let wait = wait.max(1);
        if gain > 0 {
            (i64::MIN, time.saturating_add(wait))
        } else {
            (time.saturating_sub(wait - 1), i64::MAX)
        }
    }
}

/// The tournament tree: node 1 is the final, the children of node `i` are `2i` and `2i+1`,
/// and the leaves are the last ones.
#[derive(Debug)]
pub(super) struct Tournament {
    load: ClassLoad,
    leaves: usize,
    matches: Vec<Match>,
}

impl Tournament {
    /// Plays all matches of the contestants with these fronts, in order.
    pub(super) fn new(
        load: ClassLoad,
        time: i64,
        fronts: impl ExactSizeIterator<Item = ClassFront>,
    ) -> Self {
        // Some more than there are, so that few new weights make a new tournament.
        let leaves = (fronts.len() + fronts.len() / 8).max(2);
        let mut this = Self {
            load,
            leaves,
            matches: vec![Match::EMPTY; 2 * leaves],
        };
        for (contestant, front) in (0..).zip(fronts) {
            this.enter(contestant, front);
        }
        for at in (1..leaves).rev() {
            this.play(at, time);
        }
        this
    }

    /// Returns the number of contestants that fit.
    pub(super) fn room(&self) -> usize {
        self.leaves
    }

    /// Replays the matches of one contestant that is new or whose line has changed.
    pub(super) fn replay(&mut self, contestant: u32, front: ClassFront, time: i64) {
        self.enter(contestant, front);
        let mut at = (self.leaves + contestant as usize) / 2;
        while at > 0 {
            self.play(at, time);
            at /= 2;
        }
    }

    /// Returns the contestant that is first at `time`.
    pub(super) fn first(&mut self, time: i64) -> u32 {
        self.advance(1, time);
        self.matches[1].winner
    }

    fn enter(&mut self, contestant: u32, front: ClassFront) {
        self.matches[self.leaves + contestant as usize] = Match {
            line: front.line,
            winner: if front.slot == NONE {
                NO_CONTESTANT
            } else {
                contestant
            },
            ..Match::EMPTY
        };
    }

    fn advance(&mut self, at: usize, time: i64) {
        let known = &self.matches[at];
        if at >= self.leaves || (known.since <= time && time < known.due) {
            return;
        }
        self.advance(2 * at, time);
        self.advance(2 * at + 1, time);
        self.play(at, time);
    }

    fn play(&mut self, at: usize, time: i64) {
        let (left, right) = (&self.matches[2 * at], &self.matches[2 * at + 1]);
        let (winner, loser) = if right.is_ahead(left, time, self.load) {
            (right, left)
        } else {
            (left, right)
        };
        let (since, due) = loser.is_behind(winner, time, self.load);
        self.matches[at] = Match {
            since: since.max(left.since).max(right.since),
            due: due.min(left.due).min(right.due),
            ..*winner
        };
    }
}
