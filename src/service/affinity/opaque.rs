//! Routes that clients can neither read nor forge: [`OpaqueKey`], and the table that maps a
//! client's value back to the route.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::balancer::Balancer;
use crate::snapshot::Roster;
use crate::sync::{Mutex, Published};

/// How many bytes of the code are kept.
const LENGTH: usize = 16;

/// The key that makes routes opaque: HMAC-SHA256 of the balancer's name and the route,
/// truncated to 16 bytes, in base64url.
///
/// All proxies that share clients need the same names and keys. To change the key, create
/// one with the new bytes, and add the old bytes with
/// [`with_previous`](Self::with_previous) until all cookies with the old key have expired.
///
/// Source: RFC 2104; the truncation of section 5.
///
/// # Examples
///
/// ```
/// use equipoise::service::{OpaqueKey, RouteCookie};
///
/// let key = OpaqueKey::new("shop", b"the new key, of 32 bytes or more").with_previous(b"the old");
/// let cookie = RouteCookie::new().with_opaque_routes(key);
/// # let _ = cookie;
/// ```
#[derive(Clone)]
pub struct OpaqueKey {
    balancer: Arc<str>,
    present: Hmac<Sha256>,
    previous: Option<Hmac<Sha256>>,
}

impl OpaqueKey {
    /// Creates a key from secret bytes; 32 random bytes are best. The name `balancer` makes
    /// the values of two balancers differ even if their routes are equal.
    #[must_use]
    pub fn new(balancer: &str, key: &[u8]) -> Self {
        Self {
            balancer: balancer.into(),
            present: keyed(key),
            previous: None,
        }
    }

    /// Also accepts values that were made with an older key; a client that presents such a
    /// value keeps it.
    #[must_use]
    pub fn with_previous(self, key: &[u8]) -> Self {
        Self {
            previous: Some(keyed(key)),
            ..self
        }
    }

    fn code(&self, keyed: &Hmac<Sha256>, route: &str) -> [u8; LENGTH] {
        let mut mac = keyed.clone();
        // With its length first, the end of the name is unambiguous.
        mac.update(&(self.balancer.len() as u64).to_le_bytes());
        mac.update(self.balancer.as_bytes());
        mac.update(route.as_bytes());
        let whole = mac.finalize().into_bytes();
        let mut cut = [0; LENGTH];
        cut.copy_from_slice(&whole[..LENGTH]);
        cut
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    match Hmac::new_from_slice(key) {
        Ok(keyed) => keyed,
        Err(_) => unreachable!("an HMAC takes keys of any length"),
    }
}

impl fmt::Debug for OpaqueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpaqueKey")
            .field("balancer", &self.balancer)
            .finish_non_exhaustive()
    }
}

/// The routes of a balancer's members, by the values that clients present.
pub(in crate::service) struct OpaqueRoutes {
    key: OpaqueKey,
    table: Published<OpaqueTable>,
    /// Held while the next table is created.
    making: Mutex<()>,
}

#[derive(Default)]
struct OpaqueTable {
    /// The membership from which the table was created.
    roster: Option<Arc<Roster>>,
    by_code: HashMap<[u8; LENGTH], Arc<str>>,
    /// Codes are copied from table to table: only new routes need a computation.
    codes: HashMap<Arc<str>, Codes>,
}

#[derive(Clone, Copy)]
struct Codes {
    present: [u8; LENGTH],
    previous: Option<[u8; LENGTH]>,
}

impl OpaqueRoutes {
    pub(in crate::service) fn new(key: OpaqueKey) -> Self {
        Self {
            key,
            table: Published::new(OpaqueTable::default()),
            making: Mutex::default(),
        }
    }

