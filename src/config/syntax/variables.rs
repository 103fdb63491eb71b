//! Variables: `Define`, `UnDefine`, `${NAME}`.
//!
//! Not here: finding `${` in a line (`fill`).

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::config::secret::sounds_secret;

/// The longest name for which a similar name is searched; the time grows with the square of
/// the length.
const LONGEST: usize = 64;

/// The defined names, and the values of some of them.
///
/// As in httpd these are two lists: `<IfDefine>` respects the case of a name, `${NAME}`
/// ignores it. A name that was defined without a value, or with an empty one, is not
/// expanded.
#[derive(Debug, Default)]
pub(super) struct Variables {
    names: HashSet<String>,
    /// The key is the name in lower case; the value is the name as written, and its value.
    values: BTreeMap<String, (String, String)>,
    environment: HashMap<String, String>,
    /// All values of names that suggest a secret, including values that were replaced
    /// later.
    secrets: HashSet<String>,
}

impl Variables {
    pub(super) fn new(defines: &[(String, String)], environment: &[(String, String)]) -> Self {
        let secret = environment.iter().filter(|(name, _)| sounds_secret(name));
        let mut variables = Self {
            environment: environment.iter().cloned().collect(),
            secrets: secret.map(|(_, value)| value.clone()).collect(),
            ..Self::default()
        };
        for (name, value) in defines {
            variables.define(name, Some(value.clone()));
        }
        variables
    }

    pub(super) fn define(&mut self, name: &str, value: Option<String>) {
        self.names.insert(name.to_owned());
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let key = name.to_ascii_lowercase();
            if sounds_secret(name) {
                self.secrets.insert(value.clone());
            }
            self.values.insert(key, (name.to_owned(), value));
        }
    }

    pub(super) fn undefine(&mut self, name: &str) {
        self.names.remove(name);
        self.values.remove(&name.to_ascii_lowercase());
    }

    /// Returns the values that must not be shown.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(String::as_str)
    }

    pub(super) fn is_defined(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let found = self.values.get(&name.to_ascii_lowercase());
        let found = found.map(|(_, value)| value);
        found
            .or_else(|| self.environment.get(name))
            .map(String::as_str)
    }

    /// Returns the most similar name that has a value.
    pub(super) fn nearest(&self, name: &str) -> Option<&str> {
        if name.len() > LONGEST {
            return None;
        }
        let name = name.to_ascii_lowercase();
        let values = self.values.iter().filter(|(key, _)| key.len() <= LONGEST);
        let rated = values.map(|(key, (name_of, _))| (strsim::jaro_winkler(key, &name), name_of));
        let good = rated.filter(|(likeness, _)| *likeness > 0.8);
        let best = good.max_by(|(a, _), (b, _)| a.total_cmp(b));
        best.map(|(_, name)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_value_has_nothing_to_fill_in() {
        let mut variables = Variables::default();
        variables.define("A", None);
        assert!(variables.is_defined("A"));
        assert_eq!(variables.value("A"), None);
    }

    #[test]
    fn only_the_value_is_found_in_any_case() {
        let mut variables = Variables::default();
        variables.define("Port", Some("80".into()));
        assert_eq!(variables.value("PORT"), Some("80"));
        assert!(!variables.is_defined("PORT"));
        variables.undefine("PORT");
        assert!(variables.is_defined("Port"));
        assert_eq!(variables.value("Port"), None);
    }

    #[test]
    fn the_environment_fills_in_what_is_not_defined() {
        let pair = |value: &str| ("A".to_owned(), value.to_owned());
        let mut variables = Variables::new(&[pair("defined")], &[pair("around")]);
        assert_eq!(variables.value("A"), Some("defined"));
        variables.undefine("A");
        assert_eq!(variables.value("A"), Some("around"));
        assert_eq!(variables.value("a"), None);
        assert!(!variables.is_defined("A"));
    }

    #[test]
    fn the_nearest_name_is_none_if_none_is_near() {
        let mut variables = Variables::default();
        variables.define("HOST", Some("a".into()));
        variables.define("PORT", Some("80".into()));
        assert_eq!(variables.nearest("PROT"), Some("PORT"));
        assert_eq!(variables.nearest("zzz"), None);
    }
}
