//! The attempts of a request, for both services: one state machine, its attempts, and what
//! each kind of request provides.

mod exchange;
mod first;
mod http;
mod kept_head;
mod machine;
mod marks;
mod next_step;
mod progress;
mod slot;
mod wait;

pub(in crate::service) use exchange::{
    Judgement, Served, ServiceExchange, ServiceSettings, Unsendable,
};
pub(in crate::service) use first::RequestAttempts;
pub(in crate::service) use http::{HttpExchange, HttpSettings, HttpShared};
pub use marks::FreshConnection;
#[cfg(feature = "proxy")]
pub(crate) use marks::HostKept;

#[cfg(all(test, feature = "proxy"))]
mod start_tests;
#[cfg(test)]
mod tests;
