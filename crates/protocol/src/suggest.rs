//! Finds what somebody probably meant: the nearest of the words that are known.

/// How alike two words must be, from 0 to 1, before one is suggested for the other.
const ALIKE: f64 = 0.75;

/// How long a word must be for one slip in it to be forgiven, however much of it that is.
const MIN_SLIP: usize = 3;

/// Returns the known word most like `given`, if any is like it.
///
/// ```
/// use celeriac_protocol::suggest::closest;
/// assert_eq!(closest("mial", ["feed", "mail"]), Some("mail"));
/// assert_eq!(closest("colour", ["feed", "mail"]), None);
/// ```
pub fn closest<W: AsRef<str>>(given: &str, known: impl IntoIterator<Item = W>) -> Option<W> {
    scored(given, known).filter(|(_, score)| *score >= ALIKE).map(|(word, _)| word)
}

/// Returns the known word most like `given`, however little that is.
pub fn likest<W: AsRef<str>>(given: &str, known: impl IntoIterator<Item = W>) -> Option<W> {
    scored(given, known).map(|(word, _)| word)
}

/// Says "did you mean", or lists what there is where that is short enough to read.
pub fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(word) = closest(given, known.clone()) {
        return Some(format!("did you mean `{word}`?"));
    }
    let known: Vec<&str> = known.into_iter().collect();
    (1..=8).contains(&known.len()).then(|| format!("there is: {}", known.join(", ")))
}

fn scored<W: AsRef<str>>(given: &str, known: impl IntoIterator<Item = W>) -> Option<(W, f64)> {
    let given = given.to_lowercase();
    let scored = known.into_iter().map(|word| {
        let score = likeness(&given, &word.as_ref().to_lowercase());
        (word, score)
    });
    scored.max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The last part of a dotted name alone is nearly the name, and who leaves out a zone's continent means its city.
fn likeness(given: &str, known: &str) -> f64 {
    if known.rsplit_once('.').is_some_and(|(_, last)| last == given) {
        return 0.99;
    }
    let city = known.rsplit_once('/').map_or(0.0, |(_, city)| 0.99 * alike(given, city));
    alike(given, known).max(city)
}

/// Edits weigh on short words, a common beginning on long ones: the better of both counts. One slip in a short word
/// is a slip.
fn alike(given: &str, known: &str) -> f64 {
    let edits = strsim::normalized_damerau_levenshtein(given, known);
    let is_slip = given.chars().count() >= MIN_SLIP && strsim::damerau_levenshtein(given, known) == 1;
    let slip = if is_slip { ALIKE } else { 0.0 };
    edits.max(strsim::jaro_winkler(given, known) - 0.1).max(slip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_recognised_and_other_words_are_not() {
        let known = ["concurrency", "queues", "lease", "poll_interval", "mail", "sat", "shop.scrape"];
        for (given, expected) in [
            ("concurency", Some("concurrency")),
            ("Queues", Some("queues")),
            ("queue", Some("queues")),
            ("mial", Some("mail")),
            ("sta", Some("sat")),
            ("poll_intervall", Some("poll_interval")),
            ("scrape", Some("shop.scrape")),
            ("colour", None),
            ("st", None),
            ("", None),
        ] {
            assert_eq!(closest(given, known), expected, "{given}");
        }
    }

    #[test]
    fn who_names_a_city_means_its_zone() {
        for (given, expected) in [
            ("mnoday", Some("monday")),
            ("berlin", Some("Europe/Berlin")),
            ("berln", Some("Europe/Berlin")),
            ("Europe/Dubln", Some("Europe/Dublin")),
            ("xyzzy", None),
        ] {
            let known = ["monday", "Europe/Berlin", "Europe/Dublin", "America/New_York"];
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
