//! Files as large as the protocol allows.

use axum::body::{Body, Bytes};
use futures_util::stream;

use super::rig::{Rig, settings};
use super::site::{Reply, Site};

/// How many addresses the protocol allows in one file.
const ADDRESSES: usize = 50_000;

/// How many bytes each of them is filled up to, so that the file is as long as the protocol allows.
const BYTES_EACH: usize = 1_040;

/// How much more memory than before the import may take, in bytes.
const MEMORY_MAX: u64 = 64 * 1024 * 1024;

/// A sitemap that is made as it is sent.
fn endless_sitemap() -> Body {
    let part = |number: usize| {
        let mut part = format!("<url><loc>/garden/bed/{number}</loc><lastmod>2026-01-02</lastmod>");
        part.push_str("<!--");
        part.push_str(&"x".repeat(BYTES_EACH.saturating_sub(part.len() + 10)));
        part.push_str("--></url>");
        part
    };
    let parts = (0..ADDRESSES).step_by(100).map(move |first| {
        let text: String = (first..first + 100).map(part).collect();
        Ok::<_, std::io::Error>(Bytes::from(text))
    });
    let start = Ok(Bytes::from_static(b"<?xml version=\"1.0\"?><urlset>"));
    let end = Ok(Bytes::from_static(b"</urlset>"));
    Body::from_stream(stream::iter(std::iter::once(start).chain(parts).chain([end])))
}

/// The most memory that this process has had so far, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_megabytes_of_sitemap_become_fifty_thousand_pages_in_bounded_memory() {
    let site = Site::start(|path| match path {
        "/robots.txt" => Some(Reply::text("Sitemap: /map.xml")),
        "/" => Some(Reply::page("Home", &["/garden/bed/7"])),
        "/map.xml" => Some(Reply::of("application/xml", endless_sitemap())),
        _ => None,
    })
    .await;
    let rig = Rig::new(settings(&[&site])).await;
    rig.add_domain(&site.url("/")).await;
    rig.run("domain").await;
    let before = peak_memory();
    assert_eq!(rig.run("sitemap").await.done, 1);
    let grown = peak_memory() - before;
    assert!(grown < MEMORY_MAX, "{grown} bytes more");

    let sitemap = rig.sitemaps().await.remove(0);
    assert_eq!((sitemap.entries, sitemap.pages_added), (Some(50_000), Some(49_999)), "one was known");
    assert!(sitemap.body_bytes.unwrap() > 50_000_000, "{:?}", sitemap.body_bytes);
    assert_eq!(rig.domains().await[0].pages_found, 50_001);
    assert!(rig.page(&site.url("/garden/bed/7")).await.lastmod_at.is_some(), "it is told of what was known");
}
