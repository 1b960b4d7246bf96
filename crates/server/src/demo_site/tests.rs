//! What the whole site holds to, asked of it as a reader would ask.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use axum::http::header::{CONTENT_TYPE, LOCATION};
use celeriac_protocol::ManualClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const ORIGIN: &str = "http://127.0.0.1:9";

fn garden() -> Garden {
    Garden::grown_at(ORIGIN, &request_log::Earlier::new())
}

async fn get(garden: &Garden, path: &str) -> Reply {
    // Time passes for the slow page without anybody waiting.
    let clock = ManualClock::default();
    let asked = garden.reply(path, &Method::GET, &clock);
    tokio::pin!(asked);
    loop {
        tokio::select! {
            biased;
            reply = &mut asked => return reply,
            () = tokio::task::yield_now() => clock.advance(Duration::from_secs(1)),
        }
    }
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(reply.body()).into_owned()
}

fn string(text: &html5gum::HtmlString) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// Returns the start tags of a document, with their attributes.
fn tags(html: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let tokens = html5gum::Tokenizer::new(html).map(|Ok(token)| token);
    let tags = tokens.filter_map(|token| match token {
        html5gum::Token::StartTag(tag) => Some(tag),
        _ => None,
    });
    tags.map(|tag| {
        let attributes = tag.attributes.iter().map(|(name, value)| (string(name), string(&value.value)));
        (string(&tag.name), attributes.collect())
    })
    .collect()
}

/// Returns what is wrong with a document of which every element is closed where it should be.
fn faults(html: &str) -> Vec<String> {
    const VOID: [&str; 4] = ["meta", "link", "br", "hr"];
    let (mut open, mut faults) = (Vec::new(), Vec::new());
    let mut tokens = html5gum::Tokenizer::new(html).map(|Ok(token)| token).peekable();
    if !matches!(tokens.peek(), Some(html5gum::Token::Doctype(_))) {
        faults.push("there is no doctype".to_owned());
    }
    for token in tokens {
        match token {
            html5gum::Token::StartTag(tag)
                if tag.self_closing || VOID.contains(&string(&tag.name).as_str()) => {}
            html5gum::Token::StartTag(tag) => open.push(string(&tag.name)),
            html5gum::Token::EndTag(tag) if open.last() == Some(&string(&tag.name)) => drop(open.pop()),
            html5gum::Token::EndTag(tag) => {
                faults.push(format!("{} ends within {open:?}", string(&tag.name)));
            }
            html5gum::Token::Error(error) => faults.push(format!("{error:?}")),
            _ => {}
        }
    }
    faults.extend(open.iter().map(|name| format!("{name} is never closed")));
    faults
}

/// Returns the paths of a page's links, resolved as far as the site writes them.
fn links(html: &str) -> BTreeSet<String> {
    let anchors = tags(html).into_iter().filter(|(name, _)| name == "a");
    let hrefs = anchors.filter_map(|(_, attributes)| attributes.get("href").cloned());
    let paths = hrefs.map(|href| href.split(['?', '#']).next().unwrap_or_default().to_owned());
    paths.filter(|path| path.starts_with('/') && !path.contains("/.") && !path.contains('%')).collect()
}

