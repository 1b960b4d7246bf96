//! Reads the workspace: its crates' manifests and its Rust files.

use std::fmt;
use std::path::Path;

use anyhow::Context;

use super::source::Source;

/// Everything the rules look at, held in memory.
pub(crate) struct Workspace {
    pub(crate) crates: Vec<Crate>,
    pub(crate) sources: Vec<Source>,
}

/// One member of the workspace.
pub(crate) struct Crate {
    /// Folder below the root: `crates/engine` or `xtask`.
    pub(crate) folder: String,
    pub(crate) manifest: toml::Table,
    pub(crate) manifest_text: String,
    pub(crate) has_readme: bool,
}

/// One breach of a rule.
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) wrong: String,
    pub(crate) instead: String,
    rule: &'static str,
    holds: &'static str,
}

impl Workspace {
    /// Reads every member's manifest and every Rust file under `root`.
    pub(crate) fn load(root: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        for folder in ["crates", "examples", "xtask"] {
            collect(root, &root.join(folder), &mut files)?;
        }
        files.sort();
        Self::from_files(files)
    }

    /// Builds a workspace from paths below the root and their texts.
    pub(crate) fn from_files(files: Vec<(String, String)>) -> anyhow::Result<Self> {
        let readmes: Vec<String> =
            files.iter().filter_map(|(path, _)| path.strip_suffix("/README.md").map(str::to_owned)).collect();
        let mut workspace = Self { crates: Vec::new(), sources: Vec::new() };
        for (path, text) in files {
            if let Some(folder) = path.strip_suffix("/Cargo.toml") {
                let manifest = text.parse().with_context(|| format!("read {path}"))?;
                let has_readme = readmes.iter().any(|readme| readme == folder);
                let folder = folder.to_owned();
                workspace.crates.push(Crate { folder, manifest, manifest_text: text, has_readme });
            } else if path.ends_with(".rs") {
                workspace.sources.push(Source::parse(path, text));
            }
        }
        Ok(workspace)
    }

    /// Returns the files of more than `limit` lines, with their lengths.
    pub(crate) fn longer_than(&self, limit: usize) -> impl Iterator<Item = (&str, usize)> {
        self.sources
            .iter()
            .map(|source| (source.path.as_str(), source.text.lines().count()))
            .filter(move |(_, lines)| *lines > limit)
    }

    /// Returns the files that end up in what users run.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| source.is_shipped())
    }
}

impl Crate {
    /// Returns the folder's own name, which is the crate's name without its prefix.
    pub(crate) fn name(&self) -> &str {
        self.folder.rsplit('/').next().expect("a split gives at least one part")
    }

    /// Returns the manifest's path below the root.
    pub(crate) fn manifest_path(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }

    /// Returns the line of the manifest on which `key` is set in `table`, or 1.
    pub(crate) fn line_of(&self, table: &str, key: &str) -> usize {
        let header = format!("[{table}]");
        let lines = self.manifest_text.lines().enumerate();
        lines
            .skip_while(|(_, line)| line.trim() != header)
            .skip(1)
            .take_while(|(_, line)| !line.starts_with('['))
            .find(|(_, line)| line.split(['.', '=', ' ']).next() == Some(key))
            .map_or(1, |(index, _)| index + 1)
    }
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, wrong: impl Into<String>, instead: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            wrong: wrong.into(),
            instead: instead.into(),
            rule: "",
            holds: "",
        }
    }

    /// Names the rule that was broken.
    pub(crate) fn under(mut self, rule: &'static str, holds: &'static str) -> Self {
        (self.rule, self.holds) = (rule, holds);
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:{}: {}", self.path, self.line, self.wrong)?;
        writeln!(f, "    instead: {}", self.instead)?;
        write!(f, "    rule `{}`: {}", self.rule, self.holds)
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) -> anyhow::Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry.with_context(|| format!("list {}", folder.display()))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(root, &path, files)?;
            }
        } else if name.ends_with(".rs") || name == "Cargo.toml" || name == "README.md" {
            let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            files.push((path.strip_prefix(root)?.to_string_lossy().into_owned(), text));
        }
    }
    Ok(())
}

/// Runs one rule over a workspace of one or more files and returns `path:line wrong` of each finding.
#[cfg(test)]
pub(crate) fn findings(rule: fn(&Workspace) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<String> {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    let workspace = Workspace::from_files(files).expect("the sample is well-formed");
    rule(&workspace).iter().map(|f| format!("{}:{} {}", f.path, f.line, f.wrong)).collect()
}
