//! What a page asks of robots: `<meta name=robots>` and the `X-Robots-Tag` header.

use serde::Serialize;

/// How many robots are remembered that a page names for themselves.
const NAMED_MAX: usize = 16;

/// Directives that have a value after a colon, so that they are not mistaken for a robot's name.
const WITH_VALUE: &[&str] = &["unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"];

/// Holds what a page asks of robots in general and of some by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PageDirectives {
    /// For every robot.
    pub general: Directives,
    /// For robots by name, the name in lower case.
    pub named: Vec<NamedDirectives>,
}

/// Holds what a page asks of one robot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct NamedDirectives {
    /// The robot's product token in lower case.
    pub robot: String,
    /// What is asked of it, beyond what is asked of all.
    pub directives: Directives,
}

/// Holds what a page asks for. What it allows expressly (`index`, `follow`, `all`) is the rule anyway.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Directives {
    /// Do not show the page in an index.
    pub noindex: bool,
    /// Do not follow its links.
    pub nofollow: bool,
    /// Do not show a stored copy.
    pub noarchive: bool,
    /// Do not show parts of its text.
    pub nosnippet: bool,
    /// Do not index its images.
    pub noimageindex: bool,
    /// Do not show the page after this moment, as the page writes it.
    pub unavailable_after: Option<String>,
}

impl PageDirectives {
    /// Returns what holds for one robot: what is asked of all and of it, the stricter of each.
    pub fn for_robot(&self, product_token: &str) -> Directives {
        let mut all = self.general.clone();
        for named in self.named.iter().filter(|named| named.robot.eq_ignore_ascii_case(product_token)) {
            all.tighten(&named.directives);
        }
        all
    }

    /// Takes a `<meta>` element; one that is not about robots changes nothing.
    ///
    /// Any name may be a robot's, so what decides is whether the content consists of directives.
    pub(super) fn read_meta(&mut self, name: &str, content: &str) {
        if name == "robots" {
            self.general.read(content);
            return;
        }
        let mut directives = Directives::default();
        if !name.contains([':', ' ']) && content.split(',').all(is_directive) {
            directives.read(content);
        }
        if directives != Directives::default() {
            self.name(name).tighten(&directives);
        }
    }

    /// Takes the value of one `X-Robots-Tag` header.
    ///
    /// A name with a colon before a directive (`otherbot: noindex, nofollow`) holds until the next name:
    /// proxies join headers with commas.
    pub(super) fn read_header(&mut self, value: &str) {
        let mut robot: Option<String> = None;
        for piece in pieces(value) {
            let (name, directive) = split_name(piece);
            if let Some(name) = name {
                robot = Some(name.to_ascii_lowercase());
            }
            match robot.as_deref() {
                None | Some("*" | "robots") => self.general.read_one(directive),
                Some(robot) => self.name(robot).read_one(directive),
            }
        }
    }

    /// Finds or makes the entry of a robot; past the limit the last one is used, which only makes it stricter.
    fn name(&mut self, robot: &str) -> &mut Directives {
        let known = self.named.iter().position(|named| named.robot == robot);
        let index = known.unwrap_or_else(|| {
            if self.named.len() < NAMED_MAX {
                self.named.push(NamedDirectives { robot: robot.to_owned(), ..NamedDirectives::default() });
            }
            self.named.len() - 1
        });
        &mut self.named[index].directives
    }
}

impl Directives {
    fn read(&mut self, content: &str) {
        for piece in pieces(content) {
            self.read_one(piece);
        }
    }

    fn read_one(&mut self, directive: &str) {
        match directive.trim().to_ascii_lowercase().as_str() {
            "noindex" => self.noindex = true,
            "nofollow" => self.nofollow = true,
            "none" => (self.noindex, self.nofollow) = (true, true),
            "noarchive" | "nocache" => self.noarchive = true,
            "nosnippet" | "max-snippet:0" | "max-snippet: 0" => self.nosnippet = true,
            "noimageindex" => self.noimageindex = true,
            _ => {
                if let Some(moment) = value_of(directive, "unavailable_after") {
                    self.unavailable_after.get_or_insert_with(|| moment.to_owned());
                }
            }
        }
    }

    fn tighten(&mut self, other: &Self) {
        self.noindex |= other.noindex;
        self.nofollow |= other.nofollow;
        self.noarchive |= other.noarchive;
        self.nosnippet |= other.nosnippet;
        self.noimageindex |= other.noimageindex;
        if self.unavailable_after.is_none() {
            self.unavailable_after.clone_from(&other.unavailable_after);
        }
    }
}

/// Splits at commas, but keeps a date together: `unavailable_after: Fri, 25 Jun 2027 15:00:00 GMT, noindex`.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let first = text.find(',').unwrap_or(text.len());
        let is_dated = value_of(&text[..first], "unavailable_after").is_some();
        let end = if is_dated { date_end(text, first) } else { first };
        rest = text.get(end + 1..);
        Some(text[..end].trim())
    })
    .filter(|piece| !piece.is_empty())
}

