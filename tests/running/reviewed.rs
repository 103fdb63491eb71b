//! What a review found, each in a test that failed before.

use std::fs;

use equipoise::config::{Config, Reader, RunningConfig, Severity, build, parse};

use crate::client::ask;
use crate::member::Member;
use crate::running::{read, run};

/// A place that is open must not open another by a spelling that only some servers read so.
#[tokio::test]
async fn a_place_that_is_open_opens_no_other_by_a_spelling() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "<Location />\nRequire all denied\n</Location>\n\
         <Location /public>\nRequire all granted\n</Location>\n\
         ProxyPass / {}/\n",
        member.url()
    ))
    .await;
    for path in ["/public", "/public/x", "//public/x", "/%70ublic"] {
        assert_eq!(
            ask(running.at(), "GET", path, "").await.status,
            200,
            "{path}"
        );
    }
    for path in [
        "/public;x/secret",
        "/public%2fsecret",
        "/public%5csecret",
        "/;/public",
        "/;a=b;/public/x",
        "/%5cpublic/x",
        "/publicity",
        "/",
    ] {
        assert_eq!(
            ask(running.at(), "GET", path, "").await.status,
            403,
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_has_mistakes_is_not_built() {
    let (config, complaints) =
        parse("Listen 127.0.0.1:0\n<Location /admin>\nRequire ip 10.0.0.300\n</Location>\n");
    assert!(complaints[0].is_error());
    let error = build(config).unwrap_err();
    assert!(error.to_string().contains("has errors"), "{error}");
}

/// They must not be open for want of a module that would have closed them.
#[test]
fn access_in_sections_for_modules_is_not_passed_over() {
    for module in [
        "<IfModule mod_access_compat.c>\nDeny from all\n</IfModule>",
        "<IfModule mod_authz_user.c>\nRequire user root\n</IfModule>",
        "<IfModule mod_auth_basic.c>\nAuthType Basic\n</IfModule>",
        "<IfModule mod_rewrite.c>\nRewriteRule ^/internal - [F]\n</IfModule>",
        "<IfModule mod_remoteip.c>\nRemoteIPHeader X-Real-IP\n</IfModule>",
    ] {
        let (_, complaints) = parse(&format!("<Location /admin>\n{module}\n</Location>\n"));
        assert!(complaints.iter().any(|it| it.is_error()), "{module}");
    }
    let foreign = "<IfModule mod_auth_openidc.c>\nRequire valid-user\n</IfModule>";
    let (_, complaints) = parse(foreign);
    assert!(complaints.iter().any(|it| it.severity == Severity::Warning));
}

#[tokio::test]
async fn the_first_rule_that_fits_maps_a_cookie_back_wherever_it_stands() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "ProxyPassReverseCookiePath / /a\n\
         <Location /c>\nProxyPassReverseCookiePath /a /b\n\
         ProxyPassReverseCookieDomain inner outer\n</Location>\n\
         ProxyPass / {}/\n",
        member.url()
    ))
    .await;
    let target = "/c?Set-Cookie=k=v;%20Path=/;%20Domain=inner";
    let answer = ask(running.at(), "GET", target, "").await;
    assert_eq!(
        answer.header("set-cookie"),
        Some("k=v; Path=/a; Domain=outer")
    );
}

#[test]
fn what_httpd_could_not_have_said_is_refused() {
    let sound =
        || read("Listen 80\nProxyPass / balancer://app\nBalancerMember balancer://app http://a\n");
    assert!(RunningConfig::builder(sound()).check().is_ok());
    let changes: [fn(&mut Config); 4] = [
        |config| config.server.balancers[0].name = "App".to_owned(),
        |config| config.server.balancers[0].members[0].route = Some("a\\\nb".to_owned()),
        |config| config.server.balancers[0].members[0].tier = Some(100),
        |config| config.server.settings.access = vec![equipoise::config::AccessRule::Denied],
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut config = sound();
        change(&mut config);
        assert!(RunningConfig::builder(config).check().is_err(), "{at}");
    }
}

