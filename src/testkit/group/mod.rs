//! Members without a balancer, for the unit tests of a scheduler: [`Group`].
//!
//! Not here: sessions, times of recovery and ramps, which need a balancer.

mod members;
mod picks;

pub use members::Group;
pub use picks::GroupPickError;
