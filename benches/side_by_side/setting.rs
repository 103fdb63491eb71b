//! What is there to measure with, and what a reader of the figures has to know of it.

#![expect(clippy::print_stdout, reason = "it stands above the tables")]

use std::fs;
use std::path::Path;

use super::contestant::Contestant;
use super::program::{find, version};
use super::progress::say;

/// Whether anything can be measured here; if not, says why.
pub(crate) fn is_fit() -> bool {
    let cores = std::thread::available_parallelism();
    let lacks = if !Path::new("/proc/self/stat").exists() {
        "Linux's /proc"
    } else if find("taskset").is_none() {
        "taskset; on Debian: apt-get install util-linux"
    } else if cores.is_ok_and(|cores| cores.get() < 2) {
        "a second core: one is the proxy's, one the load's and the servers'"
    } else {
        return true;
    };
    say(format_args!("nothing is measured: there is no {lacks}"));
    false
}

/// Leaves out what is not installed, and says so.
pub(crate) fn installed<C: Contestant>(contenders: &[C]) -> Vec<C> {
    let is_there = |contender: &&C| {
        let found = contender.program().is_some();
        if !found {
            let (name, remedy) = (contender.name(), contender.remedy());
            say(format_args!("{name} is not there, and left out; {remedy}"));
        }
        found
    };
    contenders.iter().filter(is_there).copied().collect()
}

/// Prints under which circumstances the figures came to be.
/// `load` is a line about what makes the load.
pub(crate) fn describe<C: Contestant>(
    contenders: &[C],
    load: Option<&str>,
    (rounds, seconds): (u32, u32),
) {
    let cores = std::thread::available_parallelism();
    let cores = cores.map_or(0, std::num::NonZero::get);
    let kernel = line_of("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!(
        "{cores} cores ({}), Linux {kernel}. {rounds} rounds of {seconds} s.",
        processor()
    );
    println!();
    for &contender in contenders {
        let flag = contender.version_flag();
        let program = contender.program();
        let version = flag.and_then(|flag| version(&program?, flag));
        if let Some(version) = version {
            println!("* {}: {version}", contender.name());
        }
    }
    if let Some(load) = load {
        println!("* load: {load}");
    }
    let control = line_of("/proc/sys/net/ipv4/tcp_congestion_control");
    let control = control.unwrap_or_else(|| "unknown".to_owned());
    let pacing = if control == "bbr" {
        ": it paces what is sent on loopback, too, which costs all contenders processor time \
         that reno or cubic would not"
    } else {
        ""
    };
    println!("* congestion control: {control}{pacing}");
}

fn line_of(file: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().next().map(str::to_owned)
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(": "));
    name.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned())
}
