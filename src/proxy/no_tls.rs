//! What stands for TLS to members where the feature `tls` is off.

use std::sync::Arc;

use crate::net::Secure;
use crate::service::BoxError;

/// There is none.
pub(super) fn member() -> Result<Arc<dyn Secure>, BoxError> {
    Err("switch on the feature `tls`".into())
}
