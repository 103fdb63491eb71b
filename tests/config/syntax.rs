//! Whatever text comes, reading it does not panic; and files include files.

use equipoise::config::{Diagnostic, Reader, parse};
use proptest::prelude::*;

/// What configurations are made of, and what they are broken by.
const TOKENS: &[&str] = &[
    " ",
    "  ",
    "\t",
    "\n",
    "\n",
    "\n",
    "\r\n",
    "\\\n",
    "\\\r\n",
    "\\",
    "\"",
    "'",
    "\\\"",
    "{",
    "}",
    "#",
    "<",
    ">",
    "</",
    "!",
    "=",
    "\0",
    "\u{feff}",
    "é",
    "\u{2028}",
    "${",
    "${A}",
    "${B}",
    "$",
    "${A${B}}",
    "Define A ",
    "Define B ${A}${A}\n",
    "UnDefine A\n",
    "Include ",
    "Include *\n",
    "IncludeOptional /nowhere/*.conf\n",
    "<IfDefine A>\n",
    "<IfDefine !A>\n",
    "</IfDefine>\n",
    "<IfModule mod_proxy.c>\n",
    "<IfModule !proxy_module>\n",
    "</IfModule>\n",
    "<IfVersion >= 2.4>\n",
    "<IfVersion !< 2.4.72>\n",
    "</IfVersion>\n",
    "<VirtualHost *:80>\n",
    "</VirtualHost>\n",
    "<Proxy balancer://a>\n",
    "</Proxy>\n",
    "<Location /a>\n",
    "</Location>\n",
    "ServerName ",
    "Listen ",
    "80",
    "10.0.0.1:8080",
    "[::1]:80",
    "BalancerMember ",
    "ProxySet ",
    "http://10.0.0.1:8080",
    "balancer://a",
    "loadfactor=2",
    "route=",
    "stickysession=A|b",
    "lbmethod=byrequests",
    "timeout=",
    "99999999999999999999",
    "-1",
    "ProxyPass ",
    "/a",
    "/",
    "ProxyPassReverse ",
    "ProxyHCExpr ok {%{REQUEST_STATUS} =~ /^2/}\n",
    "hcmethod=GET",
    "Header set A ",
    "RequestHeader unset ",
    "env=!x",
    "Require ip ",
    "10.0.0.0/8",
    "SSLEngine on\n",
];

proptest! {
    #[test]
    fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn what_looks_like_a_configuration_never_panics(
        tokens in proptest::collection::vec(proptest::sample::select(TOKENS), 0..80),
    ) {
        let (_, complaints) = parse(&tokens.concat());
        for complaint in complaints {
            prop_assert!(!complaint.to_string().is_empty());
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Reader::new().parse_file("nowhere/site.conf").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    let text = error.to_string();
    assert!(
        text.starts_with("cannot read `nowhere/site.conf`: "),
        "{text}"
    );
}

#[test]
fn a_file_includes_those_beside_it_and_is_named_as_it_was_given() {
    let name = format!("equipoise-config-{}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("site.conf");
    std::fs::write(&file, "Include more.conf\n</A>\n").unwrap();
    std::fs::write(directory.join("more.conf"), "# fine\n</B>\n").unwrap();
    let read = Reader::new().parse_file(&file);
    let renamed = Reader::new().name("site").parse_file(&file);
    std::fs::remove_dir_all(&directory).unwrap();

    let places = |complaints: Vec<Diagnostic>| -> Vec<_> {
        let places = complaints.into_iter().filter_map(|it| it.place);
        places
            .map(|place| (place.file.to_string(), place.line))
            .collect()
    };
    let more = directory.join("more.conf").display().to_string();
    let (_, complaints) = read.unwrap();
    let given = file.display().to_string();
    assert_eq!(places(complaints), [(given, 2), (more.clone(), 2)]);
    let (_, complaints) = renamed.unwrap();
    assert_eq!(places(complaints), [("site".to_owned(), 2), (more, 2)]);
}
