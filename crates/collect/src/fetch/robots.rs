//! robots.txt as RFC 9309 has it, tolerant of what real sites serve.
//!
//! Pure: it reads bytes and answers questions. Fetching the file and keeping it is others' work.
//!
//! Where the standard leaves room, the reading is the one that follows what the site's owner most likely
//! meant: a Crawl-delay ends a list of user agents as a rule does, a path without its leading slash gets
//! one, common misspellings of `Disallow` count, and a page of HTML has no rules.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use url::Url;

mod lines;
mod outcome;
mod pattern;

use lines::Line;
pub use outcome::RobotsOutcome;
use pattern::Pattern;

/// How much of a file is read, in bytes: what RFC 9309 asks a crawler to read at least.
pub const ROBOTS_BYTES_MAX: usize = 500 * 1024;

/// The longest Crawl-delay that is believed; a longer one is cut to this.
pub const CRAWL_DELAY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How many Sitemap lines of one file are kept.
pub const ROBOTS_SITEMAPS_MAX: usize = 10_000;

/// The rules of one robots.txt for one crawler, ready to be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Robots {
    /// Longest first, and Allow before Disallow: the first that matches decides.
    rules: Vec<Rule>,
    crawl_delay: Option<Duration>,
    sitemaps: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    pattern: Pattern,
    allow: bool,
}

/// What robots.txt says about one URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RobotsVerdict {
    /// No rule speaks of the URL.
    Unmentioned,
    /// This rule allows it, as the line would read in the file.
    AllowedBy(String),
    /// This rule disallows it, as the line would read in the file.
    DisallowedBy(String),
}

impl Robots {
    /// Reads a file for the crawler with this product token, without version (`Celeriac`).
    ///
    /// Groups that name the token are merged; if there are none, the groups for `*` are. Nothing makes
    /// this fail: what can't be understood is skipped, as the standard asks. Only the first
    /// [`ROBOTS_BYTES_MAX`] bytes count, up to the last whole line among them.
    pub fn parse(body: &[u8], product_token: &str) -> Self {
        let text = utf16_to_utf8(whole_lines(body));
        let text = without_bom(&text);
        if is_html(text) {
            return Self::default();
        }
        let mut reader = GroupReader::new(product_token);
        for line in lines::read(text) {
            reader.take(line);
        }
        reader.finish()
    }

    /// Returns whether the crawler may ask for the URL. `/robots.txt` itself always may be.
    pub fn allows(&self, url: &Url) -> bool {
        self.deciding_rule(url).is_none_or(|rule| rule.allow)
    }

    /// Returns the rule that decides about a URL, for people to read.
    pub fn verdict(&self, url: &Url) -> RobotsVerdict {
        match self.deciding_rule(url) {
            None => RobotsVerdict::Unmentioned,
            Some(rule) if rule.allow => RobotsVerdict::AllowedBy(rule.as_line()),
            Some(rule) => RobotsVerdict::DisallowedBy(rule.as_line()),
        }
    }

    /// Returns the pause that the site asks for between two requests; the longest where groups disagree.
    pub fn crawl_delay(&self) -> Option<Duration> {
        self.crawl_delay
    }

    /// Returns what the Sitemap lines say, as written and in their order. They belong to no group.
    pub fn sitemaps(&self) -> &[String] {
        &self.sitemaps
    }

    /// Writes what matters to this crawler as a small robots.txt, to be kept and parsed again later.
    pub fn condensed(&self) -> String {
        let mut text = String::from("User-agent: *\n");
        for rule in &self.rules {
            text.push_str(&rule.as_line());
            text.push('\n');
        }
        if let Some(delay) = self.crawl_delay {
            // Writing into a String cannot fail.
            let _ = writeln!(text, "Crawl-delay: {}", delay.as_secs_f64());
        }
        for sitemap in &self.sitemaps {
            let _ = writeln!(text, "Sitemap: {sitemap}");
        }
        text
    }

    fn deciding_rule(&self, url: &Url) -> Option<&Rule> {
        if url.path() == "/robots.txt" || self.rules.is_empty() {
            return None;
        }
        let path = pattern::path_of(url);
        self.rules.iter().find(|rule| rule.pattern.matches(&path))
    }
}

impl Rule {
    fn as_line(&self) -> String {
        let field = if self.allow { "Allow" } else { "Disallow" };
        format!("{field}: {}", self.pattern)
    }
}

