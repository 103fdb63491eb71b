//! The course of a request, for both services: one machine, its attempts, and what each
//! kind of request brings to it.

mod exchange;
mod http;
mod lane;
mod machine;
mod onward;
mod tried;
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
