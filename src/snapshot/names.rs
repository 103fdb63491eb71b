//! Maps a name to the slot of its member: a hash table in parts that its copies share, so
//! that a copy costs one pointer for each part, and a change one part.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

/// How many names a part has, on average, when the number of parts is doubled.
const MEAN_PART_LEN: usize = 16;

/// Slots by the hash of the name. The hash has random keys, so that chosen names cannot
/// collide in one part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// Their number is a power of two, or zero.
    parts: Vec<Arc<[NameEntry]>>,
    len: usize,
    keys: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct NameEntry {
    hash: u32,
    slot: u32,
}

impl Names {
    /// Returns the slots whose name has the same hash; the caller compares the text.
    pub(crate) fn slots(&self, name: &str) -> impl Iterator<Item = u32> {
        let hash = self.hash(name);
        let part = self.part(hash).and_then(|part| self.parts.get(part));
        let entries = part.map_or(&[][..], |part| part);
        entries
            .iter()
            .filter(move |entry| entry.hash == hash)
            .map(|entry| entry.slot)
    }

    /// Adds a name that is not in the table.
    pub(crate) fn insert(&mut self, name: &str, slot: u32) {
        if self.len >= self.parts.len() * MEAN_PART_LEN {
            self.grow();
        }
        let hash = self.hash(name);
        if let Some(part) = self.part(hash) {
            let entries = self.parts[part].iter().copied();
            self.parts[part] = entries.chain([NameEntry { hash, slot }]).collect();
            self.len += 1;
        }
    }

    /// Removes what was inserted with the same name and slot.
    pub(crate) fn remove(&mut self, name: &str, slot: u32) {
        let Some(part) = self.part(self.hash(name)) else {
            return;
        };
        let entries = &self.parts[part];
        let others = entries.iter().copied().filter(|it| it.slot != slot);
        let others: Arc<[NameEntry]> = others.collect();
        self.len -= entries.len() - others.len();
        self.parts[part] = others;
    }

    #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough")]
    fn hash(&self, name: &str) -> u32 {
        self.keys.hash_one(name) as u32
    }

    fn part(&self, hash: u32) -> Option<usize> {
        let last = self.parts.len().checked_sub(1)?;
        Some(hash as usize & last)
    }

    fn grow(&mut self) {
        let count = (2 * self.parts.len()).max(1);
        let mut parts = vec![Vec::new(); count];
        for entry in self.parts.iter().flat_map(|part| part.iter()) {
            parts[entry.hash as usize & (count - 1)].push(*entry);
        }
        self.parts = parts.into_iter().map(Arc::from).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::Names;

    fn found(names: &Names, name: &str) -> Vec<u32> {
        names.slots(name).collect()
    }

    #[test]
    fn each_of_many_names_is_found_until_it_is_removed() {
        let mut names = Names::default();
        assert!(found(&names, "0").is_empty());
        for slot in 0..1_000 {
            names.insert(&slot.to_string(), slot);
        }
        let copy = names.clone();
        for slot in (0..1_000).step_by(2) {
            names.remove(&slot.to_string(), slot);
            names.remove("of another", slot);
        }
        for slot in 0..1_000 {
            let expected = if slot % 2 == 0 { vec![] } else { vec![slot] };
            assert_eq!(found(&names, &slot.to_string()), expected);
            assert_eq!(found(&copy, &slot.to_string()), [slot], "a copy keeps it");
        }
    }
}
