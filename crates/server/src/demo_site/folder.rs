//! A site made of any folder of HTML.
//!
//! Only files that were found when the folder was opened are served, so that no path can lead out of it.

mod listing;
mod search;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use celeriac_protocol::Timestamp;

use super::reply::{HTML, Reply, XML};
use super::sitemap::{self, Listed, PART_ADDRESSES};
use super::{SiteError, address, date};

/// Files longer than this are sent as they are read instead of being held.
const HELD_BYTES_MAX: u64 = 256 * 1024;

/// The files below one folder.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Each file's path in the site, beginning with a slash, and when it was changed last.
    files: BTreeMap<String, Timestamp>,
    pages: usize,
}

/// What the sitemaps and robots.txt are called; a file of that name in the folder is not served.
enum Made {
    Robots,
    Index,
    Part(usize),
}

impl Folder {
    /// Searches a folder.
    pub(super) fn open(dir: &Path) -> Result<Self, SiteError> {
        let root = dir.canonicalize().map_err(|source| SiteError::Folder { path: dir.to_owned(), source })?;
        let files = search::files(&root)?;
        let pages = files.keys().filter(|path| is_page(path)).count();
        if pages == 0 {
            return Err(SiteError::NoPages { path: dir.to_owned() });
        }
        Ok(Self { root, files, pages })
    }

    /// Returns how many HTML files there are.
    pub(super) fn pages(&self) -> usize {
        self.pages
    }

    /// Answers a request for a path as it stood in the URL.
    pub(super) async fn reply(&self, origin: &str, path: &str) -> Reply {
        if let Some(made) = Made::by_path(path, self.parts()) {
            return self.made(origin, &made);
        }
        let Some(path) = address::decode(path) else { return not_found(path) };
        if let Some(index) = self.index_of(&path) {
            return self.file(&index).await;
        }
        if self.files.contains_key(&path) {
            return self.file(&path).await;
        }
        if self.is_folder(&path) {
            return match path.ends_with('/') {
                true => Reply::ok(HTML, listing::page(&path, self.below(&path))),
                false => {
                    Reply::redirect(StatusCode::MOVED_PERMANENTLY, &address::encode(&format!("{path}/")))
                }
            };
        }
        not_found(&path)
    }

    /// Returns the index file of a path that names a folder with one.
    fn index_of(&self, path: &str) -> Option<String> {
        let indices = ["index.html", "index.htm"].map(|name| format!("{path}{name}"));
        indices.into_iter().find(|index| path.ends_with('/') && self.files.contains_key(index))
    }

    fn is_folder(&self, path: &str) -> bool {
        let folder = format!("{}/", path.strip_suffix('/').unwrap_or(path));
        self.below(&folder).next().is_some()
    }

    /// Returns the files whose paths begin with `folder`, without that beginning.
    fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        let from =
            self.files.range::<str, _>((std::ops::Bound::Included(folder), std::ops::Bound::Unbounded));
        from.map_while(move |(path, _)| path.strip_prefix(folder))
    }

    async fn file(&self, path: &str) -> Reply {
        let file = self.root.join(path.trim_start_matches('/'));
        match read(&file, content_type(path)).await {
            Ok(reply) => reply,
            Err(error) if error.kind() == io::ErrorKind::NotFound => not_found(path),
            Err(error) => {
                tracing::warn!(%error, path, "file of the demonstration site cannot be read");
                Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read\n")
            }
        }
    }

    fn parts(&self) -> usize {
        self.pages.div_ceil(PART_ADDRESSES)
    }

    fn made(&self, origin: &str, made: &Made) -> Reply {
        match made {
            Made::Robots => {
                let robots = format!("User-agent: *\nAllow: /\n\nSitemap: {origin}/sitemap.xml\n");
                Reply::text(StatusCode::OK, robots)
            }
            Made::Index => {
                let newest = self.files.values().max().copied().unwrap_or_default();
                let parts = (1..=self.parts())
                    .map(|part| (format!("{origin}/sitemap-{part}.xml"), date::w3c(newest)));
                Reply::ok(XML, sitemap::index(parts))
            }
            Made::Part(part) => {
                let pages = self.files.iter().filter(|(path, _)| is_page(path));
                let listed =
                    pages.skip((part - 1) * PART_ADDRESSES).take(PART_ADDRESSES).map(|(path, modified)| {
                        Listed {
                            location: format!("{origin}{}", address::encode(shown(path))),
                            modified: date::w3c(*modified),
                            rhythm: None,
                        }
                    });
                Reply::ok(XML, sitemap::part(listed))
            }
        }
    }
}

impl Made {
    fn by_path(path: &str, parts: usize) -> Option<Self> {
        match path {
            "/robots.txt" => Some(Self::Robots),
            "/sitemap.xml" => Some(Self::Index),
            other => {
                let part = other.strip_prefix("/sitemap-")?.strip_suffix(".xml")?.parse().ok()?;
                (1..=parts).contains(&part).then_some(Self::Part(part))
            }
        }
    }
}

/// Returns the path under which a page is listed: an index file goes by its folder.
fn shown(path: &str) -> &str {
    path.strip_suffix("index.html").filter(|folder| folder.ends_with('/')).unwrap_or(path)
}

async fn read(path: &Path, content_type: &'static str) -> io::Result<Reply> {
    let path = path.to_owned();
    // One hop to a thread that may wait, for opening, looking and reading together.
    let read = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::File::open(path)?;
        let metadata = file.metadata()?;
        let modified = search::modified(&metadata);
        let etag = format!("\"{:x}-{:x}\"", modified.as_micros(), metadata.len());
        let reply = if metadata.len() > HELD_BYTES_MAX {
            Reply::file(content_type, file, metadata.len())
        } else {
            let mut body = Vec::new();
            io::Read::read_to_end(&mut file, &mut body)?;
            Reply::ok(content_type, body)
        };
        Ok(reply.validated_by(&etag, modified))
    });
    read.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn not_found(path: &str) -> Reply {
    Reply::new(StatusCode::NOT_FOUND, HTML, listing::not_found(path))
}

fn is_page(path: &str) -> bool {
    content_type(path).starts_with("text/html") || content_type(path).starts_with("application/xhtml")
}

/// Returns what a file is by its name's ending. A page's charset is left for the page to say.
fn content_type(path: &str) -> &'static str {
    let ending = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending);
    match ending.unwrap_or_default().to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html",
        "xhtml" => "application/xhtml+xml",
        "css" => "text/css",
        "js" | "mjs" => "text/javascript",
        "json" => "application/json",
        "xml" => XML,
        "txt" | "md" => "text/plain",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "pdf" => "application/pdf",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "gz" => "application/gzip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
