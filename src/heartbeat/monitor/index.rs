//! Finds the members at an address: [`AddressIndex`]. It uses IP addresses only; names are
//! looked up elsewhere (`maintenance`), and the results are stored here.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::member_address::{HostOrIp, MemberAddress};
use crate::heartbeat::SenderId;

/// A member of a balancer that the monitor follows.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct FollowedMember {
    /// The number of the balancer.
    pub(super) group: u64,
    pub(super) name: Arc<str>,
}

#[derive(Debug, Default)]
pub(super) struct AddressIndex {
    /// Indexed by address and port: finding a report with a port takes the same time for
    /// any number of members at one address.
    by_ip: HashMap<IpAddr, HashMap<Option<u16>, Vec<FollowedMember>>>,
    members: HashMap<FollowedMember, MemberKeys>,
    /// The addresses of each name, as far as it was looked up.
    resolved: HashMap<Arc<str>, Vec<IpAddr>>,
}

/// The configured addresses of a member, and the resulting keys in `by_ip`.
#[derive(Debug, Default)]
struct MemberKeys {
    addresses: Vec<MemberAddress>,
    keys: Vec<SenderId>,
}

impl AddressIndex {
    /// Returns the members that a report belongs to.
    pub(super) fn targets(&self, sender: SenderId) -> Vec<FollowedMember> {
        let Some(at) = self.by_ip.get(&sender.ip()) else {
            return Vec::new();
        };
        let Some(port) = sender.port() else {
            let mut all: Vec<FollowedMember> = at.values().flatten().cloned().collect();
            if at.len() > 1 {
                // A member may have several ports.
                let mut seen = HashSet::new();
                all.retain(|target| seen.insert(target.clone()));
            }
            return all;
        };
        let mut found = at.get(&Some(port)).cloned().unwrap_or_default();
        for target in at.get(&None).into_iter().flatten() {
            if !found.contains(target) {
                found.push(target.clone());
            }
        }
        found
    }

    /// Sets the addresses of a member. Returns the keys that are new.
    pub(super) fn put(
        &mut self,
        target: &FollowedMember,
        addresses: Vec<MemberAddress>,
    ) -> Vec<SenderId> {
        let known = self.members.get(target);
        if known.is_some_and(|known| known.addresses == addresses) {
            return Vec::new();
        }
        self.add(target, addresses)
    }

    pub(super) fn remove(&mut self, target: &FollowedMember) {
        if let Some(known) = self.members.remove(target) {
            self.remove_keys(target, &known.keys);
        }
    }

    /// Removes the members of a balancer for which `stays` is false.
    pub(super) fn retain(&mut self, group: u64, mut stays: impl FnMut(&str) -> bool) {
        let gone: Vec<FollowedMember> = self
            .members
            .keys()
            .filter(|target| target.group == group && !stays(&target.name))
            .cloned()
            .collect();
        for target in &gone {
            self.remove(target);
        }
    }

    /// Returns the names in the addresses of members, without duplicates.
    pub(super) fn names(&self) -> HashSet<Arc<str>> {
        let addresses = self.members.values().flat_map(|known| &known.addresses);
        addresses
            .filter_map(|address| match address.host_or_ip() {
                HostOrIp::Name(name) => Some(name.clone()),
                HostOrIp::Ip(_) => None,
            })
            .collect()
    }

    /// Returns whether an address is a name without a successful lookup yet.
    pub(super) fn lacks(&self, address: &MemberAddress) -> bool {
        match address.host_or_ip() {
            HostOrIp::Name(name) => self.lacks_name(name),
            HostOrIp::Ip(_) => false,
        }
    }

    pub(super) fn lacks_name(&self, name: &str) -> bool {
        !self.resolved.contains_key(name)
    }

