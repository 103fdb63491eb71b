//! How many requests a server has in flight: [`InFlight`] counts them, and [`InFlightLayer`]
//! counts those of a tower service, from the call to the last byte of the answer.
//!
//! What does not live here: what is reported of it (`udp`).

mod body;
mod counter;
mod future;
mod layer;

pub use body::InFlightBody;
pub use counter::{InFlight, InFlightGuard};
pub use future::InFlightFuture;
pub use layer::{InFlightLayer, InFlightService};
