//! Writes sitemaps as sitemaps.org has them: parts of at most 50,000 addresses, and an index over the parts.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// How many addresses one part may list.
pub(super) const PART_ADDRESSES: usize = 50_000;

/// What a sitemap says of one address.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// The whole address, percent-encoded.
    pub(super) location: String,
    /// A W3C date.
    pub(super) modified: String,
    /// How often the page changes, and its weight within the site in tenths.
    pub(super) rhythm: Option<(&'static str, u8)>,
}

/// Writes one part.
pub(super) fn part(listed: impl IntoIterator<Item = Listed>) -> String {
    let mut xml = opening("urlset");
    for Listed { location, modified, rhythm } in listed {
        let location = escape(&location);
        xml.push_str(&format!("<url><loc>{location}</loc><lastmod>{modified}</lastmod>"));
        if let Some((often, tenths)) = rhythm {
            let priority = format!("<priority>{}.{}</priority>", tenths / 10, tenths % 10);
            xml.push_str(&format!("<changefreq>{often}</changefreq>{priority}"));
        }
        xml.push_str("</url>\n");
    }
    xml + "</urlset>\n"
}

/// Writes an index over parts, each an address and a W3C date.
pub(super) fn index(parts: impl IntoIterator<Item = (String, String)>) -> String {
    let mut xml = opening("sitemapindex");
    for (location, modified) in parts {
        let location = escape(&location);
        xml.push_str(&format!("<sitemap><loc>{location}</loc><lastmod>{modified}</lastmod></sitemap>\n"));
    }
    xml + "</sitemapindex>\n"
}

/// Compresses a part as its `.xml.gz` file holds it.
pub(super) fn gzip(xml: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(xml.as_bytes()).expect("memory takes every byte");
    encoder.finish().expect("memory takes every byte")
}

/// Writes text so that it can stand in XML and in HTML, also within a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

fn opening(root: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_says_what_is_known_of_each_address() {
        let listed = |location: &str, rhythm| Listed {
            location: location.into(),
            modified: "2026-01-02".into(),
            rhythm,
        };
        let xml = part([listed("http://x/?a=1&b=2", Some(("weekly", 5))), listed("http://x/c", None)]);
        assert!(xml.contains("<loc>http://x/?a=1&amp;b=2</loc><lastmod>2026-01-02</lastmod>"));
        assert!(xml.contains("<changefreq>weekly</changefreq><priority>0.5</priority></url>"));
        assert!(xml.contains("<url><loc>http://x/c</loc><lastmod>2026-01-02</lastmod></url>"));
    }
}
