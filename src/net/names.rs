//! Host names as used by TLS: their normal form, and a map by name with wildcards.
//! [`normal`], [`ByName`].
//!
//! Not here: the values of the map, such as certificates (`tls`).

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A map by host name. A name may have a wildcard as its first label, which stands for
/// exactly one label. The exact name has precedence over a wildcard.
#[derive(Clone, Debug)]
pub(crate) struct ByName<V> {
    exact: HashMap<String, V>,
    /// By the part after `*.`.
    wild: HashMap<String, V>,
}

impl<V> ByName<V> {
    pub(crate) fn new() -> Self {
        Self {
            exact: HashMap::new(),
            wild: HashMap::new(),
        }
    }

    /// Returns the entry for a name, or for a name that begins with `*.`.
    pub(crate) fn entry(&mut self, name: &str) -> Entry<'_, String, V> {
        match name.strip_prefix("*.") {
            Some(behind) => self.wild.entry(normal(behind).into_owned()),
            None => self.exact.entry(normal(name).into_owned()),
        }
    }

    /// Returns the values for a name: the exact one first, then that of a wildcard.
    pub(crate) fn find(&self, name: &str) -> impl Iterator<Item = &V> {
        let name = normal(name);
        let wild = match name.split_once('.') {
            Some((first, behind)) if !first.is_empty() => self.wild.get(behind),
            _ => None,
        };
        self.exact.get(&*name).into_iter().chain(wild)
    }
}

/// Returns the form in which names are compared: lower case, without a dot at the end.
pub(crate) fn normal(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|it| it.is_ascii_uppercase()) {
        return Cow::Owned(name.to_ascii_lowercase());
    }
    Cow::Borrowed(name)
}

#[cfg(test)]
mod tests {
    use super::ByName;

    #[test]
    fn a_name_comes_before_a_wildcard_which_stands_for_one_label() {
        let mut known = ByName::new();
        for (name, value) in [("a.example.org", 1), ("*.example.org", 2), ("*.Org.", 3)] {
            known.entry(name).or_insert(value);
        }
        for (name, found) in [
            ("a.example.org", vec![1, 2]),
            ("A.Example.ORG.", vec![1, 2]),
            ("b.example.org", vec![2]),
            ("example.org", vec![3]),
            ("a.b.example.org", vec![]),
            (".example.org", vec![]),
            ("*.example.org", vec![2]),
            ("org", vec![]),
            ("", vec![]),
        ] {
            let values: Vec<_> = known.find(name).copied().collect();
            assert_eq!(values, found, "{name}");
        }
    }
}
