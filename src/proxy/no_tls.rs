//! TLS to members without the feature `tls`.

use std::sync::Arc;

use crate::net::Secure;
use crate::service::BoxError;

/// Returns an error: there is no TLS.
pub(super) fn member() -> Result<Arc<dyn Secure>, BoxError> {
    Err("enable the feature `tls`".into())
}
