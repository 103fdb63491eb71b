//! The README's text against the samples.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const MANIFEST: &str = env!("CARGO_MANIFEST_DIR");

/// What stands in the fences of one language.
fn blocks(readme: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let block: Vec<_> = lines.by_ref().take_while(|it| *it != "```").collect();
            if info == language {
                blocks.push(block.join("\n") + "\n");
            }
        }
    }
    blocks
}

#[test]
fn every_rust_block_of_the_readme_is_a_sample_and_every_sample_is_shown() {
    let root = Path::new(MANIFEST);
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let shown: BTreeSet<_> = blocks(&readme, "rust").into_iter().collect();
    let mut samples = BTreeSet::new();
    for entry in fs::read_dir(root.join("tests/readme/samples")).unwrap() {
        samples.insert(fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let only_shown: Vec<_> = shown.difference(&samples).collect();
    assert!(
        only_shown.is_empty(),
        "no file in tests/readme/samples has this text:\n{}",
        only_shown[0]
    );
    let hidden: Vec<_> = samples.difference(&shown).collect();
    assert!(
        hidden.is_empty(),
        "the README does not show this sample:\n{}",
        hidden[0]
    );
}

#[test]
fn the_readme_hides_no_lines() {
    let readme = fs::read_to_string(Path::new(MANIFEST).join("README.md")).unwrap();
    for block in blocks(&readme, "rust") {
        let hidden = block
            .lines()
            .find(|line| *line == "#" || line.starts_with("# "));
        assert_eq!(hidden, None, "pages that show Markdown raw show this line");
    }
}

#[test]
fn every_example_that_the_readme_names_is_there() {
    let root = Path::new(MANIFEST);
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let (_, list) = readme.split_once("Other examples:").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let named: BTreeSet<_> = list
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(root.join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|it| it == "rs") {
            there.insert(name);
        }
    }
    assert_eq!(
        named, there,
        "left: named by the README; right: files in examples"
    );
}

/// The crate's page links within itself; pages elsewhere link to docs.rs. `cargo doc` checks
/// the paths in `src/lib.rs`.
#[test]
fn every_item_that_the_readme_links_to_is_the_one_that_the_crates_page_links_to() {
    let root = Path::new(MANIFEST);
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let page = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let prefix = ": https://docs.rs/equipoise/latest/equipoise/";
    let links: Vec<_> = readme
        .lines()
        .filter_map(|line| line.split_once(prefix))
        .collect();
    assert!(!links.is_empty());
    for (label, url) in links {
        let name = label.trim_matches(|it: char| !it.is_alphanumeric());
        let (module, file) = url.rsplit_once('/').unwrap();
        assert!(file.ends_with(&format!(".{name}.html")), "{label}{url}");
        let path = format!("{label}: crate::{}::{name}", module.replace('/', "::"));
        assert!(page.contains(&path), "src/lib.rs does not define {path}");
    }
}
