//! Indexes of what was read: mappings ([`ParsedMapping`]), and definitions by name
//! ([`Definitions`] and [`Ordered`]). The cost of a look-up does not depend on the length
//! of the configuration.
//!
//! Not here: the configuration that holds the values.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use crate::config::model::{MappingKind, ProxyTarget};
use crate::config::syntax::Span;

/// The positions of balancers and members in their lists, for all hosts. A host is `None`
/// for the main server, or the number of its virtual host.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    balancers: HashMap<Option<usize>, HashMap<String, DefinedBalancer>>,
}

#[derive(Debug, Default)]
struct DefinedBalancer {
    place: usize,
    members: BTreeSet<String>,
}

impl Definitions {
    /// Returns the index of a balancer in its host's list.
    pub(super) fn balancer(&self, host: Option<usize>, name: &str) -> Option<usize> {
        Some(self.balancers.get(&host)?.get(name)?.place)
    }

    pub(super) fn add_balancer(&mut self, host: Option<usize>, name: &str, place: usize) {
        let balancer = DefinedBalancer {
            place,
            ..DefinedBalancer::default()
        };
        let known = self.balancers.entry(host).or_default();
        known.insert(name.to_owned(), balancer);
    }

    /// Returns the longest URL of a member of that balancer that is equal to `url` or a
    /// prefix of it.
    pub(super) fn member(&self, host: Option<usize>, balancer: &str, url: &str) -> Option<&str> {
        let balancer = self.balancers.get(&host)?.get(balancer)?;
        longest_prefix(&balancer.members, url)
    }

    pub(super) fn add_member(&mut self, host: Option<usize>, balancer: &str, url: &str) {
        let known = self.balancers.entry(host).or_default();
        if let Some(balancer) = known.get_mut(balancer) {
            balancer.members.insert(url.to_owned());
        }
    }
}

fn longest_prefix<'s>(texts: &'s BTreeSet<String>, of: &str) -> Option<&'s str> {
    let mut end = of;
    loop {
        let range = (Bound::Unbounded, Bound::Included(end));
        let last = texts.range::<str, _>(range).next_back()?;
        if of.starts_with(last.as_str()) {
            return Some(last);
        }
        // A text between a prefix of `end` and `end` begins with that prefix.
        let same = end.chars().zip(last.chars()).take_while(|(a, b)| a == b);
        let length = same.map(|(letter, _)| letter.len_utf8()).sum();
        end = &end[..length];
    }
}

/// A mapping that was read.
pub(super) struct ParsedMapping {
    /// The virtual host; `None` for the main server.
    pub(super) host: Option<usize>,
    /// The path, or the location's path.
    pub(super) from: String,
    pub(super) kind: MappingKind,
    pub(super) in_location: bool,
    pub(super) target: ProxyTarget,
    pub(super) path_span: Span,
    pub(super) target_span: Span,
}

/// Values by name, in the order in which they were last set.
#[derive(Debug)]
pub(super) struct Ordered<V> {
    places: HashMap<String, u64>,
    values: BTreeMap<u64, (String, V)>,
    next: u64,
}

impl<V> Ordered<V> {
    /// Sets a value; returns whether the name was already set.
    pub(super) fn set(&mut self, name: &str, value: V) -> bool {
        let was_there = self.remove(name);
        self.places.insert(name.to_owned(), self.next);
        self.values.insert(self.next, (name.to_owned(), value));
        self.next += 1;
        was_there
    }

    /// Removes a value; returns whether the name was set.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        let place = self.places.remove(name);
        place.is_some_and(|place| self.values.remove(&place).is_some())
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.values.values().map(|(_, value)| value)
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = (String, V)> {
        self.values.into_values()
    }
}

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            values: BTreeMap::new(),
            next: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ordered, longest_prefix};

    #[test]
    fn the_longest_prefix_is_found_past_others() {
        let texts = ["http://h", "http://h/a", "http://h/ab", "http://h/b", "é"];
        let texts = texts.map(str::to_owned).into_iter().collect();
        for (of, expected) in [
            ("http://h/abc", Some("http://h/ab")),
            ("http://h/ac", Some("http://h/a")),
            ("http://h/aé", Some("http://h/a")),
            ("http://h/é", Some("http://h")),
            ("http://h/", Some("http://h")),
            ("http://g", None),
            ("éa", Some("é")),
            ("", None),
        ] {
            assert_eq!(longest_prefix(&texts, of), expected, "{of}");
        }
    }

    #[test]
    fn what_is_set_again_goes_to_the_end() {
        let mut ordered = Ordered::default();
        for (name, value) in [("a", 1), ("b", 2), ("c", 3)] {
            assert!(!ordered.set(name, value));
        }
        assert!(ordered.set("a", 4));
        assert!(ordered.remove("b"));
        assert!(!ordered.remove("b"));
        let values: Vec<_> = ordered.into_values().map(|(_, value)| value).collect();
        assert_eq!(values, [3, 4]);
    }
}
