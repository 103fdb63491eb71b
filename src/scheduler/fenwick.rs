//! Shares by slot with their prefix sums. Setting a share and drawing a slot in proportion
//! to the shares are both O(log n).
//!
//! Source: Fenwick: *A new data structure for cumulative frequency tables* (1994).

#[derive(Debug, Default)]
pub(super) struct Shares {
    /// Each slot's own share.
    own: Vec<u64>,
    /// `sums[i]` covers the `i & -i` shares that end with the `i`-th; `sums[0]` is unused.
    sums: Vec<u64>,
    total: u64,
}

impl Shares {
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn get(&self, slot: usize) -> u64 {
        self.own.get(slot).copied().unwrap_or(0)
    }

    /// Makes room for a slot, so that setting it needs no allocation.
    pub(super) fn admit(&mut self, slot: usize) {
        if slot < self.own.len() {
            return;
        }
        let len = (slot + 1).next_power_of_two();
        self.own.resize(len, 0);
        self.sums = vec![0; len + 1];
        for at in 0..len {
            let share = self.own[at];
            self.add(at, share, true);
        }
    }

    pub(super) fn set(&mut self, slot: usize, share: u64) {
        let Some(own) = self.own.get_mut(slot) else {
            return;
        };
        let before = std::mem::replace(own, share);
        self.total = self.total - before + share;
        if share >= before {
            self.add(slot, share - before, true);
        } else {
            self.add(slot, before - share, false);
        }
    }

    /// Returns the slot whose share contains the point; `point` is below the total.
    pub(super) fn at(&self, mut point: u64) -> usize {
        let mut slot = 0;
        let mut step = self.own.len();
        while step > 0 {
            let next = slot + step;
            if next < self.sums.len() && self.sums[next] <= point {
                point -= self.sums[next];
                slot = next;
            }
            step /= 2;
        }
        slot
    }

    fn add(&mut self, slot: usize, share: u64, up: bool) {
        let mut at = slot + 1;
        while at < self.sums.len() {
            let sum = self.sums[at];
            self.sums[at] = if up { sum + share } else { sum - share };
            at += at & at.wrapping_neg();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Shares;

    #[test]
    fn every_point_falls_into_the_share_that_covers_it() {
        let mut shares = Shares::default();
        let wanted = [3_u64, 0, 5, 1, 0, 0, 2];
        for (slot, &share) in wanted.iter().enumerate() {
            shares.admit(slot);
            shares.set(slot, share + 7);
            shares.set(slot, share);
        }
        let drawn: Vec<usize> = (0..shares.total()).map(|point| shares.at(point)).collect();
        let expected: Vec<usize> = wanted
            .iter()
            .enumerate()
            .flat_map(|(slot, &share)| vec![slot; usize::try_from(share).unwrap()])
            .collect();
        assert_eq!(drawn, expected);
    }
}
