//! This very program once more, in another role: so the memory of a proxy is that of a
//! proxy, and nobody runs out of files.
//!
//! What does not live here: the roles.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

/// In the environment of a process that has a role.
const ROLE: &str = "EQUIPOISE_TEST_ROLE";

/// A process with a role, which ends with this.
pub(crate) struct Role {
    child: Child,
    // It ends when this is closed.
    _stdin: Option<ChildStdin>,
    lines: BufReader<std::process::ChildStdout>,
}

impl Role {
    /// Starts the test `role` of this program in a process of its own, which is told
    /// `argument`, and has files enough.
    pub(crate) fn start(role: &str, argument: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new("sh")
            .arg("-c")
            .arg("ulimit -n \"$(ulimit -Hn)\"; exec \"$0\" --exact \"$1\" --nocapture")
            .arg(program)
            .arg(role)
            .env(ROLE, argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self {
            _stdin: child.stdin.take(),
            child,
            lines,
        }
    }

    /// What the process says next, after `word`.
    pub(crate) fn says(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended before it said {word:?}");
            // The test harness begins the line that the role goes on with.
            if let Some((_, said)) = line.split_once(word) {
                return said.trim().to_owned();
            }
        }
    }

    /// A figure of the process, in KiB: `VmRSS` or `VmHWM`.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let figure = line.split_whitespace().nth(1).unwrap();
        figure.parse().unwrap()
    }

    /// The seconds of a processor that it has used.
    pub(crate) fn seconds_used(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name of the program may have spaces; what comes after it has none.
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        let mut fields = rest.split(' ').skip(11);
        let mut ticks = || fields.next().unwrap().parse::<f64>().unwrap();
        (ticks() + ticks()) / 100.0
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What this process is told, if it has a role.
pub(crate) fn told() -> Option<String> {
    std::env::var(ROLE).ok()
}

pub(crate) fn say(word: &str, what: impl std::fmt::Display) {
    println!("\n{word}{what}");
    std::io::stdout().flush().unwrap();
}