    /// Returns the route for a client's value. An unknown value is no session: it is
    /// forged, or its member was removed.
    pub(in crate::service) fn read<W>(
        &self,
        balancer: &Balancer<W>,
        value: &str,
    ) -> Option<Cow<'static, str>> {
        // A little longer than a code, for longer values.
        let mut decoded = [0; LENGTH + 2];
        let length = URL_SAFE_NO_PAD.decode_slice(value, &mut decoded).ok()?;
        let code: [u8; LENGTH] = decoded[..length].try_into().ok()?;
        self.renew(balancer);
        let table = self.table.load();
        let route = table.by_code.get(&code)?;
        Some(Cow::Owned(route.to_string()))
    }

    /// Returns the value for `route`.
    pub(in crate::service) fn write<W>(&self, balancer: &Balancer<W>, route: &str) -> String {
        self.renew(balancer);
        let known = self.table.load().codes.get(route).copied();
        let code = known.map(|codes| codes.present);
        URL_SAFE_NO_PAD.encode(code.unwrap_or_else(|| self.key.code(&self.key.present, route)))
    }

    /// Creates a new table after a change of the membership.
    fn renew<W>(&self, balancer: &Balancer<W>) {
        let is_present = |table: &OpaqueTable| {
            let roster = table.roster.as_ref();
            roster.is_some_and(|roster| balancer.has_roster(roster))
        };
        if is_present(&self.table.load()) {
            return;
        }
        // Concurrent requests wait here: with the old table, their clients would go to
        // another member.
        let _making = self.making.lock();
        let former = self.table.load();
        if !is_present(&former) {
            drop(self.table.swap(self.table_of(balancer.roster(), &former)));
        }
    }

    fn table_of(&self, roster: Arc<Roster>, former: &OpaqueTable) -> OpaqueTable {
        let mut table = OpaqueTable::default();
        for route in roster.by_tier().filter_map(|seat| seat.spec.route_handle()) {
            let codes = former.codes.get(route).copied().unwrap_or_else(|| Codes {
                present: self.key.code(&self.key.present, route),
                previous: self
                    .key
                    .previous
                    .as_ref()
                    .map(|key| self.key.code(key, route)),
            });
            table.by_code.insert(codes.present, route.clone());
            if let Some(previous) = codes.previous {
                table.by_code.insert(previous, route.clone());
            }
            table.codes.insert(route.clone(), codes);
        }
        table.roster = Some(roster);
        table
    }
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    use super::{OpaqueKey, OpaqueRoutes};
    use crate::balancer::Balancer;
    use crate::member::MemberSpec;

    fn balancer(routes: &[&'static str]) -> Balancer<()> {
        let balancer = Balancer::new::<&str>([]).unwrap_or_else(|_| unreachable!("no names"));
        for &route in routes {
            let inserted = balancer.insert(route, (), MemberSpec::new().with_route(route));
            assert!(inserted.is_ok());
        }
        balancer
    }

    #[test]
    fn what_a_client_is_given_leads_back_to_the_route() {
        let balancer = balancer(&["r1", "r2"]);
        let routes = OpaqueRoutes::new(OpaqueKey::new("b", b"key"));
        let value = routes.write(&balancer, "r2");
        assert_eq!(value.len(), 22, "16 bytes in base64url: {value}");
        assert_eq!(routes.read(&balancer, &value).as_deref(), Some("r2"));
    }

    #[test]
    fn what_was_made_up_leads_nowhere() {
        let balancer = balancer(&["r1"]);
        let routes = OpaqueRoutes::new(OpaqueKey::new("b", b"key"));
        let mut tampered = routes.write(&balancer, "r1").into_bytes();
        tampered[3] = if tampered[3] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).unwrap();
        let foreign = OpaqueRoutes::new(OpaqueKey::new("c", b"key")).write(&balancer, "r1");
        let long = "A".repeat(10_000);
        for value in ["r1", "", "AAAA", "!", &tampered, &foreign, &long] {
            assert_eq!(routes.read(&balancer, value), None, "{value}");
        }
    }

    #[test]
    fn an_old_key_is_read_and_the_new_one_written() {
        let balancer = balancer(&["r1"]);
        let old = OpaqueRoutes::new(OpaqueKey::new("b", b"old")).write(&balancer, "r1");
        let key = OpaqueKey::new("b", b"new").with_previous(b"old");
        let routes = OpaqueRoutes::new(key);
        assert_eq!(routes.read(&balancer, &old).as_deref(), Some("r1"));
        let new = OpaqueRoutes::new(OpaqueKey::new("b", b"new")).write(&balancer, "r1");
        assert_eq!(routes.write(&balancer, "r1"), new);
        assert_ne!(old, new);
    }

    #[test]
    fn members_that_come_and_go_are_noticed() {
        let balancer = balancer(&["r1"]);
        let routes = OpaqueRoutes::new(OpaqueKey::new("b", b"key"));
        let r1 = routes.write(&balancer, "r1");
        balancer
            .insert("new", (), MemberSpec::new().with_route("r9"))
            .unwrap();
        let r9 = routes.write(&balancer, "r9");
        assert_eq!(routes.read(&balancer, &r9).as_deref(), Some("r9"));
        balancer.remove("r1").unwrap();
        assert_eq!(routes.read(&balancer, &r1), None);
    }
}
