//! How often a report is used before it is removed: [`most_uses`].
//!
//! Not here: counting the uses (`pool`).

use super::pool::PLACES;
use super::settings::PrequalSettings;
use super::threshold::WHOLE;
use crate::random::Random;

/// Returns after how many uses a report is removed; `uses` have been before this one, and
/// `members` can be picked.
pub(super) fn most_uses(
    settings: &PrequalSettings,
    uses: u32,
    members: usize,
    random: &Random,
) -> u32 {
    let most = exact_uses(settings.probes(), settings.removals(), members as u64);
    let Some(most) = most else {
        return u32::MAX;
    };
    let (whole, fraction) = (most / WHOLE, most % WHOLE);
    let whole = u32::try_from(whole).unwrap_or(u32::MAX);
    let is_last = uses.saturating_add(1) == whole;
    let is_rounded_up = is_last && fraction > 0 && random.below(WHOLE) < fraction;
    whole.saturating_add(is_rounded_up.into())
}

/// Returns the uses of a report, in units of 2^-16; `None` if they have no limit. The rates
/// are in units of 2^-16.
///
/// Source: `b_reuse` of the paper, with delta = 1.
fn exact_uses(probes: u64, removals: u64, members: u64) -> Option<u64> {
    let beyond = members.checked_sub(PLACES as u64).filter(|&it| it > 0)?;
    // What the pool gains at each pick.
    let gain = (probes * beyond / members).checked_sub(removals);
    let gain = gain.filter(|&gain| gain > 0)?;
    Some((2 * WHOLE * WHOLE / gain).max(WHOLE))
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    use super::exact_uses;

    const ONE: u64 = 1 << 16;

    #[test]
    fn the_number_of_uses_follows_from_the_rates() {
        // 2 / ((1 - 16/100) * 3 - 1)
        let most = exact_uses(3 * ONE, ONE, 100).unwrap();
        assert!((most as f64 / ONE as f64 - 2.0 / 1.52).abs() < 1e-3);
        assert_eq!(exact_uses(3 * ONE, 0, 100), Some(ONE), "at least one");
        assert_eq!(exact_uses(ONE, ONE, 100), None, "the pool does not grow");
        assert_eq!(exact_uses(3 * ONE, ONE, 16), None);
        assert_eq!(exact_uses(0, 0, 0), None);
    }
}
