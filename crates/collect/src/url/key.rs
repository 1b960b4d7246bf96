//! The fingerprint of an address.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::hex::hex;

/// Identifies a canonical address in 16 bytes: the first half of its SHA-256.
///
/// Its text form is 32 hexadecimal digits in lower case. Among ten thousand million addresses the chance
/// that any two share a key is below one in a million million million.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UrlKey([u8; 16]);

/// Says that a text is not 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a key of 32 hexadecimal digits")]
pub struct UrlKeyError(String);

impl UrlKey {
    /// Computes the key of a text that is already canonical.
    pub(super) fn of(canonical: &str) -> Self {
        let digest = Sha256::digest(canonical.as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Self(key)
    }

    /// Returns the 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for UrlKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for UrlKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for UrlKey {
    type Err = UrlKeyError;

    fn from_str(text: &str) -> Result<Self, UrlKeyError> {
        let refused = || UrlKeyError(text.chars().take(40).collect());
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refused());
        }
        let value = u128::from_str_radix(text, 16).map_err(|_| refused())?;
        Ok(Self(value.to_be_bytes()))
    }
}

impl Serialize for UrlKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UrlKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_the_first_half_of_sha256_and_reads_back() {
        // `printf %s abc | sha256sum` begins with these digits.
        let key = UrlKey::of("abc");
        assert_eq!(key.to_string(), "ba7816bf8f01cfea414140de5dae2223");
        assert_eq!(key.to_string().parse::<UrlKey>().unwrap(), key);
    }

    #[test]
    fn text_that_is_no_key_is_refused() {
        for text in ["", "ba78", "+a7816bf8f01cfea414140de5dae2223", "zz7816bf8f01cfea414140de5dae2223"] {
            assert!(text.parse::<UrlKey>().is_err(), "{text}");
        }
    }
}
