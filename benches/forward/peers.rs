//! The settings of nginx and HAProxy at layer 4: one worker, the same members in turn, no log of
//! accesses. All else is as it comes, buffers too.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::side_by_side::peers::{self, Place};
use crate::work::Work;

/// Where the module is that forwards without HTTP; it is no part of nginx itself.
pub(crate) fn stream_module() -> Option<PathBuf> {
    let folders = ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"];
    let mut files = folders
        .map(|folder| Path::new(folder).join("ngx_stream_module.so"))
        .into_iter();
    files.find(|file| file.is_file())
}

/// `clients` may be connected at once.
pub(crate) fn nginx(
    command: &mut Command,
    place: &Place<'_>,
    work: Work,
    clients: usize,
) -> io::Result<()> {
    let module = stream_module().ok_or(io::ErrorKind::NotFound)?;
    let module = module.display();
    let listen = place.listen;
    let servers = place.each("    server ", ";");
    let protocol = match work {
        Work::Datagrams | Work::Flows => "udp",
        _ => "backlog=4096",
    };
    let ends = match work {
        Work::Flows => "proxy_responses 1;",
        _ => "",
    };
    // Those to members count, too.
    let connections = 2 * clients;
    let blocks = format!(
        "load_module {module};
worker_rlimit_nofile {connections};
events {{ worker_connections {connections}; }}
stream {{
  upstream members {{
{servers}
  }}
  server {{
    listen {listen} {protocol};
    proxy_pass members;
    {ends}
  }}
}}
"
    );
    peers::nginx(command, place, &blocks)
}

/// `clients` may be connected at once.
pub(crate) fn haproxy(
    command: &mut Command,
    place: &Place<'_>,
    clients: usize,
    splices: bool,
) -> io::Result<()> {
    let lines: &[&str] = if splices {
        &["mode tcp", "option splice-auto"]
    } else {
        &["mode tcp"]
    };
    peers::haproxy(command, place, (clients, ""), lines)
}
