//! Where services find what a server knows of a client: [`KnownClient`].
//!
//! Behind a [`Server`](super::Server), a proxy, a router over proxies and a configuration
//! find it beside the request, in its [`ClientBody`], where it costs nothing. Any other
//! service finds it in the extensions of the request, and so does everything behind it.
//! Where functions read the extensions of requests (`hash_by`, `facts_by`, hash keys from the
//! client's address), the proxy puts it there.

use std::any::Any;
use std::borrow::Cow;

use http::Extensions;

#[cfg(feature = "config")]
use super::ServerAddr;
use super::forwarding::ForwardedClient;
use super::{ClientAddr, ClientBody, ConnectionFacts};
use crate::net::{TlsSession, TunnelCutoff};

impl ConnectionFacts {
    /// Returns the facts beside a request, if they are in its body.
    pub(crate) fn beside<B: 'static>(body: &B) -> Option<&Self> {
        // The compiler resolves this.
        let body = (body as &dyn Any).downcast_ref::<ClientBody>();
        body.and_then(ClientBody::facts)
    }
}

/// Returns the client of a request as members are told of it.
pub(super) fn client_to_forward<'b>(
    extensions: &Extensions,
    beside: Option<&'b ConnectionFacts>,
) -> Option<Cow<'b, ForwardedClient>> {
    match extensions.get::<ClientAddr>() {
        Some(client) => Some(Cow::Owned(ForwardedClient::new(client.ip()))),
        None => beside?.to_forward.as_ref().map(Cow::Borrowed),
    }
}

/// What is known of the client of a request: from its extensions, otherwise from beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownClient<'r> {
    extensions: &'r Extensions,
    beside: Option<&'r ConnectionFacts>,
}

impl<'r> KnownClient<'r> {
    pub(crate) fn new(extensions: &'r Extensions, beside: Option<&'r ConnectionFacts>) -> Self {
        Self { extensions, beside }
    }

    pub(crate) fn address(self) -> Option<ClientAddr> {
        let here = self.extensions.get().copied();
        here.or_else(|| self.beside?.client)
    }

    #[cfg(feature = "config")]
    pub(crate) fn server_address(self) -> Option<ServerAddr> {
        let here = self.extensions.get().copied();
        here.or_else(|| self.beside?.here)
    }

    pub(crate) fn tls(self) -> Option<&'r TlsSession> {
        let here = self.extensions.get();
        here.or_else(|| self.beside?.tls.as_ref())
    }

    pub(super) fn tunnel_cutoff(self) -> Option<TunnelCutoff> {
        let here = self.extensions.get();
        here.or_else(|| Some(&self.beside?.cut)).cloned()
    }
}
