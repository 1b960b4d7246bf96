//! What sites and people get wrong: the row ends in *error* with a reason that a person understands.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::rig::{Rig, settings};
use super::site::{Reply, Site};
use crate::CollectSettings;

const LIST: &[u8] =
    b"<urlset><url><loc>/b</loc></url><url><loc>/c</loc></url><url><loc>x:</loc></url></urlset>";

fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(body).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_cannot_be_collected_say_why() {
    let site = Site::start(|path| {
        Some(match path {
            "/missing" => Reply::status(404),
            "/gone" => Reply::status(410),
            "/forbidden" => Reply::status(403),
            "/broken" => Reply::status(500),
            "/huge" => Reply::html("x".repeat(200_000)),
            "/bomb" => {
                Reply::of("text/html", gzipped(&vec![b'a'; 4_000_000])).header("content-encoding", "gzip")
            }
            "/damaged" => {
                Reply::of("text/html", b"\x1f\x8bnonsense".to_vec()).header("content-encoding", "gzip")
            }
            "/strange" => Reply::of("text/html", "x").header("content-encoding", "snappy"),
            "/inside" => Reply::redirect("http://169.254.169.254/latest/meta-data"),
            _ => return None,
        })
    })
    .await;
    let mut settings = settings(&[&site]);
    settings.fetch.body_bytes_max = 100_000;
    let rig = Rig::new(settings).await;
    for (path, reason) in [
        ("/missing", "404 (not found)"),
        ("/gone", "410 (gone for good)"),
        ("/forbidden", "403 (forbidden)"),
        ("/broken", "500 (an error on its side)"),
        ("/huge", "larger than the limit of 100000 bytes"),
        ("/bomb", "larger than the limit of 100000 bytes"),
        ("/damaged", "could not be unpacked"),
        ("/strange", "compressed as \"snappy\""),
        ("/inside", "169.254.169.254/latest/meta-data may not be fetched"),
    ] {
        rig.add_page(&site.url(path)).await;
        rig.run_all().await;
        let page = rig.page(&site.url(path)).await;
        assert_eq!(page.status, "error", "{path}");
        let told = page.error.unwrap();
        assert!(told.contains(reason), "{path}: {told}");
    }
    assert_eq!(site.count("/missing"), 1, "another try would not help");
    assert_eq!(site.count("/broken"), 3, "it might have");
    let broken = rig.page(&site.url("/broken")).await;
    assert_eq!((broken.attempts, broken.status_code), (3, Some(500)));
    assert_eq!(broken.history.matches("500").count(), 3, "{}", broken.history);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bomb_is_seen_before_it_is_large() {
    let site = Site::start(|path| {
        let bomb =
            || Reply::of("text/html", gzipped(&vec![b'a'; 8_000_000])).header("content-encoding", "gzip");
        (path == "/bomb").then(bomb)
    })
    .await;
    let rig = Rig::new(settings(&[&site])).await;
    rig.add_page(&site.url("/bomb")).await;
    rig.run_all().await;
    let told = rig.page(&site.url("/bomb")).await.error.unwrap();
    assert!(told.contains("decompression bomb"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_that_are_no_addresses_and_addresses_that_must_not_be_asked_end_in_error() {
    let site = Site::start(|_| None).await;
    let rig = Rig::new(settings(&[&site])).await;
    for (text, reason) in [
        ("not a web address", "is not a valid address"),
        ("ftp://example.com/", "scheme `ftp` is not http or https"),
        ("", "the address is empty"),
        ("http://127.0.0.1:9/", "may not be fetched"),
        ("http://169.254.169.254/", "may not be fetched"),
        ("http://[::1]:8080/", "may not be fetched"),
        ("http://0x7f.1/", "may not be fetched"),
    ] {
        let added = rig.add_domain(text).await;
        rig.run("domain").await;
        let row = rig.domains().await.into_iter().find(|row| row.id == added.id).unwrap();
        assert_eq!(row.status, "error", "{text}");
        let told = row.error.unwrap();
        assert!(told.contains(reason), "{text}: {told}");
        assert_eq!(added.refused.is_some(), !reason.starts_with("may not"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_without_an_address_that_are_put_back_come_to_an_end_again() {
    use celeriac_control::workflow::ResetFilter;
    let site = Site::start(|_| None).await;
    let rig = Rig::new(settings(&[&site])).await;
    rig.add_domain("not a web address").await;
    let domains = rig.workflows.find("domain").unwrap();
    let put_back =
        domains.reset(rig.database(), ResetFilter::default(), rig.collector.clock().now(), false).await;
    assert_eq!(put_back.unwrap(), 1);
    assert_eq!(rig.domains().await[0].status, "pending");
    rig.run("domain").await;
    let row = rig.domains().await.remove(0);
    assert_eq!(row.status, "error");
    assert!(row.error.as_deref().unwrap().contains("can't be collected"), "{:?}", row.error);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_page_that_is_none_says_so_and_still_opens_its_sitemap() {
    let site = Site::start(|path| {
        Some(match path {
            "/robots.txt" => Reply::text("Sitemap: /map.xml"),
            "/" => Reply::of("application/json", "{}"),
            "/map.xml" => Reply::xml("<urlset><url><loc>/a</loc></url></urlset>"),
            "/a" => Reply::page("A", &[]),
            _ => return None,
        })
    })
    .await;
    let rig = Rig::new(settings(&[&site])).await;
    rig.add_domain(&site.url("/")).await;
    rig.run_all().await;
    let domain = rig.domains().await.remove(0);
    let told = domain.error.unwrap();
    assert!(domain.status == "error" && told.contains("is no HTML page: it is application/json"), "{told}");
    assert_eq!(rig.page(&site.url("/a")).await.status, "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sitemaps_that_cannot_be_read_say_why_and_broken_ones_give_what_they_have() {
    let site = Site::start(|path| {
        Some(match path {
            "/robots.txt" => Reply::text(
                "Sitemap: /page.xml\nSitemap: /empty.xml\nSitemap: /broken.xml\nSitemap: /other.xml\n\
                 Sitemap: /missing.xml\nSitemap: /cut.xml\nSitemap: /list.gz\nSitemap: /away.xml\n",
            ),
            "/" | "/a" | "/b" | "/c" => Reply::page("Page", &[]),
            "/page.xml" => Reply::html("<!doctype html><title>Not found</title>"),
            "/empty.xml" => Reply::xml(""),
            "/broken.xml" => Reply::xml("<urlset><url><loc"),
            "/other.xml" => Reply::xml("<config/>"),
            "/cut.xml" => Reply::xml("<urlset><url><loc>/a</loc></url><url><loc>/b"),
            "/list.gz" => Reply::of("application/octet-stream", gzipped(LIST)),
            "/away.xml" => Reply::redirect("/cut.xml"),
            _ => return None,
        })
    })
    .await;
    let rig = Rig::new(settings(&[&site])).await;
    rig.add_domain(&site.url("/")).await;
    rig.run_all().await;
    let rows = rig.sitemaps().await;
    for (path, status, reason) in [
        ("/page.xml", "error", "HTML page (\"Not found\") instead of a sitemap"),
        ("/empty.xml", "error", "the file is empty"),
        ("/broken.xml", "error", "breaks in line 1"),
        ("/other.xml", "error", "`<config>`"),
        ("/missing.xml", "error", "404 (not found)"),
        ("/cut.xml", "completed", ""),
        ("/list.gz", "completed", ""),
        ("/away.xml", "completed", ""),
    ] {
        let row = rows.iter().find(|row| row.url == site.url(path)).unwrap();
        let told = row.error.clone().unwrap_or_default();
        assert_eq!(row.status, status, "{path}: {told}");
        assert!(told.contains(reason), "{path}: {told}");
    }
    let cut = rows.iter().find(|row| row.url == site.url("/cut.xml")).unwrap();
    assert!(cut.warnings.as_deref().unwrap().contains("truncated"), "{:?}", cut.warnings);
    for path in ["/a", "/b", "/c"] {
        assert_eq!(rig.page(&site.url(path)).await.status, "completed", "{path}");
    }
    assert_eq!(site.count("/cut.xml"), 1, "the redirect led to a sitemap with a row of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_robots_txt_that_cannot_be_had_postpones_rows_uncharged_until_its_host_is_given_up() {
    let site = Site::start(|path| (path == "/robots.txt").then(|| Reply::status(503))).await;
    let mut settings = CollectSettings { robots_tries_max: 3, ..settings(&[&site]) };
    settings.hosts.backoff_start = Duration::from_millis(20);
    settings.hosts.backoff_max = Duration::from_millis(40);
    let rig = Rig::new(settings).await;
    rig.add_page(&site.url("/a")).await;
    rig.add_page(&site.url("/b")).await;
    rig.run_all().await;
    for path in ["/a", "/b"] {
        let page = rig.page(&site.url(path)).await;
        assert_eq!(page.status, "error", "{path}");
        let told = page.error.unwrap();
        assert!(told.contains("robots.txt") && told.contains("503"), "{path}: {told}");
        assert_eq!(page.attempts, 1, "it was not to blame for the tries before");
    }
    assert_eq!((site.count("/robots.txt"), site.hits().len()), (3, 3), "and nothing else was asked for");
}