#[test]
fn relative_names_of_files_begin_where_the_file_is_or_at_the_server_s_root() {
    let folder = std::env::temp_dir().join(format!("equipoise-root-{}", std::process::id()));
    fs::create_dir_all(folder.join("root")).unwrap();
    let root = folder.join("root").display().to_string();
    fs::write(folder.join("more.conf"), "Listen 81\n").unwrap();
    fs::write(folder.join("root/more.conf"), "Listen 82\n").unwrap();
    let files = "Include more.conf\nSSLCertificateFile a.pem\n";
    fs::write(folder.join("a.conf"), files).unwrap();
    fs::write(folder.join("b.conf"), format!("ServerRoot {root}\n{files}")).unwrap();
    let read = |name: &str| Reader::new().parse_file(folder.join(name)).unwrap().0;
    let (near, rooted) = (read("a.conf"), read("b.conf"));
    fs::remove_dir_all(&folder).unwrap();

    assert_eq!(near.listeners[0].port, 81);
    let certificate = folder.join("a.pem").display().to_string();
    assert_eq!(near.server.tls.certificate, Some(certificate));
    assert_eq!(rooted.listeners[0].port, 82);
    assert_eq!(rooted.server.tls.certificate, Some(format!("{root}/a.pem")));
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_included() {
    let (_, complaints) = Reader::new().base("/dev").parse("Include zero\n");
    assert!(complaints[0].message.contains("not a regular file"));
}

#[tokio::test]
async fn a_listener_of_both_families_is_one() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let text = format!("Listen 0.0.0.0:{port}\nListen [::]:{port}\n");
    let system = build(read(&text)).unwrap();
    assert_eq!(system.local_addrs().len(), 1);
}

/// Its answer cannot be passed on, but it was the one that was chosen.
#[tokio::test]
async fn a_member_that_switches_unasked_is_still_named() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let member = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
        let answer =
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
    });
    let running = run(&format!(
        "BalancerMember balancer://c http://{member} route=r\nProxyPass / balancer://c/\n\
         Header always set X-Route %{{BALANCER_WORKER_ROUTE}}e env=BALANCER_WORKER_NAME\n"
    ))
    .await;
    let answer = ask(running.at(), "GET", "/", "").await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.header("x-route"), Some("r"));
}

/// A recipe for the case that a module is not there closes, too.
#[test]
fn access_in_sections_for_want_of_modules_is_warned_of() {
    let warned = |text: &str| {
        let (_, complaints) = parse(text);
        complaints.iter().any(|it| it.severity == Severity::Warning)
    };
    assert!(warned(
        "<IfModule !mod_rewrite.c>\nRequire all denied\n</IfModule>"
    ));
    assert!(warned("<IfModule prefork.c>\nProxyPass /x !\n</IfModule>"));
    // As recipes for httpd 2.2 and 2.4 have it.
    assert!(!warned(
        "<IfModule !mod_authz_core.c>\nDeny from all\n</IfModule>"
    ));
}

#[tokio::test]
async fn what_a_place_keeps_back_it_keeps_back_in_every_spelling() {
    let member = Member::start("m").await;
    let running = run(&format!(
        "<Location /l/y>\nProxyPass !\n</Location>\n\
         <Location \"/semi;z\">\nProxyPass {0}/safe\n</Location>\n\
         ProxyPass / {0}/\n",
        member.url()
    ))
    .await;
    for path in ["/l/y", "/l%2fy", "/l/y%2fz", "/l%5cy", "/semi%3bz/q"] {
        assert_eq!(
            ask(running.at(), "GET", path, "").await.status,
            404,
            "{path}"
        );
    }
    assert_eq!(ask(running.at(), "GET", "/l/x", "").await.status, 200);
    let there = ask(running.at(), "GET", "/semi;z/q", "").await;
    assert!(there.body.contains("GET /safe/q\n"), "{there:?}");
    let answer = ask(running.at(), "CONNECT", "a:80", "").await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn a_virtual_host_without_a_name_has_the_main_server_s() {
    let running = run("ServerName main.test\n\
         <VirtualHost *:*>\nServerName first.test\n</VirtualHost>\n\
         <VirtualHost *:*>\n<Location /n>\nRequire all denied\n</Location>\n</VirtualHost>\n")
    .await;
    let status = |host: &'static str| {
        let at = running.at();
        async move { crate::client::get_at(at, host, "/n").await.status }
    };
    assert_eq!(status("main.test").await, 403);
    assert_eq!(status("first.test").await, 404);
}

#[test]
fn what_cannot_be_read_of_access_closes_and_patterns_that_differ_are_refused() {
    let (config, _) = parse("<Location /a>\nRequire ip 10.0.0.300\n</Location>\n");
    let access = &config.server.locations[0].settings.access;
    assert_eq!(*access, [equipoise::config::AccessRule::Denied]);
    for text in [
        "<LocationMatch \"[a&&b]z\">\n</LocationMatch>",
        "<LocationMatch \"^/\\\\<b\">\n</LocationMatch>",
        "RegexDefaultOptions +ICASE",
    ] {
        let (_, complaints) = parse(text);
        assert!(complaints.iter().any(|it| it.is_error()), "{text}");
    }
}

/// However the file was named, and whatever directory the process is in afterwards.
#[test]
fn names_of_files_are_absolute_once_they_are_read() {
    let (config, _) = Reader::new()
        .parse_file("tests/running/relative.conf")
        .unwrap();
    let certificate = config.server.tls.certificate.unwrap();
    let expected = std::env::current_dir().unwrap().join("tests/running/a.pem");
    assert_eq!(certificate, expected.display().to_string());
}
