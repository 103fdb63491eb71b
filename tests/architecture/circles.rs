//! Files that need each other, each of them to be understood only with all the others:
//! [`circles`].
//!
//! What a file needs is found out in `names`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::names::{Names, Need};
use crate::source::Source;

/// Some files, and what each needs of the others, which is what there is to cut.
#[derive(Debug)]
pub(crate) struct Circle<'a> {
    pub(crate) files: BTreeSet<&'a str>,
    needs: Vec<Need<'a>>,
}

/// All sets of files of which each leads to all others.
pub(crate) fn circles(sources: &[Source]) -> Vec<Circle<'_>> {
    let needs = Names::of(sources).needs();
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for need in &needs {
        next.entry(need.from).or_default().insert(need.to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = next
        .keys()
        .map(|&file| (file, reached(file, &next)))
        .collect();
    let leads = |from, to| {
        reached
            .get(from)
            .is_some_and(|reached| reached.contains(to))
    };
    let mut found = Vec::new();
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for (&file, reached) in &reached {
        if !reached.contains(file) || known.contains(file) {
            continue;
        }
        let files: BTreeSet<&str> = reached
            .iter()
            .copied()
            .filter(|&other| leads(other, file))
            .collect();
        known.extend(&files);
        let within = |need: &&Need<'_>| files.contains(need.from) && files.contains(need.to);
        let needs = needs.iter().filter(within).cloned().collect();
        found.push(Circle { files, needs });
    }
    found
}

/// The files to which a file leads, itself only by a circle.
fn reached<'a>(file: &'a str, next: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![file];
    while let Some(file) = open.pop() {
        let steps = next.get(file).into_iter().flatten();
        open.extend(steps.filter(|&&to| reached.insert(to)));
    }
    reached
}

/// One line for each pair of files.
impl fmt::Display for Circle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files import each other:", self.files.len())?;
        let mut pairs: BTreeMap<_, (usize, BTreeSet<&str>)> = BTreeMap::new();
        for need in &self.needs {
            let pair = pairs.entry((need.from, need.to));
            let (_, names) = pair.or_insert((need.line, BTreeSet::new()));
            names.insert(need.name);
        }
        for ((from, to), (line, names)) in pairs {
            let names: Vec<_> = names.into_iter().collect();
            write!(f, "\n  {from}:{line} needs {to}: {}", names.join(", "))?;
        }
        Ok(())
    }
}
