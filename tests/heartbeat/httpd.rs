//! Apache httpd on the other side: its `mod_heartbeat` as a sender, its `mod_heartmonitor` as a
//! receiver of ours.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use equipoise::heartbeat::{
    HeartbeatFile, HeartbeatKey, HeartbeatListener, HeartbeatMonitor, HeartbeatSender, InFlight,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::{elected, followed, idle, until, within};

/// It dies when it is dropped, with its files.
struct Httpd {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Httpd {
    fn start(modules: &[&str], settings: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let folder = std::env::temp_dir().join(format!("equipoise-httpd-{}", address.port()));
        std::fs::create_dir_all(&folder).unwrap();
        // Its children are not who has made the folder.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(&folder, open).unwrap();
        let basic = ["mpm_event", "authz_core"];
        let modules: String = basic
            .iter()
            .chain(modules)
            .map(|name| {
                let file = format!("/usr/lib/apache2/modules/mod_{name}.so");
                format!("LoadModule {name}_module {file}\n")
            })
            .collect();
        let settings = settings.replace("{folder}", &folder.display().to_string());
        let text = format!(
            "ServerRoot {0}\nDefaultRuntimeDir {0}\nPidFile {0}/httpd.pid\nErrorLog {0}/httpd.log\n\
             ServerName localhost\nListen {address}\n{modules}\nUser #65534\nGroup #65534\n\
             StartServers 1\nServerLimit 1\nThreadLimit 24\nThreadsPerChild 24\n\
             MaxRequestWorkers 24\nMinSpareThreads 1\nMaxSpareThreads 24\n{settings}\n",
            folder.display()
        );
        let file = folder.join("httpd.conf");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("apache2");
        command.arg("-DFOREGROUND").arg("-f").arg(file);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        Self {
            child,
            folder,
            address,
        }
    }

