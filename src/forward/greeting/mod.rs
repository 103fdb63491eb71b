//! What a client sends first, read without answering it: [`Greeting`]. A client of TLS names the
//! host and the protocols that it wants, in the clear, in its [`ClientHello`].
//!
//! ```text
//! bytes ─► first bytes ─► records of TLS ─► ClientHello ─► name, protocols
//!            │ not TLS      put together      parsed
//!            ▼                    (records)    (client_hello)
//!          Greeting ◄──────────────────────────────┘    all bytes are replayed
//! ```
//!
//! rustls has a reader, too, but refuses clients that it could not serve itself, and would be
//! needed where TLS only passes through.
//!
//! What does not live here: what a greeting leads to (`name_routes`).

mod client_hello;
mod error;
mod read;
mod records;

pub use client_hello::ClientHello;
pub(super) use client_hello::host_name;
pub use error::GreetingError;
pub use read::{Greeting, GreetingLimits};
