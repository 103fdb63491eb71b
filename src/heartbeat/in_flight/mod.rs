//! Counts a server's requests in flight: [`InFlight`] is the counter, and [`InFlightLayer`]
//! counts the requests of a tower service, from the call to the last byte of the response.
//!
//! Not here: reporting the count (`udp`).

mod body;
mod counter;
mod future;
mod layer;

pub use body::InFlightBody;
pub use counter::{InFlight, InFlightGuard};
pub use future::InFlightFuture;
pub use layer::{InFlightLayer, InFlightService};
