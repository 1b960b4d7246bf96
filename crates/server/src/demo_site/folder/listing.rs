//! Pages that a folder's site makes itself: a folder without an index, and what is not there.

use crate::demo_site::address;
use crate::demo_site::sitemap::escape;

/// How many entries one listing shows; the sitemap has the rest.
const ENTRIES_MAX: usize = 5_000;

/// Writes the page of a folder from the paths of the files below it, which are in order.
pub(super) fn page<'a>(folder: &str, below: impl Iterator<Item = &'a str>) -> String {
    let mut entries: Vec<&str> = Vec::new();
    for path in below {
        let entry = path.find('/').map_or(path, |slash| &path[..=slash]);
        if entries.last() != Some(&entry) {
            entries.push(entry);
        }
        if entries.len() == ENTRIES_MAX {
            break;
        }
    }
    let links = entries.iter().map(|entry| {
        // A colon in a first segment would read as a scheme.
        format!("<li><a href=\"./{}\">{}</a></li>\n", address::encode(entry), escape(entry))
    });
    let title = format!("Index of {}", escape(folder));
    let up = if folder == "/" { "" } else { "<p><a href=\"../\">One folder up</a></p>\n" };
    frame(&title, &format!("{up}<ul>\n{}</ul>\n", links.collect::<String>()))
}

/// Writes the page for a path that leads nowhere.
pub(super) fn not_found(path: &str) -> String {
    let path = escape(path);
    frame(
        "Not found",
        &format!(
            "<p>There is no <code>{path}</code> here.</p>\n<p><a href=\"/\">To the first page</a></p>\n"
        ),
    )
}

fn frame(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>:root{{color-scheme:light dark}}body{{font:1rem/1.6 system-ui,sans-serif;max-width:46rem;margin:3rem auto;\
         padding:0 1rem}}li{{overflow-wrap:anywhere}}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}
