//! What the site of a folder answers.

use std::fs;
use std::os::unix::fs::symlink;

use axum::http::header::{CONTENT_TYPE, LOCATION};

use super::*;

/// A folder with the given files, each holding its own name.
fn folder(names: &[&str]) -> (tempfile::TempDir, Folder) {
    let dir = tempfile::tempdir().expect("a folder for the test");
    for name in names {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a file lies in a folder"))
            .expect("the folder can be written");
        fs::write(path, name).expect("the folder can be written");
    }
    let folder = Folder::open(dir.path()).expect("there is a page");
    (dir, folder)
}

async fn get(folder: &Folder, path: &str) -> (u16, String) {
    let reply = folder.reply("http://x", path).await;
    (reply.status().as_u16(), String::from_utf8_lossy(reply.body()).into_owned())
}

#[tokio::test]
async fn a_folder_answers_with_its_index() {
    let (_dir, folder) = folder(&["index.html", "a/index.html", "b/page.html", "c/index.htm"]);
    assert_eq!(get(&folder, "/").await, (200, "index.html".into()));
    assert_eq!(get(&folder, "/a/").await, (200, "a/index.html".into()));
    assert_eq!(get(&folder, "/c/").await, (200, "c/index.htm".into()));
    let reply = folder.reply("http://x", "/a").await;
    assert_eq!((reply.status().as_u16(), reply.header(&LOCATION)), (301, Some("/a/")));
}

#[tokio::test]
async fn a_folder_without_an_index_lists_what_it_holds() {
    let (_dir, folder) = folder(&["b/one.html", "b/deep/two.html", "b/a&b.html"]);
    let (status, html) = get(&folder, "/b/").await;
    assert_eq!(status, 200);
    for link in
        ["href=\"./one.html\"", "href=\"./deep/\"", "href=\"./a%26b.html\">a&amp;b.html", "href=\"../\""]
    {
        assert!(html.contains(link), "{link} is not in {html}");
    }
    assert!(!html.contains("two.html"));
}

#[tokio::test]
async fn nothing_outside_the_folder_is_served() {
    let (dir, _) = folder(&["site/index.html", "secret.html", "site/.hidden.html"]);
    symlink(dir.path().join("secret.html"), dir.path().join("site/link.html")).expect("links can be made");
    symlink(dir.path(), dir.path().join("site/up")).expect("links can be made");
    symlink(dir.path().join("site/index.html"), dir.path().join("site/inner.html"))
        .expect("links can be made");
    let folder = Folder::open(&dir.path().join("site")).expect("there is a page");
    for path in [
        "/../secret.html",
        "/%2e%2e/secret.html",
        "/..%2fsecret.html",
        "//secret.html",
        "/link.html",
        "/up/secret.html",
        "/.hidden.html",
        "/index.html/",
        "/index.html%00",
        "/%ff",
    ] {
        assert_eq!(get(&folder, path).await.0, 404, "{path}");
    }
    assert_eq!(get(&folder, "/inner.html").await.0, 200);
}

#[tokio::test]
async fn every_page_is_in_the_sitemap_and_every_listed_address_answers() {
    let (_dir, folder) = folder(&["index.html", "a b/ü.html", "a b/style.css", "old.HTM", "sitemap.xml"]);
    assert_eq!(folder.pages(), 3);
    let (_, robots) = get(&folder, "/robots.txt").await;
    assert!(robots.contains("Allow: /\n") && robots.contains("Sitemap: http://x/sitemap.xml\n"), "{robots}");
    let (_, index) = get(&folder, "/sitemap.xml").await;
    assert!(index.contains("<loc>http://x/sitemap-1.xml</loc>"), "{index}");
    let (_, part) = get(&folder, "/sitemap-1.xml").await;
    let listed: Vec<&str> =
        part.split("<loc>http://x").skip(1).filter_map(|rest| rest.split("</loc>").next()).collect();
    assert_eq!(listed, ["/a%20b/%C3%BC.html", "/", "/old.HTM"]);
    for path in listed {
        assert_eq!(get(&folder, path).await.0, 200, "{path}");
    }
    assert_eq!(get(&folder, "/sitemap-2.xml").await.0, 404);
}

#[tokio::test]
async fn a_large_folder_has_a_sitemap_in_parts() {
    let (_dir, mut folder) = folder(&["index.html"]);
    let more = (0..PART_ADDRESSES).map(|number| (format!("/p{number:06}.html"), Timestamp::EPOCH));
    folder.files.extend(more);
    folder.pages = folder.files.len();
    let (_, index) = get(&folder, "/sitemap.xml").await;
    assert_eq!(index.matches("<loc>").count(), 2);
    let (_, first) = get(&folder, "/sitemap-1.xml").await;
    let (_, second) = get(&folder, "/sitemap-2.xml").await;
    assert_eq!((first.matches("<loc>").count(), second.matches("<loc>").count()), (PART_ADDRESSES, 1));
    assert!(second.contains("p049999.html"));
}

#[tokio::test]
async fn a_page_says_what_it_is_and_when_it_changed() {
    let (_dir, folder) = folder(&["index.html", "a.css"]);
    let reply = folder.reply("http://x", "/a.css").await;
    assert_eq!(reply.header(&CONTENT_TYPE), Some("text/css"));
    assert!(reply.header(&axum::http::header::ETAG).is_some_and(|tag| tag.starts_with('"')));
    assert!(reply.header(&axum::http::header::LAST_MODIFIED).is_some_and(|date| date.ends_with("GMT")));
}

#[test]
fn a_folder_without_pages_is_refused() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    fs::write(dir.path().join("notes.txt"), "x").expect("the folder can be written");
    assert!(matches!(Folder::open(dir.path()), Err(SiteError::NoPages { .. })));
    assert!(matches!(Folder::open(&dir.path().join("none")), Err(SiteError::Folder { .. })));
}
