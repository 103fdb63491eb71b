//! One file per rule: `tests/config/golden/*.conf`, and beside each a `.txt` with the
//! diagnostics as they are displayed, then `---`, then the configuration as it is printed.
//!
//! `REWRITE_GOLDEN=1 cargo test --features full --test config golden` writes the `.txt`
//! files anew; read the difference before it is committed.

#![expect(clippy::unwrap_used, reason = "a helper of tests may panic")]

use std::fs;
use std::path::PathBuf;

use equipoise::config::{Config, Reader};

/// All golden files, by name.
pub(super) fn files() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config/golden");
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_conf = |path: &PathBuf| path.extension().is_some_and(|it| it == "conf");
    let mut paths: Vec<_> = paths.filter(is_conf).collect();
    paths.sort();
    assert!(paths.len() > 20);
    paths
}

/// What is said of a text, and what it comes to.
fn outcome(name: &str, text: &str) -> (Config, String) {
    let (config, diagnostics) = Reader::new().name(name).parse(text);
    let said: Vec<_> = diagnostics.iter().map(ToString::to_string).collect();
    let whole = format!("{}---\n{config}", said.join("\n"));
    (config, whole)
}

#[test]
fn every_rule_is_read_as_its_golden_file_says() {
    let rewrite = std::env::var_os("REWRITE_GOLDEN").is_some();
    for path in files() {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            text.starts_with("# "),
            "{name} does not say what it is about"
        );
        let (_, found) = outcome(&name, &text);
        let beside = path.with_extension("txt");
        if rewrite {
            fs::write(&beside, &found).unwrap();
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn every_golden_file_without_errors_is_printed_and_read_as_the_same() {
    for path in files() {
        let text = fs::read_to_string(&path).unwrap();
        let (config, diagnostics) = Reader::new().parse(&text);
        if diagnostics
            .iter()
            .any(equipoise::config::Diagnostic::is_error)
        {
            continue;
        }
        let printed = config.to_string();
        let (again, diagnostics) = Reader::new().parse(&printed);
        assert_eq!(again, config, "{}\n{printed}", path.display());
        assert!(
            !diagnostics
                .iter()
                .any(equipoise::config::Diagnostic::is_error)
        );
        assert_eq!(again.to_string(), printed);
    }
}

#[test]
fn five_mistakes_are_five_diagnostics() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/config/golden/five-mistakes.conf"
    );
    let (_, diagnostics) = Reader::new().parse(&fs::read_to_string(path).unwrap());
    assert_eq!(diagnostics.len(), 5);
    assert!(
        diagnostics
            .iter()
            .all(equipoise::config::Diagnostic::is_error)
    );
}
