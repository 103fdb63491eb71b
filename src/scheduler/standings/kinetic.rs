//! A kinetic tournament: who is ahead among many lines that grow at different rates.
//!
//! Each inner node remembers the winner below it and the earliest time at which that
//! may change; asking for the champion replays only the matches whose time has come.
//! Source: Basch, Guibas, Hershberger: *Data structures for mobile data* (SODA 1997).

/// The contestant of an empty place.
pub(super) const NOBODY: u32 = u32::MAX;

/// The contestants, by index.
pub(super) trait Lines {
    /// Tells whether `a` is ahead of `b` at `time`. Somebody is ahead of [`NOBODY`],
    /// who is ahead of none.
    fn ahead(&self, a: u32, b: u32, time: i64) -> bool;

    /// Returns a time after `time` before which `loser` cannot get ahead of `winner`.
    fn overtakes_at(&self, loser: u32, winner: u32, time: i64) -> i64;
}

#[derive(Clone, Copy, Debug)]
struct Match {
    winner: u32,
    /// The earliest time at which this match or one below it may turn.
    due: i64,
}

/// The tournament tree: node 1 is the final, the children of `i` are `2i` and `2i+1`.
#[derive(Debug, Default)]
pub(super) struct Tournament {
    leaves: usize,
    matches: Vec<Match>,
}

impl Tournament {
    /// Plays everything anew for contestants `0..count`.
    pub(super) fn rebuild(&mut self, count: usize, time: i64, lines: &impl Lines) {
        self.leaves = count.next_power_of_two().max(2);
        self.matches.clear();
        let nobody = Match {
            winner: NOBODY,
            due: i64::MAX,
        };
        self.matches.resize(2 * self.leaves, nobody);
        for (contestant, leaf) in (0..).zip(&mut self.matches[self.leaves..][..count]) {
            leaf.winner = contestant;
        }
        for at in (1..self.leaves).rev() {
            self.play(at, time, lines);
        }
    }

    /// Tells for how many contestants there is room.
    pub(super) fn room(&self) -> usize {
        self.leaves
    }

    /// Replays the matches of one contestant, who is new or whose line has changed.
    pub(super) fn replay(&mut self, contestant: u32, time: i64, lines: &impl Lines) {
        let leaf = self.leaves + contestant as usize;
        self.matches[leaf].winner = contestant;
        let mut at = leaf / 2;
        while at > 0 {
            self.play(at, time, lines);
            at /= 2;
        }
    }

    /// Returns the contestant that is ahead at `time`; times must not go back.
    pub(super) fn champion(&mut self, time: i64, lines: &impl Lines) -> u32 {
        self.advance(1, time, lines);
        self.matches[1].winner
    }

    fn advance(&mut self, at: usize, time: i64, lines: &impl Lines) {
        if at >= self.leaves || self.matches[at].due > time {
            return;
        }
        self.advance(2 * at, time, lines);
        self.advance(2 * at + 1, time, lines);
        self.play(at, time, lines);
    }

    fn play(&mut self, at: usize, time: i64, lines: &impl Lines) {
        let (left, right) = (self.matches[2 * at], self.matches[2 * at + 1]);
        let (winner, loser) = if lines.ahead(right.winner, left.winner, time) {
            (right.winner, left.winner)
        } else {
            (left.winner, right.winner)
        };
        let own = lines.overtakes_at(loser, winner, time);
        self.matches[at] = Match {
            winner,
            due: own.min(left.due).min(right.due),
        };
    }
}
