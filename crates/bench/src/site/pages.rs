//! The pages of a folder, and what the site's log says of them, both found without asking the program that is checked.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use celeriac_collect::url::CanonicalUrl;
use celeriac_server::demo_site::read_request_log;

/// A path with its query, in its canonical spelling: what the log and the rows have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Target(String);

impl Target {
    /// Takes an address of a row.
    pub(super) fn of_url(url: &str) -> anyhow::Result<Self> {
        let url = CanonicalUrl::parse(url).with_context(|| format!("read address {url}"))?;
        Ok(Self(url.as_str()[url.origin().len()..].to_owned()))
    }

    /// Takes what a request asks for.
    pub(super) fn of_request(target: &str) -> anyhow::Result<Self> {
        Self::of_url(&format!("http://site.invalid{target}"))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the pages of a folder: every HTML file. An index file goes by its folder's address, as every site has it.
pub(super) fn of_folder(root: &Path) -> anyhow::Result<HashSet<Target>> {
    let (mut pages, mut folders) = (HashSet::new(), vec![(root.to_owned(), String::from("/"))]);
    while let Some((folder, prefix)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            if entry.file_type()?.is_dir() {
                folders.push((entry.path(), format!("{prefix}{name}/")));
            } else if is_page(name) && is_inside(root, &entry.path()) {
                let name = if name == "index.html" { "" } else { name };
                pages.insert(Target::of_request(&escaped(&format!("{prefix}{name}")))?);
            }
        }
    }
    Ok(pages)
}

fn is_page(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| ["html", "htm", "xhtml"].contains(&ending.as_str()))
}

/// Says whether a file, or what a link leads to, is one of the folder's.
fn is_inside(root: &Path, path: &Path) -> bool {
    path.canonicalize().is_ok_and(|real| real.starts_with(root) && real.is_file())
}

/// Escapes what would end a path; the rest is brought to one spelling with the address.
fn escaped(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3F").replace('#', "%23").replace('\\', "%5C")
}

/// What the site was asked for, oldest request first.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) requests: Vec<Target>,
}

impl Log {
    /// Reads a request log; where there is none, nothing was asked for.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let requests = read_request_log(path)?;
        let requests = requests.iter().map(|request| Target::of_request(&request.target));
        Ok(Self { requests: requests.collect::<Result<_, _>>()? })
    }

    /// Counts the pages among `wanted` that were asked for.
    pub(super) fn pages_among(&self, wanted: &HashSet<Target>) -> usize {
        self.requests.iter().filter(|target| wanted.contains(target)).collect::<HashSet<_>>().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_as_a_site_shows_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("a b")).unwrap();
        for name in ["index.html", "a b/index.html", "a b/100%.HTM", "style.css", ".hidden.html"] {
            std::fs::write(root.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("/etc/hostname", root.join("away.html")).unwrap();
        let mut pages: Vec<String> = of_folder(&root).unwrap().iter().map(Target::to_string).collect();
        pages.sort();
        assert_eq!(pages, ["/", "/a%20b/", "/a%20b/100%25.HTM"]);
    }
}
