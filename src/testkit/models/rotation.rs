//! Tijdeman's rotation, in exact arithmetic: [`SmoothRotation`].

/// The smoothest possible rotation: no member is ever more than 1 − 1/(2n − 2) requests
/// behind or ahead of its quota, and no order does better for all weights.
///
/// At step *k*, a member is a candidate if its quota *wk/W* is at least 1/(2n − 2) more than
/// the picks that it has had. Of the candidates, the one with the earliest deadline is
/// picked; the first one on a tie.
///
/// Source: R. Tijdeman: *The chairman assignment problem*, Discrete Mathematics 32 (1980).
///
/// # Examples
///
/// ```
/// use equipoise::testkit::models::SmoothRotation;
///
/// let mut rotation = SmoothRotation::new(&[3, 1]);
/// let picks: Vec<usize> = (0..8).map(|_| rotation.next().unwrap()).collect();
/// assert_eq!(picks.iter().filter(|&&member| member == 0).count(), 6);
/// ```
#[derive(Clone, Debug)]
pub struct SmoothRotation {
    weights: Vec<i128>,
    counts: Vec<i128>,
    step: i128,
}

impl SmoothRotation {
    /// Creates a rotation of members with these weights.
    #[must_use]
    pub fn new(weights: &[u64]) -> Self {
        Self {
            weights: weights.iter().map(|&weight| weight.into()).collect(),
            counts: vec![0; weights.len()],
            step: 0,
        }
    }
}

impl Iterator for SmoothRotation {
    type Item = usize;

    /// Returns the next member; `None` if there are no members, or none has a weight.
    fn next(&mut self) -> Option<usize> {
        let total: i128 = self.weights.iter().sum();
        // 2n - 2; a single member is always picked.
        let parts = 2 * self.weights.len() as i128 - 2;
        self.step += 1;
        let candidates = (0..self.weights.len()).filter(|&at| {
            let (weight, count) = (self.weights[at], self.counts[at]);
            weight > 0 && (parts == 0 || parts * (weight * self.step - count * total) >= total)
        });
        // The deadline (1 - e + h - l k) / l, with e = 1 / (2n - 2) and l = w / W, is
        // (parts - 1) W + parts (h W - w k), divided by parts w.
        let deadline = |at: usize| {
            let (weight, count) = (self.weights[at], self.counts[at]);
            (parts - 1) * total + parts * (count * total - weight * self.step)
        };
        let picked = candidates.min_by(|&a, &b| {
            (deadline(a) * self.weights[b]).cmp(&(deadline(b) * self.weights[a]))
        })?;
        self.counts[picked] += 1;
        Some(picked)
    }
}

#[cfg(test)]
mod tests {
    use super::SmoothRotation;

    #[test]
    fn each_prefix_is_within_the_proven_bound() {
        for seed in 0..200_u64 {
            let random = crate::random::Random::seeded(seed);
            let count = 2 + random.below(7);
            let weights: Vec<u64> = (0..count).map(|_| 1 + random.below(30)).collect();
            let total: u64 = weights.iter().sum();
            let mut counts = vec![0; weights.len()];
            for (step, member) in (1..)
                .zip(SmoothRotation::new(&weights))
                .take(usize::try_from(2 * total).unwrap())
            {
                counts[member] += 1_u64;
                for (&weight, &count) in weights.iter().zip(&counts) {
                    let off = (weight * step) as i128 - (count * total) as i128;
                    // |off| / W <= 1 - 1 / (2n - 2)
                    let parts = 2 * weights.len() as i128 - 2;
                    assert!(
                        off.abs() * parts <= (parts - 1) * total as i128,
                        "{weights:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn one_member_is_always_picked() {
        assert!(SmoothRotation::new(&[7]).take(20).all(|member| member == 0));
        assert_eq!(SmoothRotation::new(&[]).next(), None);
    }
}
