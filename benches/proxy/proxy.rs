//! What a proxy that is ours to run is told: [`Proxy`].

use std::net::SocketAddr;
use std::path::PathBuf;

/// What a proxy needs to know.
#[derive(Debug, clap::Args)]
pub(crate) struct Proxy {
    pub(crate) listen: SocketAddr,
    #[arg(required = true)]
    pub(crate) upstreams: Vec<SocketAddr>,
    /// A file with a certificate and its key, for TLS
    #[arg(long)]
    pub(crate) tls: Option<PathBuf>,
    /// Clients speak HTTP/2; those of this crate's proxy may without it
    #[arg(long)]
    pub(crate) http2: bool,
}
