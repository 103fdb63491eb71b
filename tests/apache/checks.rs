//! Single values in a minimal configuration: whether they are accepted.

use std::fmt::Write;

use equipoise::config::RunningConfig;

use super::case::{Case, Check, Named};
use super::compare::Difference;
use super::port::Places;
use super::world::read;

const MODULES: [&str; 8] = [
    "slotmem_shm",
    "proxy",
    "proxy_http",
    "proxy_balancer",
    "proxy_hcheck",
    "lbmethod_byrequests",
    "lbmethod_bytraffic",
    "lbmethod_bybusyness",
];

/// The checks in which we do not say the same as Apache.
pub(crate) fn differences(case: &Case) -> Vec<Difference> {
    let checks = case.checks.iter().enumerate();
    let differs = checks.filter_map(|(at, check)| {
        let refused = refused(check);
        (refused.is_none() != check.accepted).then(|| Difference {
            event: at,
            field: "accepted".to_owned(),
            apache: check.accepted.into(),
            ours: refused.is_none().into(),
        })
    });
    differs.collect()
}

/// Why a configuration is refused, if it is.
fn refused(check: &Check) -> Option<String> {
    let root = std::env::temp_dir().join("equipoise-apache");
    let root = root.to_string_lossy().into_owned();
    let mut places = Places::new(root.clone());
    let one = [Named {
        name: "a".to_owned(),
        params: check.member_params.clone(),
        ip: None,
        path: None,
    }];
    let members = check.members.as_deref().unwrap_or(&one);
    for member in members {
        if places.address(&member.name).is_none() {
            places.add(&member.name, ([127, 0, 0, 1]).into());
        }
    }
    let text = places.fill(&configuration(check, members));
    match read(&text, &root) {
        Err(error) => Some(error),
        // What is accepted can be built as well.
        Ok(config) => {
            let runtime = tokio::runtime::Handle::current();
            let _inside = runtime.enter();
            RunningConfig::builder(config)
                .build()
                .err()
                .map(|error| error.to_string())
        }
    }
}

fn configuration(check: &Check, members: &[Named]) -> String {
    let mut text = String::new();
    let modules = MODULES
        .into_iter()
        .chain(check.modules.iter().map(String::as_str));
    for module in modules {
        let _ = writeln!(
            text,
            "LoadModule {module}_module {{{{modules}}}}/mod_{module}.so"
        );
    }
    text.push_str("Listen 127.0.0.1:{{port:apache}}\nServerName www.example.test:80\n");
    text.push_str("<Proxy balancer://c>\n");
    for member in members {
        let _ = write!(
            text,
            "  BalancerMember http://{{{{addr:{}}}}}{}",
            member.name,
            member.path.as_deref().unwrap_or_default()
        );
        for (name, value) in &member.params {
            text.push_str(&word(name, value));
        }
        text.push('\n');
    }
    for (name, value) in &check.balancer_params {
        let _ = writeln!(text, "  ProxySet{}", word(name, value));
    }
    text.push_str("</Proxy>\nProxyPass / balancer://c/\n");
    for line in &check.extra {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn word(name: &str, value: &str) -> String {
    match value.contains([' ', '"']) || value.is_empty() {
        true => format!(" \"{name}={}\"", value.replace('"', "\\\"")),
        false => format!(" {name}={value}"),
    }
}
