//! The journal: dated notes, ten to a list, the newest first.

use celeriac_protocol::Timestamp;

use super::library::{Crop, Guide, Library, MONTHS, Person, Place, slug};
use super::page::{Link, Listing, Page, bind};
use super::phrases::{self, Die};
use super::variety::Variety;

/// How many notes there are, and how many stand on one list.
const NOTES: usize = 44;
const PER_LIST: usize = 11;

/// Returns every note, the newest first, and the lists of them.
pub(super) fn pages(library: &Library) -> Vec<Page> {
    let mut pages: Vec<Page> = (0..NOTES).rev().map(|number| note(number, library)).collect();
    bind(&mut pages);
    let mut lists: Vec<Page> =
        pages.chunks(PER_LIST).enumerate().map(|(number, notes)| list(number, notes)).collect();
    bind(&mut lists);
    pages.extend(lists);
    pages
}

/// Returns the notes among all pages, the newest first.
pub(super) fn notes(pages: &[Page]) -> impl Iterator<Item = &Page> {
    pages.iter().filter(|page| page.path.starts_with("/journal/2"))
}

fn list(number: usize, notes: &[Page]) -> Page {
    let (path, title) = match number {
        0 => ("/journal/".to_owned(), "Journal".to_owned()),
        more => (format!("/journal/page/{}/", more + 1), format!("Journal, page {}", more + 1)),
    };
    let mut page = Page::new(
        path,
        title,
        "Notes from the garden: what was sown, what was eaten, and what the weather did.",
    );
    if number > 0 {
        page.listing = Listing::Nowhere;
        page.crumbs = vec![Link::new("/journal/", "Journal")];
    }
    let entries = notes.iter().map(|note| {
        format!("<li>{}<h2>{}</h2><p>{}</p></li>\n", time(note.updated), note.link().html(), note.description)
    });
    page.body = format!("<ol class=\"notes\">\n{}</ol>\n", entries.collect::<String>());
    page
}

fn note(number: usize, library: &Library) -> Page {
    let told = Told::of(number, library);
    let (title, lead) = Library::nth(OPENINGS, number);
    let (title, lead) = (told.fill(title), told.fill(lead));
    let Date { year, month, at, .. } = told.date;
    let mut page = Page::new(format!("/journal/{year}/{month:02}/{}/", slug(&title)), title, lead);
    page.kind = "article";
    page.updated = at;
    page.hue = library.family(told.crop).hue;
    page.crumbs = vec![Link::new("/journal/", "Journal")];
    // A reader's link may carry where it came from; the page is the same.
    let seed = format!("{}?utm_source=journal", told.variety.path);
    page.related = vec![told.crop.link(), Link::new(seed, "Seed of this variety"), told.guide.link()];
    page.body = told.body(&page.description);
    page
}

/// What one note is about.
struct Told<'a> {
    date: Date,
    crop: &'a Crop,
    variety: &'a Variety,
    place: &'a Place,
    person: &'a Person,
    other: &'a Person,
    guide: &'a Guide,
    die: Die,
}

impl<'a> Told<'a> {
    fn of(number: usize, library: &'a Library) -> Self {
        let date = date(number);
        let mut die = Die::of(&format!("note {number}"));
        let in_season: Vec<&Crop> = library.crops.iter().filter(|crop| crop.sow.holds(date.month)).collect();
        let crop = if in_season.is_empty() { die.pick(&library.crops) } else { die.pick(&in_season) };
        // The lists differ in length from the openings', so that no title comes twice.
        let [person, other] = [0, 1].map(|more| Library::nth(&library.people, number + more));
        Self {
            variety: die.pick(&crop.varieties),
            place: Library::nth(&library.places, number),
            guide: die.pick(&library.guides),
            date,
            crop,
            person,
            other,
            die,
        }
    }

