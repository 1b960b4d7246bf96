//! The whole chain: a domain queues its sitemaps, a sitemap its pages, a page its links.

use std::collections::BTreeMap;

use celeriac_control::workflow::ItemStatus;

use super::rig::{Rig, settings, woken};
use super::site::{Reply, Site};
use crate::CollectSettings;
use crate::inventory::{Inventory, InventoryRow};
use crate::summary::{PageKinds, Summary, absent_sitemaps, failed_rows};

const ROBOTS: &str = "User-agent: *\nDisallow: /private/\nSitemap: /index.xml\n";

/// A site with one of everything.
fn garden(path: &str) -> Option<Reply> {
    Some(match path {
        "/robots.txt" => Reply::text(ROBOTS),
        "/index.xml" => Reply::xml(
            "<sitemapindex><sitemap><loc>/part.xml</loc></sitemap>\
             <sitemap><loc>/index.xml</loc></sitemap></sitemapindex>",
        ),
        "/part.xml" => Reply::xml(
            "<urlset><url><loc>/listed</loc><lastmod>2026-01-02</lastmod><changefreq>daily</changefreq>\
             <priority>0.8</priority></url><url><loc>/b</loc></url>\
             <url><loc>https://elsewhere.example/</loc></url></urlset>",
        ),
        "/" => Reply::html(
            "<html lang=en><head><title>Garden</title><meta name=description content='All of it'>\
             <link rel=icon href=/icon.png><meta property=og:site_name content='The Garden'>\
             <link rel=alternate type=application/atom+xml href=/feed.atom></head>\
             <a href=/a>A</a><a href=/b>B</a><a href=/private/x>no</a><a href=/photo.jpg>photo</a>\
             <a href=https://elsewhere.example/>away</a>",
        ),
        "/a" => Reply::page("A", &["/", "/old", "/report.pdf", "/quiet"]),
        "/b" => {
            Reply::html("<title>B</title><h1>Bee</h1><p>one two three</p><a rel=nofollow href=/never>n</a>")
        }
        "/listed" => Reply::page("Listed", &["/calendar/2031-05"]),
        "/old" => Reply::redirect("/a"),
        "/quiet" => Reply::page("Quiet", &["/never"]).header("x-robots-tag", "noindex, nofollow"),
        "/report.pdf" => Reply::of("application/pdf", "%PDF"),
        _ => return None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_becomes_sitemaps_and_pages_and_nothing_is_asked_for_twice() {
    let site = Site::start(garden).await;
    let rig = Rig::new(settings(&[&site])).await;
    let added = rig.add_domain(&site.url("/")).await;
    assert!(added.is_new && added.refused.is_none());
    rig.run_all().await;

    let domain = rig.domains().await.remove(0);
    assert_eq!((domain.status.as_str(), domain.error.as_deref()), ("completed", None));
    assert_eq!(domain.title.as_deref(), Some("Garden"));
    assert_eq!(domain.site_name.as_deref(), Some("The Garden"));
    assert_eq!(domain.icon, Some(site.url("/icon.png")));
    assert!(domain.feeds.unwrap().contains("/feed.atom"));
    assert_eq!((domain.robots.as_deref(), domain.robots_sitemaps), (Some("rules"), Some(1)));
    assert_eq!((domain.sitemaps_found, domain.sitemaps_read), (2, 2));

    let sitemaps = rig.sitemaps().await;
    let told: Vec<_> = sitemaps.iter().map(|row| (row.kind.as_deref(), row.entries, row.left_out)).collect();
    assert_eq!(told, [(Some("index"), Some(1), Some(0)), (Some("url_set"), Some(3), Some(1))]);

    let pages = rig.pages().await;
    let told: BTreeMap<String, (String, i32)> = pages
        .iter()
        .map(|page| (page.url.replace(&site.url(""), ""), (page.status.clone(), page.depth)))
        .collect();
    let expected = [
        ("/", "completed", 0),
        ("/a", "completed", 1),
        ("/b", "completed", 1),
        ("/listed", "completed", 1),
        ("/old", "completed", 2),
        ("/private/x", "error", 1),
        ("/quiet", "completed", 2),
        ("/report.pdf", "completed", 2),
    ];
    let expected: BTreeMap<String, (String, i32)> =
        expected.map(|(path, status, depth)| (path.to_owned(), (status.to_owned(), depth))).into();
    assert_eq!(told, expected);
    assert_eq!(domain.pages_found, pages.len() as i64);

    let hits = site.hits();
    for hit in &hits {
        assert_eq!(site.count(&hit.path), 1, "{} was asked for once", hit.path);
    }
    assert_eq!(hits[0].path, "/robots.txt", "before anything else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_keeps_what_it_says_and_what_its_sitemap_says_of_it() {
    let site = Site::start(garden).await;
    let rig = Rig::new(settings(&[&site])).await;
    rig.add_domain(&site.url("/")).await;
    rig.run_all().await;

    let page = rig.page(&site.url("/b")).await;
    assert_eq!((page.title.as_deref(), page.status_code), (Some("B"), Some(200)));
    assert_eq!((page.word_count, page.charset.as_deref()), (Some(5), Some("UTF-8")));
    assert_eq!((page.links, page.links_internal), (Some(1), Some(1)));
    assert!(page.sitemap_id.is_some(), "its sitemap lists it, although a link may have found it first");
    let content = rig.content(page.id).await.unwrap();
    assert_eq!(content.headings, r#"[{"level":1,"text":"Bee"}]"#);
    let expected =
        format!(r#"[{{"url":"{}","text":"n","scope":"same_host","rel":["nofollow"]}}]"#, site.url("/never"));
    assert_eq!(content.links, expected);

    let listed = rig.page(&site.url("/listed")).await;
    assert_eq!((listed.priority, listed.changefreq.as_deref()), (Some(800), Some("daily")));
    assert_eq!(listed.lastmod_at, Some(1_767_312_000_000_000));
    assert_eq!((listed.links_internal, listed.links_trapped), (Some(1), Some(1)), "the calendar is endless");

    let quiet = rig.page(&site.url("/quiet")).await;
    assert_eq!((quiet.noindex, quiet.nofollow), (Some(true), Some(true)));
    let old = rig.page(&site.url("/old")).await;
    assert_eq!((old.redirect_to, old.status_code, old.title), (Some(site.url("/a")), Some(301), None));
    let report = rig.page(&site.url("/report.pdf")).await;
    assert_eq!((report.content_type.as_deref(), report.links), (Some("application/pdf"), None));
    let private = rig.page(&site.url("/private/x")).await;
    let reason = private.error.unwrap();
    assert!(reason.contains("robots.txt") && reason.contains("Disallow: /private/"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_of_hosts_is_counted() {
    let site = Site::start(garden).await;
    let rig = Rig::new(settings(&[&site])).await;
    rig.add_domain(&site.url("/")).await;
    rig.run_all().await;
    let host = rig.hosts().await.into_iter().find(|host| host.origin == site.url("")).unwrap();
    assert_eq!(host.requests, site.hits().len() as i64);
    assert_eq!((host.robots_outcome.as_deref(), host.last_error), (Some("rules"), None));
    assert_eq!((host.domains_ready_at, host.sitemaps_ready_at, host.pages_ready_at), (None, None, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_added_wake_their_workflow_after_the_commit() {
    let site = Site::start(garden).await;
    let rig = Rig::new(settings(&[&site])).await;
    let mut notices = rig.listen();
    rig.add_domain(&site.url("/")).await;
    assert_eq!(woken(&mut notices), ["process_pending_domains"]);
    rig.add_domain(&site.url("/")).await;
    assert_eq!(woken(&mut notices), [""; 0], "it is known");
    rig.run("domain").await;
    let mut names = woken(&mut notices);
    names.sort();
    assert_eq!(names, ["process_pending_pages", "process_sitemap_imports"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crawl_stays_within_its_depth_and_its_number_of_pages() {
    let chain = |path: &str| {
        let number: u32 = path.strip_prefix("/p")?.parse().ok()?;
        let next: Vec<String> = (0..5).map(|n| format!("/p{}", number * 5 + n + 1)).collect();
        Some(Reply::page(path, &next.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let site = Site::start(chain).await;
    let shallow = CollectSettings { depth_max: 2, ..settings(&[&site]) };
    let rig = Rig::new(shallow).await;
    rig.add_page(&site.url("/p0")).await;
    rig.run_all().await;
    let depths: Vec<i32> = rig.pages().await.iter().map(|page| page.depth).collect();
    assert_eq!(depths.len(), 1 + 5 + 25);
    assert_eq!(depths.iter().max(), Some(&2));

    let small = CollectSettings { pages_max: 12, ..settings(&[&site]) };
    let rig = Rig::new(small).await;
    rig.add_page(&site.url("/p0")).await;
    rig.run_all().await;
    assert_eq!(rig.pages().await.len(), 12);
    assert_eq!(rig.domains().await[0].pages_found, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_lead_from_row_to_row_and_come_to_an_end() {
    let site = Site::start(|path| {
        Some(match path {
            "/loop/1" => Reply::redirect("/loop/2"),
            "/loop/2" => Reply::redirect("/loop/1"),
            "/self" => Reply::redirect("/self"),
            "/sorted?a=1&b=2" => Reply::redirect("/sorted?b=2&a=1"),
            "/sorted?b=2&a=1" => Reply::page("Sorted", &[]),
            "/away" => Reply::redirect("https://elsewhere.example/x"),
            "/mail" => Reply::redirect("mailto:a@example.com"),
            _ => {
                let number: u32 = path.strip_prefix("/hop/")?.parse().ok()?;
                Reply::redirect(&format!("/hop/{}", number + 1))
            }
        })
    })
    .await;
    let rig = Rig::new(settings(&[&site])).await;
    for path in ["/loop/1", "/self", "/sorted?b=2&a=1", "/away", "/mail", "/hop/0"] {
        rig.add_page(&site.url(path)).await;
    }
    rig.run_all().await;
    for (path, status, reason) in [
        ("/loop/1", "completed", None),
        ("/loop/2", "completed", None),
        ("/self", "error", Some("redirects in a circle")),
        ("/sorted?a=1&b=2", "completed", None),
        ("/away", "completed", None),
        ("/mail", "error", Some("mailto")),
        ("/hop/10", "error", Some("10 redirects in a row lead here")),
    ] {
        let page = rig.page(&site.url(path)).await;
        assert_eq!(page.status, status, "{path}: {:?}", page.error);
        let told = page.error.unwrap_or_default();
        assert!(told.contains(reason.unwrap_or_default()), "{path}: {told}");
    }
    assert_eq!(rig.page(&site.url("/sorted?a=1&b=2")).await.title.as_deref(), Some("Sorted"));
    assert_eq!(
        rig.page(&site.url("/away")).await.redirect_to.as_deref(),
        Some("https://elsewhere.example/x")
    );
    assert_eq!(site.count("/loop/1"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_page_that_redirects_is_followed_by_the_rules_of_each_host() {
    let other = Site::start(|path| match path {
        "/robots.txt" => Some(Reply::text("User-agent: *\nDisallow: /x")),
        "/home" => Some(Reply::page("Other", &["/more"])),
        _ => None,
    })
    .await;
    let target = other.url("/home");
    let site = Site::start(move |path| match path {
        "/" => Some(Reply::redirect("/en/")),
        "/en/" => Some(Reply::page("English", &["/", "/en/more"])),
        "/en/more" => Some(Reply::page("More", &["/en/"])),
        "/moved" => Some(Reply::redirect(&target)),
        _ => None,
    })
    .await;
    let rig = Rig::new(settings(&[&site, &other])).await;
    rig.add_domain(&site.url("/")).await;
    rig.run_all().await;
    let domain = rig.domains().await.remove(0);
    assert_eq!((domain.title.as_deref(), domain.final_url), (Some("English"), Some(site.url("/en/"))));
    let home = rig.page(&site.url("/")).await;
    assert_eq!((home.status.as_str(), home.redirect_to), ("completed", Some(site.url("/en/"))));
    for path in ["/", "/en/", "/en/more"] {
        assert_eq!(site.count(path), 1, "{path}");
    }
    assert_eq!(rig.sitemaps().await[0].kind.as_deref(), Some("absent"), "only we looked for one");
    assert_eq!(absent_sitemaps(rig.database().reader(), &[rig.domains().await[0].id]).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_that_moved_to_another_site_is_told_and_not_followed() {
    let other = Site::start(|path| (path == "/").then(|| Reply::page("Other", &["/more"]))).await;
    let target = other.url("/");
    let site = Site::start(move |path| (path == "/").then(|| Reply::redirect(&target))).await;
    let rig = Rig::new(settings(&[&site, &other])).await;
    rig.add_domain(&site.url("/")).await;
    rig.run_all().await;
    let domain = rig.domains().await.remove(0);
    assert_eq!((domain.status.as_str(), domain.title.as_deref()), ("completed", Some("Other")));
    assert_eq!(domain.final_url, Some(other.url("/")));
    assert_eq!(rig.pages().await.len(), 0);
    assert_eq!(other.hits()[0].path, "/robots.txt", "its rules are asked for too");
    assert_eq!(other.count("/sitemap.xml"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_put_back_are_collected_anew() {
    use celeriac_control::workflow::{ItemStatus, ResetFilter};
    use celeriac_protocol::Clock;
    let site = Site::start(garden).await;
    let rig = Rig::new(settings(&[&site])).await;
    rig.add_domain(&site.url("/")).await;
    rig.run_all().await;
    let before = rig.pages().await;
    let pages = rig.workflows.find("page").unwrap();
    let now = celeriac_engine::SystemClock.now();
    let ended = ResetFilter { statuses: vec![ItemStatus::Done, ItemStatus::Error], ..ResetFilter::default() };
    let put_back = pages.reset(rig.database(), ended, now, false).await.unwrap();
    assert_eq!(put_back, before.len() as u64);
    rig.run_all().await;
    let after = rig.pages().await;
    assert_eq!(after.len(), before.len());
    assert_eq!(site.count("/b"), 2);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&before.status, &before.content_hash), (&after.status, &after.content_hash));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_transaction_is_open_while_the_network_is_awaited() {
    use celeriac_db::{Database, DbError};
    use std::sync::{Arc, OnceLock};
    let database: Arc<OnceLock<Database>> = Arc::default();
    let known = Arc::clone(&database);
    let site = Site::start_async(move |path| {
        let known = Arc::clone(&known);
        async move {
            // The site writes to the collector's database before it answers; a transaction that waits for
            // the answer would hold the one writer, and this would never end.
            if let Some(database) = known.get() {
                let write = database.write("of the site", async |_| Ok::<_, DbError>(()));
                tokio::time::timeout(std::time::Duration::from_secs(4), write).await.ok()?.ok()?;
            }
            garden(&path)
        }
    })
    .await;
    let rig = Rig::new(settings(&[&site])).await;
    database.set(rig.database().clone()).unwrap();
    rig.add_domain(&site.url("/")).await;
    rig.run_all().await;
    assert_eq!(rig.page(&site.url("/quiet")).await.status, "completed");
    assert_eq!(rig.domains().await[0].sitemaps_read, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_summary_tells_how_it_went_and_what_failed() {
    let site = Site::start(garden).await;
    let rig = Rig::new(settings(&[&site])).await;
    rig.add_domain(&site.url("/")).await;
    let domain = rig.domains().await[0].id;
    let before = Summary::read(rig.database().reader(), &[domain]).await.unwrap();
    assert!(!before.is_final() && before.domains.waiting == 1);
    rig.run_all().await;
    let after = Summary::read(rig.database().reader(), &[domain]).await.unwrap();
    assert!(after.is_final(), "{after:?}");
    assert_eq!((after.pages.done, after.pages.failed, after.retries()), (7, 1, 0));
    let kinds = PageKinds::read(rig.database().reader(), &[domain]).await.unwrap();
    assert_eq!(kinds.redirects, 1);
    let failed = failed_rows(rig.database().reader(), &[domain], 10).await.unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].workflow, &failed[0].url), ("page", &site.url("/private/x")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inventory_lists_every_row_as_it_stands() {
    let site = Site::start(garden).await;
    let rig = Rig::new(settings(&[&site])).await;
    rig.add_domain(&site.url("/")).await;
    let before = Inventory::read(rig.database().reader()).await.unwrap();
    let waiting = InventoryRow { url: site.url("/"), status: Some(ItemStatus::Waiting), attempts: 0 };
    assert_eq!(before, Inventory { domains: vec![waiting], ..Inventory::default() });
    rig.run_all().await;
    let after = Inventory::read(rig.database().reader()).await.unwrap();
    let count = |status| after.pages.iter().filter(|row| row.status == Some(status)).count();
    assert_eq!((count(ItemStatus::Done), count(ItemStatus::Error), after.pages.len()), (7, 1, 8));
    assert_eq!((after.domains.len(), after.sitemaps.len()), (1, 2));
    assert_eq!(after.pages[0].url, site.url("/"), "in the order in which they were added");
}