/// Returns the pages that a reader reaches by links from the first one, with their HTML.
///
/// The calendar is entered and left again after its third month.
async fn walk(garden: &Garden) -> BTreeMap<String, (u16, String)> {
    let mut seen = BTreeMap::new();
    let mut ahead = vec!["/".to_owned()];
    while let Some(path) = ahead.pop() {
        if seen.contains_key(&path) || path.starts_with("/calendar/2027/02") {
            continue;
        }
        let mut reply = get(garden, &path).await;
        while reply.status() == StatusCode::SERVICE_UNAVAILABLE {
            reply = get(garden, &path).await;
        }
        ahead.extend(reply.header(&LOCATION).map(str::to_owned));
        let is_html = reply.header(&CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
        let html = if is_html { text(&reply) } else { String::new() };
        ahead.extend(links(&html));
        seen.insert(path, (reply.status().as_u16(), html));
    }
    seen
}

fn locations(xml: &str) -> Vec<String> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let (mut locations, mut inside) = (Vec::new(), false);
    loop {
        match reader.read_event().expect("the sitemap is well-formed") {
            quick_xml::events::Event::Start(tag) => inside = tag.name().as_ref() == "loc",
            quick_xml::events::Event::Text(text) if inside => {
                locations.push(text.trim_start_matches(ORIGIN).to_owned());
                inside = false;
            }
            quick_xml::events::Event::Eof => return locations,
            _ => {}
        }
    }
}

#[tokio::test]
async fn every_link_leads_to_a_page_but_for_those_that_are_meant_not_to() {
    let garden = garden();
    let seen = walk(&garden).await;
    let dead: Vec<&str> =
        seen.iter().filter(|(_, (status, _))| *status >= 400).map(|(path, _)| path.as_str()).collect();
    assert_eq!(dead, [odd::FAILING, odd::GONE, odd::MISSING]);
    assert!((330..=420).contains(&seen.len()), "{} pages were reached", seen.len());
    let unreached: Vec<&str> = garden
        .paths()
        .filter(|path| {
            !seen.contains_key(*path) && !path.starts_with("/sitemaps/") && !path.starts_with("/favicon")
        })
        .collect();
    assert_eq!(unreached, Vec::<&str>::new());
}

#[tokio::test]
async fn every_page_is_html_that_a_validator_passes() {
    let garden = garden();
    for (path, (status, html)) in walk(&garden).await {
        if status >= 300
            || html.is_empty()
            || [odd::BROKEN, odd::LEGACY, odd::LEGACY_TAG].contains(&path.as_str())
        {
            continue;
        }
        assert_eq!(faults(&html), Vec::<String>::new(), "{path}");
        let tags = tags(&html);
        let count = |name: &str, attribute: &str, value: &str| {
            let fits = |attributes: &BTreeMap<String, String>| {
                attributes.get(attribute).is_some_and(|found| found == value)
            };
            tags.iter()
                .filter(|(found, attributes)| found == name && (attribute.is_empty() || fits(attributes)))
                .count()
        };
        for (name, attribute, value) in [
            ("html", "lang", "en"),
            ("title", "", ""),
            ("h1", "", ""),
            ("main", "", ""),
            ("meta", "name", "description"),
            ("link", "rel", "canonical"),
            ("link", "rel", "icon"),
            ("meta", "property", "og:title"),
        ] {
            assert_eq!(count(name, attribute, value), 1, "{path}: {name} {attribute}={value}");
        }
    }
}

#[tokio::test]
async fn no_two_pages_say_the_same() {
    let seen = walk(&garden()).await;
    let within = |html: &str, from: &str, to: &str| {
        html.split_once(from).and_then(|(_, rest)| rest.split_once(to)).map(|(text, _)| text.to_owned())
    };
    let pages = seen.iter().filter(|(_, (status, html))| *status == 200 && !html.is_empty());
    let mut titles = BTreeMap::new();
    let mut texts = BTreeMap::new();
    for (path, (_, html)) in pages {
        let former = titles.insert(within(html, "<title>", "</title>"), path);
        assert_eq!(former, None, "{path} has the title of another page");
        let former =
            texts.insert(within(html, "<main", "</main>").or_else(|| within(html, "<body", "</body>")), path);
        assert_eq!(former, None, "{path} has the text of another page");
    }
}

