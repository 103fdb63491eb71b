//! How nginx and HAProxy are started with settings of a program's own: [`nginx`] and
//! [`haproxy`].

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a contender needs to know.
pub(crate) struct Place<'p> {
    pub(crate) listen: SocketAddr,
    pub(crate) upstreams: &'p [SocketAddr],
    /// Where it may write.
    pub(crate) folder: &'p Path,
}

impl Place<'_> {
    pub(crate) fn save(&self, name: &str, settings: &str) -> io::Result<PathBuf> {
        let file = self.folder.join(name);
        fs::write(&file, settings)?;
        Ok(file)
    }

    /// A line for each of the servers.
    pub(crate) fn each(&self, before: &str, after: &str) -> String {
        let lines = self.upstreams.iter();
        let lines = lines.map(|upstream| format!("{before}{upstream}{after}"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// One worker in the foreground, with these blocks.
pub(crate) fn nginx(command: &mut Command, place: &Place<'_>, blocks: &str) -> io::Result<()> {
    let folder = place.folder.display();
    let settings = format!(
        "daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
{blocks}"
    );
    let file = place.save("nginx.conf", &settings)?;
    let errors = place.folder.join("nginx.log");
    command.arg("-c").arg(file).arg("-e").arg(errors);
    Ok(())
}

/// One thread in the foreground, with these lines about what it listens for, and these words
/// where it listens. It does not start without limits of time.
pub(crate) fn haproxy(
    command: &mut Command,
    place: &Place<'_>,
    (connections, words): (usize, &str),
    lines: &[&str],
) -> io::Result<()> {
    let listen = place.listen;
    let lines: Vec<String> = lines.iter().map(|line| format!("  {line}\n")).collect();
    let lines = lines.concat();
    let names = (0..).zip(place.upstreams);
    let servers = names.map(|(number, upstream)| format!("  server s{number} {upstream}\n"));
    let servers = servers.collect::<Vec<_>>().concat();
    let settings = format!(
        "global
  nbthread 1
  maxconn {connections}
defaults
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen proxy
  bind {listen} backlog 4096{words}
  balance roundrobin
{lines}{servers}"
    );
    let file = place.save("haproxy.cfg", &settings)?;
    command.arg("-db").arg("-f").arg(file);
    Ok(())
}
