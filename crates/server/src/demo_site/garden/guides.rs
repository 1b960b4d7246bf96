//! Guides: how a thing is done, step by step.

use super::library::{Guide, Library};
use super::page::{Link, Page, bind};

/// Returns the page of each guide, and their list.
pub(super) fn pages(library: &Library) -> Vec<Page> {
    let mut pages: Vec<Page> =
        library.guides.iter().enumerate().map(|(number, guide)| of_guide(number, guide, library)).collect();
    bind(&mut pages);
    pages.push(list(library));
    pages
}

fn list(library: &Library) -> Page {
    let description = "Short guides to sowing, soil, water, care and storing, as we do it at Marrowby.";
    let mut page = Page::new("/guides/", "Guides", description);
    let topics = TOPICS.iter().map(|(key, name)| {
        let entries = library
            .guides
            .iter()
            .filter(|guide| guide.topic == *key)
            .map(|guide| format!("<li><h3>{}</h3><p>{}</p></li>\n", guide.link().html(), guide.summary));
        format!("<h2>{name}</h2>\n<ul class=\"cards two\">\n{}</ul>\n", entries.collect::<String>())
    });
    page.body = format!(
        "<p class=\"lead\">Each of them fits on a card, and each was asked for more than once.</p>\n{}",
        topics.collect::<String>()
    );
    page
}

fn of_guide(number: usize, guide: &Guide, library: &Library) -> Page {
    let Link { path, text } = guide.link();
    let mut page = Page::new(path, text, guide.summary);
    page.kind = "article";
    page.hue = u16::try_from(number * 17 % 360).expect("a hue is less than 360");
    page.crumbs = vec![Link::new("/guides/", "Guides")];
    let steps = guide.steps.iter().map(|step| format!("<li><p>{step}</p></li>\n")).collect::<String>();
    let person = Library::nth(&library.people, number * 5 + 1);
    page.body = format!(
        "<p class=\"lead\">{}</p>\n<ol class=\"steps\">\n{steps}</ol>\n<p class=\"fine\">Written down by {}, {}.</p>\n",
        guide.summary,
        person.link().html(),
        person.work,
    );
    let crops = (0..3).map(|more| Library::nth(&library.crops, number * 9 + more * 4).link());
    page.related = crops.chain([Library::nth(&library.places, number).link()]).collect();
    page
}

/// What guides are about, in the order in which the list shows them.
const TOPICS: &[(&str, &str)] = &[
    ("seed", "Seed and seedlings"),
    ("soil", "Soil"),
    ("water", "Water"),
    ("care", "Care"),
    ("plan", "Planning"),
    ("kitchen", "Storing"),
];
