//! Addresses for one case: ports of its own, and the placeholders that stand for them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;

/// Below the ports that the system gives to connections, so that nobody takes one while
/// a backend is down; five digits each, so that none is the beginning of another.
static NEXT: AtomicU16 = AtomicU16::new(0);
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

/// A port that nobody listens to, and that no other case gets.
pub(crate) fn free_port(ip: IpAddr) -> u16 {
    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    let start = (std::process::id().wrapping_mul(397) % u32::from(COUNT)) as u16;
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start + step % COUNT) % COUNT;
        if TcpListener::bind((ip, port)).is_ok() {
            return port;
        }
    }
}

/// What the placeholders of a case stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    addresses: BTreeMap<String, SocketAddr>,
    root: String,
}

impl Places {
    pub(crate) fn new(root: String) -> Self {
        let mut places = Self {
            addresses: BTreeMap::new(),
            root,
        };
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        places.add("apache", local);
        places.add("udp", local);
        places
    }

    pub(crate) fn add(&mut self, name: &str, ip: IpAddr) -> SocketAddr {
        let address = SocketAddr::new(ip, free_port(ip));
        self.addresses.insert(name.to_owned(), address);
        address
    }

    pub(crate) fn address(&self, name: &str) -> Option<SocketAddr> {
        self.addresses.get(name).copied()
    }

    /// The backend that a member's URL leads to.
    pub(crate) fn whose(&self, url: &str) -> Option<&str> {
        let own = |name: &&String| !matches!(name.as_str(), "apache" | "udp");
        let mut addresses = self.addresses.iter().filter(|(name, _)| own(name));
        let found = addresses.find(|(_, address)| url.contains(&address.to_string()));
        found.map(|(name, _)| name.as_str())
    }

    /// A text with its placeholders filled.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            filled.push_str(before);
            let Some((name, after)) = after.split_once("}}") else {
                filled.push_str("{{");
                rest = after;
                continue;
            };
            match self.value(name) {
                Some(value) => filled.push_str(&value),
                None => filled.push_str(&format!("{{{{{name}}}}}")),
            }
            rest = after;
        }
        filled.push_str(rest);
        filled
    }

    fn value(&self, name: &str) -> Option<String> {
        match name {
            "root" => return Some(self.root.clone()),
            "modules" => return Some(format!("{}/modules", self.root)),
            _ => {}
        }
        let (what, whose) = name.split_once(':')?;
        let address = self.addresses.get(whose)?;
        match what {
            "addr" => Some(address.to_string()),
            "ip" => Some(address.ip().to_string()),
            "port" => Some(address.port().to_string()),
            _ => None,
        }
    }

    /// The same in all texts of a value.
    pub(crate) fn fill_value(&self, value: &Value) -> Value {
        match value {
            Value::Array(values) => values.iter().map(|value| self.fill_value(value)).collect(),
            Value::Object(fields) => {
                let filled = fields
                    .iter()
                    .map(|(name, value)| (name.clone(), self.fill_value(value)));
                Value::Object(filled.collect())
            }
            Value::String(text) => Value::String(self.fill(text)),
            other => other.clone(),
        }
    }
}
