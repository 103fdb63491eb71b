//! What a program has to tell of each of its contenders: [`Contestant`].

use std::path::PathBuf;

/// Names another build of the same program, so that a change is measured in one run.
const BEFORE: &str = "EQUIPOISE_BENCH_BEFORE";

pub(crate) trait Contestant: Copy + PartialEq {
    fn name(self) -> &'static str;

    /// The program, or `None` if it is not installed.
    fn program(self) -> Option<PathBuf>;

    /// What has to be done so that it can be measured.
    fn remedy(self) -> String;

    /// The flag by which it tells its version.
    fn version_flag(self) -> Option<&'static str>;
}

/// Another build of this program, if there is one to measure.
pub(crate) fn another_build() -> Option<PathBuf> {
    std::env::var_os(BEFORE).map(PathBuf::from)
}

pub(crate) fn how_to_name_another_build() -> String {
    format!("set {BEFORE} to the path of another build of this program")
}

pub(crate) fn how_to_install(package: &str) -> String {
    format!("on Debian: apt-get install {package}")
}
