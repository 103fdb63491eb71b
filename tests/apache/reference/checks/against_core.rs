//! The model with our fixes says what the library's core does, in every case that the core can play
//! alone.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::{Fix, Predicted, Reference};
use super::core_driver::{Core, playable};
use super::recorded::cases;

/// The library's own ways and those of `config`, without the one that lives in the service.
pub(super) fn of_the_core() -> [BTreeSet<Fix>; 2] {
    let mut ways = [Fix::ALL.into_iter().collect(), Fix::of_config()];
    for way in &mut ways {
        way.remove(&Fix::StandbyReserve);
    }
    ways
}

/// Where the core and the model differ in a case, in the order of its events.
pub(super) fn differences(case: &Value, fixes: &BTreeSet<Fix>) -> Vec<String> {
    let mut core = Core::new(case, fixes);
    let events = case["events"].as_array().map_or(&[][..], Vec::as_slice);
    let mut found = Vec::new();
    for (number, (event, model)) in events.iter().zip(Reference::run(case, fixes)).enumerate() {
        let ours = core.event(event);
        // Only what both speak of.
        let fields = model
            .fields
            .into_iter()
            .filter(|(key, _)| ours.contains_key(key));
        let model = Predicted {
            fields: fields.collect(),
        };
        for difference in model.disagreements(&Value::Object(ours.clone())) {
            let (name, what) = (&case["name"], &event["do"]);
            found.push(format!("{name} #{number} {what}: core {difference}"));
        }
    }
    found
}

#[test]
fn the_model_with_all_fixes_says_what_the_core_does_in_every_case_that_needs_no_network() {
    let cases = cases();
    let played: Vec<&Value> = cases.iter().filter(|case| playable(case)).collect();
    assert!(!played.is_empty());
    for fixes in of_the_core() {
        let wrong = played.iter().flat_map(|case| differences(case, &fixes));
        let wrong: Vec<String> = wrong.collect();
        assert!(
            wrong.is_empty(),
            "{} differences:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}
