//! This very program once more, in another role: so the memory, the processor time and the
//! descriptors of a process are those of its role.
//!
//! Not here: what the roles do.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, Lines, Stdin};

/// In the environment of a process that has a role.
const ROLE: &str = "EQUIPOISE_TEST_ROLE";

/// A process that is silent for longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process with a role, which ends with this.
pub(crate) struct Role {
    child: Child,
    // It ends when this is closed.
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Role {
    /// Starts the test `role` of this program in a process of its own, which is told
    /// `argument`, and has as many files as there may be.
    pub(crate) fn start(role: &str, argument: &str) -> Self {
        Self::limited(role, argument, "$(ulimit -Hn)")
    }

    /// The same, with so many files.
    #[expect(
        clippy::disallowed_methods,
        reason = "what the process says is read for as long as it lives"
    )]
    pub(crate) fn limited(role: &str, argument: &str, files: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!(
                "ulimit -n \"{files}\"; exec \"$0\" --exact \"$1\" --nocapture"
            ))
            .arg(program)
            .arg(role)
            .env(ROLE, argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        // It ends with the process, whose lines it reads.
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            stdin: child.stdin.take().unwrap(),
            child,
            lines,
        }
    }

    /// What the process says next, after `word`.
    pub(crate) fn says(&mut self, word: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("before it said {word:?}: {error}"));
            // The test harness begins the line that the role goes on with.
            if let Some((_, said)) = line.split_once(word) {
                return said.trim().to_owned();
            }
        }
    }

    /// Sends the process a line.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A figure of the process, in KiB: `VmRSS` or `VmHWM`.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.id());
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

/// The lines that this process is told afterwards; they end when its parent is gone.
pub(crate) fn orders() -> Lines<tokio::io::BufReader<Stdin>> {
    tokio::io::BufReader::new(tokio::io::stdin()).lines()
}

pub(crate) fn say(word: &str, what: impl std::fmt::Display) {
    println!("\n{word}{what}");
    std::io::stdout().flush().unwrap();
}
