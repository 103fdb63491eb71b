//! Tests of the rules: each reports what it forbids, and nothing that it allows.

use crate::rules::{
    apache_words, atomics_outside_sync, count_out_outside_lease, http_in_net, imports_from_above,
    io_in_core, module_without_level, unwraps, wrong_form,
};
use crate::source::Source;

#[test]
fn each_rule_reports_what_it_forbids() {
    type Rule = fn(&Source) -> Vec<String>;
    let member = "src/member/id.rs";
    let cases: &[(Rule, &str, &str)] = &[
        (module_without_level, "src/pool.rs", ""),
        (module_without_level, "src/pool/mod.rs", ""),
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
        (io_in_core, member, "pub async fn f() {}"),
        (io_in_core, member, "use tokio::time;"),
        (io_in_core, member, "use std::{net::SocketAddr, sync::Arc};"),
        (io_in_core, member, "std::thread::spawn(f);"),
        (io_in_core, member, "let now = std::time::Instant::now();"),
        (io_in_core, member, "println!();"),
        (io_in_core, member, "eprintln!();"),
        (io_in_core, member, "tracing::info!();"),
        (io_in_core, member, "log::info!();"),
        (io_in_core, member, "#[cfg(all(unix, feature = \"proxy\"))]"),
        (
            io_in_core,
            "src/balancer/pick.rs",
            "use http::{HeaderMap, Uri};",
        ),
        (
            io_in_core,
            "src/balancer/pick.rs",
            "use core::future::Future;",
        ),
        (
            io_in_core,
            "src/balancer/pick.rs",
            "use std::task::{Context, Waker};",
        ),
        (
            imports_from_above,
            "src/net/accept.rs",
            "use crate::proxy::Server;",
        ),
        (
            http_in_net,
            "src/net/accept.rs",
            "use http::{Request, Uri};",
        ),
        (
            http_in_net,
            "src/net/accept.rs",
            "fn f(body: http_body::Frame) {}",
        ),
        (
            http_in_net,
            "src/net/tls/member.rs",
            "use hyper_util::rt::TokioIo;",
        ),
        (
            http_in_net,
            "src/net/tls/member.rs",
            "let reason = h2::Reason::CANCEL;",
        ),
        (
            atomics_outside_sync,
            member,
            "use std::sync::{Arc, atomic::{AtomicU8, Ordering}};",
        ),
        (
            atomics_outside_sync,
            member,
            "use core::sync::atomic::AtomicBool;",
        ),
        (
            atomics_outside_sync,
            "src/proxy/tls.rs",
            "use parking_lot::Mutex;",
        ),
        (
            atomics_outside_sync,
            "src/proxy/tls.rs",
            "x: arc_swap::ArcSwap<u8>,",
        ),
        (
            atomics_outside_sync,
            "src/proxy/tls.rs",
            "use std::sync::Mutex;",
        ),
        (
            atomics_outside_sync,
            "src/proxy/tls.rs",
            "use std::sync::{Arc, RwLock};",
        ),
        (
            atomics_outside_sync,
            "src/proxy/tls.rs",
            "use loom::sync::Arc;",
        ),
        (
            count_out_outside_lease,
            "src/balancer/wait.rs",
            "seat.count_out();",
        ),
        (
            count_out_outside_lease,
            "src/member/state.rs",
            "other.count_out();",
        ),
        (
            count_out_outside_lease,
            "src/member/counters.rs",
            "self.count_out();",
        ),
        (apache_words, member, "let lbset = 1;"),
        (apache_words, member, "f(\"no lbfactor\");"),
        (unwraps, "src/config/line.rs", "f()\n    .unwrap();"),
        (wrong_form, "tests/a/main.rs", "use a;\n"),
        (wrong_form, "benches/pick.rs", "/// A bench."),
    ];
    for &(rule, path, text) in cases {
        let found = rule(&Source::new(path, text));
        assert_eq!(found.len(), 1, "{path}: {text}: {found:?}");
    }
    let long = format!("//! Long.\n{}", "\n".repeat(500));
    assert_eq!(
        wrong_form(&Source::new(member, &long)).len(),
        1,
        "501 lines"
    );
}

#[test]
fn no_rule_reports_what_is_allowed() {
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
            "fn count_out() {}\n#[cfg(test)]\nmod tests { f().count_out().unwrap() }",
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
        let source = Source::new(path, &format!("//! A file.\n{text}"));
        for rule in [
            module_without_level,
            imports_from_above,
            io_in_core,
            atomics_outside_sync,
            count_out_outside_lease,
            apache_words,
            unwraps,
            wrong_form,
        ] {
            assert_eq!(rule(&source), [""; 0], "{path}: {text}");
        }
    }
}
