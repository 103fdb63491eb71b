//! The first bytes of a client, read without responding to them: [`Greeting`]. A TLS client
//! sends the host and the protocols that it wants in plain text, in its [`ClientHello`].
//!
//! ```text
//! bytes ─► first bytes ─► records of TLS ─► ClientHello ─► name, protocols
//!            │ not TLS      put together      parsed
//!            ▼                    (records)    (client_hello)
//!          Greeting ◄──────────────────────────────┘    all bytes are replayed
//! ```
//!
//! rustls also has a reader, but that rejects clients that rustls itself could not serve,
//! and would add the dependency where TLS only passes through.
//!
//! Not here: which target a greeting leads to (`name_routes`).

mod client_hello;
mod error;
mod read;
mod records;

pub use client_hello::ClientHello;
pub(super) use client_hello::host_name;
pub use error::GreetingError;
pub use read::{Greeting, GreetingLimits};
