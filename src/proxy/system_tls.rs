//! The default TLS settings for members: the system's roots, loaded once.

use std::sync::{Arc, OnceLock};

use crate::net::{MemberTls, Secure};
use crate::service::BoxError;

/// Returns TLS settings that verify members against the roots of the system.
pub(super) fn member() -> Result<Arc<dyn Secure>, BoxError> {
    static SYSTEM: OnceLock<MemberTls> = OnceLock::new();
    if let Some(tls) = SYSTEM.get() {
        return Ok(tls.clone().into_secure());
    }
    let tls = MemberTls::new()?;
    Ok(SYSTEM.get_or_init(|| tls).clone().into_secure())
}
