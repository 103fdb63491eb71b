//! A simulation of members, requests and balancers: it answers which scheduler gives which
//! latencies under which load.
//!
//! ```text
//! arrivals ─► one of the balancers ─► pick ─► queue of the member ─► service ─► end
//!             (the real Balancer and Scheduler, on a ManualClock)
//! ```
//!
//! It is a discrete-event simulation: the clock jumps from one event to the next, so that
//! millions of requests take seconds. The picks, leases and outcomes are those of a real
//! [`Balancer`](crate::Balancer); only members and clients are simulated. A member is a
//! queue, first come, first served, in front of one or more servers; or it works on all its
//! requests at once.
//!
//! One seed gives one result. Different schedulers get the very same requests at the same
//! times under one seed, which makes small differences between them visible.
//!
//! # Examples
//!
//! Which of two schedulers has the shorter latencies when each member works at 80 % of its
//! capacity:
//!
//! ```
//! use equipoise::testkit::simulation::{SimulatedMember, Simulation};
//! use equipoise::{ByBusyness, ByRequests};
//!
//! let simulation = Simulation::new()
//!     .members(vec![SimulatedMember::new(); 10])
//!     .load(0.8)
//!     .requests(20_000)
//!     .seed(7);
//! let in_turn = simulation.run(|_| ByRequests::new())?;
//! let least_busy = simulation.run(|_| ByBusyness::new())?;
//! assert!(least_busy.latencies().mean() < in_turn.latencies().mean() / 2);
//! assert!(least_busy.longest_queue() < in_turn.longest_queue());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The example `simulate` of this crate runs whole scenarios and draws the results.
//!
//! # Limits
//!
//! * Members hold requests in queues of any length; there are no time limits.
//! * No time passes between a balancer and its members.
//! * A distribution uses the floating-point functions of the platform. So a simulation
//!   repeats bit for bit on one platform; another one may round a time differently.
//!
//! Not here: the check that a scheduler keeps its contract (the laws of the test kit).

mod access_log;
mod arrivals;
mod engine;
mod error;
mod event_queue;
mod feedback;
mod held_request;
mod latencies;
mod log_line;
mod measured;
mod member;
mod member_queue;
mod run;
mod samples;
mod servers_in_turn;
mod service_times;
mod settings;
mod shared_servers;
pub mod theory;

#[cfg(test)]
mod tests;

pub use access_log::AccessLog;
pub use arrivals::{Arrivals, TracedRequest};
pub use error::SimulationError;
pub use feedback::{Feedback, Fleet};
pub use latencies::Latencies;
pub use measured::{Measured, MeasuredMember};
pub use member::SimulatedMember;
pub use samples::InFlightSample;
pub use service_times::ServiceTimes;
pub use settings::Simulation;

use std::time::Duration;

/// Returns a time in nanoseconds as an integer: what is below zero, or too large, becomes
/// the end of the range.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates"
)]
fn whole_nanos(nanos: f64) -> u64 {
    nanos.round() as u64
}

/// Returns a duration in nanoseconds; one of more than 584 years becomes that.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
