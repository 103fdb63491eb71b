//! The processes that are there for all contenders, and the start of a contender in front of
//! them: [`Stage`].

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use equipoise::service::BoxError;

use super::contestant::Contestant;
use super::peers::Place;
use super::program::{OTHER_CORE, PROXY_CORE, Program, free_addresses, pinned};
use super::scratch::Scratch;

pub(crate) struct Stage {
    upstreams: Vec<SocketAddr>,
    pub(crate) servers: Program,
    // Last, so that it goes when nothing writes there any more.
    scratch: Scratch,
}

impl Stage {
    /// Starts so many servers, all in one process, which is this program in that role.
    pub(crate) async fn new(role: &str, servers: usize) -> Result<Self, BoxError> {
        let scratch = Scratch::new()?;
        let upstreams = free_addresses(servers)?;
        let mut command = pinned(OTHER_CORE);
        command
            .arg(std::env::current_exe()?)
            .arg(role)
            .args(upstreams.iter().map(SocketAddr::to_string));
        let mut servers = Program::start(&mut command, scratch.path().join("servers.log"))?;
        for &upstream in &upstreams {
            servers.accepts_at(upstream).await?;
        }
        Ok(Self {
            upstreams,
            servers,
            scratch,
        })
    }

    /// Starts a contender. `prepare` adds to a command what makes the contender's program serve
    /// at a place.
    pub(crate) fn start<C: Contestant>(
        &self,
        contender: C,
        prepare: impl FnOnce(&mut Command, &Path, &Place<'_>) -> Result<(), BoxError>,
    ) -> Result<(Program, SocketAddr), BoxError> {
        let program = contender.program().ok_or("it is not installed")?;
        let listen = free_addresses(1)?.remove(0);
        let folder = self.scratch.room(contender.name())?;
        let mut command = pinned(PROXY_CORE);
        let place = Place {
            listen,
            upstreams: &self.upstreams,
            folder: &folder,
        };
        prepare(&mut command, &program, &place)?;
        let running = Program::start(&mut command, folder.join("output.log"))?;
        Ok((running, listen))
    }

    /// Where the load may write, and what is for all contenders is kept.
    pub(crate) fn folder(&self) -> &Path {
        self.scratch.path()
    }
}
