//! Which value a client gets by what it asks for.

use equipoise::forward::{Greeting, GreetingLimits, HostNameError, NameRoutes};

use super::hello::{ALPN, Hello, SERVER_NAME, one_name, protocols};
use super::pieces::block;

fn asking(name: &str, offered: &[&str]) -> Greeting {
    let offered: Vec<_> = offered.iter().map(|it| it.as_bytes()).collect();
    let hello = Hello::with([
        (SERVER_NAME, one_name(name.as_bytes())),
        (ALPN, protocols(&offered)),
    ]);
    let sent = hello.bytes();
    let (greeting, _) = block(Greeting::read(&sent[..], &GreetingLimits::new())).unwrap();
    greeting
}

#[test]
fn the_most_special_that_there_is_counts() -> Result<(), HostNameError> {
    let routes = NameRoutes::new()
        .name("db.example.org", "name")?
        .name_and_alpn("db.example.org", b"postgresql", "name and protocol")?
        .name_and_alpn("api.example.org", b"h2", "api h2")?
        .name_and_alpn("api.example.org", b"http/1.1", "api http/1.1")?
        .name("*.Example.org.", "wildcard")?
        .name_and_alpn("*.example.org", b"acme-tls/1", "wildcard and protocol")?
        .alpn(b"imap", "protocol")
        .fallback("other");
    for (name, offered, found) in [
        ("db.example.org", &["h2"][..], "name"),
        ("DB.EXAMPLE.ORG.", &[], "name"),
        ("db.example.org", &["h2", "postgresql"], "name and protocol"),
        // The name has none for it, but comes first.
        ("db.example.org", &["acme-tls/1"], "name"),
        ("db.example.org", &["imap"], "name"),
        // That which the client likes best.
        ("api.example.org", &["h2", "http/1.1"], "api h2"),
        ("api.example.org", &["http/1.1", "h2"], "api http/1.1"),
        // The name has nothing for it, so the wildcard has.
        ("api.example.org", &[], "wildcard"),
        ("api.example.org", &["acme-tls/1"], "wildcard and protocol"),
        ("www.example.org", &["h2"], "wildcard"),
        ("example.org", &["h2"], "other"),
        ("a.www.example.org", &["imap"], "protocol"),
        ("*.example.org", &[], "other"),
        ("", &["imap"], "protocol"),
        ("", &[], "other"),
    ] {
        let greeting = asking(name, offered);
        assert_eq!(routes.find(&greeting), Some(&found), "{name} {offered:?}");
    }
    Ok(())
}

#[test]
fn what_has_no_value_is_to_be_closed() -> Result<(), HostNameError> {
    let routes = NameRoutes::new().name("db.example.org", 1)?;
    for greeting in [
        asking("other.example.org", &[]),
        asking("", &[]),
        Greeting::NotTls,
        Greeting::Silence,
        Greeting::Ssl2,
    ] {
        assert_eq!(routes.find(&greeting), None, "{greeting:?}");
    }
    let routes = routes.plaintext(2).silent(3).ssl2(4).fallback(5);
    assert_eq!(routes.find(&Greeting::NotTls), Some(&2));
    assert_eq!(routes.find(&Greeting::Silence), Some(&3));
    assert_eq!(routes.find(&Greeting::Ssl2), Some(&4));
    assert_eq!(routes.find(&asking("", &[])), Some(&5));
    Ok(())
}

#[test]
fn a_later_value_takes_the_place_of_an_earlier_one() -> Result<(), HostNameError> {
    let routes = NameRoutes::new().name("a.org", 1)?.name("A.org.", 2)?;
    assert_eq!(routes.find(&asking("a.org", &[])), Some(&2));
    Ok(())
}

#[test]
fn a_name_that_no_client_can_ask_for_is_refused_with_the_reason() {
    for (name, why) in [
        (
            "b\u{fc}cher.example",
            "write non-ASCII letters as in DNS (`xn--…`)",
        ),
        ("*", "a wildcard stands for the first label only"),
        ("*.*.org", "a wildcard stands for the first label only"),
        (
            "10.0.0.1",
            "it is an address, which TLS clients cannot request as a name",
        ),
        (
            "::1",
            "it is an address, which TLS clients cannot request as a name",
        ),
        (
            "",
            "it has an empty or too long label, or a character that host names cannot contain",
        ),
        (
            "a.org:443",
            "it has an empty or too long label, or a character that host names cannot contain",
        ),
        (
            "*.",
            "it has an empty or too long label, or a character that host names cannot contain",
        ),
    ] {
        let error = NameRoutes::new().name(name, ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`{name}` is not a host name: {why}")
        );
        NameRoutes::new()
            .name_and_alpn(name, b"h2", ())
            .unwrap_err();
    }
}
