//! Requests that name no host, or more than one, before a plain reverse proxy; and what a
//! member gets of those that do.

use super::heads::sent;

/// A GET with this target and these lines, in this version.
fn get(version: &str, target: &str, lines: &str) -> String {
    format!("GET {target} {version}\r\n{lines}connection: close\r\n\r\n")
}

#[tokio::test]
async fn a_request_without_one_host_is_refused() {
    for (target, lines) in [
        ("/", ""),
        ("/", "host: a\r\nhost: b\r\n"),
        ("/", "host: a\r\nhost: a\r\n"),
        ("/", "host:\r\n"),
        ("/", "host: a b\r\n"),
        ("/", "host: a,b\r\n"),
        ("/", "host: user@a\r\n"),
        ("/", "host: a/b\r\n"),
        ("/", "host: a?b\r\n"),
        ("/", "host: a#b\r\n"),
        ("/", "host: a\\b\r\n"),
        ("/", "host: :80\r\n"),
        ("/", "host: a:x\r\n"),
        ("/", "host: a:80:80\r\n"),
        ("/", "host: [::1\r\n"),
        ("/", "host: \"a\"\r\n"),
        ("/", "host: a%00\r\n"),
        ("/", "host: http://a\r\n"),
        // RFC 9112, 3.2: the line has to be there, and to be one that is fine.
        ("http://a/", ""),
        ("http://a/", "host: a\r\nhost: a\r\n"),
        ("http://a/", "host: a b\r\n"),
        ("http://user:pw@a/", "host: a\r\n"),
        ("http://:80/", "host: a\r\n"),
        ("ftp://a/", "host: a\r\n"),
        ("file:///x", "host: a\r\n"),
        ("ws://a/", "host: a\r\n"),
        ("a:80", "host: a\r\n"),
    ] {
        let outcome = sent(get("HTTP/1.1", target, lines)).await;
        outcome.is_refused(400, &format!("{target} {lines}"));
    }
}

#[tokio::test]
async fn a_request_for_one_host_goes_on() {
    for (version, target, lines, path) in [
        ("HTTP/1.1", "/x", "host: a\r\n", "/x"),
        ("HTTP/1.1", "/x", "host: \t A.example.:8080 \r\n", "/x"),
        ("HTTP/1.1", "/x", "host: [::1]:80\r\n", "/x"),
        ("HTTP/1.1", "http://b/x", "host: a\r\n", "/x"),
        ("HTTP/1.1", "HTTP://b/x", "host: a\r\n", "/x"),
        ("HTTP/1.1", "https://b:443/x", "host: a\r\n", "/x"),
        ("HTTP/1.1", "http://b", "host: a\r\n", "/"),
        ("HTTP/1.0", "/x", "", "/x"),
        ("HTTP/1.0", "http://b/x", "", "/x"),
        ("HTTP/1.0", "/x", "host: a\r\n", "/x"),
    ] {
        let outcome = sent(get(version, target, lines)).await;
        let [request] = outcome.heard.as_slice() else {
            panic!("{version} {target} {lines}: {outcome:?}");
        };
        assert_eq!(request.first_line(), format!("GET {path} HTTP/1.1"));
        let named = if target.contains("//b") {
            Some("b")
        } else if lines.is_empty() {
            None
        } else {
            let host = lines.trim_end().trim_start_matches("host:").trim();
            Some(host)
        };
        let told = request.header("x-forwarded-host");
        let told = told.map(|host| host.trim_end_matches(":443"));
        assert_eq!(told, named, "{version} {target} {lines}");
    }
}

#[tokio::test]
async fn options_of_the_whole_server_goes_on() {
    let request = "OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let outcome = sent(request).await;
    let [request] = outcome.heard.as_slice() else {
        panic!("{outcome:?}");
    };
    assert_eq!(request.first_line(), "OPTIONS * HTTP/1.1");
}

#[tokio::test]
async fn every_expectation_is_read() {
    for (lines, status) in [
        ("expect: more\r\n", 417),
        ("expect: 100-continue\r\nexpect: more\r\n", 417),
        ("expect: more\r\nexpect: 100-continue\r\n", 417),
        ("expect: 100-continue, more\r\n", 417),
        ("expect: 100-continue;q=1\r\n", 417),
        // hyper sends no 100 for these.
        ("expect: 100-continue, 100-continue\r\n", 417),
        ("expect: 100-continue,\r\n", 417),
        ("expect: ,100-continue\r\n", 417),
        ("expect: ,\r\n", 417),
        ("expect:\r\n", 417),
        ("expect: 100-continue\r\nexpect:\r\n", 417),
    ] {
        let lines = format!("host: a\r\n{lines}");
        let outcome = sent(get("HTTP/1.1", "/", &lines)).await;
        outcome.is_refused(status, &lines);
    }
    for lines in [
        "expect: 100-Continue\r\n",
        "expect: 100-continue\r\nexpect: 100-continue\r\n",
    ] {
        let outcome = sent(get("HTTP/1.1", "/", &format!("host: a\r\n{lines}"))).await;
        let [request] = outcome.heard.as_slice() else {
            panic!("{lines}: {outcome:?}");
        };
        assert_eq!(request.header("expect"), None);
    }
}

#[tokio::test]
async fn what_some_servers_read_as_framing_goes_to_no_member() {
    for name in [
        "transfer_encoding",
        "Transfer_Encoding",
        "content_length",
        "CONTENT_LENGTH",
        "keep_alive",
        "proxy_connection",
    ] {
        let lines = format!("host: a\r\n{name}: 5\r\ncontent-length: 2\r\n");
        let outcome = sent(format!(
            "POST / HTTP/1.1\r\n{lines}connection: close\r\n\r\nab"
        ))
        .await;
        let [request] = outcome.heard.as_slice() else {
            panic!("{name}: {outcome:?}");
        };
        assert_eq!(request.header(&name.to_ascii_lowercase()), None, "{name}");
        assert_eq!(request.framing(), ["content-length: 2"], "{name}");
    }
}
