//! Members that fail or lag far more than the others are ejected: [`OutlierDetector`].
//!
//! ```text
//! head, end of a request ─► verdict ─► tally of the member (no lock)
//!                                        │ a run is long enough, or an interval is over
//!                                        ▼
//!                       judge: one lock ─► statistics ─► ledger: which may be out
//!                                        │ orders, carried out after the lock
//!                                        ▼
//!            balancer: limit of one more in flight, eject ... recovered ─► trial ─► limit lifted
//! ```
//!
//! What does not live here: ejections themselves (`balancer/eject.rs`), and what puts a member in
//! error (`service`).

mod act;
mod desk;
mod detector;
mod group;
mod histogram;
mod interval;
mod judge;
mod ledger;
#[cfg(test)]
mod ledger_laws;
mod settings;
mod signals;
mod statistics;
mod tally;
mod verdict;
mod watch;

pub use detector::{OutlierDetector, OutlierDetectorBuilder};
pub use signals::{FailurePercentage, SlowMembers, SuccessRate};
