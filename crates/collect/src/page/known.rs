//! Pages that this process knows to have a row, so that a link that is met again costs no statement.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::url::UrlKey;

/// How many keys one generation holds; two are kept, of 16 bytes a key.
const GENERATION_KEYS: usize = 32 * 1024;

/// Is responsible for a bounded memory of rows that exist. It only ever spares work: what it has forgotten
/// is inserted again and meets the table's own key.
#[derive(Debug, Default)]
pub(crate) struct KnownPages {
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashSet<UrlKey>,
    old: HashSet<UrlKey>,
}

impl KnownPages {
    /// Keeps those that are not known to have a row.
    pub(crate) fn retain_unknown<T>(&self, items: &mut Vec<T>, key: impl Fn(&T) -> UrlKey) {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        items.retain(|item| {
            let key = key(item);
            !generations.young.contains(&key) && !generations.old.contains(&key)
        });
    }

    /// Remembers rows whose transaction is committed.
    pub(crate) fn remember(&self, keys: impl IntoIterator<Item = UrlKey>) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            if generations.young.len() >= GENERATION_KEYS {
                generations.old = std::mem::take(&mut generations.young);
            }
            generations.young.insert(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::CanonicalUrl;

    fn key(number: usize) -> UrlKey {
        CanonicalUrl::parse(&format!("https://example.com/{number}")).unwrap().key()
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest_is_kept() {
        let known = KnownPages::default();
        known.remember((0..100_000).map(key));
        let mut asked: Vec<usize> = vec![0, 99_999, 100_000];
        known.retain_unknown(&mut asked, |number| key(*number));
        assert_eq!(asked, [0, 100_000], "the oldest is forgotten, the newest is known");
        let generations = known.generations.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION_KEYS);
    }
}
