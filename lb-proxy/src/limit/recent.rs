//! A bounded map that remembers which of its entries was used longest ago.

use std::collections::HashMap;

use super::key::{Key, Keyed};

/// Entries by key, in a list from the one used last to the one used longest ago.
#[derive(Debug)]
pub(super) struct Recent<T> {
    places: HashMap<Key, u32, Keyed>,
    entries: Vec<Entry<T>>,
    newest: u32,
    oldest: u32,
    capacity: usize,
}

#[derive(Debug)]
struct Entry<T> {
    key: Key,
    newer: u32,
    older: u32,
    value: T,
}

/// The end of the list.
const NONE: u32 = u32::MAX;

impl<T> Recent<T> {
    /// A map of at most `capacity` entries, which is at least 1; memory is taken as it fills.
    pub(super) fn new(capacity: usize, hashing: Keyed) -> Self {
        Self {
            places: HashMap::with_hasher(hashing),
            entries: Vec::new(),
            newest: NONE,
            oldest: NONE,
            capacity,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry of `key`, which becomes the newest.
    pub(super) fn touch(&mut self, key: Key) -> Option<&mut T> {
        let place = *self.places.get(&key)?;
        if self.newest != place {
            self.unlink(place);
            self.link_newest(place);
        }
        Some(&mut self.entries[place as usize].value)
    }

    /// Adds an entry for a key that has none, and takes the oldest out if there is no room; whether it did.
    pub(super) fn insert(&mut self, key: Key, value: T) -> bool {
        let full = self.entries.len() >= self.capacity;
        if full {
            self.remove_oldest();
        }
        let place = u32::try_from(self.entries.len()).expect("a limit has far fewer clients");
        self.entries.push(Entry {
            key,
            newer: NONE,
            older: NONE,
            value,
        });
        self.places.insert(key, place);
        self.link_newest(place);
        full
    }

    /// The entry that was used longest ago.
    pub(super) fn oldest(&self) -> Option<&T> {
        self.entries.get(self.oldest as usize).map(|entry| &entry.value)
    }

    pub(super) fn remove_oldest(&mut self) {
        let place = self.oldest;
        if place == NONE {
            return;
        }
        self.unlink(place);
        let removed = self.entries.swap_remove(place as usize);
        self.places.remove(&removed.key);
        // The last entry stands in its place.
        let Some(moved) = self.entries.get(place as usize) else {
            return;
        };
        let (key, newer, older) = (moved.key, moved.newer, moved.older);
        self.places.insert(key, place);
        *self.newer_link(older) = place;
        *self.older_link(newer) = place;
    }

    fn unlink(&mut self, place: u32) {
        let Entry { newer, older, .. } = self.entries[place as usize];
        *self.older_link(newer) = older;
        *self.newer_link(older) = newer;
    }

    fn link_newest(&mut self, place: u32) {
        let second = self.newest;
        let entry = &mut self.entries[place as usize];
        (entry.newer, entry.older) = (NONE, second);
        *self.newer_link(second) = place;
        self.newest = place;
    }

    /// Where it is kept which entry is the next newer one. The list is a ring through its end: from there, the next
    /// newer one is the oldest, and the next older one the newest.
    fn newer_link(&mut self, place: u32) -> &mut u32 {
        match self.entries.get_mut(place as usize) {
            Some(entry) => &mut entry.newer,
            None => &mut self.oldest,
        }
    }

    fn older_link(&mut self, place: u32) -> &mut u32 {
        match self.entries.get_mut(place as usize) {
            Some(entry) => &mut entry.older,
            None => &mut self.newest,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::super::key::{Prefixes, Shards};
    use super::*;

    proptest! {
        #[test]
        fn it_forgets_what_a_naive_list_forgets(
            capacity in 1_usize..6,
            steps in proptest::collection::vec((0_u8..8, any::<bool>()), 0..200),
        ) {
            let shards = Shards::new(capacity, Recent::new);
            let mut recent = shards.each().next().expect("one");
            let mut naive: Vec<(u8, usize)> = Vec::new(); // the oldest first
            for (step, (client, drop_oldest)) in steps.into_iter().enumerate() {
                let key = Prefixes::default().key(IpAddr::from([10, 0, 0, client]));
                if let Some(value) = recent.touch(key) {
                    let at = naive.iter().position(|&(known, _)| known == client);
                    let known = naive.remove(at.expect("the naive list has it too"));
                    prop_assert_eq!(*value, known.1);
                    naive.push(known);
                } else {
                    prop_assert!(naive.iter().all(|&(known, _)| known != client));
                    let full = naive.len() == capacity;
                    if full {
                        naive.remove(0);
                    }
                    naive.push((client, step));
                    prop_assert_eq!(recent.insert(key, step), full);
                }
                if drop_oldest && step % 3 == 0 {
                    recent.remove_oldest();
                    naive.remove(0);
                }
                prop_assert_eq!(recent.len(), naive.len());
                prop_assert_eq!(recent.oldest(), naive.first().map(|(_, value)| value));
            }
        }
    }
}