    /// Sets the addresses of names, and updates the affected members. Returns these members
    /// with the keys that are new.
    pub(super) fn resolve(
        &mut self,
        found: Vec<(Arc<str>, Vec<IpAddr>)>,
    ) -> Vec<(FollowedMember, Vec<SenderId>)> {
        let mut changed = HashSet::new();
        for (name, mut ips) in found {
            ips.iter_mut().for_each(|ip| *ip = ip.to_canonical());
            ips.sort_unstable();
            ips.dedup();
            if self.resolved.get(&name) != Some(&ips) {
                self.resolved.insert(name.clone(), ips);
                changed.insert(name);
            }
        }
        let in_use = self.names();
        self.resolved.retain(|name, _| in_use.contains(name));
        if changed.is_empty() {
            return Vec::new();
        }
        let is_affected = |address: &MemberAddress| match address.host_or_ip() {
            HostOrIp::Name(name) => changed.contains(name),
            HostOrIp::Ip(_) => false,
        };
        let affected: Vec<(FollowedMember, Vec<MemberAddress>)> = self
            .members
            .iter()
            .filter(|(_, known)| known.addresses.iter().any(is_affected))
            .map(|(target, known)| (target.clone(), known.addresses.clone()))
            .collect();
        let mut moved = Vec::new();
        for (target, addresses) in affected {
            let keys = self.add(&target, addresses);
            moved.push((target, keys));
        }
        moved
    }

    fn add(&mut self, target: &FollowedMember, addresses: Vec<MemberAddress>) -> Vec<SenderId> {
        let former = self.members.remove(target).unwrap_or_default();
        self.remove_keys(target, &former.keys);
        let mut keys = Vec::new();
        for address in &addresses {
            let ips = match address.host_or_ip() {
                HostOrIp::Ip(ip) => std::slice::from_ref(ip),
                HostOrIp::Name(name) => self.resolved.get(name).map_or(&[][..], Vec::as_slice),
            };
            let of_ips = ips.iter().map(|&ip| SenderId::new(ip, address.port()));
            keys.extend(of_ips);
        }
        keys.sort_unstable();
        keys.dedup();
        for key in &keys {
            let at = self.by_ip.entry(key.ip()).or_default();
            at.entry(key.port()).or_default().push(target.clone());
        }
        let new = keys.iter().filter(|it| !former.keys.contains(it));
        let new = new.copied().collect();
        self.members
            .insert(target.clone(), MemberKeys { addresses, keys });
        new
    }

