//! The home page, who we are, how to find us, and what is not here.

use super::drawing::picture;
use super::library::Library;
use super::page::{Link, Page, bind};
use super::phrases::{self, Die};

/// Returns the pages that are neither catalogue nor handbook.
pub(super) fn pages(library: &Library) -> Vec<Page> {
    let mut people: Vec<Page> = (0..library.people.len()).map(|number| of_person(number, library)).collect();
    bind(&mut people);
    people.extend([home(library), about(library), visit(), list_of_people(library)]);
    people
}

/// Returns the page for a path that leads nowhere.
pub(super) fn not_found() -> Page {
    let mut page = Page::new("/not-found/", "Nothing grows here", "There is no page at this address.");
    page.robots = Some("noindex");
    page.body = "<p class=\"lead\">There is no page at this address. It may have been dug over, or it was never sown.</p>\n\
                 <p>The <a href=\"/crops/\">crops</a> and the <a href=\"/almanac/\">almanac</a> are where they always were.</p>\n"
        .to_owned();
    page
}

fn home(library: &Library) -> Page {
    let description = "A seed catalogue and growing handbook: 44 crops, 176 varieties, an almanac of the year, and the notes of six gardeners.";
    let mut page = Page::new("/", "A seed catalogue and growing handbook", description);
    let families = library.families.iter().map(|family| {
        let part = library.crops_of(family).next().map_or("leaf", |crop| crop.part);
        let (hue, link) = (family.hue, family.link().html());
        format!(
            "<li class=\"pictured\" style=\"--hue:{hue}\">{}<div><h2>{link}</h2><p>{}</p></div></li>\n",
            picture(part),
            family.sentences[0]
        )
    });
    let doors = [
        (
            "/crops/",
            "All crops",
            "From celeriac to sweetcorn, each with its year, its bed and its varieties.",
        ),
        ("/almanac/", "The year", "What to sow and what to pick, month by month."),
        ("/guides/", "How it is done", "Twenty guides that fit on a card."),
        ("/journal/", "From the journal", "What was sown, what was eaten, and what the weather did."),
    ];
    let doors = doors
        .map(|(path, title, text)| format!("<li><h2><a href=\"{path}\">{title}</a></h2><p>{text}</p></li>\n"))
        .concat();
    page.body = format!(
        "<p class=\"lead\">Within an old wall near the sea, six people grow vegetables for their seed and write down what they learn. \
         This is their catalogue and their handbook.</p>\n<ul class=\"cards doors\">\n{doors}</ul>\n<h2 class=\"part\">By family</h2>\n\
         <ul class=\"cards two\">\n{}</ul>\n",
        families.collect::<String>()
    );
    page
}

fn about(library: &Library) -> Page {
    let mut page = Page::new(
        "/about/",
        "About this garden",
        "Why there is a garden at Marrowby, who keeps it, and what this site is for.",
    );
    let varieties: usize = library.crops.iter().map(|crop| crop.varieties.len()).sum();
    page.body = format!(
        "<p class=\"lead\">Marrowby Garden is a place that does not exist, in a county that was never drawn.</p>\n\
         <p>It was made up so that a program which collects websites has one to practise on that belongs to nobody else. Everything here was \
         written for that: {} crops, {varieties} varieties, {} beds and {} guides. The advice is sound, and the vegetables are not real.</p>\n\
         <h2>What a collector finds here</h2>\n<p>A <a href=\"/robots.txt\">robots.txt</a> that asks for a pause between requests, a \
         <a href=\"/sitemap.xml\">sitemap</a> in two parts, a <a href=\"/feed.atom\">feed</a>, and \
         <a href=\"/odd/\">a shelf of pages that misbehave</a>.</p>\n",
        library.crops.len(),
        library.places.len(),
        library.guides.len(),
    );
    page.related = vec![Link::new("/people/", "The people"), Link::new("/visit/", "How to find us")];
    page
}

fn visit() -> Page {
    let mut page = Page::new(
        "/visit/",
        "Visit",
        "When the gate is open, how to find it, and what is on in the coming months.",
    );
    page.body = format!(
        "<p class=\"lead\">The gate is open whenever somebody is here, and somebody nearly always is.</p>\n<dl class=\"facts\">\
         <dt>Summer</dt><dd>April to September, ten to six</dd><dt>Winter</dt><dd>October to March, ten to dusk</dd>\
         <dt>Closed</dt><dd>On the day of the first frost</dd><dt>Dogs</dt><dd>On a lead, and not in the Frog Bed</dd></dl>\n\
         <h2>What is on</h2>\n<p>Walks, sowing days and the potato weekend stand in the <a href=\"{}\">calendar</a>, which has been kept \
         without a gap and without an end.</p>\n",
        super::calendar::FIRST
    );
    page.related = vec![Link::new("/garden/", "The beds"), Link::new("/people/", "The people")];
    page
}

fn list_of_people(library: &Library) -> Page {
    let mut page =
        Page::new("/people/", "People", "The six who keep the garden, and what each of them is asked about.");
    let cards = library.people.iter().map(|person| {
        format!(
            "<li><h2>{}</h2><p>{}</p><p class=\"fine\">{}, since {}</p></li>\n",
            person.link().html(),
            person.sentences[0],
            person.work,
            person.since
        )
    });
    page.body = format!("<ul class=\"cards two\">\n{}</ul>\n", cards.collect::<String>());
    page
}

fn of_person(number: usize, library: &Library) -> Page {
    let person = &library.people[number];
    let Link { path, text } = person.link();
    let description =
        format!("{text}, {} at Marrowby since {}. {}", person.work, person.since, person.sentences[0]);
    let mut page = Page::new(path, text, description);
    page.kind = "profile";
    page.crumbs = vec![Link::new("/people/", "People")];
    let mut die = Die::of(person.name);
    let favourites = (0..4).map(|_| {
        let crop = die.pick(&library.crops);
        let variety = die.pick(&crop.varieties);
        format!("<li>{}, a {} of {}</li>\n", variety.link().html(), crop.name.to_lowercase(), variety.year)
    });
    let favourites = favourites.collect::<String>();
    page.body = format!(
        "<p class=\"latin\">{}, since {}</p>\n<p class=\"lead\">{}</p>\n<p>{}</p>\n<h2>Would not be without</h2>\n<ul>\n{favourites}</ul>\n\
         <blockquote><p>{}</p></blockquote>\n",
        person.work,
        person.since,
        person.sentences[0],
        person.sentences[1],
        die.pick(phrases::NOTES),
    );
    page.related = (0..2).map(|more| Library::nth(&library.places, number + more * 6).link()).collect();
    page
}
