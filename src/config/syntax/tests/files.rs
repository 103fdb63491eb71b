//! Files that include other files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A temporary directory, removed at the end of the test.
struct Directory(PathBuf);

impl Directory {
    fn new(files: &[(&str, &str)]) -> Self {
        // Relaxed: only the uniqueness of the number matters.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("equipoise-syntax-{}-{count}", std::process::id());
        let directory = Self(std::env::temp_dir().join(name));
        for (name, text) in files {
            let file = directory.0.join(name);
            fs::create_dir_all(file.parent().unwrap_or(&directory.0)).expect("a directory");
            fs::write(file, text).expect("a file");
        }
        directory
    }

    fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the tree of a text and all its diagnostics, with `.` in place of the
    /// directory.
    fn read(&self, text: &str) -> (String, String) {
        let input = ReaderInput {
            base: Some(self.0.clone()),
            ..ReaderInput::default()
        };
        let (nodes, _, diagnostics) = read(text, &input);
        let diagnostics = diagnostics.into_vec();
        let reported: String = diagnostics.iter().map(ToString::to_string).collect();
        (
            shown(&nodes),
            reported.replace(&self.0.display().to_string(), "."),
        )
    }

    /// Returns the tree of a text without diagnostics.
    fn tree(&self, text: &str) -> String {
        let (tree, reported) = self.read(text);
        assert_eq!(reported, "");
        tree
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_file_is_read_where_it_is_included() {
    let files = Directory::new(&[("a b.conf", "Define X 1\nB\n")]);
    assert_eq!(
        files.tree("A\n<S>\nInclude 'a b.conf'\nC ${X}\n</S>"),
        "A[] S[]{ B[] C[1] }"
    );
    let whole = files.path().join("a b.conf");
    let text = format!("IncludeOptional \"{}\"", whole.display());
    assert_eq!(files.tree(&text), "B[]");
}

#[test]
fn patterns_and_directories_are_read_in_the_order_of_names() {
    let files = Directory::new(&[
        ("on/b.conf", "B"),
        ("on/a.conf", "A"),
        ("on/a.bak", "Bak"),
        ("on/.hidden.conf", "Hidden"),
        ("sites/2/x.conf", "X2"),
        ("sites/1/x.conf", "X1"),
        ("sites/1/y", "Y"),
    ]);
    assert_eq!(files.tree("Include on/*.conf"), "A[] B[]");
    assert_eq!(files.tree("Include on/[b-z].????"), "B[]");
    assert_eq!(files.tree("Include sites/*/x.conf"), "X1[] X2[]");
    assert_eq!(files.tree("Include sites"), "X1[] Y[] X2[]");
    assert_eq!(files.tree("Include sites/"), "X1[] Y[] X2[]");
    assert_eq!(
        files.tree("Include *"),
        "Hidden[] Bak[] A[] B[] X1[] Y[] X2[]"
    );
    assert_eq!(
        files.tree("IncludeOptional none/*.conf\nIncludeOptional n\n"),
        ""
    );
}

#[test]
fn two_dots_take_back_the_part_before_them() {
    let files = Directory::new(&[("d1/a.conf", "A"), ("d2/b.conf", "B")]);
    assert_eq!(files.tree("Include */../d2/*.conf"), "B[]");
    assert_eq!(files.tree("Include nowhere/../d1"), "A[]");
    let name = files.path().file_name().expect("a name").to_string_lossy();
    assert_eq!(files.tree(&format!("Include ../{name}/d1")), "A[]");
}

#[cfg(unix)]
#[test]
fn a_name_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let files = Directory::new(&[("a.conf", "A")]);
    let name = std::ffi::OsStr::from_bytes(b"n\xff.conf");
    if fs::write(files.path().join(name), "N").is_ok() {
        assert_eq!(files.tree("Include n?.conf\nInclude *"), "N[] A[] N[]");
    }
}

// Apache/2.4.71 with `-t` does the same.
#[test]
fn an_empty_directory_is_no_error_but_a_pattern_without_a_match_is() {
    let files = Directory::new(&[("on/a.conf", "A")]);
    fs::create_dir(files.path().join("none")).expect("a directory");
    assert_eq!(files.tree("Include none\nInclude *"), "A[]");
    assert_eq!(files.tree("IncludeOptional */a.conf"), "A[]");
    let (tree, reported) = files.read("Include none/*\nInclude */a.conf");
    assert_eq!(tree, "A[]");
    assert_eq!(
        reported,
        "\
error: no file matches `none/*`
 --> configuration:1:9
  |
1 | Include none/*
  |         ^^^^^^
  = help: write `IncludeOptional` if the file may be missing
error: file `./none/a.conf` does not exist
 --> configuration:2:9
  |
2 | Include */a.conf
  |         ^^^^^^^^
  = help: write `IncludeOptional` if the file may be missing
"
    );
}

#[test]
fn a_complaint_names_the_included_file() {
    let files = Directory::new(&[("a.conf", "B\n<C>\n")]);
    let (tree, reported) = files.read("<S>\nInclude a.conf\n</S>\n</C>\n");
    assert_eq!(tree, "S[]{ B[] C[]{  } }");
    assert_eq!(
        reported,
        "\
error: `<C>` is never closed
 --> ./a.conf:2:2
  |
2 | <C>
  |  ^
  = help: write `</C>` where it ends
error: `</C>` does not close a section
 --> configuration:4:1
  |
4 | </C>
  | ^^^^
  = help: no open `<C>` precedes it
"
    );
}

#[test]
fn a_missing_file_is_an_error_unless_it_may_be_missing() {
    let files = Directory::new(&[("a", "")]);
    let (_, reported) = files.read("Include b.conf\nInclude *.conf\n");
    assert_eq!(
        reported,
        "\
error: file `./b.conf` does not exist
 --> configuration:1:9
  |
1 | Include b.conf
  |         ^^^^^^
  = help: write `IncludeOptional` if the file may be missing
error: no file matches `*.conf`
 --> configuration:2:9
  |
2 | Include *.conf
  |         ^^^^^^
  = help: write `IncludeOptional` if the file may be missing
"
    );
}

#[test]
fn a_file_that_includes_itself_is_not_read_again() {
    let files = Directory::new(&[("a", "A\nInclude b\n"), ("b", "Include ./a\nB\n")]);
    let (tree, reported) = files.read("Include a\nInclude b");
    assert_eq!(tree, "A[] B[] A[] B[]");
    assert_eq!(
        reported,
        "\
error: `./a` includes itself
 --> ./b:1:9
  |
1 | Include ./a
  |         ^^^
  = help: the file is already being read: remove this `Include`
error: `./b` includes itself
 --> ./a:2:9
  |
2 | Include b
  |         ^
  = help: the file is already being read: remove this `Include`
"
    );
}

#[test]
fn files_within_files_have_an_end() {
    let mut names = Vec::new();
    for n in 0..20 {
        names.push((format!("f{n}"), format!("A\nInclude f{}\n", n + 1)));
    }
    let names: Vec<_> = names
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    let (tree, reported) = Directory::new(&names).read("Include f0");
    assert_eq!(tree.matches("A[]").count(), 16);
    assert_eq!(
        reported,
        "\
error: `./f16` is not read: includes are nested more than 16 deep
 --> ./f15:2:9
  |
2 | Include f16
  |         ^^^
  = help: include it from an outer file
"
    );
}

#[test]
fn files_have_a_size_together() {
    let large = "#".repeat(1 << 20);
    let files = Directory::new(&[("a", &large)]);
    let (_, reported) = files.read(&"Include a\n".repeat(20));
    assert_eq!(
        reported,
        "\
error: included files and values of variables exceed 16 MiB in total
  --> configuration:16:9
   |
16 | Include a
   |         ^
   = help: the rest is not read
"
    );
}

#[test]
fn a_mark_before_the_text_is_not_part_of_it() {
    let files = Directory::new(&[("a", "\u{feff}A b\r\n")]);
    assert_eq!(files.tree("Include a"), "A[b]");
}

#[test]
fn the_file_that_is_read_is_the_first() {
    let files = Directory::new(&[("main", "Include main\nInclude other"), ("other", "A")]);
    let main = files.path().join("main");
    let text = fs::read(&main).expect("a file");
    let input = ReaderInput {
        base: Some(files.path().to_path_buf()),
        file: Some(main),
        ..ReaderInput::default()
    };
    let (nodes, _, diagnostics) = read_bytes(&text, &input);
    let diagnostics = diagnostics.into_vec();
    assert_eq!(shown(&nodes), "A[]");
    assert_eq!(diagnostics.len(), 1);
    assert!(diagnostics[0].message.ends_with("includes itself"));
}
