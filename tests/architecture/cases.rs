//! Shows that each rule notices what it forbids, and leaves alone what it allows.

use crate::rules::{
    apache_words, giving_back, homeless, imports_from_above, speaks_http, unlike_a_room,
    unswappable, unwraps, worldly,
};
use crate::source::Source;

#[test]
fn each_rule_notices_what_it_forbids() {
    type Rule = fn(&Source) -> Vec<String>;
    let member = "src/member/id.rs";
    let cases: &[(Rule, &str, &str)] = &[
        (homeless, "src/pool.rs", ""),
        (homeless, "src/pool/mod.rs", ""),
        (imports_from_above, member, "use crate::balancer::Lease;"),
        (
            imports_from_above,
            member,
            "use crate::{\n    clock::Clock,\n    session::Route,\n};",
        ),
        (
            imports_from_above,
            member,
            "fn f() { super::super::snapshot::g() }",
        ),
        (imports_from_above, member, "use crate::Weight;"),
        (
            imports_from_above,
            "src/config/build.rs",
            "use crate::testkit::laws;",
        ),
        (
            imports_from_above,
            "src/testkit/mod.rs",
            "use crate::service::Layer;",
        ),
        (
            imports_from_above,
            "src/clock.rs",
            "use super::random::Random;",
        ),
        (worldly, member, "pub async fn f() {}"),
        (worldly, member, "use tokio::time;"),
        (worldly, member, "use std::{net::SocketAddr, sync::Arc};"),
        (worldly, member, "std::thread::spawn(f);"),
        (worldly, member, "let now = std::time::Instant::now();"),
        (worldly, member, "println!();"),
        (worldly, member, "eprintln!();"),
        (worldly, member, "tracing::info!();"),
        (worldly, member, "log::info!();"),
        (worldly, member, "#[cfg(all(unix, feature = \"proxy\"))]"),
        (
            worldly,
            "src/balancer/pick.rs",
            "use http::{HeaderMap, Uri};",
        ),
        (worldly, "src/balancer/pick.rs", "use core::future::Future;"),
        (
            worldly,
            "src/balancer/pick.rs",
            "use std::task::{Context, Waker};",
        ),
        (
            imports_from_above,
            "src/net/accept.rs",
            "use crate::proxy::Server;",
        ),
        (
            speaks_http,
            "src/net/accept.rs",
            "use http::{Request, Uri};",
        ),
        (
            speaks_http,
            "src/net/accept.rs",
            "fn f(body: http_body::Frame) {}",
        ),
        (
            speaks_http,
            "src/net/tls/member.rs",
            "use hyper_util::rt::TokioIo;",
        ),
        (
            speaks_http,
            "src/net/tls/member.rs",
            "let reason = h2::Reason::CANCEL;",
        ),
        (
            unswappable,
            member,
            "use std::sync::{Arc, atomic::{AtomicU8, Ordering}};",
        ),
        (unswappable, member, "use core::sync::atomic::AtomicBool;"),
        (unswappable, "src/proxy/tls.rs", "use parking_lot::Mutex;"),
        (unswappable, "src/proxy/tls.rs", "x: arc_swap::ArcSwap<u8>,"),
        (unswappable, "src/proxy/tls.rs", "use std::sync::Mutex;"),
        (
            unswappable,
            "src/proxy/tls.rs",
            "use std::sync::{Arc, RwLock};",
        ),
        (unswappable, "src/proxy/tls.rs", "use loom::sync::Arc;"),
        (giving_back, "src/balancer/wait.rs", "seat.give_back();"),
        (giving_back, "src/member/state.rs", "other.give_back();"),
        (giving_back, "src/member/counters.rs", "self.give_back();"),
        (apache_words, member, "let lbset = 1;"),
        (apache_words, member, "f(\"no lbfactor\");"),
        (unwraps, "src/config/line.rs", "f()\n    .unwrap();"),
        (unlike_a_room, "tests/a/main.rs", "use a;\n"),
        (unlike_a_room, "benches/pick.rs", "/// A bench."),
    ];
    for &(rule, path, text) in cases {
        let found = rule(&Source::new(path, text));
        assert_eq!(found.len(), 1, "{path}: {text}: {found:?}");
    }
    let long = format!("//! Long.\n{}", "\n".repeat(500));
    assert_eq!(
        unlike_a_room(&Source::new(member, &long)).len(),
        1,
        "501 lines"
    );
}

#[test]
fn no_rule_notices_what_is_allowed() {
    let cases = [
        (
            "src/balancer/wait.rs",
            "use std::future::Future;\nuse std::task::Waker;",
        ),
        ("src/balancer/wait/wait_list.rs", "use std::task::Waker;"),
        (
            "src/clock.rs",
            "use crate::sync::AtomicU64;\nfn f() { Instant::now() }",
        ),
        (
            "src/lib.rs",
            "pub use balancer::Lease;\n#[cfg(feature = \"proxy\")]\nmod proxy;",
        ),
        (
            "src/member/counters.rs",
            "fn give_back() {}\n#[cfg(test)]\nmod tests { f().give_back().unwrap() }",
        ),
        (
            "src/member/id.rs",
            "use crate::clock::Clock; // lbset, crate::balancer\nuse super::weight;",
        ),
        (
            "src/member/id.rs",
            "/// Apache: `lbset`; x.unwrap()\n#[doc(alias = \"lbset\")]\n#[cfg(test)]\nuse crate::balancer::Lease;",
        ),
        (
            "src/proxy/tls.rs",
            "use std::{net::SocketAddr, sync::Arc};\nuse tokio::sync::Mutex;\nasync fn f() {}",
        ),
        (
            "src/session/cookie.rs",
            "use http::HeaderMap;\nx.unwrap_or(f64::log(2.0));",
        ),
        (
            "src/sync.rs",
            "mod real { use parking_lot::Mutex; use super::X; use std::sync::atomic::AtomicU8; }",
        ),
        (
            "src/config/line.rs",
            "use crate::{balancer::Balancer, proxy::Reverse};\nlet lbset = 1;",
        ),
    ];
    for (path, text) in cases {
        let source = Source::new(path, &format!("//! A room.\n{text}"));
        for rule in [
            homeless,
            imports_from_above,
            worldly,
            unswappable,
            giving_back,
            apache_words,
            unwraps,
            unlike_a_room,
        ] {
            assert_eq!(rule(&source), [""; 0], "{path}: {text}");
        }
    }
}
