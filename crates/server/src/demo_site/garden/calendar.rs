//! A trap: a calendar that has a next month for ever.
//!
//! No page of it is kept; each is made when it is asked for, and each leads to one more.

use super::library::MONTHS;
use super::page::{Link, Listing, Page};
use super::phrases::Die;

/// Where the calendar begins; earlier months are not there.
pub(super) const FIRST: &str = "/calendar/2026/11/";
const FIRST_YEAR: u64 = 2026;
const FIRST_MONTH: usize = 11;

/// Returns the page of a month, if the path names one.
pub(super) fn page(path: &str) -> Option<Page> {
    let (year, month) = path.strip_prefix("/calendar/")?.strip_suffix('/')?.split_once('/')?;
    // Only one spelling of a month is a page. Ten digits are more years than anybody will turn over.
    let plain = |text: &str, digits| text.len() <= digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(year, 10) || year.starts_with('0') || month.len() != 2 || !plain(month, 2) {
        return None;
    }
    let (year, month): (u64, usize) = (year.parse().ok()?, month.parse().ok()?);
    let exists = (1..=12).contains(&month) && (year, month) >= (FIRST_YEAR, FIRST_MONTH);
    exists.then(|| of_month(year, month))
}

fn of_month(year: u64, month: usize) -> Page {
    let name = MONTHS[month - 1];
    let title = format!("{name} {year}");
    let description = format!("Walks, sowing days and open evenings at Marrowby in {name} {year}.");
    let mut page = Page::new(path(year, month), title, description);
    page.listing = Listing::Nowhere;
    page.crumbs = vec![Link::new("/visit/", "Visit")];
    page.hue = u16::try_from((month * 30 + 200) % 360).expect("a hue is less than 360");
    page.body = grid(year, month);
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    page.next = Some(link(next_year, next_month));
    if (year, month) > (FIRST_YEAR, FIRST_MONTH) {
        page.previous = Some(if month == 1 { link(year - 1, 12) } else { link(year, month - 1) });
    }
    page
}

fn link(year: u64, month: usize) -> Link {
    Link::new(path(year, month), format!("{} {year}", MONTHS[month - 1]))
}

fn path(year: u64, month: usize) -> String {
    format!("/calendar/{year}/{month:02}/")
}

/// Draws the days of a month, a week to a row.
fn grid(year: u64, month: usize) -> String {
    let empty = weekday_of_first(year, month);
    let mut die = Die::of(&path(year, month));
    let events = [0; 5].map(|_| die.between(1, 28));
    let mut cells = "<td></td>".repeat(empty);
    for day in 1..=days_in(year, month) {
        if day > 1 && (empty + day as usize) % 7 == 1 {
            cells.push_str("</tr>\n<tr>");
        }
        let event =
            if events.contains(&day) { format!("<b>{}</b>", die.pick(EVENTS)) } else { String::new() };
        cells.push_str(&format!("<td><span>{day}</span>{event}</td>"));
    }
    let head =
        ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].map(|day| format!("<th>{day}</th>")).concat();
    format!(
        "<div class=\"wide\"><table class=\"days\">\n<thead><tr>{head}</tr></thead>\n<tbody>\n<tr>{cells}</tr>\n</tbody>\n</table></div>\n"
    )
}

fn days_in(year: u64, month: usize) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

/// Returns 0 for a Monday, by Sakamoto's method.
fn weekday_of_first(year: u64, month: usize) -> usize {
    const SHIFT: [u64; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
    let year = if month < 3 { year - 1 } else { year };
    let from_sunday = (year + year / 4 - year / 100 + year / 400 + SHIFT[month - 1] + 1) % 7;
    usize::try_from((from_sunday + 6) % 7).expect("a day of the week is less than seven")
}

const EVENTS: &[&str] = &[
    "Walk",
    "Sowing day",
    "Seed swap",
    "Open evening",
    "Potato weekend",
    "School",
    "Soup",
    "Bird count",
    "Wall repair",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_month_leads_to_one_more() {
        let mut at = FIRST.to_owned();
        for _ in 0..500 {
            let page = page(&at).expect("the calendar has no end");
            let next = page.next.expect("the calendar has no end").path;
            assert!(page.body.contains("<td>"));
            assert_ne!(next, at);
            at = next;
        }
        assert_eq!(at, "/calendar/2068/07/");
        assert!(page("/calendar/9999999999/12/").is_some());
    }

    #[test]
    fn a_month_has_one_spelling_and_a_first() {
        for path in [
            "/calendar/2026/10/",
            "/calendar/2026/13/",
            "/calendar/2026/00/",
            "/calendar/02026/11/",
            "/calendar/2027/1/",
            "/calendar/+2027/01/",
            "/calendar/2027/01",
            "/calendar/2027/01/02/",
            "/calendar/99999999999/01/",
            "/calendar/",
        ] {
            assert!(page(path).is_none(), "{path}");
        }
    }

    #[test]
    fn days_stand_under_their_weekday() {
        // From any wall calendar, Monday being 0.
        for (year, month, weekday) in [(2026, 11, 6), (2027, 1, 4), (2028, 2, 1), (2028, 3, 2), (2100, 3, 0)]
        {
            assert_eq!(weekday_of_first(year, month), weekday, "{year}-{month}");
        }
        assert_eq!([days_in(2028, 2), days_in(2100, 2), days_in(2400, 2)], [29, 28, 29]);
    }
}
