//! TLS on both sides, by rustls: [`ServerTls`] for clients, [`MemberTls`] for members.
//!
//! Not here: the protocol inside, and the properties of a client's session
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
