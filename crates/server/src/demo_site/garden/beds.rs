//! The places of the garden, and what stood in each of them.

use super::library::{Library, Place};
use super::page::{Link, Page, bind};
use super::phrases::Die;

/// Returns the page of each place, and their list.
pub(super) fn pages(library: &Library) -> Vec<Page> {
    let mut pages: Vec<Page> =
        library.places.iter().enumerate().map(|(number, place)| of_place(number, place, library)).collect();
    bind(&mut pages);
    pages.push(list(library));
    pages
}

fn list(library: &Library) -> Page {
    let description =
        "A walk around the sixteen beds of the garden, from the Long Border to the Nursery Rows.";
    let mut page = Page::new("/garden/", "The garden", description);
    let cards = library.places.iter().map(|place| {
        format!(
            "<li><h2>{}</h2><p>{}</p><p class=\"fine\">{}, {}</p></li>\n",
            place.link().html(),
            place.sentences[0],
            place.soil,
            place.light
        )
    });
    page.body = format!(
        "<p class=\"lead\">Two acres within a wall, and a little outside of it. The beds are older than their names, and the names are \
         older than anybody who works here.</p>\n<ul class=\"cards two\">\n{}</ul>\n",
        cards.collect::<String>()
    );
    page.related = vec![Link::new("/visit/", "How to find us")];
    page
}

fn of_place(number: usize, place: &Place, library: &Library) -> Page {
    let Link { path, text } = place.link();
    let description = format!(
        "{}: {} What stood in it in the last four years, and what the soil is like.",
        text, place.sentences[0]
    );
    let mut page = Page::new(path, text, description);
    page.hue = 96 + u16::try_from(number).expect("there are few places") * 9;
    page.crumbs = vec![Link::new("/garden/", "The garden")];
    let keeper = Library::nth(&library.people, number);
    let rows = (0..4).map(|back| season(number, back, place, library)).collect::<String>();
    page.body = format!(
        "<p class=\"lead\">{}</p>\n<p>{}</p>\n<dl class=\"facts\"><dt>Soil</dt><dd>{}</dd><dt>Faces</dt><dd>{}</dd><dt>Light</dt><dd>{}</dd>\
         <dt>Kept by</dt><dd>{}</dd></dl>\n<h2>What stood here</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>Year</th><th>Crop</th>\
         <th>Variety</th><th>What came of it</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
        place.sentences[0],
        place.sentences[1],
        place.soil,
        place.faces,
        place.light,
        keeper.link().html(),
    );
    page.related = (0..3).map(|more| Library::nth(&library.guides, number * 3 + more).link()).collect();
    page
}

/// Tells one year of a place; each year the bed moves on by one family.
fn season(number: usize, back: usize, place: &Place, library: &Library) -> String {
    let year = 2026 - back;
    let mut die = Die::of(&format!("{} {year}", place.name));
    let family = Library::nth(&library.families, number + 10 - back);
    let crops: Vec<_> = library.crops_of(family).collect();
    let crop = die.pick(&crops);
    let variety = die.pick(&crop.varieties);
    let came = die.pick(RESULTS);
    format!(
        "<tr><td>{year}</td><td>{}</td><td>{}</td><td>{came}</td></tr>\n",
        crop.link().html(),
        variety.link().html()
    )
}

const RESULTS: &[&str] = &[
    "More than the kitchen could use",
    "A fair crop, late",
    "Good until the hail in July",
    "Eaten by pigeons, and sown again",
    "The best for ten years",
    "Thin, but of good quality",
    "Lost to a wet June",
    "Carried to the school by the barrow",
];
