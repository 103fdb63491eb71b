//! Bodies of requests, which may be sent to several members (`request`, `replay`), and
//! bodies of responses, which hold the lease (`leased`).

mod leased;
#[cfg(all(test, equipoise_loom))]
mod loom_tests;
mod replay;
mod replay_buffer;
mod request;

pub use leased::{LeasedBody, UpgradeLease};
pub use replay::{BufferUpTo, KeptInBuffer, ReplayBody};
#[cfg(feature = "proxy")]
pub(crate) use request::BodyOrigin;
pub use request::{
    Counted, CountedBody, KeptBody, KeptIfEmpty, KeptUntilRead, PassThrough, RequestBody,
};