    fn remove_keys(&mut self, target: &FollowedMember, keys: &[SenderId]) {
        for key in keys {
            let Some(at) = self.by_ip.get_mut(&key.ip()) else {
                continue;
            };
            if let Some(targets) = at.get_mut(&key.port()) {
                targets.retain(|it| it != target);
                if targets.is_empty() {
                    at.remove(&key.port());
                }
            }
            if at.is_empty() {
                self.by_ip.remove(&key.ip());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressIndex, FollowedMember};
    use crate::heartbeat::{MemberAddress, SenderId};
    use std::net::IpAddr;
    use std::sync::Arc;

    fn target(name: &str) -> FollowedMember {
        let name = name.into();
        FollowedMember { group: 1, name }
    }

    fn addresses(texts: &[&str]) -> Vec<MemberAddress> {
        let parsed = texts.iter().map(|text| text.parse().unwrap());
        parsed.collect()
    }

    fn put(index: &mut AddressIndex, name: &str, texts: &[&str]) -> Vec<String> {
        let new = index.put(&target(name), addresses(texts));
        new.iter().map(ToString::to_string).collect()
    }

    /// The members that a report belongs to, sorted.
    fn of(index: &AddressIndex, ip: &str, port: Option<u16>) -> Vec<String> {
        let sender = SenderId::new(ip.parse().unwrap(), port);
        let targets = index.targets(sender).into_iter();
        let mut names: Vec<String> = targets.map(|it| it.name.to_string()).collect();
        names.sort_unstable();
        names
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_port_distinguishes_members_at_one_address() {
        let mut index = AddressIndex::default();
        put(&mut index, "a", &["10.0.0.1:80"]);
        put(&mut index, "b", &["10.0.0.1:81"]);
        put(&mut index, "any", &["10.0.0.1"]);
        put(&mut index, "other", &["10.0.0.2:80"]);
        assert_eq!(of(&index, "10.0.0.1", Some(80)), ["a", "any"]);
        assert_eq!(of(&index, "10.0.0.1", Some(81)), ["any", "b"]);
        assert_eq!(of(&index, "10.0.0.1", Some(82)), ["any"]);
        assert_eq!(of(&index, "10.0.0.1", None), ["a", "any", "b"]);
        assert_eq!(of(&index, "::ffff:10.0.0.2", Some(80)), ["other"]);
        assert!(of(&index, "10.0.0.3", None).is_empty());
    }

    #[test]
    fn a_member_with_several_addresses_is_found_once_by_each() {
        let mut index = AddressIndex::default();
        put(&mut index, "a", &["10.0.0.1:80", "10.0.0.1:81", "10.0.0.1"]);
        put(
            &mut index,
            "a",
            &["10.0.0.1:80", "10.0.0.1:81", "2001:db8::1"],
        );
        assert_eq!(of(&index, "10.0.0.1", None), ["a"]);
        assert_eq!(of(&index, "10.0.0.1", Some(80)), ["a"]);
        assert_eq!(of(&index, "2001:db8::1", Some(80)), ["a"]);
        assert!(of(&index, "10.0.0.1", Some(82)).is_empty());
    }

    #[test]
    fn a_member_that_moves_or_is_removed_leaves_no_keys() {
        let mut index = AddressIndex::default();
        assert_eq!(put(&mut index, "a", &["10.0.0.1:80"]), ["10.0.0.1:80"]);
        assert!(put(&mut index, "a", &["10.0.0.1:80"]).is_empty());
        let new = put(&mut index, "a", &["10.0.0.1:80", "10.0.0.2:80"]);
        assert_eq!(new, ["10.0.0.2:80"]);
        index.retain(2, |_| false);
        assert_eq!(of(&index, "10.0.0.1", None), ["a"]);
        index.retain(1, |name| name != "a");
        assert!(index.by_ip.is_empty() && index.members.is_empty());
    }

    #[test]
    fn a_name_is_found_by_its_current_addresses() {
        let mut index = AddressIndex::default();
        assert!(put(&mut index, "a", &["app.internal:80"]).is_empty());
        let address = MemberAddress::host("app.internal", None);
        assert!(index.lacks(&address));
        let name: Arc<str> = "app.internal".into();
        let ips = vec![ip("10.0.0.2"), ip("10.0.0.1"), ip("::ffff:10.0.0.1")];
        let moved = index.resolve(vec![(name.clone(), ips)]);
        assert_eq!(moved.len(), 1);
        assert_eq!(moved[0].1.len(), 2, "each address once");
        assert!(!index.lacks(&address));
        assert_eq!(of(&index, "10.0.0.1", Some(80)), ["a"]);

        let moved = index.resolve(vec![(name.clone(), vec![ip("10.0.0.3")])]);
        assert_eq!(moved.len(), 1);
        assert!(of(&index, "10.0.0.1", Some(80)).is_empty());
        assert_eq!(of(&index, "10.0.0.3", None), ["a"]);
        // The same addresses again change nothing.
        assert!(
            index
                .resolve(vec![(name.clone(), vec![ip("10.0.0.3")])])
                .is_empty()
        );
        // A member that is added later gets the addresses at once.
        assert_eq!(put(&mut index, "b", &["app.internal:81"]), ["10.0.0.3:81"]);
    }

    #[test]
    fn names_that_no_member_has_are_forgotten() {
        let mut index = AddressIndex::default();
        put(&mut index, "a", &["app.internal"]);
        let name: Arc<str> = "app.internal".into();
        index.resolve(vec![(name, vec![ip("10.0.0.1")])]);
        index.remove(&target("a"));
        index.resolve(Vec::new());
        assert!(index.resolved.is_empty() && index.by_ip.is_empty());
    }
}
