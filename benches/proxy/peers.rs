//! The settings of nginx, HAProxy and Apache: one worker, keep-alive without an end on
//! both sides, no access log, the same servers in turn. All else is theirs to decide; what
//! they tell servers of clients too, unless they are to add the headers that the proxy of this
//! crate adds.

use std::fmt::Write;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use equipoise::service::BoxError;

use crate::front::Front;
use crate::side_by_side::peers::{self, Place};
use crate::work::Protocol;

/// nginx buffers answers; with the buffers it has by default, large ones would go to a
/// file.
pub(crate) fn nginx(
    command: &mut Command,
    place: &Place<'_>,
    front: Front<'_>,
    adds_headers: bool,
) -> Result<(), BoxError> {
    let folder = place.folder.display();
    let listen = place.listen;
    let identity = front.identity.display();
    let (speaks, secure) = match front.work.task().protocol {
        Protocol::Http1 => ("", String::new()),
        Protocol::Http2 { .. } => (" http2", String::new()),
        Protocol::Tls => (
            " ssl",
            format!(
                "    ssl_certificate {identity};\n    ssl_certificate_key {identity};\n    ssl_protocols TLSv1.3;\n"
            ),
        ),
    };
    let headers = if adds_headers {
        "
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;"
    } else {
        ""
    };
    let servers = place.each("    server ", ";");
    let mut temporary = String::new();
    for kind in ["client_body", "fastcgi", "proxy", "scgi", "uwsgi"] {
        writeln!(temporary, "  {kind}_temp_path {folder}/{kind};")?;
    }
    let blocks = format!(
        "events {{ worker_connections 4096; }}
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
    listen {listen}{speaks} backlog=4096;
{secure}    location / {{
      proxy_pass http://servers;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";{headers}
      proxy_buffer_size 16k;
      proxy_buffers 16 32k;
      proxy_busy_buffers_size 128k;
      proxy_max_temp_file_size 0;
    }}
  }}
}}
"
    );
    Ok(peers::nginx(command, place, &blocks)?)
}

pub(crate) fn haproxy(
    command: &mut Command,
    place: &Place<'_>,
    front: Front<'_>,
    adds_headers: bool,
) -> io::Result<()> {
    let mut lines = vec!["mode http", "http-reuse always"];
    if adds_headers {
        lines.extend([
            "option forwardfor",
            "http-request set-header X-Forwarded-Host %[req.hdr(host)]",
            "http-request set-header X-Forwarded-Proto http if !{ ssl_fc }",
            "http-request set-header X-Forwarded-Proto https if { ssl_fc }",
        ]);
    }
    let bind = match front.work.task().protocol {
        Protocol::Http1 | Protocol::Http2 { .. } => String::new(),
        Protocol::Tls => format!(" ssl crt {} ssl-min-ver TLSv1.3", front.identity.display()),
    };
    peers::haproxy(command, place, (4096, &bind), &lines)
}

/// As many threads as there are clients at most: in Apache a request has one for itself.
const THREADS: usize = 64;

pub(crate) fn apache(command: &mut Command, place: &Place<'_>) -> Result<(), BoxError> {
    let folder = place.folder.display();
    let listen = place.listen;
    let members = place.each("  BalancerMember http://", "");
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
    let file = place.save("httpd.conf", &settings)?;
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
