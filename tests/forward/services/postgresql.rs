//! PostgreSQL: transactions, large copies, and a cancel, which is a connection of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use equipoise::Flag;
use equipoise::forward::TcpForwarder;
use equipoise::scheduler::{ByRequests, Maglev};
use futures_util::future::join_all;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{balancer, printed, received_from, sent_to, within};
use crate::program::{Folder, Program, free_address, send};
use crate::tcp::front::{Front, is_quiet, over, soon};

/// It does not run as root, so where the tests do, another user runs it.
const USER: &str = "postgres";

/// That many lines of a thousand bytes are copied.
const LINES: u32 = 100_000;

struct Server {
    address: SocketAddr,
    _program: Program,
}

impl Server {
    async fn start() -> Self {
        let folder = Folder::new("postgresql");
        let data = folder.path.join("data");
        if is_root() {
            run(std::process::Command::new("chown")
                .arg(USER)
                .arg(&folder.path));
        }
        let mut initdb = command("initdb");
        initdb.args(["--no-sync", "--auth=trust", "--no-locale"]);
        initdb.args(["--encoding=UTF8", "--username", USER, "--pgdata"]);
        run(initdb.arg(&data));

        let address = free_address();
        let port = address.port().to_string();
        let mut postgres = command("postgres");
        postgres.args(["-h", "127.0.0.1", "-p", &port, "-k", "", "-D"]);
        postgres.arg(data);
        for setting in [
            "fsync=off",
            "full_page_writes=off",
            "max_wal_size=2GB",
            // Lines are copied out in the order in which they were copied in.
            "synchronize_seqscans=off",
        ] {
            postgres.args(["-c", setting]);
        }
        // By this signal it ends without delay, and its processes with it.
        let program = Program::start(folder, &mut postgres).ended_by("QUIT");
        let server = Self {
            address,
            _program: program.listens(address).await,
        };
        // It listens before it lets anything in.
        while !psql(address, "select 1")
            .output()
            .await
            .unwrap()
            .status
            .success()
        {}
        server
    }

    /// What the server itself answers.
    async fn answers(&self, query: &str) -> String {
        printed(&mut psql(self.address, query)).await
    }
}