#[tokio::test]
async fn sitemaps_list_pages_that_answer_and_one_part_is_gzipped() {
    let garden = garden();
    let index = locations(&text(&get(&garden, "/sitemap.xml").await));
    assert_eq!(index, ["/sitemaps/crops.xml", "/sitemaps/handbook.xml.gz"]);
    let mut listed = locations(&text(&get(&garden, &index[0]).await));
    let gzipped = get(&garden, &index[1]).await;
    let mut xml = String::new();
    flate2::read::GzDecoder::new(gzipped.body()).read_to_string(&mut xml).expect("the part is gzipped");
    listed.extend(locations(&xml));
    assert_eq!(listed.len(), garden.listed_addresses());
    assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), listed.len(), "an address is listed twice");
    for path in &listed {
        let status = get(&garden, path).await.status().as_u16();
        let expected = match path.as_str() {
            odd::FAILING => 500,
            odd::FLAKY => 503,
            odd::MOVED => 301,
            _ => 200,
        };
        assert_eq!(status, expected, "{path}");
    }
    let reached = walk(&garden).await;
    let linked_only =
        reached.iter().filter(|(path, (status, _))| *status == 200 && !listed.contains(path)).count();
    assert!(linked_only > 5, "{linked_only} pages are found by links only");
}

#[tokio::test]
async fn robots_file_asks_for_a_pause_and_names_the_sitemap() {
    let robots = text(&get(&garden(), "/robots.txt").await);
    for line in [
        "User-agent: *",
        "Crawl-delay: 0.02",
        "Disallow: /private/",
        "Sitemap: http://127.0.0.1:9/sitemap.xml",
    ] {
        assert!(robots.lines().any(|found| found == line), "{line} is not in {robots}");
    }
}

