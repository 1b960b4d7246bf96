//! The year: what is sown, what is picked, and what is done in each month.

use super::library::{Crop, Library, Month};
use super::page::{Link, Page, bind};

/// Returns the page of each month, and their list.
pub(super) fn pages(library: &Library) -> Vec<Page> {
    let months = library.months.iter().enumerate();
    let mut pages: Vec<Page> = months.map(|(before, month)| of_month(before + 1, month, library)).collect();
    bind(&mut pages);
    pages.push(list(library));
    pages
}

fn list(library: &Library) -> Page {
    let description = "What to sow, what to pick and what to do in the kitchen garden, month by month.";
    let mut page = Page::new("/almanac/", "Almanac", description);
    let cards = library
        .months
        .iter()
        .map(|month| format!("<li><h2>{}</h2><p>{}</p></li>\n", month.link().html(), month.summary));
    page.body = format!(
        "<p class=\"lead\">Dates are for a garden like ours: near the sea, with a wall. Go by your own weather.</p>\n<ul class=\"cards\">\n{}</ul>\n",
        cards.collect::<String>()
    );
    page
}

fn of_month(number: usize, month: &Month, library: &Library) -> Page {
    let Link { path, text } = month.link();
    let description =
        format!("{text} in the kitchen garden: {} What to sow and what to pick.", month.summary);
    let mut page = Page::new(path, text, description);
    page.hue = u16::try_from((number * 30 + 200) % 360).expect("a hue is less than 360");
    page.crumbs = vec![Link::new("/almanac/", "Almanac")];
    let sow = crops(library, |crop| crop.sow.holds(number));
    let pick = crops(library, |crop| crop.harvest.holds(number));
    page.body = format!(
        "<p class=\"lead\">{}</p>\n<p>{} {}</p>\n<h2>To sow</h2>\n<ul class=\"tags\">{sow}</ul>\n<h2>To pick</h2>\n<ul class=\"tags\">{pick}</ul>\n",
        month.summary, month.sentences[0], month.sentences[1]
    );
    page.related = (0..3).map(|more| Library::nth(&library.guides, number * 5 + more * 7).link()).collect();
    page
}

fn crops(library: &Library, fits: impl Fn(&Crop) -> bool) -> String {
    let entries =
        library.crops.iter().filter(|crop| fits(crop)).map(|crop| {
            format!("<li style=\"--hue:{}\">{}</li>", library.family(crop).hue, crop.link().html())
        });
    let entries = entries.collect::<String>();
    if entries.is_empty() { "<li>Nothing, this once.</li>".to_owned() } else { entries }
}
