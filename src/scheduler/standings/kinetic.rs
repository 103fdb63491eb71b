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
        line: ClassFront::NONE.line,
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
        let gain = i64::from(self.line.weight) - i64::from(winner.line.weight);
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

/// The tournament tree: node 1 is the final, and the children of node `i` are `2i` and
/// `2i+1`. The leaves are the contestants in their order, the fronts of the classes; they
/// are not stored here.
#[derive(Debug)]
pub(super) struct Tournament {
    load: ClassLoad,
    /// As many as there may be leaves; the first one is not used.
    matches: Vec<Match>,
}

impl Tournament {
    /// Plays all matches of these contestants.
    pub(super) fn new(load: ClassLoad, time: i64, fronts: &[ClassFront]) -> Self {
        // Some more than there are, so that few new weights make a new tournament.
        let leaves = (fronts.len() + fronts.len() / 8).max(2);
        let mut this = Self {
            load,
            matches: vec![Match::EMPTY; leaves],
        };
        for at in (1..leaves).rev() {
            this.play(at, fronts, time);
        }
        this
    }

    /// Returns the number of contestants that fit.
    pub(super) fn room(&self) -> usize {
        self.matches.len()
    }

    /// Replays the matches of one contestant that is new or whose line has changed.
    pub(super) fn replay(&mut self, contestant: u32, fronts: &[ClassFront], time: i64) {
        let mut at = (self.matches.len() + contestant as usize) / 2;
        while at > 0 {
            self.play(at, fronts, time);
            at /= 2;
        }
    }

    /// Returns the contestant that is first at `time`.
    pub(super) fn first(&mut self, fronts: &[ClassFront], time: i64) -> u32 {
        self.advance(1, fronts, time);
        self.matches[1].winner
    }

    fn advance(&mut self, at: usize, fronts: &[ClassFront], time: i64) {
        let holds = |known: &Match| known.since <= time && time < known.due;
        if self.matches.get(at).is_none_or(holds) {
            return;
        }
        self.advance(2 * at, fronts, time);
        self.advance(2 * at + 1, fronts, time);
        self.play(at, fronts, time);
    }

    fn play(&mut self, at: usize, fronts: &[ClassFront], time: i64) {
        let (left, right) = (self.at(2 * at, fronts), self.at(2 * at + 1, fronts));
        let (winner, loser) = if right.is_ahead(&left, time, self.load) {
            (right, left)
        } else {
            (left, right)
        };
        let (since, due) = loser.is_behind(&winner, time, self.load);
        self.matches[at] = Match {
            since: since.max(left.since).max(right.since),
            due: due.min(left.due).min(right.due),
            ..winner
        };
    }

    /// Returns what is at a node or leaf.
    #[inline]
    fn at(&self, at: usize, fronts: &[ClassFront]) -> Match {
        if let Some(known) = self.matches.get(at) {
            return *known;
        }
        let contestant = at - self.matches.len();
        match fronts.get(contestant) {
            Some(front) if front.slot != NONE => Match {
                line: front.line,
                #[expect(clippy::cast_possible_truncation, reason = "no more than slots")]
                winner: contestant as u32,
                ..Match::EMPTY
            },
            _ => Match::EMPTY,
        }
    }
}
