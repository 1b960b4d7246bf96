//! JSON as Python writes it: with three words that JSON has not.

/// Words of Python's JSON, and what they become here.
///
/// Not-a-number is `null`. An infinity is a number too large for a double: Python reads it as infinity
/// again, and a parameter that is an `f64` refuses it, so that nothing is computed with another number.
const WORDS: [(&[u8], &[u8]); 2] = [(b"NaN", b"null"), (b"Infinity", b"1e999")];

/// Replaces the words that are not JSON's; `None` where there are none.
pub(crate) fn tolerate(json: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(json.len());
    let (mut rest, mut found) = (json, false);
    while let Some(&byte) = rest.first() {
        let word = WORDS.iter().find(|(word, _)| rest.starts_with(word));
        let taken = match (byte, word) {
            (b'"', _) => string_length(rest),
            (_, Some((word, json))) => {
                found = true;
                out.extend_from_slice(json);
                rest = &rest[word.len()..];
                continue;
            }
            _ => 1,
        };
        out.extend_from_slice(&rest[..taken]);
        rest = &rest[taken..];
    }
    found.then_some(out)
}

/// Returns how many bytes the string at the start of `json` has, with its quotes.
fn string_length(json: &[u8]) -> usize {
    let mut escaped = false;
    for (at, byte) in json.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}
