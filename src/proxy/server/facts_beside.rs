//! Which services find the facts of a connection beside their requests:
//! [`finds_facts_beside`].
//!
//! Not here: where they find them (`ConnectionFacts`).

use std::any::TypeId;

use super::Server;
use crate::proxy::{ReverseProxy, Router};
use crate::service::{BufferUpTo, Counted};

/// Returns whether this is a service of this crate with nothing of others before it. All
/// others read the extensions of a request.
pub(super) fn finds_facts_beside<S: 'static>() -> bool {
    let own = [
        TypeId::of::<ReverseProxy<Counted>>(),
        TypeId::of::<ReverseProxy<BufferUpTo>>(),
        TypeId::of::<Router<ReverseProxy<Counted>>>(),
        TypeId::of::<Router<ReverseProxy<BufferUpTo>>>(),
    ];
    own.contains(&TypeId::of::<S>())
}

impl Server {
    /// Declares that the service finds the facts of a connection beside its requests.
    #[cfg(feature = "config")]
    pub(crate) fn facts_beside(mut self) -> Self {
        self.options.facts_beside = true;
        self
    }
}
