//! Finds rules that hide later rules: [`Rules`], in one step for each segment of a path.

use std::collections::HashMap;

use crate::config::model::MappingKind;

/// The rules of one host, in the order in which they are tried.
#[derive(Debug, Default)]
pub(super) struct Rules<'a> {
    /// The tree of prefixes: a node and the next segment lead to another node.
    edges: HashMap<(usize, &'a str), usize>,
    nodes: Vec<PrefixNode>,
    patterns: HashMap<&'a str, usize>,
}

/// The first rules that end at this node.
#[derive(Clone, Copy, Debug, Default)]
struct PrefixNode {
    /// Without a slash at the end: matches this path and paths below it.
    whole: Option<usize>,
    /// With a slash at the end: matches paths below this one.
    below: Option<usize>,
}

impl<'a> Rules<'a> {
    /// Adds a rule by its number; returns the first earlier rule that matches every path of
    /// this rule.
    pub(super) fn add(&mut self, rule: usize, kind: MappingKind, from: &'a str) -> Option<usize> {
        match kind {
            MappingKind::Pattern => {
                let first = *self.patterns.entry(from).or_insert(rule);
                (first != rule).then_some(first)
            }
            MappingKind::Prefix => self.add_prefix(rule, from),
        }
    }

    fn add_prefix(&mut self, rule: usize, from: &'a str) -> Option<usize> {
        let (path, ends_in_slash) = match from.strip_suffix('/') {
            Some(path) => (path, true),
            None => (from, false),
        };
        let mut hides: Option<usize> = None;
        let mut note = |found: Option<usize>| hides = hides.into_iter().chain(found).min();
        let mut at = self.root();
        let mut segments = path.split('/').peekable();
        while let Some(segment) = segments.next() {
            let new = self.nodes.len();
            at = *self.edges.entry((at, segment)).or_insert(new);
            if at == new {
                self.nodes.push(PrefixNode::default());
            }
            let node = self.nodes[at];
            note(node.whole);
            if segments.peek().is_some() || ends_in_slash {
                note(node.below);
            }
        }
        let node = &mut self.nodes[at];
        let first = if ends_in_slash {
            &mut node.below
        } else {
            &mut node.whole
        };
        first.get_or_insert(rule);
        hides
    }

    fn root(&mut self) -> usize {
        if self.nodes.is_empty() {
            self.nodes.push(PrefixNode::default());
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Rules;
    use crate::config::model::MappingKind;

    /// The definition, to compare the tree with.
    fn hides(earlier: &str, later: &str) -> bool {
        let rest = later.strip_prefix(earlier);
        let whole = |rest: &str| rest.starts_with('/') || earlier.ends_with('/');
        earlier == later || rest.is_some_and(whole)
    }

    proptest! {
        #[test]
        fn the_first_rule_that_hides_another_is_found(
            paths in proptest::collection::vec("/(a|b|/){0,5}", 0..12),
        ) {
            let mut rules = Rules::default();
            for (at, path) in paths.iter().enumerate() {
                let expected = paths[..at].iter().position(|earlier| hides(earlier, path));
                prop_assert_eq!(rules.add(at, MappingKind::Prefix, path), expected, "{:?}", paths);
            }
        }
    }
}
