//! Handles a request: selects the host, checks access, selects the mapping, and changes the
//! headers of request and response.
//!
//! ```text
//! Server ─► host ─► locations ─► access ─► mapping ─► ReverseProxy ─► member
//!                              response ◄─ headers ◄─ URLs, cookies ◄───┘
//! ```
//!
//! Not here: building the configuration (`assemble`), and forwarding to the member
//! (`proxy`, `service`).

mod access;
mod future;
mod headers;
mod hosts;
mod layer;
mod paths;
mod receive;
mod response;
mod site;

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use crate::proxy::{ClientBody, ConnectionFacts, KnownClient, ProxyBody};
use crate::sync::Published;

pub(super) use access::AccessCheck;
pub(super) use future::FrontFuture;
pub(super) use headers::HeaderEdit;
pub(super) use hosts::Hosts;
pub(super) use layer::HostLayer;
pub(super) use paths::Paths;
pub(super) use site::{
    HostDestination, MappingRoute, MemberClient, PathSettings, Site, ViaHandling,
};

/// The service for all requests to one listener.
#[derive(Clone)]
pub(super) struct AddressService {
    hosts: Arc<Published<Hosts>>,
    /// The address of the listener; a request may carry a more specific one.
    here: SocketAddr,
}

impl AddressService {
    pub(super) fn new(hosts: Arc<Published<Hosts>>, here: SocketAddr) -> Self {
        Self { hosts, here }
    }
}

impl fmt::Debug for AddressService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressService")
            .field("here", &self.here)
            .finish_non_exhaustive()
    }
}

impl Service<Request<ClientBody>> for AddressService {
    type Response = Response<ProxyBody>;
    type Error = Infallible;
    type Future = FrontFuture;

    /// Always returns ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ClientBody>) -> FrontFuture {
        let client = KnownClient::new(
            request.extensions(),
            ConnectionFacts::beside(request.body()),
        );
        let here = client.server_address();
        let here = here.map_or(self.here, |here| here.0);
        let hosts = self.hosts.load();
        let site = hosts.find(here, &request);
        let session = client.tls();
        // HTTP/2 clients use one connection for all hosts of a certificate. For a host with
        // another certificate they must open another connection.
        let misdirected = session.is_some_and(|session| {
            let host_of_handshake = hosts.host_of_handshake(here, session);
            host_of_handshake.certificate != site.certificate
        });
        receive::receive(site, here, request, misdirected)
    }
}
