//! Rules against servers that read paths in their own ways: what a rule denies, none of them
//! serves.

use equipoise::proxy::{Router, Rule, StaticResponse};
use http::{Request, StatusCode};
use proptest::prelude::*;

use crate::{Member, ask, builder, member};

/// Where parameters of segments (`;x`) are cut off.
#[derive(Clone, Copy, Debug)]
enum Parameters {
    Afterwards,
    /// Before anything is decoded, as servlet containers do.
    First,
    Never,
}

/// How a server finds the place that a path means.
#[derive(Clone, Copy, Debug)]
struct Server {
    backslash: bool,
    escaped_slash: bool,
    parameters: Parameters,
}

impl Server {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for parameters in [Parameters::Afterwards, Parameters::First, Parameters::Never] {
            for (backslash, escaped_slash) in
                [(false, false), (false, true), (true, false), (true, true)]
            {
                all.push(Self {
                    backslash,
                    escaped_slash,
                    parameters,
                });
            }
        }
        all
    }

    fn place_of(self, path: &str) -> String {
        let slashes = |path: String| match self.backslash {
            true => path.replace('\\', "/"),
            false => path,
        };
        let mut path = slashes(path.to_owned());
        if let Parameters::First = self.parameters {
            path = without_parameters(&path);
        }
        path = slashes(decoded(&path, self.escaped_slash));
        if let Parameters::Afterwards = self.parameters {
            path = without_parameters(&path);
        }
        resolved(&path)
    }
}

fn without_parameters(path: &str) -> String {
    let segments = path.split('/');
    let segments = segments.map(|segment| segment.split(';').next().unwrap_or_default());
    segments.collect::<Vec<_>>().join("/")
}

fn decoded(path: &str, escaped_slash: bool) -> String {
    let mut decoded = path.to_owned();
    for (escape, letter) in [("%2e", "."), ("%5c", "\\"), ("%3b", ";"), ("%61", "a")] {
        decoded = decoded.replace(escape, letter);
    }
    match escaped_slash {
        true => decoded.replace("%2f", "/"),
        false => decoded,
    }
}

/// Without segments `.` and `..`, and with single slashes.
fn resolved(path: &str) -> String {
    let mut left = Vec::new();
    let mut is_open = false;
    for segment in path.split('/') {
        is_open = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                left.pop();
            }
            segment => left.push(segment),
        }
    }
    let end = if is_open && !left.is_empty() { "/" } else { "" };
    format!("/{}{end}", left.join("/"))
}

fn denying(rule: Rule) -> Router<Member> {
    let denied = StaticResponse::new(StatusCode::FORBIDDEN, "no\n");
    let router = builder().respond(rule, denied).fallback(member("pages"));
    router.build().unwrap()
}

/// Whatever may stand between two words.
fn between() -> impl Strategy<Value = String> {
    let tokens = prop::sample::select(vec![
        "/", "/", "x", ".", "..", ";", ";", "%2f", "%2e", "\\", "%5c", "%3b",
    ]);
    prop::collection::vec(tokens, 0..4).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_server_serves_what_a_rule_denies(
        (one, two, three, four) in (between(), between(), between(), between()),
        admin in prop::sample::select(vec!["admin", "%61dmin"]),
    ) {
        let path = format!("/{one}api{two}/{three}{admin}{four}");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let passes = |rule: Rule| {
            let request = Request::get(&*path).header("host", "h");
            runtime.block_on(ask(&denying(rule), request)).1 == "pages"
        };
        let exact = passes(Rule::new().path("/api/admin"));
        let below = passes(Rule::new().path_prefix("/api/admin"));
        for server in Server::all() {
            let place = server.place_of(&path);
            let is_below = place == "/api/admin" || place.starts_with("/api/admin/");
            prop_assert!(!(below && is_below), "{path} is {place} to {server:?}");
            let is_exact = place == "/api/admin";
            prop_assert!(!(exact && is_exact), "exactly, {path} is {place} to {server:?}");
        }
    }
}