/// Returns where a piece ends whose first comma may stand inside of a date.
fn date_end(text: &str, first: usize) -> usize {
    let Some(after) = text.get(first + 1..) else { return first };
    let second = after.find(',').unwrap_or(after.len());
    let next = &after[..second];
    let is_date = next.trim_start().starts_with(|char: char| char.is_ascii_digit());
    if is_date { first + 1 + second } else { first }
}

/// Splits `googlebot: noindex` into the name and the directive.
fn split_name(piece: &str) -> (Option<&str>, &str) {
    match piece.split_once(':') {
        Some((name, directive)) if !is_one_of(name.trim(), WITH_VALUE) => {
            (Some(name.trim()), directive.trim())
        }
        _ => (None, piece),
    }
}

fn value_of<'a>(directive: &'a str, name: &str) -> Option<&'a str> {
    let (found, value) = directive.trim().split_once(':')?;
    found.trim().eq_ignore_ascii_case(name).then(|| value.trim()).filter(|value| !value.is_empty())
}

/// Tells whether a piece is a directive that anybody uses.
fn is_directive(piece: &str) -> bool {
    const WORDS: &[&str] = &[
        "",
        "all",
        "follow",
        "index",
        "noarchive",
        "nocache",
        "nofollow",
        "noimageindex",
        "noindex",
        "none",
        "noodp",
        "nosnippet",
        "notranslate",
        "noydir",
        "indexifembedded",
    ];
    let word = piece.trim();
    is_one_of(word, WORDS) || word.split_once(':').is_some_and(|(name, _)| is_one_of(name.trim(), WITH_VALUE))
}

fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.iter().any(|entry| entry.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes directives as short words, so that a table can be read.
    fn words(directives: &Directives) -> String {
        let flags = [
            (directives.noindex, "noindex"),
            (directives.nofollow, "nofollow"),
            (directives.noarchive, "noarchive"),
            (directives.nosnippet, "nosnippet"),
            (directives.noimageindex, "noimageindex"),
        ];
        let mut words: Vec<&str> =
            flags.iter().filter(|(is_set, _)| *is_set).map(|(_, word)| *word).collect();
        words.extend(directives.unavailable_after.as_deref());
        words.join(" ")
    }

    fn check_header(headers: &[&str], robot: &str, wanted: &str) {
        let mut directives = PageDirectives::default();
        for header in headers {
            directives.read_header(header);
        }
        assert_eq!(words(&directives.for_robot(robot)), wanted, "{headers:?} for {robot}");
    }

    #[test]
    fn header_speaks_to_all_or_to_one_robot() {
        check_header(&["noindex"], "celeriac", "noindex");
        check_header(&["NoIndex , NOFOLLOW"], "celeriac", "noindex nofollow");
        check_header(&["none"], "celeriac", "noindex nofollow");
        check_header(&["all"], "celeriac", "");
        check_header(&[""], "celeriac", "");
        check_header(&["googlebot: nofollow", "otherbot: noindex, nofollow"], "celeriac", "");
        check_header(&["googlebot: nofollow", "otherbot: noindex, nofollow"], "otherbot", "noindex nofollow");
        check_header(&["googlebot: nofollow", "otherbot: noindex, nofollow"], "GoogleBot", "nofollow");
        check_header(&["noarchive", "celeriac: noindex"], "celeriac", "noindex noarchive");
        check_header(&["badbot: noindex, nofollow, celeriac: nofollow"], "celeriac", "nofollow");
        check_header(&["*: noindex"], "celeriac", "noindex");
    }

    #[test]
    fn colons_of_values_are_no_robots_names() {
        check_header(&["max-snippet: 0, noimageindex"], "celeriac", "nosnippet noimageindex");
        check_header(&["max-image-preview:large"], "celeriac", "");
        check_header(
            &["unavailable_after: 25 Jun 2027 15:00:00 PST"],
            "celeriac",
            "25 Jun 2027 15:00:00 PST",
        );
        check_header(
            &["unavailable_after: Fri, 25 Jun 2027 15:00:00 GMT, noindex"],
            "celeriac",
            "noindex Fri, 25 Jun 2027 15:00:00 GMT",
        );
        check_header(&["unavailable_after: 2027-06-25, noindex"], "celeriac", "noindex 2027-06-25");
    }

    #[test]
    fn meta_speaks_to_all_or_to_one_robot() {
        let mut directives = PageDirectives::default();
        for (name, content) in [
            ("robots", "index, nofollow"),
            ("googlebot", "noindex"),
            ("celeriac", "noarchive"),
            ("description", "noindex is a word, none of it counts"),
            ("og:title", "none"),
            ("viewport", "width=device-width"),
        ] {
            directives.read_meta(name, content);
        }
        assert_eq!(words(&directives.for_robot("celeriac")), "nofollow noarchive");
        assert_eq!(words(&directives.for_robot("Googlebot")), "noindex nofollow");
        assert_eq!(directives.named.len(), 2);
    }

    #[test]
    fn robots_by_name_are_bounded() {
        let mut directives = PageDirectives::default();
        for number in 0..1_000 {
            directives.read_header(&format!("robot{number}: noindex"));
        }
        assert_eq!(directives.named.len(), NAMED_MAX);
    }
}
