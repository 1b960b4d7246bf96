//! Counts and sizes as people read and write them.

use std::fmt;
use std::str::FromStr;

use celeriac_control::words;

pub(crate) use words::{counted, grouped};

/// A number of bytes: `512MiB`, `1.5GB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ByteSize(pub(crate) u64);

const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let unit = UNITS.iter().find(|(name, _)| lower.ends_with(&name.to_ascii_lowercase()));
        let (number, unit) = match unit {
            Some((name, unit)) => (lower[..lower.len() - name.len()].trim_end(), *unit),
            None => (lower.as_str(), 1),
        };
        let number: f64 = number.parse().map_err(|_| "write a size such as 512MiB or 2GB".to_owned())?;
        let bytes = number * unit as f64;
        if !(0.0..=u64::MAX as f64).contains(&bytes) {
            return Err("that is no size".to_owned());
        }
        Ok(Self(bytes as u64))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words::size(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in
            [("0", 0), ("4096", 4_096), ("1KiB", 1_024), ("1.5 mb", 1_500_000), ("2GiB", 2 << 30)]
        {
            assert_eq!(text.parse::<ByteSize>(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "lots", "-1MB", "1XB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
