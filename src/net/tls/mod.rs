//! TLS on both sides, by rustls: [`ServerTls`] for clients, [`MemberTls`] for members.
//!
//! What does not live here: the protocol inside, and what TLS told about a client
//! (`tls_session`).

mod error;
mod identity;
mod member;
mod names;
mod terminate;

pub use error::TlsError;
pub use identity::Identity;
pub use member::MemberTls;
pub use terminate::{ClientCertificates, ServerTls};
