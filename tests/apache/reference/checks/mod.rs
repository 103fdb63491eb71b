//! Checks of the model: against Apache's recordings, against the library's core, and of its switches.
//!
//! The model itself knows nothing of these.

mod against_core;
mod churn;
mod core_driver;
mod recorded;
mod specs;
mod switches;
