//! Finds files that import each other in a cycle: [`cycles`].
//!
//! Not here: what a file needs (`names`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::names::{Names, Need};
use crate::source::Source;

/// The files of a cycle, and what each needs of the others.
#[derive(Debug)]
pub(crate) struct Cycle<'a> {
    pub(crate) files: BTreeSet<&'a str>,
    needs: Vec<Need<'a>>,
}

/// Returns all sets of files in which each file leads to all others.
pub(crate) fn cycles(sources: &[Source]) -> Vec<Cycle<'_>> {
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
        found.push(Cycle { files, needs });
    }
    found
}

/// Returns the files to which a file leads. The file itself is one of them if it is in a cycle.
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
impl fmt::Display for Cycle<'_> {
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

#[cfg(test)]
mod tests {
    use super::cycles;
    use crate::source::Source;

    type File = (&'static str, &'static str);

    fn found(files: &[File]) -> Vec<String> {
        let file = |&(path, text): &File| Source::new(path, text);
        let sources: Vec<_> = files.iter().map(file).collect();
        cycles(&sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn files_that_need_each_other_are_reported() {
        let cases: &[&[File]] = &[
            &[
                ("src/a/b.rs", "use super::c::C;\npub struct B;"),
                ("src/a/c.rs", "pub struct C(super::b::B);"),
            ],
            &[
                (
                    "src/a.rs",
                    "use crate::b::{self, B as Other};\npub fn a(_: Other) {}",
                ),
                ("src/b.rs", "pub enum B { X }\nfn b() { crate::a::a() }"),
            ],
            // Through a re-export of a `mod.rs`, public or not.
            &[
                ("src/a/mod.rs", "mod b;\nmod c;\npub use b::B;\nuse c::*;"),
                ("src/a/b.rs", "use super::C;\npub struct B(C);"),
                (
                    "src/a/c.rs",
                    "use crate::a::B;\npub trait C { fn c(b: B); }",
                ),
            ],
            // A `mod.rs` that defines what its own modules need, and needs them.
            &[
                ("src/a/mod.rs", "mod b;\npub struct A(b::B);"),
                ("src/a/b.rs", "use super::A;\npub struct B(Box<A>);"),
            ],
            // A trait is needed for its methods, which have no path.
            &[
                (
                    "src/a/mod.rs",
                    "mod b;\nuse b::B;\npub struct A;\nfn a(x: u8) { x.b() }",
                ),
                ("src/a/b.rs", "pub trait B { fn b(self) -> super::A; }"),
            ],
            // What a macro defines belongs to the file that calls the macro.
            &[
                ("src/a.rs", "id!(A);\nfn a() { crate::b::b() }"),
                ("src/b.rs", "pub fn b() -> crate::a::A {}"),
            ],
            &[
                (
                    "benches/a/main.rs",
                    "mod b;\nconst A: u8 = 1;\nfn main() { b::run() }",
                ),
                ("benches/a/b.rs", "pub fn run() { crate::A; }"),
            ],
            // A module and a function of the same name.
            &[
                (
                    "src/a.rs",
                    "use crate::b::b;\npub struct A;\nfn a() { b() }",
                ),
                ("src/b/mod.rs", "mod b;\npub use b::b;"),
                ("src/b/b.rs", "pub fn b() -> crate::a::A {}"),
            ],
            &[
                (
                    "src/a.rs",
                    "mod inner { pub struct A; fn f() { super::super::b::b() } }",
                ),
                ("src/b.rs", "pub fn b() -> crate::a::inner::A {}"),
            ],
        ];
        for files in cases {
            assert_eq!(found(files).len(), 1, "{files:?}");
        }
    }

    #[test]
    fn the_needs_of_a_cycle_are_reported() {
        let files = [
            ("src/a.rs", "use crate::b::{B, b};\npub struct A(B);"),
            ("src/b.rs", "use crate::c::C;\npub struct B;\npub fn b() {}"),
            ("src/c.rs", "use crate::d::D;\n\npub struct C(crate::a::A);"),
            ("src/d.rs", "pub struct D;"),
        ];
        let expected = "3 files import each other:\n  \
                        src/a.rs:1 needs src/b.rs: B, b\n  \
                        src/b.rs:1 needs src/c.rs: C\n  \
                        src/c.rs:3 needs src/a.rs: A";
        assert_eq!(found(&files), [expected]);
    }

    #[test]
    fn files_without_a_way_back_are_no_cycle() {
        let cases: &[&[File]] = &[
            // The declaration of a module and a re-export are no need.
            &[
                ("src/lib.rs", "pub mod a;\npub use a::A;"),
                (
                    "src/a/mod.rs",
                    "//! [`b::B`]\nmod b;\nmod c;\npub use b::B;\nuse c::C;\npub struct A;",
                ),
                ("src/a/b.rs", "use super::{A, C};\npub struct B(A, C);"),
                ("src/a/c.rs", "use crate::A;\npub struct C(A);"),
            ],
            // Tests, comments and text.
            &[
                (
                    "src/a.rs",
                    "// crate::b::B\npub struct A;\n#[cfg(test)]\nmod tests { use crate::b::B; }",
                ),
                (
                    "src/b.rs",
                    "pub struct B(crate::a::A);\nconst C: &str = \"crate::b\";",
                ),
            ],
            // Methods, fields and lifetimes with the name of something else.
            &[
                (
                    "src/a/mod.rs",
                    "mod b;\npub use b::b;\npub struct A;\nfn a<'b>(x: &'b X) { x.b(); x.b }",
                ),
                ("src/a/b.rs", "pub fn b(_: super::A) {}"),
            ],
            // Other crates: one with that name, and another bench.
            &[
                ("src/a.rs", "use ::b::B;\nuse http::Uri;\npub struct A;"),
                ("src/b.rs", "pub struct B(crate::a::A);\npub struct Uri;"),
                ("benches/a/main.rs", "fn main() { crate::b::b() }\nmod b;"),
                ("benches/c/b.rs", "pub fn b() { crate::main() }"),
            ],
            // A module with the name of a function.
            &[
                ("src/a/mod.rs", "mod b;\nfn b() { b::run() }"),
                ("src/a/b.rs", "pub fn run() {}"),
            ],
        ];
        for files in cases {
            assert_eq!(found(files), [""; 0], "{files:?}");
        }
    }
}
