//! Ejects members that fail or lag far more than the others: [`OutlierDetector`].
//!
//! ```text
//! head, end of a request ─► evidence ─► tally of the member (no lock)
//!                                        │ a run is long enough, or an interval is over
//!                                        ▼
//!                       judge: one lock ─► statistics ─► ledger: which may be out
//!                                        │ commands, carried out after the lock
//!                                        ▼
//!            balancer: limit of one more in flight, eject ... recovered ─► trial ─► limit lifted
//! ```
//!
//! Not here: ejections themselves (`balancer/eject.rs`), and errors of
//! members (`service`).

mod detector;
mod detector_state;
mod evidence;
mod execute;
mod histogram;
mod interval;
mod judge;
mod ledger;
#[cfg(test)]
mod ledger_laws;
mod observer;
mod settings;
mod signals;
mod statistics;
mod tally;
mod watched_balancer;

pub use detector::{OutlierDetector, OutlierDetectorBuilder};
pub use signals::{FailurePercentage, SlowMembers, SuccessRate};
