//! Labels of a member: names and texts that its source sets for schedulers.
//!
//! Not here: what a label means. The crate gives no label a meaning.

use std::fmt;
use std::sync::Arc;

/// The number of characters of a text that are shown; see [`Labels`].
const SHOWN: usize = 64;

/// The labels of a member, such as its zone or its version, by name.
///
/// The crate gives no label a meaning. A scheduler of your own can read them
/// ([`Candidate::label`](crate::scheduler::Candidate::label)), and
/// [`explain`](crate::Balancer::explain) shows them. A label has a name and a text; both
/// can be any text of any length, also empty. They are stored once, and all clones of a
/// spec share them. Code that reads labels from a network should limit them. `Display`
/// shortens names and texts to 64 characters each.
///
/// # Examples
///
/// ```
/// use equipoise::MemberSpec;
///
/// let spec = MemberSpec::new().with_label("zone", "a").with_label("version", "1.4");
/// let labels = spec.labels();
/// assert_eq!(labels.get("zone"), Some("a"));
/// assert_eq!(labels.iter().collect::<Vec<_>>(), [("version", "1.4"), ("zone", "a")]);
/// assert_eq!(labels.to_string(), "version=1.4, zone=a");
/// ```
// One pointer, as most specs have no labels. `None` if there are none, so that equal labels
// are equal values.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Labels(Option<Arc<Vec<Label>>>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Label {
    name: Arc<str>,
    text: Arc<str>,
}

impl Labels {
    pub(super) const NONE: Self = Self(None);

    /// Sorted by name.
    fn all(&self) -> &[Label] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.all().binary_search_by(|label| (*label.name).cmp(name))
    }

    pub(super) fn set(&mut self, name: &str, text: &str) {
        let text = Arc::from(text);
        let found = self.find(name);
        let all = Arc::make_mut(self.0.get_or_insert_default());
        match found {
            Ok(at) => all[at].text = text,
            Err(at) => {
                let name = Arc::from(name);
                all.insert(at, Label { name, text });
            }
        }
    }

    pub(super) fn unset(&mut self, name: &str) {
        let Ok(at) = self.find(name) else {
            return;
        };
        if self.len() == 1 {
            self.0 = None;
        } else if let Some(all) = &mut self.0 {
            Arc::make_mut(all).remove(at);
        }
    }

    /// Returns the text of a label, if the member has that label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.find(name).ok()?;
        Some(&self.all()[at].text)
    }

    /// Iterates over all labels, each a name and a text, sorted by name.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.all().iter().map(|label| (&*label.name, &*label.text))
    }

    /// Returns how many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all().len()
    }

    /// Returns whether there are no labels.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, text)) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let (name, text) = (start(name).escape_debug(), start(text).escape_debug());
            write!(f, "{comma}{name}={text}")?;
        }
        Ok(())
    }
}

/// Returns the first characters of a text.
fn start(text: &str) -> &str {
    let end = text.char_indices().nth(SHOWN);
    end.map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::Labels;

    #[test]
    fn a_label_is_set_once_and_the_last_text_counts() {
        let mut labels = Labels::NONE;
        for (name, text) in [("b", "1"), ("a", "2"), ("", ""), ("b", "3")] {
            labels.set(name, text);
        }
        assert_eq!(
            labels.iter().collect::<Vec<_>>(),
            [("", ""), ("a", "2"), ("b", "3")]
        );
        assert_eq!((labels.get("b"), labels.get("c")), (Some("3"), None));
    }

    #[test]
    fn labels_that_are_all_taken_away_are_equal_to_none() {
        let mut labels = Labels::NONE;
        labels.set("a", "1");
        labels.set("b", "2");
        labels.unset("c");
        labels.unset("a");
        assert_eq!(labels.len(), 1);
        labels.unset("b");
        assert!(labels.is_empty());
        assert_eq!(labels, Labels::default());
    }

    #[test]
    fn a_copy_shares_its_labels_until_it_is_changed() {
        let mut labels = Labels::NONE;
        labels.set("a", "1");
        let mut copy = labels.clone();
        assert_eq!(
            copy.get("a").map(str::as_ptr),
            labels.get("a").map(str::as_ptr)
        );
        copy.set("b", "2");
        assert_eq!((labels.len(), copy.len()), (1, 2));
        assert_eq!(
            copy.get("a").map(str::as_ptr),
            labels.get("a").map(str::as_ptr)
        );
    }

    #[test]
    fn long_and_strange_texts_are_shown_in_a_line() {
        let mut labels = Labels::NONE;
        labels.set("ü\n", &"ö".repeat(100));
        let shown = format!("ü\\n={}", "ö".repeat(64));
        assert_eq!(labels.to_string(), shown);
    }

    #[test]
    fn a_spec_without_labels_pays_one_pointer() {
        assert_eq!(size_of::<Labels>(), size_of::<usize>());
    }
}
