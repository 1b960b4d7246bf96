//! One Rust file as a flat list of tokens, without its comments, and with its tests marked.

use std::str::FromStr;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::paths::{self, PathUse};

/// One file, read once for all rules.
pub(crate) struct Source {
    /// Path below the root, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
    /// Every path that the file writes, its imports resolved.
    pub(crate) paths: Vec<PathUse>,
    /// Why the file could not be read as Rust.
    pub(crate) unreadable: Option<String>,
}

/// One token; documentation comments are left out.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
    /// Whether it stands in an item that only tests build.
    pub(crate) in_test: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Kind {
    Ident(String),
    Punct(char),
    /// A string literal of any form, unescaped as far as the rules need.
    Text(String),
    Open(char),
    Close(char),
    Other,
}

impl Token {
    /// Returns whether the token is this word.
    pub(crate) fn is_word(&self, name: &str) -> bool {
        matches!(&self.kind, Kind::Ident(word) if word == name)
    }
}

impl Source {
    /// Reads `text` into tokens; a file that is no Rust keeps its error and has none.
    pub(crate) fn parse(path: String, text: String) -> Self {
        let mut tokens = Vec::new();
        let unreadable = match TokenStream::from_str(&text) {
            Ok(stream) => {
                flatten(stream, false, &mut tokens);
                None
            }
            Err(error) => Some(error.to_string()),
        };
        let paths = paths::resolve(&tokens);
        Self { path, text, tokens, paths, unreadable }
    }

    /// Returns the folder name of the crate that the file belongs to.
    pub(crate) fn crate_name(&self) -> &str {
        let mut parts = self.path.split('/');
        match parts.next() {
            Some("crates") => parts.next().unwrap_or_default(),
            Some(first) => first,
            None => "",
        }
    }

    /// Returns whether the file ends up in what users run: no test, example, bench or tool.
    pub(crate) fn is_shipped(&self) -> bool {
        let is_tool = ["crates/bench/", "crates/peers/"].iter().any(|tool| self.path.starts_with(tool));
        self.path.starts_with("crates/") && self.path.contains("/src/") && !is_tool && !self.is_test_file()
    }

    /// Returns the string literals outside tests, with their lines.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, usize)> {
        self.tokens.iter().filter(|token| !token.in_test).filter_map(|token| match &token.kind {
            Kind::Text(text) => Some((text.as_str(), token.line)),
            _ => None,
        })
    }

    fn is_test_file(&self) -> bool {
        ["/tests/", "/examples/", "/benches/"].iter().any(|folder| self.path.contains(folder))
            || self.path.ends_with("/tests.rs")
    }
}

fn flatten(stream: TokenStream, in_test: bool, tokens: &mut Vec<Token>) {
    let mut trees = stream.into_iter().peekable();
    // Set by a test attribute, until the item that it stands on has ended.
    let mut item_is_test = false;
    while let Some(tree) = trees.next() {
        let line = tree.span().start().line;
        let mut push = |kind| tokens.push(Token { kind, line, in_test: in_test || item_is_test });
        match tree {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                push(Kind::Punct('#'));
                if let Some(TokenTree::Punct(inner)) = trees.peek()
                    && inner.as_char() == '!'
                {
                    trees.next();
                }
                if let Some(TokenTree::Group(group)) = trees.peek() {
                    item_is_test |= is_test_attribute(group);
                    if is_doc_attribute(group) {
                        tokens.pop();
                        trees.next();
                    }
                }
            }
            TokenTree::Punct(punct) => {
                push(Kind::Punct(punct.as_char()));
                item_is_test &= punct.as_char() != ';';
            }
            TokenTree::Ident(ident) => push(Kind::Ident(ident.to_string())),
            TokenTree::Literal(literal) => {
                let text = text_of(&literal.to_string());
                push(text.map_or(Kind::Other, Kind::Text));
            }
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                push(Kind::Open(open));
                flatten(group.stream(), in_test || item_is_test, tokens);
                let line = group.span_close().start().line;
                tokens.push(Token { kind: Kind::Close(close), line, in_test: in_test || item_is_test });
                item_is_test &= open != '{';
            }
        }
    }
}

fn brackets(delimiter: Delimiter) -> (char, char) {
    match delimiter {
        Delimiter::Parenthesis => ('(', ')'),
        Delimiter::Brace => ('{', '}'),
        Delimiter::Bracket => ('[', ']'),
        Delimiter::None => (' ', ' '),
    }
}

fn is_doc_attribute(group: &Group) -> bool {
    matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(ident)) if ident == "doc")
}

/// Recognises `#[test]`, `#[tokio::test]` and their like, `#[cfg(test)]` and `#[cfg(all(test, ...))]`.
fn is_test_attribute(group: &Group) -> bool {
    let text = group.stream().to_string().replace(' ', "");
    let name = text.split(['(', '=']).next().unwrap_or_default();
    name == "test" || name.ends_with("::test") || text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

/// Returns what a string literal holds, or nothing for a number or a character.
fn text_of(literal: &str) -> Option<String> {
    let body = literal.trim_start_matches(['b', 'c']);
    let raw = body.starts_with('r');
    let body = body.strip_prefix('r').unwrap_or(body).trim_matches('#');
    let body = body.strip_prefix('"')?.strip_suffix('"')?;
    Some(if raw { body.to_owned() } else { unescape(body) })
}

fn unescape(body: &str) -> String {
    let mut out = String::with_capacity(body.len());
    let mut chars = body.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(code: &str) -> Vec<String> {
        let source = Source::parse("crates/a/src/b.rs".into(), code.into());
        assert_eq!(source.unreadable, None);
        source.texts().map(|(text, line)| format!("{line} {text}")).collect()
    }

    #[test]
    fn comments_and_documentation_are_no_strings() {
        let code = "//! \"one\"\n/// \"two\"\n#[doc = \"three\"]\nfn f() { g(\"four\") } // \"five\"";
        assert_eq!(texts(code), ["4 four"]);
    }

    #[test]
    fn every_form_of_string_is_read() {
        let code = "f(r#\"a\"b\"#, b\"c\", \"d\\\"\\n\", 'e', 1, \"f \\\n   g\");";
        assert_eq!(texts(code), ["1 a\"b", "1 c", "1 d\"\n", "1 f g"]);
    }

    #[test]
    fn tests_are_left_out_and_what_follows_is_not() {
        let code = "
            #[cfg(test)] mod tests { fn a() { f(\"1\") } }
            #[cfg(test)] use x::y; const A: &str = \"2\";
            #[tokio::test] async fn b() { f(\"3\") }
            #[cfg(not(test))] fn c() { f(\"4\") }
            #[cfg(any(test, feature = \"testing\"))] fn d() { f(\"5\") }";
        assert_eq!(texts(code), ["3 2", "5 4", "6 testing", "6 5"]);
    }

    #[test]
    fn a_file_that_does_not_parse_keeps_its_error() {
        assert!(Source::parse("a.rs".into(), "fn f( {".into()).unreadable.is_some());
    }
}
