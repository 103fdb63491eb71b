//! What is secret in a configuration is shown by no diagnostic, no error and no `Debug`, and
//! kept by what is printed to be read again.

use std::fs;

use equipoise::config::{Config, Reader, RunningConfig, parse};
use equipoise::proxy::Endpoint;

/// Long enough not to be part of another word.
const SECRET: &str = "hunter2x";

/// Lines with something wrong in them, or worth a warning, beside a secret.
const LINES: &[&str] = &[
    "ProxyPass / http://user:SECRET@10.0.0.1/ retri=1",
    "ProxyPass / http://user:SECRET@10.0.0.1/",
    "ProxyPass / http://SECRET@10.0.0.1/ retri=1",
    "ProxyPass / http://user:SECR/ECRET@10.0.0.1/ token=SECRET x",
    "ProxyPass / user:SECRET@10.0.0.1/",
    "BalancerMember balancer://c user:SECRET@10.0.0.1:80",
    "ProxyPas / http://user:SECRET@10.0.0.1/",
    "ProxyPass \"/\" \"http://user:SECRET@10.0.0.1/",
    "ProxyPass / http://10.0.0.1/?password=SECRET bad",
    "ProxyPass /a/ http://user:SECRET@10.0.0.1/b",
    "ProxyPass /a/ balancer://user:SECRET@x/b",
    "ProxyPass /a/ balancer://user:SECRET@x/b\nTimeout 1",
    "ProxyPassReverse / x ftp://user:SECRET@10.0.0.1/",
    "ProxyPassReverse x http://user:SECRET@10.0.0.1/",
    "ProxyPassReverse / ://user:SECRET@10.0.0.1/",
    "ProxyPassMatch [ http://user:SECRET@10.0.0.1/",
    "ProxyRemote * http://user:SECRET@10.0.0.1/",
    "<Proxy http://user:SECRET@10.0.0.1\nProxySet x=1\n</Proxy>",
    "<Proxy balancer://c secret=SECRET>\n</Proxy>",
    "<Location http://user:SECRET@10.0.0.1/ x>\n</Location>",
    "BalancerMember balancer://c ajp://user:SECRET@10.0.0.1",
    "BalancerMember balancer://c http://10.0.0.1 secret=SECRET retri=1",
    "BalancerMember balancer://c http://10.0.0.1 \"secret=a SECRET\" retri=1",
    "BalancerMember balancer://c http://10.0.0.1 secret=SECRETaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "BalancerMember balancer://c http://10.0.0.1 Secret=a secret=SECRET",
    "BalancerMember balancer://c secret=SECRET://x",
    "BalancerMember balancer://c http://10.0.0.1 loadfactor=secret=SECRET",
    "ProxySet balancer://c nonce=SECRET",
    "Header set Authorization \"Basic SECRET\" env=X y",
    "Headr set Authorization \"Basic SECRET\"",
    "Header sett Authorization \"Basic SECRET\"",
    "Header set Authorization expr=SECRET",
    "Header set Authorization: %SECRET",
    "Header set X-Plain \"Basic SECRET\" y",
    "RequestHeader set Authorization SECRET SECRET",
    "RequestHeader set Authorization \"Bearer SECRET",
    "RequestHeader set X-Api-Key SECRET x",
    "RequestHeader edit Authorization SECRET SECRET",
    "RequestHeader set Authorization \\\n  SECRET \\\n  x",
    "SetEnv DB_PASSWORD SECRET x",
    "SetEnv proxy-auth-token SECRET",
    "SetEnvIf X y DB_PASSWORD=SECRET",
    "PassEnv DB_PASSWORD SECRET",
    "Define DB_PASSWORD SECRET x",
    "Define DB_PASSWORD SECRET\nProxyPass ${DB_PASSWORD} http://10.0.0.1/",
    "Define DB_PASSWORD SECRET\nTimeout ${DB_PASSWORD}",
    "Define DB_PASSWORD SECRET\n${DB_PASSWORD} x",
    "Define DB_PASSWORD SECRET\n<${DB_PASSWORD} x\n",
    "Define DB_PASSWORD SECRET\nProxyPass /${DB_PASSWORD} http://10.0.0.1/\nProxyPass /${DB_PASSWORD}/b http://10.0.0.1/b",
    "Define DB_PASSWORD SECRET\nUnDefine DB_PASSWORD\nDefine X SECRET\nTimeout ${X}",
    "Define X user:SECRET\nProxyPass / http://${X}@10.0.0.1/",
    "Timeout ${FROM_THE_READER_PASSWORD}",
    "Timeout ${FROM_AROUND_PASSWORD}",
    "AuthLDAPBindPassword SECRET",
    "SessionCryptoPassphrase SECRET",
    "SSLProxyMachineCertificateFile a.pem SECRET",
    "DBDParams \"host=h password=SECRET\"",
    "Include http://user:SECRET@10.0.0.1/x",
    "ProxyPass / http://user:SECRET\\\n@10.0.0.1/ bad=1",
    "ProxyPas / http://user:SECRET\\\n@10.0.0.1/",
    "ProxyPas / http://us\\\r\ner:SECRET\\\r\n@10.0.0.1/ \\\r\nx",
    "ProxyPass / http://10.0.0.1/#SECRET",
    "ProxyPass / http://user:a#SECRET@10.0.0.1/ retri=1",
    "ProxyPass / http://10.0.0.1/ secret= SECRET",
    "ProxyPass / http://10.0.0.1/ \"secret= SECRET\"",
    "BalancerMember balancer://c http://10.0.0.1 secret = SECRET",
    "BalancerMember balancer://c http://10.0.0.1 secre=SECRET",
    "BalancerMember balancer://c http://10.0.0.1 sercet=SECRET",
    "ProxySet balancer://c nonc=SECRET",
    "Header set Set-Cookie \"sid=SECRET; Path=/\" x y",
    "Headr add Set-Cookie sid=SECRET",
    "AuthBasicFake user SECRET",
    "LDAPTrustedClientCert CERT_BASE64 a.pem SECRET",
    "LDAPTrustedGlobalCert CERT_PKCS12 a.p12 SECRET",
    "MDExternalAccountBinding kid SECRET",
    "SSLSRPUnknownUserSeed SECRET",
    "CryptoKey SECRET",
    "RewriteCond %{HTTP:Authorization} !SECRET",
    "RewriteCond %{HTTP_COOKIE} sid=SECRET",
    "RewriteCond %{HTTP:X-Api-Key} \"!=SECRET\" [NC]",
    "<If \"%{HTTP:Authorization} == 'SECRET'\">\n</If>",
    "<If \"req('X-Api-Key') == 'SECRET'\">\n</If>",
    "Header set X y \"expr=%{HTTP:Authorization} == 'SECRET'\"",
    "<Location />\nRequire expr \"%{HTTP:Authorization} == 'SECRET'\"\n</Location>",
    "RewriteRule ^ - [E=TOKEN:SECRET]",
    "CustomLog \"|log --password SECRET\" common",
    "CustomLog \"|log --password=SECRET\" common",
    "ErrorLog \"|log --token SECRET\"",
    "RewriteMap m \"prg:/m --api-key SECRET\"",
    "ProxyPass / http://10.0.0.1/?sig=SECRET bad",
];

