//! FTP: a server that speaks first, and opens another port for each transfer.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use equipoise::forward::{Address, TcpForwarder};
use equipoise::scheduler::Maglev;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use super::{balancer, printed, received_from, sent_to, within};
use crate::program::{Folder, Program, free_ports};
use crate::tcp::front::{Front, is_quiet};

/// For transfers, beside the one for commands.
const PASSIVE_PORTS: u16 = 4;

/// Starts vsftpd: its file `name` has its name, and its folder `in` may be written to.
async fn vsftpd(name: &str, host: &str, port: u16) -> Program {
    let folder = Folder::new("vsftpd");
    let root = folder.path.join("root");
    std::fs::create_dir_all(root.join("in")).unwrap();
    std::fs::create_dir(folder.path.join("empty")).unwrap();
    folder.write("root/name", name);
    let settings = format!(
        "listen=YES\nbackground=NO\nlisten_address={host}\nlisten_port={port}\n\
         pasv_min_port={}\npasv_max_port={}\n\
         anonymous_enable=YES\nlocal_enable=NO\nwrite_enable=YES\nanon_upload_enable=YES\n\
         anon_world_readable_only=NO\nanon_root={}\nsecure_chroot_dir={}\n\
         run_as_launching_user=YES\nseccomp_sandbox=NO\n",
        port + 1,
        port + PASSIVE_PORTS,
        root.display(),
        folder.path.join("empty").display(),
    );
    let settings = folder.write("settings", settings);
    let mut server = std::process::Command::new("vsftpd");
    let program = Program::start(folder, server.arg(settings));
    let host: Ipv4Addr = host.parse().unwrap();
    program.listens((host, port).into()).await
}

/// What curl prints of a path.
async fn curl(port: u16, path: &str, options: &[&str]) -> String {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "60"]);
    curl.args(options)
        .arg(format!("ftp://127.0.0.1:{port}/{path}"));
    printed(&mut curl).await
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
#[ignore = "needs curl and vsftpd"]
async fn transfers_of_ftp_go_to_the_server_of_their_session_at_many_ports() {
    within(async {
        let hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
        let port = free_ports(2 + PASSIVE_PORTS, &hosts);
        let last = port + PASSIVE_PORTS + 1;
        let a = vsftpd("a", hosts[1], port).await;
        let b = vsftpd("b", hosts[2], port).await;
        let members = [("a", hosts[1]), ("b", hosts[2])];
        let members = members.map(|(name, host)| (name, host.parse::<Address>().unwrap()));
        let balancer = balancer(Maglev::default(), members);
        let commands = TcpForwarder::new(balancer.clone());
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let _transfers: Vec<_> = (port + 1..=last)
            .map(|port| Front::start_at(address(port), commands.clone().no_failover()))
            .collect();
        let _commands = Front::start_at(address(port), commands);

        let own = curl(port, "name", &[]).await;
        let (own, server, other, elsewhere) = match own.as_str() {
            "a" => ("a", a, "b", hosts[2]),
            "b" => ("b", b, "a", hosts[1]),
            other => panic!("{other}"),
        };
        let folder = &server.folder;
        let sent: Vec<u8> = (0..5_000_000_u32).map(|at| (at / 3 % 251) as u8).collect();
        let file = folder.write("sent", &sent);
        for passive in ["--ftp-pasv", "--disable-epsv"] {
            let back = folder.path.join("back");
            let upload = [passive, "--upload-file", text(&file)];
            assert_eq!(curl(port, "in/file", &upload).await, "");
            let list = curl(port, "in/", &[passive, "--list-only"]).await;
            assert_eq!(list.trim(), "file");
            curl(port, "in/file", &[passive, "--output", text(&back)]).await;
            assert!(std::fs::read(back).unwrap() == sent);
            // A file that is there is not written again.
            std::fs::remove_file(folder.path.join("root/in/file")).unwrap();
        }
        is_quiet(&balancer).await;
        assert!(sent_to(&balancer, own) >= 10_000_000);
        assert!(received_from(&balancer, own) >= 10_000_000);
        assert_eq!(received_from(&balancer, other), 0);

        // At one of the ports, only the other server listens at the moment. What comes there is
        // not for it, and that the own server refuses is no error.
        let _elsewhere = TcpListener::bind((elsewhere, last)).await.unwrap();
        let mut stray = TcpStream::connect(address(last)).await.unwrap();
        assert!(stray.read_u8().await.is_err());
        is_quiet(&balancer).await;
        assert_eq!(balancer.member(other).unwrap().picked(), 0);
        assert_eq!(curl(port, "name", &[]).await, own);

        drop(server);
        for _ in 0..3 {
            assert_eq!(curl(port, "name", &[]).await, other);
        }
        is_quiet(&balancer).await;
    })
    .await;
}