/// A program of the server.
fn command(name: &str) -> std::process::Command {
    let path = Path::new("/usr/lib/postgresql/15/bin").join(name);
    if !is_root() {
        return std::process::Command::new(path);
    }
    let mut command = std::process::Command::new("setpriv");
    command
        .arg(format!("--reuid={USER}"))
        .arg(format!("--regid={USER}"))
        .args(["--clear-groups", "--"])
        .arg(path);
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn run(command: &mut std::process::Command) {
    let output = command.current_dir("/").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The client, which asks this, or what is written to it.
fn psql(address: SocketAddr, query: &str) -> Command {
    let mut psql = Command::new("psql");
    psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
    psql.args(["-h", "127.0.0.1", "-U", USER, "-d", "postgres"]);
    psql.args(["-p", &address.port().to_string()]);
    if !query.is_empty() {
        psql.args(["-c", query]);
    }
    psql.kill_on_drop(true).stdin(Stdio::null());
    psql
}

/// A client that goes on.
struct Session {
    child: Child,
    queries: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Session {
    fn begin(address: SocketAddr) -> Self {
        let mut psql = psql(address, "");
        let psql = psql.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = psql.spawn().unwrap();
        Self {
            queries: child.stdin.take().unwrap(),
            lines: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        }
    }

    /// The first line of the answer to a query.
    async fn asks(&mut self, query: &str) -> String {
        let query = format!("{query};\n");
        self.queries.write_all(query.as_bytes()).await.unwrap();
        self.lines.next_line().await.unwrap().unwrap()
    }

    async fn end(mut self) {
        drop(self.queries);
        assert!(self.child.wait().await.unwrap().success());
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn transactions_copies_and_cancels_of_postgresql_pass() {
    within(async {
        let (a, b) = (Server::start().await, Server::start().await);
        a_transaction_goes_on_while_its_server_drains(&a, &b).await;
        a_hundred_megabytes_are_copied_in_and_out(&a).await;
        a_cancel_reaches_the_server_of_its_query_if_that_is_the_clients(&a, &b).await;
        a_cancel_misses_its_query_if_connections_are_dealt_out(&a, &b).await;
    })
    .await;
}

async fn a_transaction_goes_on_while_its_server_drains(a: &Server, b: &Server) {
    for server in [a, b] {
        server.answers("create table entries (number int)").await;
    }
    let balancer = over([("a", a.address), ("b", b.address)]);
    let front = Front::start(TcpForwarder::new(balancer.clone()));
    let mut session = Session::begin(front.address);
    let port = "select inet_server_port()";
    assert_eq!(session.asks(port).await, a.address.port().to_string());
    let insert = "begin; insert into entries values (1); select 'inserted'";
    assert_eq!(session.asks(insert).await, "inserted");

    balancer.set_flag("a", Flag::Draining).unwrap();
    let others = (0..20).map(|_| async move {
        let count = "insert into entries values (2); select inet_server_port()";
        printed(&mut psql(front.address, count)).await
    });
    for other in join_all(others).await {
        assert_eq!(other.trim(), b.address.port().to_string());
    }
    let count = "select count(*) from entries";
    assert_eq!(a.answers(count).await, "0\n");
    assert_eq!(b.answers(count).await, "20\n");
    assert_eq!(balancer.member("a").unwrap().in_flight(), 1);

    let insert = "insert into entries values (3); commit; select 'committed'";
    assert_eq!(session.asks(insert).await, "committed");
    assert_eq!(a.answers(count).await, "2\n");
    session.end().await;
    is_quiet(&balancer).await;
}

async fn a_hundred_megabytes_are_copied_in_and_out(server: &Server) {
    let folder = Folder::new("copies");
    let (sent, back) = (folder.path.join("sent"), folder.path.join("back"));
    let mut text = String::new();
    let mut number = 1_u64;
    for line in 0..LINES {
        // Any sequence that does not repeat.
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        text.push_str(&format!("{line:<19}"));
        text.push_str(&format!("{number:0>20}").repeat(49));
        text.push('\n');
    }
    folder.write("sent", &text);

    let balancer = over([("a", server.address)]);
    let front = Front::start(TcpForwarder::new(balancer.clone()));
    server
        .answers("create unlogged table copied (line text)")
        .await;
    let copy_in = format!("\\copy copied from '{}'", sent.display());
    printed(&mut psql(front.address, &copy_in)).await;
    assert_eq!(
        server.answers("select count(*) from copied").await,
        format!("{LINES}\n")
    );
    let copy_out = format!("\\copy copied to '{}'", back.display());
    printed(&mut psql(front.address, &copy_out)).await;
    assert!(std::fs::read(back).unwrap() == text.as_bytes());

    is_quiet(&balancer).await;
    let bytes = u64::from(LINES) * 1_000;
    assert!(sent_to(&balancer, "a") > bytes);
    assert!(received_from(&balancer, "a") > bytes);
}

/// Starts a query that lasts for minutes, and returns its client once one of the servers is
/// about it, and which that is.
async fn long_query<'s>(front: &Front, servers: &[&'s Server; 2]) -> (Child, &'s Server) {
    let mut client = psql(front.address, "select pg_sleep(300)");
    client.stderr(Stdio::piped()).stdout(Stdio::null());
    let client = client.spawn().unwrap();
    loop {
        for server in servers {
            if server.answers(&format!("select count(*) {SLEEPING}")).await == "1\n" {
                return (client, server);
            }
        }
    }
}

const SLEEPING: &str = "from pg_stat_activity where query like '%pg_sleep(300)' \
    and state = 'active' and pid <> pg_backend_pid()";

/// Does to the client what Ctrl-C does.
fn interrupt(client: &Child) {
    send("INT", client.id().unwrap());
}

async fn is_told_of_a_cancel(client: Child) {
    let output = client.wait_with_output().await.unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("canceling statement due to user request"),
        "{errors}"
    );
}

async fn a_cancel_reaches_the_server_of_its_query_if_that_is_the_clients(a: &Server, b: &Server) {
    let members = [("a", a.address.into()), ("b", b.address.into())];
    let balancer = balancer(Maglev::default(), members);
    let front = Front::start(TcpForwarder::new(balancer.clone()));
    for _ in 0..3 {
        let (client, _) = long_query(&front, &[a, b]).await;
        interrupt(&client);
        is_told_of_a_cancel(client).await;
    }
    is_quiet(&balancer).await;
}

async fn a_cancel_misses_its_query_if_connections_are_dealt_out(a: &Server, b: &Server) {
    let members = [("a", a.address.into()), ("b", b.address.into())];
    let balancer = balancer(ByRequests::default(), members);
    let front = Front::start(TcpForwarder::new(balancer.clone()));
    let (client, server) = long_query(&front, &[a, b]).await;
    let other = if server.address == a.address {
        "b"
    } else {
        "a"
    };
    interrupt(&client);
    // All that a cancel is.
    soon("a cancel at the other", || sent_to(&balancer, other) == 16).await;
    assert_eq!(
        server.answers(&format!("select count(*) {SLEEPING}")).await,
        "1\n"
    );
    // The servers themselves can be asked for it on any connection to the right one.
    server
        .answers(&format!("select pg_cancel_backend(pid) {SLEEPING}"))
        .await;
    is_told_of_a_cancel(client).await;
    is_quiet(&balancer).await;
}