/// Lines that have a secret, but with nothing to say about them.
const QUIET: &[&str] = &["Header set Set-Cookie \"sid=SECRET; Path=/\""];

fn reader() -> Reader {
    Reader::new()
        .define("FROM_THE_READER_PASSWORD", SECRET)
        .environment([("FROM_AROUND_PASSWORD", SECRET)])
}

#[test]
fn no_diagnostic_shows_a_secret() {
    for line in LINES {
        let text = line.replace("SECRET", SECRET);
        let (config, complaints) = reader().parse(&text);
        assert!(!complaints.is_empty(), "nothing was said of {line}");
        for complaint in &complaints {
            let said = format!("{complaint}{complaint:?}");
            assert!(!said.contains(SECRET), "{line}\n{said}");
            assert!(!said.contains("SECR/"), "{line}\n{said}");
        }
        // Nothing tells that a path or a value came from a variable.
        let said = format!("{config:?}");
        assert!(
            line.starts_with("Define") || !said.contains(SECRET),
            "{said}"
        );
    }
    assert!(!format!("{:?}", reader()).contains(SECRET));
}

#[test]
fn what_is_read_shows_no_secret_either() {
    for line in QUIET {
        let (config, _) = parse(&line.replace("SECRET", SECRET));
        assert!(!format!("{config:?}").contains(SECRET), "{config:?}");
    }
}

/// Whatever is said by us, and whatever only looks like the name of a secret.
#[test]
fn what_is_no_secret_is_shown() {
    for (text, shown) in [
        (
            "ProxyPass /cookie: http://10.0.0.1/ retri=1",
            "ProxyPass /cookie: http://10.0.0.1/ retri=1",
        ),
        (
            "ProxyPass /a http://token:80/ retri=1",
            "ProxyPass /a http://token:80/ retri=1",
        ),
        (
            "ProxyPass /a http://api.token:80/ retri=1",
            "ProxyPass /a http://api.token:80/ retri=1",
        ),
        (
            "Header always set X \"%{HTTPS}e\" bad bad",
            "Header always set X \"%{HTTPS}e\" bad bad",
        ),
        ("RequestHeadr unset Secure x", "RequestHeadr unset Secure x"),
    ] {
        let (_, complaints) = parse(text);
        let said: Vec<_> = complaints.iter().map(ToString::to_string).collect();
        let said = said.concat();
        assert!(
            said.contains(shown) && !said.contains("**"),
            "{text}\n{said}"
        );
    }
    let text = "<Proxy balancer://c>\nBalancerMember http://10.0.0.1 route=a;b\n\
        ProxySet stickysession=S\n</Proxy>\n\
        Header add Set-Cookie \"S=.%{BALANCER_WORKER_ROUTE}e\" env=BALANCER_ROUTE_CHANGED\n\
        ProxyPass / balancer://c/\n";
    let (_, complaints) = parse(text);
    let said: Vec<_> = complaints.iter().map(ToString::to_string).collect();
    let said = said.concat();
    assert!(
        said.contains("cannot be in a cookie: use visible ASCII"),
        "{said}"
    );
    assert!(!said.contains("**"), "{said}");
}

