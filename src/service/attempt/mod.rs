//! The attempts of a request, for both services: one state machine, its attempts, and what
//! each kind of request provides.

mod exchange;
mod http;
mod machine;
mod next_step;
mod progress;
mod slot;
mod wait;

pub(in crate::service) use exchange::{
    Judgement, Served, ServiceExchange, ServiceSettings, Unsendable,
};
pub use http::FreshConnection;
#[cfg(feature = "proxy")]
pub(crate) use http::HostKept;
pub(in crate::service) use http::{HttpExchange, HttpSettings};
pub(in crate::service) use machine::Machine;

#[cfg(test)]
mod tests;
