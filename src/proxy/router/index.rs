//! Finds the rules that may match a request by its host and path, without checking the
//! others.
//!
//! ```text
//! host ─► HashMap ───────────┐
//! its endings ─► HashMap ────┼─► trees of path segments ─► lists of rules, in order
//! rules for any host ────────┘
//! ```
//!
//! The index only leaves out rules that cannot match. A candidate's conditions, including
//! those on host and path, are all checked afterwards. The index is therefore coarse: a
//! segment with a parameter is any segment, a rest is anything.

use std::collections::HashMap;

use super::host::HostPattern;
use super::path::PathPattern;

#[derive(Debug, Default)]
pub(super) struct Index {
    any_host: Segments,
    below: HashMap<Box<str>, Segments>,
    exactly: HashMap<Box<str>, Segments>,
}

impl Index {
    /// Adds a rule. Rules must be added in order.
    pub(super) fn insert(
        &mut self,
        rule: usize,
        host: Option<&HostPattern>,
        path: Option<&PathPattern>,
    ) {
        let tree = match host {
            None => &mut self.any_host,
            Some(HostPattern::Below(name)) => self.below.entry(name.clone()).or_default(),
            Some(HostPattern::Exactly(name)) => self.exactly.entry(name.clone()).or_default(),
        };
        match path {
            None | Some(PathPattern::Matching(_)) => tree.below.push(rule),
            Some(PathPattern::Exactly(text)) => {
                let end = text.split('/').fold(tree, Segments::literal);
                end.here.push(rule);
            }
            Some(PathPattern::Under(text)) => {
                let text = text.strip_suffix('/').unwrap_or(text);
                let end = text.split('/').fold(tree, Segments::literal);
                end.below.push(rule);
            }
            Some(PathPattern::Shaped { text, .. }) => tree.insert_shaped(text, rule),
        }
    }

    /// Returns the rules that may match, in order.
    pub(super) fn candidates(&self, host: Option<&str>, path: &str) -> RuleCandidates<'_> {
        let mut lists = Vec::new();
        self.any_host.collect(Some(path), &mut lists);
        if let Some(host) = host {
            if let Some(tree) = self.exactly.get(host) {
                tree.collect(Some(path), &mut lists);
            }
            if !self.below.is_empty() {
                for (dot, _) in host.match_indices('.') {
                    if let Some(tree) = self.below.get(&host[dot + 1..]) {
                        tree.collect(Some(path), &mut lists);
                    }
                }
            }
        }
        RuleCandidates::new(lists)
    }
}

/// A tree of path segments. Each rule is in it once.
#[derive(Debug, Default)]
struct Segments {
    /// The rules for all paths with this prefix.
    below: Vec<usize>,
    /// The rules for paths that end here.
    here: Vec<usize>,
    any: Option<Box<Self>>,
    literal: HashMap<Box<str>, Self>,
}

impl Segments {
    fn literal(&mut self, segment: &str) -> &mut Self {
        self.literal.entry(segment.into()).or_default()
    }

    fn insert_shaped(&mut self, text: &str, rule: usize) {
        let mut tree = self;
        for segment in text.split('/') {
            let without_pairs = segment.replace("{{", "").replace("}}", "");
            if without_pairs.contains("{*") {
                tree.below.push(rule);
                return;
            }
            tree = if without_pairs.contains('{') {
                tree.any.get_or_insert_default()
            } else {
                tree.literal(&segment.replace("{{", "{").replace("}}", "}"))
            };
        }
        tree.here.push(rule);
    }

    /// Collects the lists of rules for a path. The depth is bounded by the rules, not by
    /// the path. `None` is the end of a path.
    fn collect<'t>(&'t self, path: Option<&str>, lists: &mut Vec<&'t [usize]>) {
        let mut add = |list: &'t [usize]| {
            if !list.is_empty() {
                lists.push(list);
            }
        };
        add(&self.below);
        let Some(path) = path else {
            add(&self.here);
            return;
        };
        let (segment, rest) = match path.split_once('/') {
            Some((segment, rest)) => (segment, Some(rest)),
            None => (path, None),
        };
        if let Some(tree) = self.literal.get(segment) {
            tree.collect(rest, lists);
        }
        if let Some(tree) = &self.any {
            tree.collect(rest, lists);
        }
    }
}

/// Lists in ascending order, merged lazily, because the caller mostly needs only the first
/// items.
#[derive(Debug)]
pub(super) struct RuleCandidates<'t> {
    lists: Vec<&'t [usize]>,
    /// In descending order, if there were many lists.
    sorted: Vec<usize>,
}

impl<'t> RuleCandidates<'t> {
    /// Up to this number of lists, comparing their heads is faster than sorting.
    const FEW: usize = 8;

    fn new(lists: Vec<&'t [usize]>) -> Self {
        if lists.len() <= Self::FEW {
            let sorted = Vec::new();
            return Self { lists, sorted };
        }
        let mut sorted = lists.concat();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        let lists = Vec::new();
        Self { lists, sorted }
    }
}

impl Iterator for RuleCandidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if let Some(rule) = self.sorted.pop() {
            return Some(rule);
        }
        let first = |list: &&mut &[usize]| list.first().copied().unwrap_or(usize::MAX);
        let list = self.lists.iter_mut().min_by_key(first)?;
        let (&rule, rest) = list.split_first()?;
        *list = rest;
        Some(rule)
    }
}

#[cfg(test)]
mod tests {
    use super::Index;
    use crate::proxy::router::host::HostPattern;
    use crate::proxy::router::path::PathPattern;

    #[test]
    fn of_ten_thousand_rules_only_those_for_the_host_and_path_are_looked_at() {
        let mut index = Index::default();
        for rule in 0..10_000 {
            let host = HostPattern::parse(&format!("h{}.example.com", rule % 100)).unwrap();
            let number = rule / 100;
            let path = match rule % 3 {
                0 => PathPattern::exactly(&format!("/a/{number}")),
                1 => PathPattern::under(&format!("/a/{number}")),
                _ => PathPattern::shaped(&format!("/{{x}}/{number}/{{*y}}")),
            };
            index.insert(rule, Some(&host), Some(&path.unwrap()));
        }
        index.insert(10_000, Some(&HostPattern::parse("*.com").unwrap()), None);
        index.insert(10_001, None, None);
        let seen: Vec<_> = index
            .candidates(Some("h7.example.com"), "/a/42/x")
            .collect();
        assert_eq!(seen, [4_207, 10_000, 10_001]);
        let seen: Vec<_> = index.candidates(None, "/a/42/x").collect();
        assert_eq!(seen, [10_001]);
    }
}
