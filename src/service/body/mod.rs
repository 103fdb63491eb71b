//! Bodies on both ways: requests' on theirs to a member, and perhaps to another
//! (`request`, `replay`), and answers' with the lease in them (`leased`).

mod leased;
mod replay;
mod request;
mod tape;

pub use leased::{LeasedBody, UpgradeLease};
pub use replay::{BufferUpTo, KeptInBuffer, ReplayBody};
pub use request::{
    Counted, CountedBody, KeptBody, KeptIfEmpty, KeptUntilRead, PassThrough, RequestBody,
};
