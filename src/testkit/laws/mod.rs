//! Laws: functions that check a scheduler, your own or one of this crate.
//!
//! Each law takes a function that makes a scheduler, checks it on made-up cases, and returns
//! a [`Violation`] if it is broken: the smallest example that was found, with its seed. The
//! cases are always the same, so that a test does not fail by chance. A law panics if it could
//! not fail with the bound that it is called with, such as a tolerance that is not a number.
//! A scheduler that loops for ever holds up its test; after 10 to 20 seconds its law and its
//! case are written to standard error.
//!
//! | law | what it checks | for |
//! |---|---|---|
//! | [`check_all`] | the six laws of the contract, which follow here | all schedulers |
//! | [`picks_candidates_only`] | a pick claims a candidate if one can be claimed | all |
//! | [`honours_tried`] | members that the request has tried are skipped | all |
//! | [`respects_caps`] | full members are skipped; the right result if all are full | all |
//! | [`is_deterministic`] | one seed, one sequence | all |
//! | [`peek_agrees`] | `peek` returns the next pick, without side effects | all |
//! | [`survives_churn`] | joins, leaves, weights, drains, errors in any order | all |
//! | [`allocates_nothing`] | a pick allocates no memory | all |
//! | [`shares_by_weight`] | shares within a bound | those that share by weight |
//! | [`honours_ramps`] | a reduced weight gives a reduced share | those that share by weight |
//! | [`is_smooth`] | each prefix of the picks within bounds | exact rotations |
//! | [`starves_none`] | each member within a number of picks | those that share by weight |
//! | [`is_monotone_in_weight`] | more weight, no smaller share | those that share by weight |
//! | [`shares_failovers`] | requests that fail over are shared | all but fixed orders |
//! | [`is_no_sinkhole`] | a member that fails at once attracts no load | all but fixed orders |
//! | [`survives_silence`] | a member that stops answering keeps few clients waiting | those that compare loads |
//! | [`keeps_keys`] | a key stays with its member | hashing schedulers |
//! | [`moves_few_keys`] | a removal moves few keys of the others | hashing schedulers |
//!
//! # Examples
//!
//! ```
//! use equipoise::ByRequests;
//! use equipoise::testkit::laws;
//!
//! laws::check_all(ByRequests::new)?;
//! laws::shares_by_weight(ByRequests::new, 1, 0.001)?;
//! laws::starves_none(ByRequests::new, 2.0)?;
//! laws::shares_failovers(ByRequests::new, 1.5)?;
//! # Ok::<(), equipoise::testkit::laws::Violation>(())
//! ```

mod allocation;
mod case;
mod contract;
mod course;
mod failing;
mod hashing;
mod parameter;
mod search;
mod share_count;
mod shares;
mod silent;
mod violation;
mod watch;

pub use allocation::allocates_nothing;
pub use contract::{
    check_all, honours_tried, is_deterministic, peek_agrees, picks_candidates_only, respects_caps,
    survives_churn,
};
pub use failing::{is_no_sinkhole, shares_failovers};
pub use hashing::{keeps_keys, moves_few_keys};
pub use shares::{honours_ramps, is_monotone_in_weight, is_smooth, shares_by_weight, starves_none};
pub use silent::survives_silence;
pub use violation::Violation;
