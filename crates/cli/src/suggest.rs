//! Finds what somebody probably meant.

/// How alike two words must be, from 0 to 1, before one is suggested for the other.
const ALIKE: f64 = 0.75;

/// Returns the known word most like `given`, if any is like it.
pub(crate) fn closest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    scored(given, known).filter(|(_, score)| *score >= ALIKE).map(|(word, _)| word)
}

/// Returns the known word most like `given`, however little that is.
pub(crate) fn likest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    scored(given, known).map(|(word, _)| word)
}

fn scored<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, f64)> {
    let given = given.to_lowercase();
    let scored = known.into_iter().map(|word| (word, likeness(&given, &word.to_lowercase())));
    scored.max_by(|a, b| a.1.total_cmp(&b.1))
}

/// Says "did you mean", or lists what there is where that is short enough to read.
pub(crate) fn did_you_mean<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(word) = closest(given, known.clone()) {
        return Some(format!("did you mean `{word}`?"));
    }
    let known: Vec<&str> = known.into_iter().collect();
    (1..=8).contains(&known.len()).then(|| format!("there is: {}", known.join(", ")))
}

/// Edits weigh on short words, a common beginning on long ones: the better of both counts. The last
/// part of a dotted name alone is nearly the name.
fn likeness(given: &str, known: &str) -> f64 {
    if known.rsplit_once('.').is_some_and(|(_, last)| last == given) {
        return 0.99;
    }
    let edits = strsim::normalized_damerau_levenshtein(given, known);
    edits.max(strsim::jaro_winkler(given, known) - 0.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_recognised_and_other_words_are_not() {
        let known = ["concurrency", "queues", "lease", "poll_interval", "mail"];
        for (given, expected) in [
            ("concurency", Some("concurrency")),
            ("Queues", Some("queues")),
            ("queue", Some("queues")),
            ("mial", Some("mail")),
            ("poll_intervall", Some("poll_interval")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(closest(given, known), expected, "{given}");
        }
    }

    #[test]
    fn where_nothing_is_alike_a_short_list_is_given() {
        assert_eq!(did_you_mean("mial", ["mail"]).unwrap(), "did you mean `mail`?");
        assert_eq!(did_you_mean("zzz", ["mail", "feed"]).unwrap(), "there is: mail, feed");
        assert_eq!(did_you_mean("zzz", []), None);
    }
}
