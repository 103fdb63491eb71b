//! Traffic that was recorded from Apache httpd, played against a proxy made from the same
//! configuration: whatever differs is a bug, unless `deviations.toml` explains it by a
//! row of `docs/deviations.md`.
//!
//! `EQUIPOISE_APACHE_CASES` names another directory of cases, `EQUIPOISE_APACHE_ONLY` a
//! part of the names of those that are to be played.

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
mod verdict;
mod wire;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use case::Case;
use rules::Rules;
use verdict::{Report, Verdict};

/// So many cases are played at once.
const AT_ONCE: usize = 16;

/// So often a case that depends on time is played again, alone, if it has failed.
const AGAIN: usize = 2;

/// No case takes longer.
const LIMIT: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("EQUIPOISE_APACHE_CASES").map(PathBuf::from);
    let own = named.is_none();
    let directory = named.unwrap_or_else(|| here.join("tests/apache/cases"));
    let only = std::env::var("EQUIPOISE_APACHE_ONLY").ok();
    let only = only.or_else(|| arguments.into_iter().find(|text| !text.starts_with('-')));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let report = match Rules::read(here) {
        Ok(rules) => runtime.block_on(replay(&directory, only.as_deref(), rules)),
        Err(error) => {
            println!("deviations.toml: {error}");
            return ExitCode::FAILURE;
        }
    };
    match report {
        Ok(report) => report.tell(own && only.is_none()),
        Err(error) => {
            println!("{}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}

async fn replay(directory: &Path, only: Option<&str>, rules: Rules) -> Result<Report, String> {
    let entries = std::fs::read_dir(directory).map_err(|error| error.to_string())?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "json")
    });
    files.sort();
    if files.is_empty() {
        return Err("there are no cases".to_owned());
    }
    let rules = Arc::new(rules);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut playing = JoinSet::new();
    for file in files {
        let name = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if only.is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let (rules, places) = (rules.clone(), places.clone());
        playing.spawn(async move {
            let _place = places.acquire_owned().await;
            let played = tokio::spawn(async move { one(&file, &rules).await });
            let verdict = match tokio::time::timeout(LIMIT, played).await {
                Ok(Ok(verdict)) => verdict,
                Ok(Err(panic)) => Verdict::broken(panic.to_string()),
                Err(_) => Verdict::broken("it takes too long".to_owned()),
            };
            (name, verdict)
        });
    }
    let mut report = Report::new(rules.clone());
    let mut late = Vec::new();
    while let Some(played) = playing.join_next().await {
        let (name, verdict) = played.map_err(|error| error.to_string())?;
        eprintln!("{} {name}", verdict.word());
        if verdict.has_failed() && tells_time(&directory.join(format!("{name}.json"))) {
            late.push((name, verdict));
        } else {
            report.add(name, verdict);
        }
    }
    for (name, mut verdict) in late {
        let file = directory.join(format!("{name}.json"));
        for _ in 0..AGAIN {
            if verdict.has_failed() {
                let again = tokio::time::timeout(LIMIT, one(&file, &rules)).await;
                verdict = again.unwrap_or(verdict);
                eprintln!("{} {name}, alone", verdict.word());
            }
        }
        report.add(name, verdict);
    }
    Ok(report)
}

/// Whether what happens in a case depends on when: it was recorded on a machine that had
/// nothing else to do, and played beside others it may have been late.
fn tells_time(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    ["\"wait\"", "retry=", "timeout", "ping="]
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
