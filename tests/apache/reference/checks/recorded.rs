//! The model without any fix reproduces what Apache recorded, in every case.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use super::super::{Fix, Reference};

/// All cases: of the directory in `EQUIPOISE_APACHE_CASES`, or those beside this file.
pub(super) fn cases() -> Vec<Value> {
    let directory = std::env::var_os("EQUIPOISE_APACHE_CASES").map(PathBuf::from);
    let directory = directory.unwrap_or_else(|| {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/apache/cases"))
    });
    let mut paths: Vec<_> = std::fs::read_dir(&directory)
        .expect("a directory of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no case in {}", directory.display());
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("a readable case");
    let parse = |path| serde_json::from_str(&read(path)).expect("a case is JSON");
    paths.iter().map(parse).collect()
}

fn events(case: &Value) -> &[Value] {
    case["events"].as_array().map_or(&[], Vec::as_slice)
}

/// What the model must not leave out, where nothing but the balancer decides.
fn needed(case: &Value, event: &Value) -> impl Iterator<Item = &'static str> {
    let others = ["heartbeat", "mapping", "headers"];
    let ours = !others.contains(&case["kind"].as_str().unwrap_or_default());
    let keys: &[&str] = match event["do"].as_str() {
        Some("request" | "finish") => &["tried", "seen_by", "status", "served_by", "env", "after"],
        Some("sequence") => &["status", "served_by", "lbstatus_members", "lbstatus"],
        Some("start") => &["tried", "seen_by", "after"],
        Some("abandon" | "release") => &["after"],
        Some("snapshot" | "manager") => &["members"],
        _ => &[],
    };
    keys.iter().copied().filter(move |_| ours)
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "how much was compared is worth knowing"
)]
fn the_model_without_fixes_says_what_apache_did_in_every_recorded_case() {
    let mut wrong = Vec::new();
    let (mut covered, mut compared) = (0, 0);
    for case in cases().iter().filter(|case| Reference::covers(case)) {
        covered += 1;
        let predicted = Reference::run(case, &BTreeSet::new());
        assert_eq!(predicted.len(), events(case).len());
        for (number, (predicted, event)) in predicted.iter().zip(events(case)).enumerate() {
            compared += predicted.fields.len();
            for key in needed(case, event) {
                assert!(
                    predicted.fields.contains_key(key),
                    "{} {event}: {key}",
                    case["name"]
                );
            }
            for difference in predicted.disagreements(&event["expect"]) {
                let (name, what) = (&case["name"], &event["do"]);
                wrong.push(format!(
                    "{name} #{number} {what} {}: {difference}",
                    event["id"]
                ));
            }
        }
    }
    assert!(covered > 0 && compared > 0);
    println!("{covered} cases, {compared} fields compared");
    assert!(
        wrong.is_empty(),
        "{} disagreements:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_fix_has_a_name_of_its_own_and_a_row_of_the_ledger() {
    let ledger = include_str!("../../../../docs/deviations.md");
    for fix in Fix::ALL {
        assert_eq!(Fix::from_name(fix.name()), Some(fix));
        for row in fix.row() {
            assert!(
                ledger.contains(&format!("\n| {row} |")),
                "{} {row}",
                fix.name()
            );
        }
    }
}
