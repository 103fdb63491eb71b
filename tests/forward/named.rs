//! BIND as a member, and dig, which asks it.

use std::net::SocketAddr;

use tokio::process::Command;

use super::program::{Folder, Program, free_address};

/// A name server that knows one zone, until it is dropped.
pub(crate) struct Named {
    /// For UDP and for TCP.
    pub(crate) address: SocketAddr,
    _program: Program,
}

impl Named {
    /// A server whose answer to `who.example.test` is its name, and whose answer to
    /// `long.example.test` has a thousand x.
    pub(crate) async fn start(name: &str) -> Self {
        let address = free_address();
        let folder = Folder::new("named");
        let (port, path) = (address.port(), folder.path.display());
        let settings = format!(
            "options {{ directory \"{path}\"; listen-on port {port} {{ 127.0.0.1; }}; \
             listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; recursion no; \
             dnssec-validation no; }}; controls {{ }};\n\
             zone \"example.test\" {{ type primary; file \"zone\"; }};\n"
        );
        let long = format!("\"{}\"", "x".repeat(250)).repeat(4);
        let zone = format!(
            "$TTL 1\n@ IN SOA ns root 1 1 1 1 1\n@ IN NS ns\nns IN A 127.0.0.1\n\
             who IN TXT \"{name}\"\nlong IN TXT {long}\n"
        );
        let settings = folder.write("named.conf", settings);
        folder.write("zone", zone);
        let mut named = std::process::Command::new("named");
        let program = Program::start(folder, named.arg("-g").arg("-c").arg(settings));
        let program = program.listens(address).await;
        // It listens before it has read its zone.
        while dig(address, "who.example.test", &["+notcp"]).await != format!("\"{name}\"\n") {}
        Self {
            address,
            _program: program,
        }
    }
}

/// What dig prints of a TXT record; it asks up to five times, a second each.
pub(crate) async fn dig(server: SocketAddr, name: &str, options: &[&str]) -> String {
    let mut command = Command::new("dig");
    command
        .arg(format!("@{}", server.ip()))
        .arg("-p")
        .arg(server.port().to_string());
    command.args(["+short", "+time=1", "+tries=5", name, "TXT"]);
    let output = command.args(options).output().await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}