    /// The status and the body of an answer; nothing while it starts.
    async fn ask(&self) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.address).await.ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let status = answer.get(9..12)?.parse().ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some((status, body.to_owned()))
    }

    /// Resolves when it answers so.
    async fn answers(&self, status: u16) -> String {
        loop {
            match self.ask().await {
                Some((given, body)) if given == status => return body,
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

impl Drop for Httpd {
    fn drop(&mut self) {
        // Its parent ends its children.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").arg("-TERM").arg(pid).status();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A server that answers with its name, at an address of this machine.
async fn backend(ip: IpAddr, name: &'static str) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind((ip, 0)).await.unwrap();
    let here = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = format!(
                "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{name}",
                name.len()
            );
            let mut head = [0; 4_096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    here
}

/// A group that nothing else uses now, and the address from which this machine sends to it.
fn group() -> (SocketAddr, IpAddr) {
    let free = UdpSocket::bind("0.0.0.0:0").unwrap();
    let group = SocketAddr::from(([239, 255, 77, 3], free.local_addr().unwrap().port()));
    // Without a route for multicast, httpd could not send either.
    free.connect(group).unwrap();
    (group, free.local_addr().unwrap().ip())
}

const MONITOR: [&str; 6] = [
    "slotmem_shm",
    "proxy",
    "proxy_http",
    "proxy_balancer",
    "heartmonitor",
    "lbmethod_heartbeat",
];

#[tokio::test]
#[ignore = "needs apache2"]
async fn members_are_elected_by_what_an_httpd_sends_of_itself() {
    within(async {
        let monitor = HeartbeatMonitor::new();
        let listener = HeartbeatListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let to = listener.local_addr().unwrap();
        let _listening = listener.spawn(&monitor);
        let httpd = Httpd::start(&["heartbeat"], &format!("HeartbeatAddress {to}"));
        let balancer = followed(
            &monitor,
            &[("httpd", "127.0.0.1:80"), ("silent", "127.0.0.2:80")],
        );
        until(|| idle(&balancer, "httpd").is_some_and(|idle| idle > 0)).await;
        let reading = monitor.records()[0].reading();
        assert_eq!((reading.ready, reading.busy), (24, 0));
        for _ in 0..50 {
            assert_eq!(elected(&balancer).as_deref(), Some("httpd"));
        }
        // Five clients that have not sent all of their requests have five threads.
        let mut held = Vec::new();
        for _ in 0..5 {
            let mut client = TcpStream::connect(httpd.address).await.unwrap();
            client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            held.push(client);
        }
        until(|| monitor.records()[0].reading().busy > 0).await;
        let reading = monitor.records()[0].reading();
        assert_eq!(reading.ready + reading.busy, 24, "{reading:?}");
        assert_eq!(monitor.statistics().malformed(), 0);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs apache2"]
async fn members_are_elected_by_what_an_httpd_sends_to_a_group() {
    within(async {
        let (group, here) = group();
        let monitor = HeartbeatMonitor::new();
        let listener = HeartbeatListener::bind(group).unwrap();
        let _listening = listener.spawn(&monitor);
        let httpd = Httpd::start(&["heartbeat"], &format!("HeartbeatAddress {group}"));
        let at = SocketAddr::new(here, httpd.address.port()).to_string();
        let balancer = followed(&monitor, &[("httpd", &at)]);
        until(|| idle(&balancer, "httpd").is_some()).await;
        until(|| elected(&balancer).is_some()).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs apache2"]
async fn an_httpd_elects_by_what_our_sender_reports_signed_or_not() {
    within(async {
        let (group, here) = group();
        let reports = backend(here, "reports").await;
        let silent = backend([127, 0, 0, 1].into(), "silent").await;
        let httpd = Httpd::start(
            &MONITOR,
            &format!(
                "HeartbeatListen {group}\nHeartbeatMaxServers 10\n\
                 <Proxy balancer://servers>\nBalancerMember http://{reports}\n\
                 BalancerMember http://{silent}\nProxySet lbmethod=heartbeat\n</Proxy>\n\
                 ProxyPass / balancer://servers/"
            ),
        );
        // Before it has received any.
        httpd.answers(503).await;
        let in_flight = InFlight::new();
        let _guard = in_flight.begin();
        let sender = HeartbeatSender::new(group)
            .capacity(64)
            .in_flight(&in_flight);
        let sender = sender.interval(Duration::from_millis(100)).port(8080);
        let sending = sender.key(HeartbeatKey::new(b"httpd ignores it")).spawn();
        // It takes up to five seconds until its children see the first.
        assert_eq!(httpd.answers(200).await, "reports");
        for _ in 0..20 {
            assert_eq!(httpd.ask().await, Some((200, "reports".to_owned())));
        }
        // The last report tells that nothing is idle.
        drop(sending);
        httpd.answers(503).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs apache2"]
async fn the_file_that_an_httpd_writes_of_our_reports_is_read() {
    within(async {
        let (group, here) = group();
        let settings = format!(
            "HeartbeatListen {group}\nHeartbeatMaxServers 0\nHeartbeatStorage {{folder}}/hb.dat"
        );
        let httpd = Httpd::start(&MONITOR, &settings);
        let sender = HeartbeatSender::new(group).capacity(64).port(8080);
        let _sending = sender.interval(Duration::from_millis(100)).spawn();
        let file = loop {
            match HeartbeatFile::read(httpd.folder.join("hb.dat")) {
                Ok((file, errors)) if !file.records().is_empty() => {
                    assert_eq!(errors, []);
                    break file;
                }
                _ => sleep(Duration::from_millis(20)).await,
            }
        };
        let record = file.records()[0];
        assert_eq!(record.sender().ip(), here);
        assert_eq!(record.reading().ready, 64);
        assert!(record.last_seen() < Some(Duration::from_secs(9)));
        let monitor = HeartbeatMonitor::new();
        file.report_to(&monitor);
        assert_eq!(monitor.records().len(), 1);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs apache2"]
async fn an_httpd_elects_by_the_file_that_we_write() {
    within(async {
        let (first, second) = ([127, 0, 0, 2].into(), [127, 0, 0, 3].into());
        let (a, b) = (backend(first, "a").await, backend(second, "b").await);
        let httpd = Httpd::start(
            &MONITOR,
            &format!(
                "HeartbeatStorage {{folder}}/hb.dat\nHeartbeatMaxServers 0\n\
                 <Proxy balancer://servers>\nBalancerMember http://{a}\n\
                 BalancerMember http://{b}\nProxySet lbmethod=heartbeat\n</Proxy>\n\
                 ProxyPass / balancer://servers/"
            ),
        );
        let monitor = HeartbeatMonitor::new();
        let write = |idle: [u32; 2]| {
            for (from, idle) in [first, second].into_iter().zip(idle) {
                let message = format!("v=1&ready={idle}&busy=1");
                monitor.receive(from, message.as_bytes()).unwrap();
            }
            let file = HeartbeatFile::new(monitor.records());
            file.write(httpd.folder.join("hb.dat")).unwrap();
        };
        // It gives the last member one place more than it has.
        write([0, 1_000]);
        assert_eq!(httpd.answers(200).await, "b");
        let mut a = 0;
        write([1_000, 0]);
        for _ in 0..50 {
            a += u32::from(httpd.ask().await == Some((200, "a".to_owned())));
        }
        assert!(a >= 48, "{a}");
    })
    .await;
}
