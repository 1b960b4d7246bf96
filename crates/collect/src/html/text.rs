//! Text as a reader sees it: runs of white space are one space, and none at the ends.

/// Collects text in pieces and collapses its white space.
#[derive(Debug, Default)]
pub(crate) struct TextBuffer {
    text: String,
    /// Whether white space was seen since the last word.
    is_apart: bool,
}

impl TextBuffer {
    /// Appends a piece; words of two pieces join where no white space lies between them.
    pub(crate) fn push(&mut self, piece: &str) {
        if piece.is_ascii() {
            self.push_words(piece, |char| char.is_ascii_whitespace() || char == '\u{b}');
        } else {
            self.push_words(piece, char::is_whitespace);
        }
    }

    /// Sets the next word apart from the last, as the edge of a block does.
    pub(crate) fn set_apart(&mut self) {
        self.is_apart = true;
    }

    /// Returns how long the text is so far, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// Returns the text so far.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the text.
    pub(crate) fn into_string(self) -> String {
        self.text
    }

    fn push_words(&mut self, piece: &str, is_space: impl Fn(char) -> bool + Copy) {
        let mut words = piece.split(is_space);
        if let Some(first) = words.next() {
            self.push_word(first);
        }
        for word in words {
            self.is_apart = true;
            self.push_word(word);
        }
    }

    fn push_word(&mut self, word: &str) {
        if word.is_empty() {
            return;
        }
        if self.is_apart && !self.text.is_empty() {
            self.text.push(' ');
        }
        self.is_apart = false;
        self.text.push_str(word);
    }
}

/// Counts the words of a text.
///
/// A word is what stands between spaces and has a letter or digit in it. Chinese and Japanese write no
/// spaces: there each character counts, as word processors do it. Thai and its neighbours, which would need a
/// dictionary, count as they are spaced.
pub(crate) fn word_count(text: &str) -> usize {
    text.split(' ').map(words_in).sum()
}

fn words_in(piece: &str) -> usize {
    if piece.is_ascii() {
        return usize::from(piece.bytes().any(|byte| byte.is_ascii_alphanumeric()));
    }
    let ideographs = piece.chars().filter(|char| is_ideograph(*char)).count();
    let has_other = piece.chars().any(|char| char.is_alphanumeric() && !is_ideograph(char));
    ideographs + usize::from(has_other)
}

/// Tells whether a character is of a script that writes no spaces: Han, Hiragana, Katakana, Bopomofo.
const fn is_ideograph(char: char) -> bool {
    matches!(char, '\u{3041}'..='\u{312f}' | '\u{31a0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9d}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_collapses_across_pieces() {
        let mut text = TextBuffer::default();
        for piece in ["  He", "llo \n", "\u{a0}wor", "ld", " \u{3000}", "", "!"] {
            text.push(piece);
        }
        text.set_apart();
        assert_eq!(text.as_str(), "Hello world !");
    }

    #[test]
    fn words_are_counted_in_every_script() {
        for (text, wanted) in [
            ("", 0),
            ("one", 1),
            ("one two - three …", 3),
            ("don't stop-gap 3.14", 3),
            ("naïve café", 2),
            ("日本語", 3),
            ("日本語 text あ", 5),
            ("Rust言語", 3),
            ("한국어 문장", 2),
            ("слово и дело", 3),
        ] {
            assert_eq!(word_count(text), wanted, "{text}");
        }
    }
}