#[tokio::test]
async fn feed_is_well_formed_and_leads_to_notes() {
    let garden = garden();
    let home = text(&get(&garden, "/").await);
    assert!(home.contains("<link rel=\"alternate\" type=\"application/atom+xml\""));
    let feed = text(&get(&garden, "/feed.atom").await);
    let mut reader = quick_xml::Reader::from_str(&feed);
    while !matches!(reader.read_event().expect("the feed is well-formed"), quick_xml::events::Event::Eof) {}
    let paths: Vec<&str> = feed
        .split(&format!("<link href=\"{ORIGIN}"))
        .skip(2)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(paths.len(), 20);
    for path in paths {
        assert_eq!(get(&garden, path).await.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn flaky_page_works_on_the_third_request_and_after_a_restart_too() {
    let garden = garden();
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(get(&garden, odd::FLAKY).await.status().as_u16());
    }
    assert_eq!(statuses, [503, 503, 200, 200]);
    let earlier = request_log::Earlier::from([((odd::FLAKY.to_owned(), 503), 1)]);
    let restarted = Garden::grown_at(ORIGIN, &earlier);
    assert_eq!(get(&restarted, odd::FLAKY).await.status().as_u16(), 503);
    assert_eq!(get(&restarted, odd::FLAKY).await.status().as_u16(), 200);
}

#[tokio::test]
async fn redirects_lead_on_once_thrice_and_for_ever() {
    let garden = garden();
    let follow = async |from: &str, hops: usize| {
        let mut path = from.to_owned();
        for _ in 0..hops {
            let reply = get(&garden, &path).await;
            assert!(reply.status().is_redirection(), "{path} answers {}", reply.status());
            path = reply.header(&LOCATION).expect("a redirect says where to").to_owned();
        }
        path
    };
    assert_eq!(follow(odd::MOVED, 1).await, "/crops/celeriac/");
    let end = follow(odd::CHAIN, 3).await;
    assert_eq!(get(&garden, &end).await.status(), StatusCode::OK);
    assert_eq!(follow(odd::LOOP, 100).await, odd::LOOP);
    assert_eq!(follow("/crops/leek", 1).await, "/crops/leek/");
}

#[tokio::test]
async fn odd_pages_are_odd_in_the_way_that_they_say() {
    let garden = garden();
    assert!(get(&garden, odd::BIG).await.body().len() > 512 * 1024);
    assert!(faults(&text(&get(&garden, odd::BROKEN).await)).len() > 10);
    let missing = get(&garden, odd::MISSING).await;
    assert_eq!((missing.status().as_u16(), missing.header(&CONTENT_TYPE)), (404, Some(reply::HTML)));
    assert_eq!(get(&garden, "/%ff").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn slow_page_waits_on_the_clock_and_holds_up_nobody() {
    let garden = garden();
    let clock = ManualClock::default();
    let slow = garden.reply(odd::SLOW, &Method::GET, &clock);
    tokio::pin!(slow);
    assert!(futures_util::future::poll_immediate(&mut slow).await.is_none());
    assert_eq!(get(&garden, "/").await.status(), StatusCode::OK);
    clock.advance(Duration::from_secs(4));
    assert_eq!(slow.await.status(), StatusCode::OK);
}

/// Opens a site on a free port with its log in a folder of its own.
async fn serve(
    site: DemoSite,
) -> (String, tempfile::TempDir, tokio::sync::oneshot::Sender<()>, tokio::task::JoinSet<()>) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let clock = Arc::new(ManualClock::default());
    let open =
        site.open(listener, &folder.path().join("requests.log"), clock).expect("the log can be written");
    let address = open.origin().trim_start_matches("http://").to_owned();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(async move {
        open.serve(async { drop(stopped.await) }).await.expect("the listener works");
    });
    (address, folder, stop, serving)
}

/// Sends one request and reads the first bytes of the reply, and then the rest.
async fn ask(address: &str, request: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(address).await.expect("the site is served");
    stream
        .write_all(format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
        .await
        .expect("the site reads");
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.expect("the site answers");
    (String::from_utf8_lossy(&first).into_owned(), stream)
}

#[tokio::test]
async fn a_request_is_in_the_log_before_the_first_byte_of_its_reply() {
    let (address, folder, stop, mut serving) = serve(DemoSite::builtin()).await;
    for (number, (request, status)) in
        [("GET / HTTP/1.1", 200), ("GET /none?a=b HTTP/1.1", 404), ("POST / HTTP/1.1", 405)]
            .into_iter()
            .enumerate()
    {
        let (first, _stream) = ask(&address, request).await;
        let log = read_request_log(&folder.path().join("requests.log")).expect("the log is there");
        assert_eq!(first, format!("HTTP/1.1 {status}"));
        assert_eq!(log.len(), number + 1);
        assert_eq!(
            (log[number].status, format!("{} {} HTTP/1.1", log[number].method, log[number].target)),
            (status, request.into())
        );
    }
    stop.send(()).expect("the site is served");
    serving.join_next().await.expect("the site was served").expect("the site does not panic");
}

#[tokio::test]
async fn head_sends_the_headers_of_the_page_and_no_body() {
    let (address, _folder, _stop, _serving) = serve(DemoSite::builtin()).await;
    let (_, mut stream) = ask(&address, "HEAD /crops/celeriac/ HTTP/1.1").await;
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.expect("the reply is text");
    assert!(rest.to_lowercase().contains("content-length: ") && rest.ends_with("\r\n\r\n"), "{rest}");
    assert!(rest.contains("etag: \""), "{rest}");
}

#[tokio::test]
async fn a_file_that_is_too_long_to_be_held_arrives_whole() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let body: String = (0..120_000).map(|number| format!("{number}\n")).collect();
    std::fs::write(folder.path().join("index.html"), &body).expect("the folder can be written");
    let site = DemoSite::from_dir(folder.path()).expect("there is a page");
    let (address, _log, _stop, _serving) = serve(site).await;
    let (_, mut stream) = ask(&address, "GET / HTTP/1.1").await;
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.expect("the reply is text");
    assert!(rest.ends_with(&body), "{} bytes arrived of {}", rest.len(), body.len());
    assert!(rest.to_lowercase().contains(&format!("content-length: {}", body.len())));
}
