//! What is measured, at which works, and how each is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use equipoise::service::BoxError;

use crate::front::Front;
use crate::peers;
use crate::side_by_side::contestant::{
    Contestant, another_build, how_to_install, how_to_name_another_build,
};
use crate::side_by_side::peers::Place;
use crate::side_by_side::program::find;
use crate::side_by_side::role::play;
use crate::work::{Pace, Protocol, Work};

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Contender {
    /// A server alone, where the proxy would be: the load and its answers without a proxy
    Direct,
    /// hyper's server and client with a counter between them
    Bare,
    /// The same, which adds the headers that the proxy of this crate adds
    BareHeaders,
    /// The same with another allocator, mimalloc
    BareMimalloc,
    /// The proxy of this crate
    Ours,
    /// The same with another allocator, mimalloc
    OursMimalloc,
    /// The same, with members that speak HTTP/2
    OursH2,
    /// The same behind a `Router` with a few rules
    Router,
    /// The same with sessions, whose cookie it sets
    Sticky,
    /// The proxy of this crate, made from a configuration of Apache's
    #[cfg(feature = "config")]
    Config,
    /// The proxy of this crate as another build of this program has it
    Before,
    /// The same, with members that speak HTTP/2
    BeforeH2,
    /// nginx as it comes
    Nginx,
    /// nginx, which adds the headers that the proxy of this crate adds
    NginxHeaders,
    /// HAProxy as it comes
    Haproxy,
    /// HAProxy, which adds the headers that the proxy of this crate adds
    HaproxyHeaders,
    Apache,
}

impl Contestant for Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare",
            Self::BareHeaders => "bare-headers",
            Self::BareMimalloc => "bare-mimalloc",
            Self::Ours => "ours",
            Self::OursMimalloc => "ours-mimalloc",
            Self::OursH2 => "ours-h2",
            Self::Router => "router",
            Self::Sticky => "sticky",
            #[cfg(feature = "config")]
            Self::Config => "config",
            Self::Before => "before",
            Self::BeforeH2 => "before-h2",
            Self::Nginx => "nginx",
            Self::NginxHeaders => "nginx-headers",
            Self::Haproxy => "haproxy",
            Self::HaproxyHeaders => "haproxy-headers",
            Self::Apache => "apache",
        }
    }

    fn program(self) -> Option<PathBuf> {
        match self {
            Self::Before | Self::BeforeH2 => another_build(),
            Self::BareMimalloc | Self::OursMimalloc => {
                mimalloc().and_then(|_| std::env::current_exe().ok())
            }
            Self::Nginx | Self::NginxHeaders => find("nginx"),
            Self::Haproxy | Self::HaproxyHeaders => find("haproxy"),
            Self::Apache => find("apache2").or_else(|| find("httpd")),
            _ => std::env::current_exe().ok(),
        }
    }

    fn remedy(self) -> String {
        match self {
            Self::Before | Self::BeforeH2 => how_to_name_another_build(),
            Self::BareMimalloc | Self::OursMimalloc => how_to_install("libmimalloc2.0"),
            Self::Nginx | Self::NginxHeaders => how_to_install("nginx"),
            Self::Haproxy | Self::HaproxyHeaders => how_to_install("haproxy"),
            _ => how_to_install("apache2"),
        }
    }

    fn version_flag(self) -> Option<&'static str> {
        matches!(self, Self::Nginx | Self::Haproxy | Self::Apache).then_some("-v")
    }
}

impl Contender {
    /// What it is compared with: this crate's proxy, doing the same.
    pub(crate) fn ours(self) -> Self {
        match self {
            Self::BeforeH2 => Self::OursH2,
            Self::BareMimalloc => Self::OursMimalloc,
            _ => Self::Ours,
        }
    }

    /// Whether answers come by way of it, and not from it.
    pub(crate) const fn is_proxy(self) -> bool {
        !matches!(self, Self::Direct)
    }