    fn month(&self) -> &'static str {
        MONTHS[self.date.month - 1]
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{crop}", &self.crop.name.to_lowercase())
            .replace("{variety}", &self.variety.name)
            .replace("{place}", &self.place.in_a_sentence())
            .replace("{person}", self.person.name)
            .replace("{month}", self.month())
    }

    fn body(mut self, lead: &str) -> String {
        let die = &mut self.die;
        let (weather, amount) = (die.pick(WEATHER), die.between(12, 240));
        let (remark, pond) = (die.pick(phrases::NOTES), die.between(20, 95));
        let [person, place, variety, other, guide] = [
            self.person.link(),
            self.place.link(),
            self.variety.link(),
            self.other.link(),
            self.guide.link(),
        ]
        .map(|link| link.html());
        format!(
            "<p class=\"date\">{time}, {person}</p>\n<p class=\"lead\">{lead}</p>\n<p>{weather} In {place} we counted {amount} plants of \
             {variety}, and {name} put the number into the book. {growing}</p>\n<p>{other} says that it comes down to {guide}. {step}</p>\n\
             <blockquote><p>{remark}</p><footer>{other_name}</footer></blockquote>\n\
             <p>On this day, day {day} of {month}, the pond stood at {pond} centimetres.</p>\n",
            time = time(self.date.at),
            name = self.person.name,
            growing = self.crop.growing,
            step = self.guide.steps[0],
            other_name = self.other.name,
            day = self.date.day,
            month = self.month(),
        )
    }
}

#[derive(Clone, Copy)]
struct Date {
    year: usize,
    month: usize,
    day: usize,
    at: Timestamp,
}

/// Returns the day of a note: from February 2024 on, about four in three months.
fn date(number: usize) -> Date {
    let months = 1 + number * 3 / 4;
    let (year, month) = (2024 + months / 12, months % 12 + 1);
    let day = 3 + number * 7 % 25;
    let text = format!("{year}-{month:02}-{day:02}T07:{:02}:00Z", number * 11 % 60);
    Date { year, month, day, at: text.parse().expect("this is ISO 8601") }
}

fn time(at: Timestamp) -> String {
    let shown = at.to_jiff().strftime("%-d %B %Y");
    format!("<time datetime=\"{}\">{shown}</time>", at.to_jiff().strftime("%Y-%m-%d"))
}

const OPENINGS: &[(&str, &str)] = &[
    (
        "The first {crop} of {month}",
        "Under the lid of the third frame there was {crop} this morning, and nobody had expected it.",
    ),
    (
        "What the wind did in {place}",
        "In one night the wind took every label out of {place} and left everything else.",
    ),
    (
        "{variety} on trial",
        "We have sown {variety} beside the three others, and have promised each other not to take sides.",
    ),
    ("Counting {crop}", "Once a year everything is counted, and this week it was the turn of the {crop}."),
    (
        "{person} makes a list",
        "{person} has made a list of what went wrong in {month}, and it is shorter than last year's.",
    ),
    (
        "An evening in {place}",
        "After six o'clock {place} belongs to the swifts and to whoever has forgotten to go home.",
    ),
    (
        "Rain, at last, and {crop}",
        "Thirty-one dry days ended in the night, and by noon one could watch the {crop} grow.",
    ),
    (
        "The school comes to {place}",
        "Twenty-eight children came to {place} with one radish each to give back.",
    ),
    (
        "A letter about {variety}",
        "A reader writes that {variety} failed with her three times and asks what we do differently.",
    ),
    (
        "{month}, and too much {crop}",
        "There is more {crop} in the kitchen than anybody wants to hear about, and it is still {month}.",
    ),
    (
        "Mending {place}",
        "The edge of {place} gave way after the frost, and half the week went into putting it back.",
    ),
];

const WEATHER: &[&str] = &[
    "It was dry, with a light wind from the sea.",
    "Fog lay on the beds until ten.",
    "A shower came at noon and was over before the coats were on.",
    "There was frost on the lids, though none on the ground.",
    "It was warm enough to eat outside, and so we did.",
    "The wind had gone round to the north.",
];
