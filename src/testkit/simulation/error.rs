//! Why a simulation cannot run: [`SimulationError`].

use thiserror::Error;

use crate::balancer::BuildError;

/// Why a [`Simulation`](super::Simulation) cannot run.
///
/// # Examples
///
/// ```
/// use equipoise::ByRequests;
/// use equipoise::testkit::simulation::{Simulation, SimulationError};
///
/// let error = Simulation::new().run(|_| ByRequests::new()).unwrap_err();
/// assert_eq!(error, SimulationError::NoMembers);
/// assert_eq!(error.to_string(), "the simulation has no members");
/// ```
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SimulationError {
    /// A balancer could not be built.
    #[error("cannot build the balancer")]
    Balancer(#[from] BuildError),
    /// A burst has no rate or no length.
    #[error("the factor and the lengths of bursts must be above zero")]
    Bursts,
    /// The distribution of hash keys is not possible.
    #[error("the hash keys need at least one key and an exponent that is not below zero")]
    HashKeys,
    /// The load or the rate of arrivals is not a number above zero.
    #[error("the load or rate must be a number above zero")]
    Load,
    /// A member has no speed or no server, or stalls without end.
    #[error("a member needs a speed above zero, a server, and time between its stalls")]
    Member,
    /// There are no members.
    #[error("the simulation has no members")]
    NoMembers,
    /// The distribution of service times is not possible.
    #[error("the parameters of the service times give no distribution")]
    ServiceTimes,
}
