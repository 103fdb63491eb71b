//! Who is measured, and how each is started.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use equipoise::service::BoxError;

use crate::peers;
use crate::program::find;

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Contender {
    /// A server alone, where the proxy would be: the load and its answers without a proxy
    Direct,
    /// hyper's server and client with a counter between them
    Bare,
    /// The proxy of this crate
    Ours,
    /// The proxy of this crate, made from a configuration of Apache's
    #[cfg(feature = "config")]
    Config,
    Nginx,
    Haproxy,
    Apache,
}

/// What a contender needs to know.
pub(crate) struct Place<'p> {
    pub(crate) listen: SocketAddr,
    pub(crate) upstreams: &'p [SocketAddr],
    /// Where it may write.
    pub(crate) folder: &'p Path,
}

impl Contender {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare",
            Self::Ours => "ours",
            #[cfg(feature = "config")]
            Self::Config => "config",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Apache => "apache",
        }
    }

    /// Whether answers come by way of it, and not from it.
    pub(crate) fn is_proxy(self) -> bool {
        self != Self::Direct
    }

    /// The program, or `None` if it is not installed.
    pub(crate) fn program(self) -> Option<PathBuf> {
        match self {
            Self::Direct | Self::Bare | Self::Ours => std::env::current_exe().ok(),
            #[cfg(feature = "config")]
            Self::Config => std::env::current_exe().ok(),
            Self::Nginx => find("nginx"),
            Self::Haproxy => find("haproxy"),
            Self::Apache => find("apache2").or_else(|| find("httpd")),
        }
    }

    /// The name of Debian's package.
    pub(crate) const fn package(self) -> &'static str {
        match self {
            Self::Apache => "apache2",
            other => other.name(),
        }
    }

    /// How it says which version it is.
    pub(crate) const fn version_flag(self) -> Option<&'static str> {
        match self {
            Self::Direct | Self::Bare | Self::Ours => None,
            #[cfg(feature = "config")]
            Self::Config => None,
            Self::Nginx | Self::Haproxy | Self::Apache => Some("-v"),
        }
    }

    /// Adds to a command what makes `program` serve at `place` with one worker, in the
    /// foreground.
    pub(crate) fn prepare(
        self,
        command: &mut Command,
        program: &Path,
        place: &Place<'_>,
    ) -> Result<(), BoxError> {
        command.arg(program);
        match self {
            Self::Direct => role(command, "backend", place.listen, &[]),
            Self::Bare => role(command, "bare", place.listen, place.upstreams),
            Self::Ours => role(command, "ours", place.listen, place.upstreams),
            #[cfg(feature = "config")]
            Self::Config => role(command, "config", place.listen, place.upstreams),
            Self::Nginx => peers::nginx(command, place)?,
            Self::Haproxy => peers::haproxy(command, place)?,
            Self::Apache => peers::apache(command, place)?,
        }
        Ok(())
    }
}

fn role(command: &mut Command, name: &str, listen: SocketAddr, upstreams: &[SocketAddr]) {
    let addresses = std::iter::once(&listen).chain(upstreams);
    command
        .arg(OsStr::new(name))
        .args(addresses.map(SocketAddr::to_string));
}