#[test]
fn the_caret_still_points_at_what_is_wrong() {
    let text = "BalancerMember balancer://c http://h secret=hunté2x retri=1\n";
    let (_, complaints) = parse(text);
    let wrong = complaints.iter().find(|it| it.is_error()).unwrap();
    assert_eq!(
        wrong.to_string(),
        "\
error: unknown parameter `retri` for a member
 --> configuration:1:53
  |
1 | BalancerMember balancer://c http://h secret=******* retri=1
  |                                                     ^^^^^
  = help: did you mean `retry`?
"
    );
}

#[test]
fn files_that_include_each_other_show_no_secret() {
    let root = std::env::temp_dir().join(format!("equipoise-secrets-{}", std::process::id()));
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("a.conf"), "Include b.conf\n").unwrap();
    let inner = "RequestHeader set Authorization hunter2x y\nProxyPass / http://u:hunter2x@h/ z\n";
    fs::write(root.join("b.conf"), inner).unwrap();
    let (_, complaints) = Reader::new().base(&root).parse("Include a.conf\n");
    fs::remove_dir_all(&root).unwrap();
    assert!(complaints.len() > 1, "{complaints:?}");
    assert!(
        !format!("{complaints:?}").contains(SECRET),
        "{complaints:?}"
    );
}

/// What could come from a program, or by `serde`.
fn full_of_secrets() -> Config {
    let text = "Listen 127.0.0.1:0\n\
        SetEnv DB_PASSWORD hunter2x\n\
        RequestHeader set Authorization \"Basic hunter2x\"\n\
        <Proxy balancer://c>\n\
          BalancerMember http://10.0.0.1 secret=hunter2x\n\
          ProxySet nonce=hunter2x\n\
        </Proxy>\n\
        ProxyPass / balancer://c/\n\
        ProxyPassReverse / http://10.0.0.1/\n";
    let (mut config, complaints) = parse(text);
    assert!(complaints.iter().all(|it| !it.is_error()), "{complaints:?}");
    let url = "http://user:hunter2x@10.0.0.1";
    config.server.balancers[0].members[0].url = url.to_owned();
    config.server.settings.reverse[0].url = url.to_owned();
    let mut mapping = config.server.settings.mappings[0].clone();
    mapping.path = "/direct".to_owned();
    mapping.target = "http://user:hunter2x@10.0.0.1/direct".parse().unwrap();
    config.server.settings.mappings.insert(0, mapping);
    config
}

#[test]
fn a_configuration_is_debugged_without_secrets_and_printed_with_them() {
    let config = full_of_secrets();
    for said in [format!("{config:?}"), format!("{config:#?}")] {
        assert!(!said.contains(SECRET), "{said}");
        assert!(
            said.contains("10.0.0.1") && said.contains("DB_PASSWORD"),
            "{said}"
        );
    }
    assert_eq!(config.to_string().matches(SECRET).count(), 7, "{config}");
}

#[test]
fn what_cannot_be_built_says_so_without_secrets() {
    let error = RunningConfig::builder(full_of_secrets())
        .check()
        .unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(!said.contains(SECRET), "{said}");
    let error = "hunter2x//user:hunter2x@h".parse::<equipoise::config::ProxyTarget>();
    assert!(error.is_err());
    let error = "://user:hunter2x@h"
        .parse::<equipoise::config::ProxyTarget>()
        .unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(!said.contains(SECRET), "{said}");
}

#[test]
fn a_member_forgets_the_user_of_its_url() {
    let uri = |text: &str| text.parse::<http::Uri>().unwrap();
    let builder = Endpoint::builder(uri("http://user:hunter2x@10.0.0.1:80/x"));
    assert!(!format!("{builder:?}").contains(SECRET), "{builder:?}");
    let endpoint = builder.build().unwrap();
    assert!(
        format!("{endpoint:?}").contains("http://10.0.0.1:80/x"),
        "{endpoint:?}"
    );
    let error = Endpoint::new(uri("ftp://user:hunter2x@10.0.0.1/")).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
}
