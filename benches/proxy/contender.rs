//! Who is measured, and how each is started.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use equipoise::service::BoxError;

use crate::peers::{self, Place};
use crate::program::find;

/// Names another build of this program, so that a change is measured in one run.
const BEFORE: &str = "EQUIPOISE_BENCH_BEFORE";

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Contender {
    /// A server alone, where the proxy would be: the load and its answers without a proxy
    Direct,
    /// hyper's server and client with a counter between them
    Bare,
    /// The proxy of this crate
    Ours,
    /// The same, with members that speak HTTP/2
    OursH2,
    /// The proxy of this crate as another build of this program has it
    Before,
    /// The same, with members that speak HTTP/2
    BeforeH2,
    /// The proxy of this crate, made from a configuration of Apache's
    #[cfg(feature = "config")]
    Config,
    Nginx,
    Haproxy,
    Apache,
}

impl Contender {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare",
            Self::Ours => "ours",
            Self::OursH2 => "ours-h2",
            Self::Before => "before",
            Self::BeforeH2 => "before-h2",
            #[cfg(feature = "config")]
            Self::Config => "config",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Apache => "apache",
        }
    }

    /// What it is compared with: this crate's proxy, doing the same.
    pub(crate) fn ours(self) -> Self {
        match self {
            Self::BeforeH2 => Self::OursH2,
            _ => Self::Ours,
        }
    }

    /// Whether answers come by way of it, and not from it.
    pub(crate) fn is_proxy(self) -> bool {
        self != Self::Direct
    }

    /// The program, or `None` if it is not installed.
    pub(crate) fn program(self) -> Option<PathBuf> {
        match self {
            Self::Direct | Self::Bare | Self::Ours | Self::OursH2 => std::env::current_exe().ok(),
            Self::Before | Self::BeforeH2 => std::env::var_os(BEFORE).map(PathBuf::from),
            #[cfg(feature = "config")]
            Self::Config => std::env::current_exe().ok(),
            Self::Nginx => find("nginx"),
            Self::Haproxy => find("haproxy"),
            Self::Apache => find("apache2").or_else(|| find("httpd")),
        }
    }

    /// What has to be done so that it can be measured.
    pub(crate) fn remedy(self) -> String {
        let package = match self {
            Self::Before | Self::BeforeH2 => {
                return format!("set {BEFORE} to the path of another build of this program");
            }
            Self::Apache => "apache2",
            other => other.name(),
        };
        format!("on Debian: apt-get install {package}")
    }

    /// How it says which version it is.
    pub(crate) const fn version_flag(self) -> Option<&'static str> {
        match self {
            Self::Direct | Self::Bare | Self::Ours | Self::OursH2 => None,
            Self::Before | Self::BeforeH2 => None,
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
            Self::Ours | Self::Before => role(command, "ours", place.listen, place.upstreams),
            Self::OursH2 | Self::BeforeH2 => {
                role(command, "ours-h2", place.listen, place.upstreams);
            }
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