/// Is responsible for sorting rules into the crawler's own groups and those for everybody.
struct GroupReader<'a> {
    product_token: &'a str,
    own: Group,
    everybody: Group,
    own_was_named: bool,
    sitemaps: Vec<String>,
    /// Whether the lines that follow count for the crawler, or for everybody.
    speaks_to_own: bool,
    speaks_to_everybody: bool,
    in_agent_list: bool,
}

#[derive(Default)]
struct Group {
    rules: Vec<Rule>,
    crawl_delay: Option<Duration>,
}

impl<'a> GroupReader<'a> {
    fn new(product_token: &'a str) -> Self {
        Self {
            product_token,
            own: Group::default(),
            everybody: Group::default(),
            own_was_named: false,
            sitemaps: Vec::new(),
            speaks_to_own: false,
            speaks_to_everybody: false,
            in_agent_list: false,
        }
    }

    fn take(&mut self, line: Line<'_>) {
        match line {
            Line::UserAgent(value) => return self.address(value),
            Line::Sitemap(value) => return self.keep_sitemap(value),
            Line::Allow(value) => self.add_rule(value, true),
            Line::Disallow(value) => self.add_rule(value, false),
            Line::CrawlDelay(value) => self.add_delay(value),
            Line::OtherOfGroup => {}
        }
        self.in_agent_list = false;
    }

    fn address(&mut self, value: &[u8]) {
        if !self.in_agent_list {
            self.speaks_to_own = false;
            self.speaks_to_everybody = false;
        }
        self.in_agent_list = true;
        self.speaks_to_everybody |= value == b"*" || value.starts_with(b"* ") || value.starts_with(b"*\t");
        let own = lines::product_token(value).eq_ignore_ascii_case(self.product_token.as_bytes());
        self.speaks_to_own |= own;
        self.own_was_named |= own;
    }

    fn add_rule(&mut self, value: &[u8], allow: bool) {
        if value.is_empty() || !(self.speaks_to_own || self.speaks_to_everybody) {
            return;
        }
        let rule = Rule { pattern: Pattern::compile(value), allow };
        if self.speaks_to_own {
            self.own.rules.push(rule.clone());
        }
        if self.speaks_to_everybody {
            self.everybody.rules.push(rule);
        }
    }

    fn add_delay(&mut self, value: &[u8]) {
        let Some(delay) = lines::seconds(value) else { return };
        let delay = Some(delay.min(CRAWL_DELAY_MAX));
        if self.speaks_to_own {
            self.own.crawl_delay = self.own.crawl_delay.max(delay);
        }
        if self.speaks_to_everybody {
            self.everybody.crawl_delay = self.everybody.crawl_delay.max(delay);
        }
    }

    fn keep_sitemap(&mut self, value: &[u8]) {
        if !value.is_empty() && self.sitemaps.len() < ROBOTS_SITEMAPS_MAX {
            self.sitemaps.push(String::from_utf8_lossy(value).into_owned());
        }
    }

    fn finish(self) -> Robots {
        let group = if self.own_was_named { self.own } else { self.everybody };
        let mut rules = group.rules;
        rules.sort_by_key(|rule| (std::cmp::Reverse(rule.pattern.len()), !rule.allow));
        rules.dedup();
        Robots { rules, crawl_delay: group.crawl_delay, sitemaps: self.sitemaps }
    }
}

/// A rule that the limit cuts in two would forbid more than the site meant, so it is left out.
fn whole_lines(body: &[u8]) -> &[u8] {
    if body.len() <= ROBOTS_BYTES_MAX {
        return body;
    }
    let head = &body[..ROBOTS_BYTES_MAX];
    let end = memchr::memrchr2(b'\n', b'\r', head).unwrap_or(0);
    &head[..end]
}

/// The standard says UTF-8; editors that save UTF-16 mark it, and their rules are meant all the same.
fn utf16_to_utf8(body: &[u8]) -> Cow<'_, [u8]> {
    match encoding_rs::Encoding::for_bom(body) {
        Some((encoding, _)) if encoding != encoding_rs::UTF_8 => {
            Cow::Owned(encoding.decode(body).0.into_owned().into_bytes())
        }
        _ => Cow::Borrowed(body),
    }
}

/// Drops a byte-order mark, also one that has lost its end to an editor.
fn without_bom(body: &[u8]) -> &[u8] {
    let matching = body.iter().zip([0xEF, 0xBB, 0xBF]).take_while(|(byte, mark)| **byte == *mark).count();
    &body[matching..]
}

/// An error page in the file's place is no set of rules, even if it shows some in its text.
fn is_html(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    [b"<!doctype".as_slice(), b"<html", b"<head", b"<body"]
        .iter()
        .any(|start| body.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)))
}

#[cfg(test)]
mod tests;
