//! A type name occurs once in the crate, so that a reader who meets it knows which type it is.
//!
//! How text is read is in `text`. Names of modules and functions may repeat.

use std::collections::BTreeMap;

use crate::source::Source;

/// Names that may occur more than once, each with its reason.
const TWICE: &[(&str, &str)] = &[
    (
        "LentPipe",
        "one form for systems with splice, one for those without",
    ),
    (
        "Pipes",
        "one form for systems with splice, one for those without",
    ),
    (
        "Published",
        "one form for the machine, one for the model checker",
    ),
    (
        "Spliced",
        "one form for systems with splice, one for those without",
    ),
];

/// What is wrong with the names of the types in these files.
pub(crate) fn repeated_types(sources: &[Source]) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        for (number, line) in source.shipped.lines().enumerate() {
            if let Some(name) = defined(line) {
                let place = format!("{}:{}", source.path, number + 1);
                places.entry(name.to_owned()).or_default().push(place);
            }
        }
    }
    let excepted = |name: &str| TWICE.iter().any(|(it, _)| *it == name);
    let mut complaints = Vec::new();
    for (name, places) in &places {
        match (places.len() > 1, excepted(name)) {
            (true, false) => {
                complaints.push(format!(
                    "`{name}` names several types: {}",
                    places.join(", ")
                ));
            }
            (false, true) => complaints.push(format!("`{name}` occurs once: remove it from TWICE")),
            _ => {}
        }
    }
    complaints
}

/// The type that a line defines. A `type` that is indented is one of a trait.
fn defined(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    if let Some(public) = rest.strip_prefix("pub") {
        rest = public.trim_start();
        if rest.starts_with('(') {
            rest = rest.split_once(')')?.1.trim_start();
        }
    }
    let rest = rest.strip_prefix("unsafe ").unwrap_or(rest);
    let (keyword, name) = rest.split_once(' ')?;
    let is_type = match keyword {
        "enum" | "struct" | "trait" | "union" => true,
        "type" => !line.starts_with(' '),
        _ => false,
    };
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (is_type && end > 0).then(|| &name[..end])
}

#[test]
fn a_name_that_occurs_twice_is_noticed() {
    let file = |path, text| Source::new(path, text);
    let found = repeated_types(&[
        file(
            "src/a.rs",
            "pub(in crate::b) struct Place;\npub enum Once {}\n",
        ),
        file(
            "src/b.rs",
            "    trait Place {}\nimpl Iterator for X {\n    type Once = u8;\n}\n",
        ),
    ]);
    let expected = "`Place` names several types: src/a.rs:1, src/b.rs:1";
    assert_eq!(
        found
            .iter()
            .filter(|it| it.contains("several"))
            .collect::<Vec<_>>(),
        [expected]
    );
}
