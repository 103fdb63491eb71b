//! Apache httpd is asked what it decides of the expressions in `expressions.txt`, by which the
//! crate's own tests go.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// It dies when it is dropped, with its files.
struct Httpd {
    child: Child,
    folder: PathBuf,
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

/// A configuration in which each place tells whether its expression holds.
fn configuration(folder: &Path, address: SocketAddr, expressions: &[&str]) -> String {
    let folder = folder.display();
    let mut text = format!(
        "ServerRoot {folder}\nDefaultRuntimeDir {folder}\nPidFile {folder}/httpd.pid\n\
         ErrorLog {folder}/httpd.log\nServerName localhost\nListen {address}\n\
         User #65534\nGroup #65534\n",
    );
    for name in ["mpm_event", "authz_core", "headers"] {
        let file = format!("/usr/lib/apache2/modules/mod_{name}.so");
        let _ = writeln!(text, "LoadModule {name}_module {file}");
    }
    for (number, expression) in expressions.iter().enumerate() {
        let quoted = expression.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = writeln!(
            text,
            "<Location /{number}/>\n<If \"{quoted}\">\nHeader always set X-Holds true\n</If>\n\
             <Else>\nHeader always set X-Holds false\n</Else>\n</Location>"
        );
    }
    text
}

/// What httpd answers; nothing while it starts.
async fn ask(address: SocketAddr, number: usize) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!(
        "GET /{number}/?q=1&r=two HTTP/1.0\r\nHost: localhost\r\nX-Word: Hello World\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

#[tokio::test]
#[ignore = "needs apache2"]
async fn httpd_decides_expressions_as_the_table_says() {
    let table = include_str!("../../src/config/expression/expressions.txt");
    let rows = table
        .lines()
        .filter(|row| !row.is_empty() && !row.starts_with('#'));
    let rows = rows.map(|row| row.split_once(' ').unwrap());
    let rows: Vec<_> = rows
        .map(|(verdict, text)| (verdict, text.trim_start()))
        .collect();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let folder = std::env::temp_dir().join(format!("equipoise-expressions-{}", address.port()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("httpd.conf");
    let command = || {
        let mut command = Command::new("apache2");
        command
            .arg("-f")
            .arg(&file)
            .stderr(Stdio::null())
            .stdout(Stdio::null());
        command
    };
    for (_, expression) in rows.iter().filter(|(verdict, _)| *verdict == "refused") {
        std::fs::write(&file, configuration(&folder, address, &[expression])).unwrap();
        let accepted = command().arg("-t").status().unwrap().success();
        assert!(!accepted, "httpd accepts {expression}");
    }
    let decided = rows.iter().filter(|(verdict, _)| *verdict != "refused");
    let decided: Vec<_> = decided.copied().collect();
    let expressions: Vec<_> = decided.iter().map(|(_, text)| *text).collect();
    std::fs::write(&file, configuration(&folder, address, &expressions)).unwrap();
    let child = command().arg("-DFOREGROUND").spawn().unwrap();
    let httpd = Httpd { child, folder };
    let starts = async {
        while ask(address, 0).await.is_none() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), starts).await.unwrap();
    for (number, (verdict, expression)) in decided.iter().enumerate() {
        let answer = timeout(Duration::from_secs(10), ask(address, number)).await;
        let answer = answer.unwrap().unwrap();
        let expected = format!("X-Holds: {verdict}\r\n");
        assert!(answer.contains(&expected), "{expression}: {answer}");
    }
    drop(httpd);
}
