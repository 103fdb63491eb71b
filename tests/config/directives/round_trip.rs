//! Whatever is valid is printed so that it is read as the same.

use equipoise::config::{Diagnostic, parse};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn member_parameter() -> impl Strategy<Value = String> {
    let switch = || select(vec!["On", "Off", "oN"]);
    prop_oneof![
        (1_u32..=100, 0_u32..100).prop_map(|(whole, rest)| {
            let rest = if whole == 100 { 0 } else { rest };
            format!("loadfactor={whole}.{rest:02}")
        }),
        (0_u32..=99).prop_map(|tier| format!("lbset={tier}")),
        "[a-z0-9.\"'\\\\{}$#<> é]{0,30}".prop_map(|route| quoted(&format!("route={route}"))),
        "[a-z]{0,60}".prop_map(|route| format!("REDIRECT={route}")),
        "([+-]?[dsirhencDSIRHENC]){0,6}".prop_map(|status| format!("status={status}")),
        (0_u32..=1_000_000, select(vec!["", "s", "ms", "min", "h"]))
            .prop_map(|(n, u)| format!("retry={n}{u}")),
        (1_u32.., select(vec!["", "ms"])).prop_map(|(n, u)| format!("timeout={n}{u}")),
        (1_u32.., select(vec!["", "ms"])).prop_map(|(n, u)| format!("connectiontimeout={n}{u}")),
        (1_u32..=1_000_000, select(vec!["", "s"])).prop_map(|(n, u)| format!("acquire={n}{u}")),
        (0_u32..=1000).prop_map(|n| format!("flushwait={n}")),
        any::<u32>().prop_map(|n| format!("max={n}")),
        any::<u32>().prop_map(|n| format!("smax={n}")),
        (512_u32..).prop_map(|n| format!("iobuffersize={n}")),
        (-1_i32..).prop_map(|n| format!("addressttl={n}")),
        switch().prop_map(|on| format!("enablereuse={on}")),
        switch().prop_map(|on| format!("disablereuse={on}")),
        select(vec!["auto", "on", "off"]).prop_map(|flush| format!("flushpackets={flush}")),
        select(vec!["any", "websocket", "NONE"]).prop_map(|token| format!("upgrade={token}")),
        select(vec!["GET", "head11", "none", "tcp"]).prop_map(|m| format!("hcmethod={m}")),
        (100_u32..).prop_map(|ms| format!("hcinterval={ms}ms")),
        "/[a-z%\"' ]{0,20}".prop_map(|uri| quoted(&format!("hcuri={uri}"))),
    ]
}

fn balancer_parameter() -> impl Strategy<Value = String> {
    let switch = || select(vec!["On", "Off"]);
    prop_oneof![
        select(vec!["byrequests", "bytraffic", "bybusyness", "heartbeat"])
            .prop_map(|method| format!("lbmethod={method}")),
        "[A-Za-z|_.\"' ]{0,40}".prop_map(|names| quoted(&format!("stickysession={names}"))),
        select(vec![".", "!", "off", "\\", "'", "\"", " "])
            .prop_map(|separator| quoted(&format!("stickysessionsep={separator}"))),
        switch().prop_map(|on| format!("scolonpathdelim={on}")),
        switch().prop_map(|on| format!("nofailover={on}")),
        (10_u32..).prop_map(|ms| format!("timeout={ms}ms")),
        any::<u32>().prop_map(|n| format!("maxattempts={n}")),
        vec(100_u16..=599, 0..4).prop_map(|statuses| {
            let words: Vec<_> = statuses.iter().map(u16::to_string).collect();
            format!("failonstatus={}", words.join(","))
        }),
        switch().prop_map(|on| format!("forcerecovery={on}")),
        (1_u32..=100).prop_map(|n| format!("growth={n}")),
    ]
}

fn directive() -> impl Strategy<Value = String> {
    let path = || "/[a-z0-9%._-]{0,8}/?";
    let text = || "[a-zA-Z0-9 \"'\\\\{}$#<>!=]{0,20}".prop_map(|text| quoted(&text));
    prop_oneof![
        path().prop_map(|path| format!("ProxyPass {path} balancer://c{path}")),
        path().prop_map(|path| format!("ProxyPass {path} !")),
        (path(), vec(member_parameter(), 0..4)).prop_map(|(path, parameters)| {
            format!(
                "ProxyPass {path} http://A.example:80{path} nocanon {}",
                parameters.join(" ")
            )
        }),
        path()
            .prop_map(|path| format!("ProxyPassMatch ^{path}(\\d+)\\.(.*)$ balancer://c/$1\\\\$2")),
        path().prop_map(|path| format!("ProxyPassReverse {path} Balancer://C{path}")),
        (text(), text()).prop_map(|(a, b)| format!("ProxyPassReverseCookiePath {a} {b}")),
        (select(vec!["set", "add", "append"]), text(), any::<bool>()).prop_map(
            |(act, value, env)| {
                let env = if env { "env=!X" } else { "" };
                format!("Header always {act} X-Some {value} {env}")
            }
        ),
        text().prop_map(|value| format!("RequestHeader set X-Some {value}")),
        text().prop_map(|value| format!("SetEnv NAME {value}")),
        text().prop_map(|name| format!("ServerName {name}")),
        select(vec!["On", "Off", "On 404 503"]).prop_map(|on| format!("ProxyErrorOverride {on}")),
        select(vec!["On", "Off", "Full", "Block"]).prop_map(|via| format!("ProxyVia {via}")),
        (1_u32..).prop_map(|seconds| format!("ProxyTimeout {seconds}")),
        (path(), vec(member_parameter(), 0..4)).prop_map(|(path, parameters)| {
            let parameters = parameters.join(" ");
            format!("BalancerMember balancer://c http://h:81{path} {parameters}")
        }),
        vec(balancer_parameter(), 1..4).prop_map(|parameters| {
            format!(
                "<Proxy balancer://c>\nProxySet {}\n</Proxy>",
                parameters.join(" ")
            )
        }),
        (path(), text()).prop_map(|(path, value)| {
            format!(
                "<Location {path}>\nProxyPass balancer://c/\nSetEnv X {value}\n\
                 Require ip 10.1 192.168.0.0/255.255.0.0\nSetHandler balancer-manager\n</Location>"
            )
        }),
        path().prop_map(|path| format!(
            "<LocationMatch ^{path}>\nProxyAddHeaders Off\n</LocationMatch>"
        )),
    ]
}

fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

fn text() -> impl Strategy<Value = String> {
    let lines = vec(directive(), 0..8);
    (lines, vec(directive(), 0..8), 0_u16..).prop_map(|(server, host, port)| {
        let (server, host) = (server.join("\n"), host.join("\n"));
        format!("Listen [::1]:{port}\n{server}\n<VirtualHost *:80>\n{host}\n</VirtualHost>\n")
    })
}

/// A directive, or the head of a section, with words that mostly do not belong there.
fn nonsense() -> impl Strategy<Value = String> {
    let name = select(vec![
        "BalancerMember",
        "ProxySet",
        "ProxyPass",
        "ProxyPassMatch",
        "ProxyPassReverse",
        "ProxyPassReverseCookiePath",
        "ProxyPassReverseCookieDomain",
        "ProxyVia",
        "Timeout",
        "ProxyErrorOverride",
        "ProxyHCExpr",
        "ProxyHCTemplate",
        "HeartbeatListen",
        "Listen",
        "HeartbeatMaxServers",
        "ServerName",
        "ServerAlias",
        "SSLProxyVerify",
        "SetHandler",
        "Require",
        "Header",
        "RequestHeader",
        "SetEnv",
        "UnsetEnv",
        "BalancerGrowth",
        "<Proxy balancer://c>\nProxySet",
        "<Location /x>\nProxyPass",
        "<Location",
        "<LocationMatch",
        "<Proxy",
        "<VirtualHost",
        "</Proxy>",
        "</Location>",
        "</VirtualHost>",
    ]);
    let word = prop_oneof![
        select(vec![
            "balancer://c",
            "balancer://",
            "unix:",
            "unix:/a|http:",
            "unix:|",
            "http://a",
            "!",
            "http://[::1]:80/$1",
            "://",
            "=",
            "timeout=1h",
            "status=+",
            "status=D-d",
            "always",
            "set",
            "unset",
            "env=!",
            "env=A",
            "%{A}e",
            "%",
            "ip",
            "10.1",
            "::/0",
            "1.2.3.4.5",
            "all",
            "granted",
            "~",
            "^(.)",
            "/",
            "*:80",
            "[::1]",
            "é://é",
            "unix:é|",
            "1é",
            "On",
            "loadfactor=.5",
            "loadfactor=1.",
            "addressttl=99999999999",
            "stickysession=é",
            "stickysessionsep=é",
            "failonstatus=, ,",
            ">",
        ])
        .prop_map(str::to_owned),
        "[ -~é]{0,6}".prop_map(|word| quoted(&word)),
    ];
    (name, vec(word, 0..5)).prop_map(|(name, words)| format!("{name} {}", words.join(" ")))
}

proptest! {
    #[test]
    fn nonsense_is_refused_or_printed_so_that_it_is_read_as_the_same(lines in vec(nonsense(), 0..6)) {
        let (config, diagnostics) = parse(&lines.join("\n"));
        if !diagnostics.iter().any(Diagnostic::is_error) {
            let printed = config.to_string();
            let (again, diagnostics) = parse(&printed);
            prop_assert_eq!(&again, &config, "{}", printed);
            prop_assert!(!diagnostics.iter().any(Diagnostic::is_error), "{printed}");
        }
    }

    #[test]
    fn what_is_printed_is_read_as_the_same(text in text()) {
        let (config, diagnostics) = parse(&text);
        let errors: Vec<_> = diagnostics.iter().filter(|it| it.is_error()).collect();
        // `%` in a value has to be `%{NAME}e` or `%%`; everything else is valid.
        prop_assert!(errors.is_empty(), "{text}\n{errors:#?}");
        let printed = config.to_string();
        let (again, diagnostics) = parse(&printed);
        prop_assert_eq!(&again, &config, "{}", printed);
        prop_assert!(!diagnostics.iter().any(Diagnostic::is_error));
        prop_assert_eq!(again.to_string(), printed);
    }
}
