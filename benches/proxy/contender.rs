//! Who is measured, and how each is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use equipoise::service::BoxError;

use crate::peers;
use crate::side_by_side::contestant::{
    Contestant, another_build, how_to_install, how_to_name_another_build,
};
use crate::side_by_side::peers::Place;
use crate::side_by_side::program::find;
use crate::side_by_side::role::play;

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

impl Contestant for Contender {
    fn name(self) -> &'static str {
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

    fn program(self) -> Option<PathBuf> {
        match self {
            Self::Direct | Self::Bare | Self::Ours | Self::OursH2 => std::env::current_exe().ok(),
            Self::Before | Self::BeforeH2 => another_build(),
            #[cfg(feature = "config")]
            Self::Config => std::env::current_exe().ok(),
            Self::Nginx => find("nginx"),
            Self::Haproxy => find("haproxy"),
            Self::Apache => find("apache2").or_else(|| find("httpd")),
        }
    }

    fn remedy(self) -> String {
        match self {
            Self::Before | Self::BeforeH2 => how_to_name_another_build(),
            Self::Apache => how_to_install("apache2"),
            other => how_to_install(other.name()),
        }
    }

    fn version_flag(self) -> Option<&'static str> {
        match self {
            Self::Direct | Self::Bare | Self::Ours | Self::OursH2 => None,
            Self::Before | Self::BeforeH2 => None,
            #[cfg(feature = "config")]
            Self::Config => None,
            Self::Nginx | Self::Haproxy | Self::Apache => Some("-v"),
        }
    }
}

impl Contender {
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
            Self::Direct => play(command, "backend", place.listen, &[]),
            Self::Bare => play(command, "bare", place.listen, place.upstreams),
            Self::Ours | Self::Before => play(command, "ours", place.listen, place.upstreams),
            Self::OursH2 | Self::BeforeH2 => {
                play(command, "ours-h2", place.listen, place.upstreams);
            }
            #[cfg(feature = "config")]
            Self::Config => play(command, "config", place.listen, place.upstreams),
            Self::Nginx => peers::nginx(command, place)?,
            Self::Haproxy => peers::haproxy(command, place)?,
            Self::Apache => peers::apache(command, place)?,
        }
        Ok(())
    }
}
