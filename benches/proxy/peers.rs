//! The settings of nginx, HAProxy and Apache: one worker, keep-alive without an end on
//! both sides, no access log, the same servers in turn. All else is theirs to decide, what
//! they tell servers of clients too.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use equipoise::service::BoxError;

/// What a proxy needs to know.
pub(crate) struct Place<'p> {
    pub(crate) listen: SocketAddr,
    pub(crate) upstreams: &'p [SocketAddr],
    /// Where it may write.
    pub(crate) folder: &'p Path,
}

/// nginx buffers answers; with the buffers it has by default, large ones would go to a
/// file.
pub(crate) fn nginx(command: &mut Command, place: &Place<'_>) -> Result<(), BoxError> {
    let folder = place.folder.display();
    let listen = place.listen;
    let servers = each(place, "    server ", ";");
    let mut temporary = String::new();
    for kind in ["client_body", "fastcgi", "proxy", "scgi", "uwsgi"] {
        writeln!(temporary, "  {kind}_temp_path {folder}/{kind};")?;
    }
    let settings = format!(
        "daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
{temporary}
  keepalive_requests 1000000000;
  upstream servers {{
{servers}
    keepalive 256;
    keepalive_requests 1000000000;
  }}
  server {{
    listen {listen} backlog=4096;
    location / {{
      proxy_pass http://servers;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_buffer_size 16k;
      proxy_buffers 16 32k;
      proxy_busy_buffers_size 128k;
      proxy_max_temp_file_size 0;
    }}
  }}
}}
"
    );
    let file = save(place, "nginx.conf", &settings)?;
    let errors = place.folder.join("nginx.log");
    command.arg("-c").arg(file).arg("-e").arg(errors);
    Ok(())
}

/// HAProxy does not start without limits of time.
pub(crate) fn haproxy(command: &mut Command, place: &Place<'_>) -> Result<(), BoxError> {
    let listen = place.listen;
    let mut servers = String::new();
    for (index, upstream) in place.upstreams.iter().enumerate() {
        writeln!(servers, "  server s{index} {upstream}")?;
    }
    let settings = format!(
        "global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen proxy
  bind {listen} backlog 4096
  balance roundrobin
  http-reuse always
{servers}"
    );
    let file = save(place, "haproxy.cfg", &settings)?;
    command.arg("-db").arg("-f").arg(file);
    Ok(())
}

/// As many threads as there are clients at most: in Apache a request has one for itself.
const THREADS: usize = 64;

pub(crate) fn apache(command: &mut Command, place: &Place<'_>) -> Result<(), BoxError> {
    let folder = place.folder.display();
    let listen = place.listen;
    let members = each(place, "  BalancerMember http://", "");
    let from = modules().ok_or("the modules of Apache are not where they are looked for")?;
    let mut modules = String::new();
    for (name, source) in [
        ("mpm_event", "event"),
        ("unixd", "mod_unixd"),
        ("authz_core", "mod_authz_core"),
        ("slotmem_shm", "mod_slotmem_shm"),
        ("proxy", "mod_proxy"),
        ("proxy_http", "mod_proxy_http"),
        ("proxy_balancer", "mod_proxy_balancer"),
        ("lbmethod_byrequests", "mod_lbmethod_byrequests"),
    ] {
        // Some are built in, here and there.
        let file = from.join(format!("mod_{name}.so"));
        writeln!(
            modules,
            "<IfModule !{source}.c>\nLoadModule {name}_module {}\n</IfModule>",
            file.display()
        )?;
    }
    let settings = format!(
        "ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/httpd.pid
ErrorLog {folder}/httpd.log
LogLevel error
ServerName localhost
Listen {listen}
ListenBacklog 4096
{modules}
User #65534
Group #65534
StartServers 1
ServerLimit 1
ThreadLimit {THREADS}
ThreadsPerChild {THREADS}
MaxRequestWorkers {THREADS}
MinSpareThreads 1
MaxSpareThreads {THREADS}
KeepAlive On
KeepAliveTimeout 60
MaxKeepAliveRequests 0
<Proxy balancer://servers>
{members}
  ProxySet lbmethod=byrequests
</Proxy>
ProxyPass / balancer://servers/
"
    );
    let file = save(place, "httpd.conf", &settings)?;
    command.arg("-DFOREGROUND").arg("-f").arg(file);
    Ok(())
}

fn modules() -> Option<PathBuf> {
    let folders = [
        "/usr/lib/apache2/modules",
        "/usr/lib64/httpd/modules",
        "/usr/lib/httpd/modules",
        "/usr/local/apache2/modules",
    ];
    folders
        .map(PathBuf::from)
        .into_iter()
        .find(|it| it.is_dir())
}

/// A line for each server.
fn each(place: &Place<'_>, before: &str, after: &str) -> String {
    let lines = place.upstreams.iter();
    let lines = lines.map(|upstream| format!("{before}{upstream}{after}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn save(place: &Place<'_>, name: &str, settings: &str) -> Result<PathBuf, BoxError> {
    let file = Path::new(place.folder).join(name);
    fs::write(&file, settings)?;
    Ok(file)
}
