//! Apache httpd and the reader include the same files, in the same order.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use equipoise::config::Reader;

/// A directory with files, which ends with the test. Each file listens on a port of its own.
struct Tree(PathBuf);

const FIRST_PORT: usize = 10_000;

const FILES: [&str; 25] = [
    "!.conf",
    "-.conf",
    ".dd/a.conf",
    ".hidden.conf",
    "10.conf",
    "2.conf",
    "B.conf",
    "[x].conf",
    "]y.conf",
    "^.conf",
    "a-b.conf",
    "a.conf",
    "a\\b.conf",
    "a].conf",
    "a^b.conf",
    "b.conf",
    "d-e/a.conf",
    "d/a.conf",
    "d1/.h.conf",
    "d1/sub/deep/q.conf",
    "d1/z.conf",
    "d2/a.conf",
    "x.conf",
    "z*.conf",
    "ä.conf",
];

#[rustfmt::skip]
const PATTERNS: &[&str] = &[
    "*", "*.conf", ".*", ".h*", "?hidden.conf", "[.]hidden.conf", ".d*/*", "d1/.h*", "\\.h*",
    "**", "**.conf", "**/*.conf", "*/*.conf", "*/a.conf", "d?/*.conf", "d[1-2]/*.conf", "d*/sub",
    "d1", "d1/", "d*/", "./d1/*.conf", "d1//*.conf", "d1/../d2/*.conf", "*/../d2/*.conf",
    "[a-z]*.conf", "[a-zA-Z].conf", "[!a-z]*.conf", "[^a]*.conf", "[!^]*.conf", "[z-a]*.conf",
    "[]a]*.conf", "[!]a]*.conf", "[]-a]*.conf", "[-a]*.conf", "[a-]*.conf", "[\\]]*.conf",
    "[a\\-c]*.conf", "[[]x].conf", "[x].conf", "\\[x].con?", "\\[x].conf", "z\\*.con?", "z\\*.conf",
    "a\\b.conf", "a\\\\b.con?", "a[", "[a", "[", "[!]*.conf", "?.conf", "??.conf", "[ä]?.conf",
    "*.CONF", "{a,b}.conf", "nothing*",
];

impl Tree {
    fn new() -> Self {
        let name = format!("equipoise-includes-{}", std::process::id());
        let tree = Self(std::env::temp_dir().join(name));
        for (number, file) in FILES.iter().enumerate() {
            let file = tree.0.join("in").join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            let text = format!("Listen 127.0.0.1:{}\n", FIRST_PORT + number);
            std::fs::write(file, text).unwrap();
        }
        tree
    }

    /// What httpd includes for each pattern.
    fn by_httpd(&self) -> HashMap<usize, Vec<String>> {
        let root = self.0.join("in");
        let module = "/usr/lib/apache2/modules/mod_mpm_event.so";
        let mut text = format!(
            "LoadModule mpm_event_module {module}\nServerRoot {}\nServerName localhost\n",
            root.display()
        );
        let lines_before = text.lines().count();
        for pattern in PATTERNS {
            let _ = writeln!(text, "IncludeOptional \"{}\"", quoted(pattern));
        }
        let file = self.0.join("httpd.conf");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("apache2");
        command.args(["-t", "-D", "DUMP_INCLUDES", "-f"]).arg(&file);
        let output = command.output().unwrap();
        let listed = String::from_utf8(output.stdout).unwrap();
        let mut included: HashMap<usize, Vec<String>> = HashMap::new();
        for row in listed.lines() {
            let row = row.trim_start().strip_prefix('(');
            let Some((line, path)) = row.and_then(|row| row.split_once(") ")) else {
                continue;
            };
            if let Ok(line) = line.parse::<usize>() {
                let path = path.strip_prefix(root.to_str().unwrap()).unwrap();
                let number = line - lines_before - 1;
                included
                    .entry(number)
                    .or_default()
                    .push(path.trim_start_matches('/').to_owned());
            }
        }
        included
    }

    fn by_us(&self, pattern: &str) -> Vec<String> {
        let text = format!("IncludeOptional \"{}\"", quoted(pattern));
        let (config, _) = Reader::new().base(self.0.join("in")).parse(&text);
        let ports = config.listeners.iter().map(|listener| listener.port);
        ports
            .map(|port| FILES[usize::from(port) - FIRST_PORT].to_owned())
            .collect()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn quoted(pattern: &str) -> String {
    pattern.replace('\\', "\\\\")
}

#[test]
#[ignore = "needs apache2"]
fn a_pattern_includes_what_it_does_in_httpd() {
    let tree = Tree::new();
    let included = tree.by_httpd();
    assert!(included.len() > 30, "{included:?}");
    for (number, pattern) in PATTERNS.iter().enumerate() {
        let httpd = included.get(&number).cloned().unwrap_or_default();
        assert_eq!(tree.by_us(pattern), httpd, "{pattern}");
    }
}