    /// Whether it can do that at all.
    pub(crate) const fn does(self, work: Work) -> bool {
        match (self, work.task().protocol) {
            (Self::Direct, Protocol::Tls) | (Self::Apache, Protocol::Http2 { .. }) => false,
            #[cfg(feature = "config")]
            (Self::Config, Protocol::Tls) => false,
            (Self::Apache, Protocol::Tls) => false,
            _ => true,
        }
    }

    /// Whether it is measured at that unless a user chooses.
    pub(crate) const fn is_about(self, work: Work) -> bool {
        let task = work.task();
        let plain = matches!(
            work,
            Work::Small | Work::Medium | Work::Large | Work::Single
        );
        self.does(work)
            && match self {
                Self::BareHeaders | Self::Ours => true,
                Self::NginxHeaders | Self::HaproxyHeaders => !task.has_cookie,
                Self::Bare | Self::Direct | Self::Apache => plain,
                Self::Router => matches!(work, Work::Small | Work::Http2 | Work::Post),
                Self::Sticky => task.has_cookie,
                #[cfg(feature = "config")]
                Self::Config => matches!(work, Work::Small | Work::Http2 | Work::Post),
                Self::OursH2 | Self::BareMimalloc | Self::OursMimalloc => {
                    matches!(work, Work::Small)
                }
                Self::Nginx | Self::Haproxy => matches!(work, Work::Small),
                Self::Before | Self::BeforeH2 => matches!(task.pace, Pace::Kept) && plain,
            }
    }

    /// The part of this program that it is, unless it is another program.
    pub(crate) const fn role(self) -> Option<&'static str> {
        Some(match self {
            Self::Direct => "backend",
            Self::Bare | Self::BareMimalloc => "bare",
            Self::BareHeaders => "bare-headers",
            Self::Ours | Self::OursMimalloc | Self::Before => "ours",
            Self::OursH2 | Self::BeforeH2 => "ours-h2",
            Self::Router => "router",
            Self::Sticky => "sticky",
            #[cfg(feature = "config")]
            Self::Config => "config",
            Self::Nginx | Self::NginxHeaders => return None,
            Self::Haproxy | Self::HaproxyHeaders | Self::Apache => return None,
        })
    }

    /// Adds to a command what makes `program` serve at `place` with one worker, in the
    /// foreground.
    pub(crate) fn prepare(
        self,
        command: &mut Command,
        program: &Path,
        place: &Place<'_>,
        front: Front<'_>,
    ) -> Result<(), BoxError> {
        command.arg(program);
        let protocol = front.work.task().protocol;
        if let Some(role) = self.role() {
            let upstreams = if self.is_proxy() {
                place.upstreams
            } else {
                &[]
            };
            play(command, role, place.listen, upstreams);
            match protocol {
                Protocol::Tls => {
                    command.arg("--tls").arg(front.identity);
                }
                Protocol::Http2 { .. } if role.starts_with("bare") => {
                    command.arg("--http2");
                }
                Protocol::Http1 | Protocol::Http2 { .. } => {}
            }
            if let (Self::BareMimalloc | Self::OursMimalloc, Some(library)) = (self, mimalloc()) {
                command.env("LD_PRELOAD", library);
            }
            return Ok(());
        }
        match self {
            Self::Nginx => peers::nginx(command, place, front, false)?,
            Self::NginxHeaders => peers::nginx(command, place, front, true)?,
            Self::Haproxy => peers::haproxy(command, place, front, false)?,
            Self::HaproxyHeaders => peers::haproxy(command, place, front, true)?,
            _ => peers::apache(command, place)?,
        }
        Ok(())
    }
}

/// The library that replaces the allocator of a program that is started with it.
fn mimalloc() -> Option<PathBuf> {
    let folders = ["x86_64-linux-gnu", "aarch64-linux-gnu", "", "../lib64"];
    let files = folders.map(|folder| {
        let folder = Path::new("/usr/lib").join(folder);
        folder.join("libmimalloc.so.2")
    });
    files.into_iter().find(|file| file.exists())
}
