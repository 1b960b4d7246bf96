//! What is kept of a secret: how it begins, and its hash.

use std::fmt;

/// What is kept of the text of a token or of a session's cookie.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredSecret {
    /// How the text begins; enough of it stays unsaid.
    pub prefix: String,
    /// SHA-256 of the whole text.
    pub hash: [u8; 32],
}

impl StoredSecret {
    /// Writes the hash as rows hold it.
    pub(super) fn hash_text(&self) -> String {
        self.hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads a row. A hash that is none fits nothing, and is `None`.
    pub(super) fn read(prefix: String, hash: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if hash.len() != 64 || !hash.is_ascii() {
            return None;
        }
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hash[i * 2..i * 2 + 2], 16).ok()?;
        }
        Some(Self { prefix, hash: bytes })
    }
}

impl fmt::Debug for StoredSecret {
    /// Leaves the hash out: it is nothing that a log should hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSecret").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_reads_back_and_is_not_printed() {
        let mut hash = [0; 32];
        (hash[0], hash[31]) = (0xab, 0x01);
        let kept = StoredSecret { prefix: "celeriac_abc".into(), hash };
        assert_eq!(StoredSecret::read("celeriac_abc".into(), &kept.hash_text()), Some(kept.clone()));
        assert_eq!(format!("{kept:?}"), "StoredSecret { prefix: \"celeriac_abc\", .. }");
        for broken in ["", "ab", &"zz".repeat(32), &"ä".repeat(32)] {
            assert_eq!(StoredSecret::read(String::new(), broken), None, "{broken}");
        }
    }
}
