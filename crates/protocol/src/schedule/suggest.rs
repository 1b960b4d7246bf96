//! The nearest of the words that are known.

/// A word that is less alike than this is no misspelling of it.
const ALIKE: f64 = 0.6;

/// Returns the known word that is most like a given one, or nothing where none is.
pub(super) fn nearest<W: AsRef<str>>(given: &str, known: impl IntoIterator<Item = W>) -> Option<String> {
    let given = given.to_lowercase();
    let alike = known.into_iter().map(|word| (likeness(&given, word.as_ref()), word));
    let best = alike.filter(|(alike, _)| *alike >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, word)| word.as_ref().to_owned())
}

fn likeness(given: &str, known: &str) -> f64 {
    let known = known.to_lowercase();
    // Who leaves out the continent means the city.
    let city = known.rsplit('/').next().unwrap_or(&known);
    let edits = |known: &str| strsim::normalized_damerau_levenshtein(given, known);
    edits(&known).max(edits(city) * 0.99)
}

/// Writes a suggestion behind an error, or nothing.
pub(super) fn did_you_mean(hint: &Option<String>) -> String {
    hint.as_ref().map_or_else(String::new, |word| format!("; did you mean `{word}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_alike_word_is_named_and_nonsense_gets_none() {
        let check = |given: &str, expected: Option<&str>| {
            let known = ["monday", "Europe/Berlin", "Europe/Dublin", "America/New_York"];
            assert_eq!(nearest(given, known).as_deref(), expected, "{given}");
        };
        check("mnoday", Some("monday"));
        check("berlin", Some("Europe/Berlin"));
        check("berln", Some("Europe/Berlin"));
        check("Europe/Dubln", Some("Europe/Dublin"));
        check("xyzzy", None);
    }
}
