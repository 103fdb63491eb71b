//! Traffic that was recorded from Apache httpd, played against a proxy made from the same
//! configuration: whatever differs is a bug, unless `deviations.toml` explains it by a
//! row of `docs/deviations.md`.
//!
//! The cases are recordings of httpd 2.4.71. Each run of a case starts fresh backends (real
//! HTTP/1.1 servers that behave as the events tell them) and a fresh httpd with the case's
//! `apache_conf` (event MPM, one child process), and plays the events in order. `tried` is taken
//! from httpd's debug log (AH01172), the counters from the XML page of its balancer-manager after
//! each request, and all else is what clients and backends saw. Each case was played at least
//! three times, and no compared field differed between the runs; the counts of random bursts are
//! kept for each run. Most cases came with the specification. Those on the bytes that bytraffic
//! counts, `max` with and without `acquire`, answers without a head (HTTP/0.9), heartbeat files
//! with several lines for one address, and `BalancerGrowth` were recorded for this project in the
//! same way: `config` and `events` were written, and `expect` is what httpd did. The script that
//! recorded them is not part of the project.
//!
//! Each case is a test, so that `cargo test --test apache -- --list` lists them, and `-- NAME`
//! plays those with that in their names. `EQUIPOISE_APACHE_CASES` names another directory of
//! cases.

#![cfg(feature = "config")]
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, and this one writes its own report"
)]

mod backend;
mod case;
mod chance;
mod checks;
mod client;
mod compare;
mod heartbeat;
mod judge;
mod manager;
mod observed;
mod play;
mod port;
#[allow(
    dead_code,
    unused_imports,
    reason = "its own checks are run by `apache_reference`"
)]
mod reference;
mod relation;
mod rules;
mod scene;
mod verdict;
mod watch;
mod wire;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::RwLock;

use case::Case;
use rules::Rules;
use verdict::{Report, Verdict};

/// So many cases are played at once, unless `--test-threads` says otherwise. They wait most
/// of the time.
const AT_ONCE: usize = 16;

/// So often a case that depends on time is played again, alone, if it has failed.
const AGAIN: usize = 2;

/// No case takes longer.
const LIMIT: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("EQUIPOISE_APACHE_CASES").map(PathBuf::from);
    let own = named.is_none();
    let directory = named.unwrap_or_else(|| here.join("tests/apache/cases"));
    let (rules, files) = match (Rules::read(here), cases(&directory)) {
        (Ok(rules), Ok(files)) => (rules, files),
        (Err(error), _) => {
            println!("deviations.toml: {error}");
            return ExitCode::FAILURE;
        }
        (_, Err(error)) => {
            println!("{}: {error}", directory.display());
            return ExitCode::FAILURE;
        }
    };
    let all = files.len();
    let theatre = Arc::new(Theatre::new(rules));
    let trials = files.into_iter().map(|file| trial(file, &theatre));
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if arguments.list {
        return conclusion.exit_code();
    }
    let report = theatre.report.lock().expect("no test has panicked in it");
    let whole = report.tell(own && report.len() == all);
    match conclusion.has_failed() {
        true => ExitCode::FAILURE,
        false => whole,
    }
}

/// The files of all cases, in the order of their names.
fn cases(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(directory).map_err(|error| error.to_string())?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "json")
    });
    files.sort();
    match files.is_empty() {
        true => Err("there are no cases".to_owned()),
        false => Ok(files),
    }
}

/// What all cases share.
struct Theatre {
    runtime: Runtime,
    rules: Arc<Rules>,
    /// Shared by those that are played at once, and owned by one that is played alone.
    stage: RwLock<()>,
    report: Mutex<Report>,
}

impl Theatre {
    fn new(rules: Rules) -> Self {
        let rules = Arc::new(rules);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        Self {
            runtime: runtime.expect("a runtime"),
            rules: rules.clone(),
            stage: RwLock::new(()),
            report: Mutex::new(Report::new(rules)),
        }
    }

    async fn play(&self, file: &Path) -> Verdict {
        let shared = self.stage.read().await;
        let mut verdict = self.once(file).await;
        drop(shared);
        for _ in 0..AGAIN {
            if verdict.has_failed() && tells_time(file) {
                let _alone = self.stage.write().await;
                verdict = self.once(file).await;
            }
        }
        verdict
    }

    async fn once(&self, file: &Path) -> Verdict {
        let (file, rules) = (file.to_owned(), self.rules.clone());
        let played = tokio::spawn(async move { one(&file, &rules).await });
        match tokio::time::timeout(LIMIT, played).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(panic)) => Verdict::broken(panic.to_string()),
            Err(_) => Verdict::broken("it takes too long".to_owned()),
        }
    }
}

fn trial(file: PathBuf, theatre: &Arc<Theatre>) -> Trial {
    let name = file.file_stem().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let theatre = theatre.clone();
    Trial::ignorable_test(name.clone(), move || {
        let verdict = theatre.runtime.block_on(theatre.play(&file));
        let (said, waits) = (verdict.complaint(), verdict.waits_for());
        let mut report = theatre.report.lock().expect("no test has panicked in it");
        report.add(name, verdict);
        match (said, waits) {
            (Some(said), _) => Err(Failed::from(said)),
            (None, Some(what)) => Ok(Completion::ignored_with(format!("for want of {what}"))),
            (None, None) => Ok(Completion::Completed),
        }
    })
}

/// Whether what happens in a case depends on when: it was recorded on a machine that had
/// nothing else to do, and played beside others it may have been late.
fn tells_time(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    ["\"wait", "\"burst\"", "retry=", "timeout", "ping="]
        .iter()
        .any(|word| text.contains(word))
}

async fn one(file: &Path, rules: &Rules) -> Verdict {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return Verdict::broken(error.to_string()),
    };
    let case = match Case::read(&text) {
        Ok(case) => case,
        Err(error) => return Verdict::broken(error),
    };
    if case.kind == "config-check" {
        return judge::judge(&case, &text, checks::differences(&case), None, rules);
    }
    if let Some(issue) = verdict::pending(&case) {
        return Verdict::Pending(issue);
    }
    let Some(configured) = &case.config else {
        return Verdict::broken("there is no configuration".to_owned());
    };
    match play::play(&case, configured).await {
        Ok(played) => {
            let differences = judge::differences(&case, &played);
            judge::judge(&case, &text, differences, Some(&played), rules)
        }
        Err(error) => Verdict::broken(error),
    }
}
