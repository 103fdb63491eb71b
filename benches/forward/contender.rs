//! What is measured, and how each is started.

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
use crate::work::Work;

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Contender {
    /// A member alone, where the forwarder would be
    Direct,
    /// tokio's `copy_bidirectional`, and for UDP a socket for each client
    Copy,
    /// Pipes of the system from the first byte on (Linux)
    Splice,
    /// The forwarders of this crate
    Ours,
    /// `TcpForwarder` without pipes
    OursCopy,
    /// The forwarders of this crate as another build of this program has them
    Before,
    /// `stream`, with buffers of 16 KiB as they come
    Nginx,
    /// `mode tcp`
    Haproxy,
    /// `mode tcp` with `option splice-auto`
    HaproxySplice,
}

impl Contestant for Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Copy => "copy",
            Self::Splice => "splice",
            Self::Ours => "ours",
            Self::OursCopy => "ours-copy",
            Self::Before => "before",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::HaproxySplice => "haproxy-splice",
        }
    }

    fn program(self) -> Option<PathBuf> {
        match self {
            Self::Splice if !cfg!(target_os = "linux") => None,
            Self::Direct | Self::Copy | Self::Splice | Self::Ours | Self::OursCopy => {
                std::env::current_exe().ok()
            }
            Self::Before => another_build(),
            Self::Nginx => find("nginx").filter(|_| peers::stream_module().is_some()),
            Self::Haproxy | Self::HaproxySplice => find("haproxy"),
        }
    }

    fn remedy(self) -> String {
        match self {
            Self::Before => how_to_name_another_build(),
            Self::Splice => "it needs Linux".to_owned(),
            Self::Nginx => how_to_install("nginx libnginx-mod-stream"),
            _ => how_to_install("haproxy"),
        }
    }

    fn version_flag(self) -> Option<&'static str> {
        matches!(self, Self::Nginx | Self::Haproxy).then_some("-v")
    }
}

impl Contender {
    /// Whether it can do that at all.
    pub(crate) const fn does(self, work: Work) -> bool {
        match self {
            Self::Direct => !matches!(work, Work::Idle),
            Self::Copy | Self::Ours | Self::Before | Self::Nginx => true,
            Self::Splice | Self::OursCopy | Self::Haproxy | Self::HaproxySplice => !work.is_udp(),
        }
    }

    /// Adds to a command what makes `program` serve at `place` with one worker, in the
    /// foreground. `clients` may be connected at once.
    pub(crate) fn prepare(
        self,
        command: &mut Command,
        program: &Path,
        place: &Place<'_>,
        (work, clients): (Work, usize),
    ) -> Result<(), BoxError> {
        command.arg(program);
        let role = match (self, work.is_udp()) {
            (Self::Direct, _) => {
                play(command, "members", place.listen, &[]);
                return Ok(());
            }
            (Self::Nginx, _) => return Ok(peers::nginx(command, place, work, clients)?),
            (Self::Haproxy, _) => return Ok(peers::haproxy(command, place, clients, false)?),
            (Self::HaproxySplice, _) => return Ok(peers::haproxy(command, place, clients, true)?),
            (Self::Copy, false) => "copy",
            (Self::Copy, true) => "relay",
            (Self::Splice, _) => "splice",
            (Self::Ours | Self::Before, false) => "ours",
            (Self::Ours | Self::Before, true) => "ours-udp",
            (Self::OursCopy, _) => "ours-copy",
        };
        play(command, role, place.listen, place.upstreams);
        if work == Work::Flows {
            command.arg("--one-answer");
        }
        Ok(())
    }
}
