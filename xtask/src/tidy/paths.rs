//! Finds every path in a file's tokens and resolves its first word through the file's imports.

use std::collections::HashMap;

use super::source::{Kind, Token};

/// One path as written, its first word replaced by what the file imported under that name.
#[derive(Debug)]
pub(crate) struct PathUse {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    pub(crate) in_test: bool,
}

impl PathUse {
    /// Returns the path in Rust's spelling.
    pub(crate) fn joined(&self) -> String {
        self.segments.join("::")
    }
}

/// Returns the paths of a file: those imported, and those written in code.
pub(crate) fn resolve(tokens: &[Token]) -> Vec<PathUse> {
    let mut imports = Vec::new();
    let mut written = Vec::new();
    let mut reader = Reader { tokens, at: 0 };
    while reader.at < tokens.len() {
        if reader.word() == Some("use") {
            reader.at += 1;
            // Behind `impl Trait + use<...>` stands what is captured, which is no import.
            if reader.punct(0) != Some('<') {
                reader.tree(&[], &mut imports);
            }
        } else if reader.word().is_some() {
            written.push(reader.path());
        } else {
            reader.at += 1;
        }
    }
    let names: HashMap<&str, &[String]> =
        imports.iter().map(|import| (import.name.as_str(), import.path.segments.as_slice())).collect();
    for path in &mut written {
        if let Some(full) = names.get(path.segments[0].as_str()) {
            path.segments.splice(..1, full.iter().cloned());
        }
    }
    written.extend(imports.into_iter().map(|import| import.path));
    written
}

struct Import {
    /// What the file calls it.
    name: String,
    path: PathUse,
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl Reader<'_> {
    fn word(&self) -> Option<&str> {
        match &self.tokens.get(self.at)?.kind {
            Kind::Ident(word) => Some(word),
            _ => None,
        }
    }

    fn punct(&self, ahead: usize) -> Option<char> {
        match self.tokens.get(self.at + ahead)?.kind {
            Kind::Punct(c) => Some(c),
            _ => None,
        }
    }

    fn skip_colons(&mut self) -> bool {
        let colons = self.punct(0) == Some(':') && self.punct(1) == Some(':');
        if colons {
            self.at += 2;
        }
        colons
    }

    /// Reads `a::b::c`, and stops before whatever else follows.
    fn path(&mut self) -> PathUse {
        let Token { line, in_test, .. } = self.tokens[self.at];
        let mut segments = Vec::new();
        while let Some(word) = self.word() {
            segments.push(word.to_owned());
            self.at += 1;
            let before = self.at;
            if !self.skip_colons() || self.word().is_none() {
                self.at = before;
                break;
            }
        }
        PathUse { segments, line, in_test }
    }

    /// Reads one tree of a `use`, whose parents are `prefix`.
    fn tree(&mut self, prefix: &[String], imports: &mut Vec<Import>) {
        self.skip_colons();
        let mut segments = prefix.to_vec();
        let Some(&Token { line, in_test, .. }) = self.tokens.get(self.at) else { return };
        if self.word().is_some() {
            segments.extend(self.path().segments);
            self.skip_colons();
        }
        match self.tokens.get(self.at).map(|token| &token.kind) {
            Some(Kind::Open('{')) => return self.list(&segments, imports),
            Some(Kind::Punct('*')) => {
                self.at += 1;
                return;
            }
            _ => {}
        }
        if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        let mut name = segments.last().cloned().unwrap_or_default();
        if self.word() == Some("as") {
            self.at += 1;
            name = self.word().unwrap_or_default().to_owned();
            self.at += 1;
        }
        imports.push(Import { name, path: PathUse { segments, line, in_test } });
    }

    fn list(&mut self, prefix: &[String], imports: &mut Vec<Import>) {
        self.at += 1;
        while let Some(token) = self.tokens.get(self.at) {
            match token.kind {
                Kind::Close('}') => {
                    self.at += 1;
                    return;
                }
                Kind::Ident(_) | Kind::Open('{') => self.tree(prefix, imports),
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::tidy::source::Source;

    fn paths(code: &str) -> Vec<String> {
        let source = Source::parse("a.rs".into(), code.into());
        source.paths.iter().map(super::PathUse::joined).collect()
    }

    #[test]
    fn a_call_is_resolved_through_imports() {
        let found = paths(
            "use std::{env, time::{self, Instant as Moment}}; fn f() { env::var(); Moment::now(); time::x::<u8>() }",
        );
        for path in
            ["std::env::var", "std::time::Instant::now", "std::time::x", "std::env", "std::time::Instant"]
        {
            assert!(found.iter().any(|found| found == path), "{path} is not among {found:?}");
        }
    }

    #[test]
    fn what_a_type_captures_is_no_import() {
        let found = paths("fn f<'a>(a: &'a [u8]) -> impl Iterator<Item = &'a u8> + use<'a> { a.iter() }");
        assert!(found.iter().all(|path| !path.is_empty()), "{found:?}");
    }

    #[test]
    fn a_full_path_needs_no_import() {
        assert!(paths("fn f() { ::tokio::spawn(async {}); }").contains(&"tokio::spawn".to_owned()));
    }
}
