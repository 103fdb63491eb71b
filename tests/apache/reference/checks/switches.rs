//! Which switches matter to which recorded case.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::{Fix, Reference};
use super::recorded::cases;

fn fields(case: &Value, fixes: &BTreeSet<Fix>) -> Vec<serde_json::Map<String, Value>> {
    Reference::run(case, fixes)
        .into_iter()
        .map(|predicted| predicted.fields)
        .collect()
}

/// The switches without which the model with all others, or with which the model with no other,
/// says something else.
fn that_matter(case: &Value) -> BTreeSet<Fix> {
    let all = Fix::of_config();
    let (none_on, all_on) = (fields(case, &BTreeSet::new()), fields(case, &all));
    let matters = |fix: &Fix| {
        let only = BTreeSet::from([*fix]);
        let mut without = all.clone();
        without.remove(fix);
        fields(case, &only) != none_on || fields(case, &without) != all_on
    };
    all.iter().copied().filter(matters).collect()
}

#[test]
#[expect(clippy::print_stdout, reason = "the table is what one reads")]
fn whatever_differs_between_apache_and_this_library_is_due_to_switches_of_the_ledger() {
    let mut table = BTreeMap::new();
    for case in cases().iter().filter(|case| Reference::covers(case)) {
        let matter = that_matter(case);
        let all = Fix::of_config();
        let differs = fields(case, &all) != fields(case, &BTreeSet::new());
        // Those that matter, together, explain the whole difference.
        assert_eq!(
            fields(case, &matter),
            fields(case, &all),
            "{}",
            case["name"]
        );
        if differs {
            let names: Vec<&str> = matter.iter().map(|fix| fix.name()).collect();
            table.insert(case["name"].to_string(), names.join(", "));
        }
    }
    for (case, switches) in &table {
        println!("{case}: {switches}");
    }
    println!("{} cases differ", table.len());
}
