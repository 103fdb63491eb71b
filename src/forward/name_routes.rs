//! Routing of connections by the host name and protocol that the client requests:
//! [`NameRoutes`].
//!
//! Not here: reading the request (`greeting`).

use std::collections::HashMap;

use super::greeting::{ClientHello, Greeting, host_name};
use crate::net::ByName;

/// A map from host name (SNI), wildcard, and protocol (ALPN) to values: balancers, or any
/// other target of a TLS connection that is not terminated here.
///
/// The first of these values that exists is used:
///
/// 1. the value for the name and a protocol that the client offers; of several, the one
///    that the client prefers
/// 2. the value for the name
/// 3. the value for a wildcard in place of the first label of the name, and a protocol
/// 4. the value for that wildcard
/// 5. the value for a protocol, independent of the name
/// 6. the value for all [other](Self::fallback) TLS clients
///
/// A wildcard stands for exactly one label, as in certificates: `*.example.org` matches
/// `db.example.org`, but neither `example.org` nor `a.db.example.org`. Names are compared
/// in the normalized form of [`ClientHello`].
///
/// Clients without TLS, silent clients, and clients with an SSL 2.0 hello each have a value
/// of their own. A connection without a value should be closed.
///
/// # Examples
///
/// ```
/// use equipoise::forward::{Greeting, GreetingLimits, NameRoutes};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let routes = NameRoutes::new()
///     .name("db.example.org", "database")?
///     .name("*.example.org", "web")?
///     .name_and_alpn("*.example.org", b"acme-tls/1", "certificates")?
///     .fallback("default")
///     .plaintext("ssh");
///
/// let client: &[u8] = b"SSH-2.0-client\r\n";
/// let (greeting, _stream) = Greeting::read(client, &GreetingLimits::new()).await?;
/// assert_eq!(routes.find(&greeting), Some(&"ssh"));
/// assert_eq!(routes.find(&Greeting::Silence), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct NameRoutes<T> {
    named: ByName<ByProtocol<T>>,
    others: ByProtocol<T>,
    plaintext: Option<T>,
    silence: Option<T>,
    ssl2: Option<T>,
}

/// The values for one name.
#[derive(Clone, Debug)]
struct ByProtocol<T> {
    by: HashMap<Box<[u8]>, T>,
    any: Option<T>,
}

/// A text is not a host name that a TLS client could request.
///
/// # Examples
///
/// ```
/// use equipoise::forward::NameRoutes;
///
/// let error = NameRoutes::new().name("db.*.org", ()).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`db.*.org` is not a host name: a wildcard stands for the first label only"
/// );
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{name}` is not a host name: {why}")]
pub struct HostNameError {
    name: String,
    why: &'static str,
}

impl<T> NameRoutes<T> {
    /// Creates a map without values: all connections should be closed.
    pub fn new() -> Self {
        Self {
            named: ByName::new(),
            others: ByProtocol::new(),
            plaintext: None,
            silence: None,
            ssl2: None,
        }
    }

    /// Sets the value for a name, or for a wildcard such as `*.example.org`. Like all
    /// setters of this type, it replaces an earlier value.
    ///
    /// # Errors
    ///
    /// Fails if it is not a host name. Names with non-ASCII letters must be written as in
    /// DNS (`xn--…`).
    pub fn name(mut self, name: &str, value: T) -> Result<Self, HostNameError> {
        self.at(name)?.any = Some(value);
        Ok(self)
    }

    /// Sets the value for clients that request a name, or a name that matches a wildcard,
    /// and offer a protocol.
    ///
    /// # Errors
    ///
    /// As for [`name`](Self::name).
    pub fn name_and_alpn(
        mut self,
        name: &str,
        protocol: &[u8],
        value: T,
    ) -> Result<Self, HostNameError> {
        self.at(name)?.by.insert(protocol.into(), value);
        Ok(self)
    }

    /// Sets the value for clients that offer a protocol, whatever name they request. Values
    /// for their name come first.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::forward::NameRoutes;
    ///
    /// let routes = NameRoutes::new().alpn(b"imap", "mail").alpn(b"h2", "web");
    /// # let _ = routes;
    /// ```
    pub fn alpn(mut self, protocol: &[u8], value: T) -> Self {
        self.others.by.insert(protocol.into(), value);
        self
    }

    /// Sets the value for all other TLS clients: they request another name, or none.
    pub fn fallback(mut self, value: T) -> Self {
        self.others.any = Some(value);
        self
    }

    /// Sets the value for clients without TLS.
    pub fn plaintext(mut self, value: T) -> Self {
        self.plaintext = Some(value);
        self
    }

    /// Sets the value for clients that have sent nothing within the time of
    /// [`GreetingLimits`](super::GreetingLimits). In protocols such as SMTP the server
    /// speaks first, so the client waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::forward::{Greeting, NameRoutes};
    ///
    /// let routes = NameRoutes::new().silent("smtp");
    /// assert_eq!(routes.find(&Greeting::Silence), Some(&"smtp"));
    /// ```
    pub fn silent(mut self, value: T) -> Self {
        self.silence = Some(value);
        self
    }

    /// Sets the value for clients whose hello is in the form of SSL 2.0. Current servers
    /// refuse them.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::forward::{Greeting, NameRoutes};
    ///
    /// let routes = NameRoutes::new().fallback("new").ssl2("old");
    /// assert_eq!(routes.find(&Greeting::Ssl2), Some(&"old"));
    /// ```
    pub fn ssl2(mut self, value: T) -> Self {
        self.ssl2 = Some(value);
        self
    }

    /// Returns the value for a client by its first bytes. If there is none, its connection
    /// should be closed.
    #[must_use]
    pub fn find(&self, greeting: &Greeting) -> Option<&T> {
        match greeting {
            Greeting::ClientHello(hello) => self.find_hello(hello),
            Greeting::NotTls => self.plaintext.as_ref(),
            Greeting::Silence => self.silence.as_ref(),
            Greeting::Ssl2 => self.ssl2.as_ref(),
        }
    }

    fn find_hello(&self, hello: &ClientHello) -> Option<&T> {
        let named = hello.server_name().into_iter();
        let mut known = named.flat_map(|name| self.named.find(name));
        let found = known.find_map(|known| known.find(hello));
        found.or_else(|| self.others.find(hello))
    }

    /// Returns the values for a name, or for a wildcard.
    fn at(&mut self, name: &str) -> Result<&mut ByProtocol<T>, HostNameError> {
        let behind = name.strip_prefix("*.").unwrap_or(name);
        if host_name(behind.as_bytes()).is_none() {
            return Err(HostNameError {
                name: name.to_owned(),
                why: why_not(behind),
            });
        }
        Ok(self.named.entry(name).or_insert_with(ByProtocol::new))
    }
}

fn why_not(name: &str) -> &'static str {
    if !name.is_ascii() {
        "write non-ASCII letters as in DNS (`xn--…`)"
    } else if name.contains('*') {
        "a wildcard stands for the first label only"
    } else if name.parse::<std::net::IpAddr>().is_ok() {
        "it is an address, which TLS clients cannot request as a name"
    } else {
        "it has an empty or too long label, or a character that host names cannot contain"
    }
}

impl<T> Default for NameRoutes<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> ByProtocol<T> {
    fn new() -> Self {
        Self {
            by: HashMap::new(),
            any: None,
        }
    }

    fn find(&self, hello: &ClientHello) -> Option<&T> {
        let mut offered = hello.alpn();
        let found = offered.find_map(|protocol| self.by.get(protocol));
        found.or(self.any.as_ref())
    }
}
