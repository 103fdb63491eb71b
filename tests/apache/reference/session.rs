//! Which session a request names: the value in the mapped URL or in a cookie, and the route in it.
//!
//! Specification 3.1 to 3.4. The two functions that find a value are Apache's; those that
//! [`Fix::SessionText`](super::Fix::SessionText) puts in their place are in [`text`](super::text).

/// What a request says about its session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// The name that was found: the cookie's, or the parameter's.
    pub name: String,
    /// What follows the separator; may be empty.
    pub route: String,
}

/// How the balancer looks for sessions.
#[derive(Clone, Debug)]
pub struct Sticky {
    pub cookie: String,
    pub parameter: String,
    /// `None`: the whole value is the route.
    pub separator: Option<char>,
    pub semicolon_delimits: bool,
}

impl Sticky {
    /// `name`, or `cookie|parameter`.
    pub fn name(&mut self, text: &str) {
        let (cookie, parameter) = text.split_once('|').unwrap_or((text, text));
        self.cookie = cookie.chars().take(63).collect();
        self.parameter = parameter.chars().take(63).collect();
    }

    pub fn is_on(&self) -> bool {
        !self.cookie.is_empty()
    }

    /// The session of a request with this mapped URL (decoded path, raw query) and these cookies.
    pub fn session(&self, url: &str, cookies: &str) -> Option<Session> {
        if !self.is_on() {
            return None;
        }
        let (name, value) = match parameter(url, &self.parameter, self.semicolon_delimits) {
            Some(value) => (&self.parameter, value),
            None => (&self.cookie, cookie(cookies, &self.cookie)?),
        };
        let route = match self.separator {
            Some(separator) => value.split_once(separator)?.1,
            None => value,
        };
        Some(Session {
            name: name.clone(),
            route: route.to_owned(),
        })
    }
}

/// The value of a parameter anywhere in the text: no boundary is needed before its name, and
/// delimiters in front of the value are skipped.
fn parameter<'a>(text: &'a str, name: &str, semicolon_delimits: bool) -> Option<&'a str> {
    let delimits = |c: char| c == '?' || c == '&' || (semicolon_delimits && c == ';');
    let mut from = 0;
    while let Some(at) = text[from..].find(name) {
        let rest = &text[from + at + name.len()..];
        if let Some(value) = rest.strip_prefix('=').filter(|value| !value.is_empty()) {
            let value = value.trim_start_matches(delimits);
            if !value.is_empty() {
                return value.split(delimits).next();
            }
        }
        from += at + name.len();
    }
    None
}

/// The value of a cookie: up to the next `;` or `,`, neither trimmed nor unquoted. A name that
/// stands alone takes the two characters behind it with it.
fn cookie<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut from = 0;
    while let Some(at) = header[from..].find(name) {
        let start = from + at;
        let bounded = header[..start]
            .chars()
            .next_back()
            .is_none_or(|c| c == ';' || c == ',' || c.is_whitespace());
        let rest = header[start + name.len()..].trim_start();
        let value = rest
            .strip_prefix('=')
            .filter(|value| bounded && !value.is_empty());
        if let Some(value) = value {
            return value.split([';', ',']).next();
        }
        from = start + 1;
        if bounded {
            let mut behind = rest.chars();
            behind.nth(1);
            from = header.len() - behind.as_str().len();
        }
    }
    None
}
