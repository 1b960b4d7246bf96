//! The catalogue: families, crops and varieties.

use super::library::{Crop, Family, Library};
use super::page::{Link, Listing, Page, bind};

/// Returns the pages of all families, crops and varieties, and their lists.
pub(super) fn pages(library: &Library) -> Vec<Page> {
    let mut families: Vec<Page> = library.families.iter().map(|family| of_family(family, library)).collect();
    let mut crops: Vec<Page> = library.crops.iter().map(|crop| of_crop(crop, library)).collect();
    let of_crops = library.crops.iter();
    let mut varieties: Vec<Page> = of_crops
        .flat_map(|crop| crop.varieties.iter().map(move |variety| variety.page(crop, library)))
        .collect();
    for pages in [&mut families, &mut crops, &mut varieties] {
        bind(pages);
    }
    let mut all = vec![list_of_crops(library), list_of_families(library)];
    all.extend(families.into_iter().chain(crops).chain(varieties));
    all
}

fn list_of_crops(library: &Library) -> Page {
    let description =
        "Every vegetable and herb in the catalogue, with its varieties, by the part that is eaten.";
    let mut page = Page::new("/crops/", "Crops", description);
    page.listing = Listing::Crops;
    let cards = library.crops.iter().map(|crop| card(crop, library)).collect::<String>();
    page.body = format!(
        "<p class=\"lead\">{} crops stand in this catalogue, and {} varieties of them. Each was grown here for at least five years \
         before it was let in.</p>\n<ul class=\"cards\">\n{cards}</ul>\n",
        library.crops.len(),
        library.crops.iter().map(|crop| crop.varieties.len()).sum::<usize>(),
    );
    page
}

fn list_of_families(library: &Library) -> Page {
    let description =
        "The ten families that our vegetables belong to, and why it matters where each one stood last year.";
    let mut page = Page::new("/families/", "Families", description);
    page.listing = Listing::Crops;
    let entries = library.families.iter().map(|family| {
        let crops = library.crops_of(family).map(|crop| crop.link().html()).collect::<Vec<_>>().join(", ");
        let (link, hue) = (family.link().html(), family.hue);
        format!(
            "<li style=\"--hue:{hue}\"><h2>{link}</h2><p>{}</p><p class=\"fine\">{crops}</p></li>\n",
            family.sentences[0]
        )
    });
    page.body = format!(
        "<p class=\"lead\">Relatives share their likes and their diseases, so whoever knows the family knows where to plant.</p>\n\
         <ul class=\"cards two\">\n{}</ul>\n",
        entries.collect::<String>()
    );
    page
}

fn of_family(family: &Family, library: &Library) -> Page {
    let Link { path, text } = family.link();
    let description = format!("{} ({}): {}", text, family.latin, family.sentences[0]);
    let mut page = Page::new(path, text, description);
    page.listing = Listing::Crops;
    page.hue = family.hue;
    page.crumbs = vec![Link::new("/families/", "Families")];
    let cards = library.crops_of(family).map(|crop| card(crop, library)).collect::<String>();
    page.body = format!(
        "<p class=\"latin\">{}</p>\n<p class=\"lead\">{}</p>\n<p>{}</p>\n<ul class=\"cards\">\n{cards}</ul>\n",
        family.latin, family.sentences[0], family.sentences[1]
    );
    page.related = vec![rotation(library)];
    page
}

/// Returns the guide that everything about families leads to.
fn rotation(library: &Library) -> Link {
    let guide = library.guides.iter().find(|guide| guide.title.ends_with("rotation"));
    guide.expect("there is a guide to rotation").link()
}

fn of_crop(crop: &Crop, library: &Library) -> Page {
    let family = library.family(crop);
    let description = format!("{} ({}). {}", crop.name, crop.latin, crop.about);
    let mut page = Page::new(crop.path(), crop.name, description);
    page.listing = Listing::Crops;
    page.hue = family.hue;
    page.crumbs = vec![Link::new("/crops/", "Crops")];
    let varieties = crop.varieties.iter().map(|variety| {
        let (link, days) = (variety.link().html(), variety.days);
        format!(
            "<li><h3>{link}</h3><p>From {}, {}. Ready in {days} days.</p></li>\n",
            variety.town, variety.colour
        )
    });
    page.body = format!(
        "<p class=\"latin\">{}</p>\n<p class=\"lead\">{}</p>\n{}<h2>Growing</h2>\n<p>{}</p>\n<h2>In the kitchen</h2>\n<p>{}</p>\n\
         <h2>Varieties</h2>\n<ul class=\"cards two\">\n{}</ul>\n",
        crop.latin,
        crop.about,
        year(crop),
        crop.growing,
        crop.kitchen,
        varieties.collect::<String>(),
    );
    page.related = companions(crop, library);
    page
}

/// Draws the year of a crop: twelve squares, marked where it is sown and where it is harvested.
fn year(crop: &Crop) -> String {
    let months = (1..=12).map(|month| {
        let sow = if crop.sow.holds(month) { "<i class=\"sow\">sow</i>" } else { "" };
        let harvest = if crop.harvest.holds(month) { "<i class=\"pick\">pick</i>" } else { "" };
        let name = super::library::MONTHS[month - 1];
        format!("<li><a href=\"/almanac/{}/\">{}</a>{sow}{harvest}</li>", name.to_lowercase(), &name[..3])
    });
    format!("<ol class=\"year\">{}</ol>\n", months.collect::<String>())
}

/// Returns the family, two crops of other families that are sown at the same time, and a place.
fn companions(crop: &Crop, library: &Library) -> Vec<Link> {
    let others =
        library.crops.iter().filter(|other| other.family != crop.family && other.sow.holds(crop.sow.from));
    let mut links = vec![library.family(crop).link()];
    links.extend(others.skip(crop.name.len() % 5).step_by(3).take(3).map(Crop::link));
    links.push(Library::nth(&library.places, crop.days as usize).link());
    links
}

fn card(crop: &Crop, library: &Library) -> String {
    let hue = library.family(crop).hue;
    let (picture, link) = (picture(crop.part), crop.link().html());
    format!(
        "<li class=\"pictured\" style=\"--hue:{hue}\">{picture}<div><h2>{link}</h2><p>Sow {}</p></div></li>\n",
        crop.sow.in_words()
    )
}

/// Draws what is eaten of a plant.
pub(super) fn picture(part: &str) -> String {
    let shapes = match part {
        "root" => {
            "<path class=\"a\" d=\"M24 20c12 0 18 6 16 16-2 11-10 17-16 25-6-8-14-14-16-25-2-10 4-16 16-16z\"/>\
             <path class=\"b\" d=\"M24 21c-3-6-8-9-14-9 1 6 6 9 14 9zm0 0c3-6 8-9 14-9-1 6-6 9-14 9zm0 0c-4-6-4-13 0-19 4 6 4 13 0 19z\"/>\
             <path class=\"c\" d=\"M14 34h9M27 41h9M18 47h7\"/>"
        }
        "leaf" => {
            "<path class=\"b\" d=\"M24 60C8 48 6 22 24 4c18 18 16 44 0 56z\"/><path class=\"c\" d=\"M24 60V14M24 46 14 36M24 46l10-10M24 32l-8-8M24 32l8-8\"/>"
        }
        "herb" => {
            "<path class=\"c\" d=\"M24 62V14\"/><path class=\"b\" d=\"M24 16c-5-3-5-9 0-14 5 5 5 11 0 14zm0 14c-6 2-12-1-14-8 7-2 13 1 14 8zm0 0c6 2 12-1 14-8-7-2-13 1-14 8zm0 16c-7 2-14-1-16-9 8-2 15 1 16 9zm0 0c7 2 14-1 16-9-8-2-15 1-16 9z\"/>"
        }
        "head" => {
            "<circle class=\"b\" cx=\"24\" cy=\"34\" r=\"21\"/><path class=\"a\" d=\"M24 18c9 3 13 10 12 19-1 8-6 13-12 14-6-1-11-6-12-14-1-9 3-16 12-19z\"/>\
             <path class=\"c\" d=\"M24 51V24M24 42l-8-7M24 42l8-7M24 33l-5-5M24 33l5-5\"/>"
        }
        "pod" => {
            "<path class=\"b\" d=\"M8 10c4 26 14 42 34 50C46 42 34 16 8 10z\"/><circle class=\"a\" cx=\"19\" cy=\"25\" r=\"5\"/>\
             <circle class=\"a\" cx=\"26\" cy=\"36\" r=\"6\"/><circle class=\"a\" cx=\"34\" cy=\"47\" r=\"5\"/>"
        }
        "fruit" => {
            "<circle class=\"a\" cx=\"24\" cy=\"38\" r=\"21\"/><path class=\"c\" d=\"M24 18c-9 6-11 32 0 41M24 18c9 6 11 32 0 41\"/>\
             <path class=\"b\" d=\"M24 20c-6 0-10-2-12-7 5-1 9 0 12 4 0-5 1-9 4-13l3 2c-3 3-4 7-4 11 3-3 6-3 9-2-2 4-6 5-12 5z\"/>"
        }
        "bulb" => {
            "<path class=\"a\" d=\"M24 12c2 10 18 15 18 30 0 10-8 16-18 16S6 52 6 42c0-15 16-20 18-30z\"/>\
             <path class=\"c\" d=\"M24 16c-8 14-10 28-5 41M24 16c8 14 10 28 5 41\"/><path class=\"b\" d=\"M22 14c-1-4-3-8-6-11 5 1 7 3 8 6 1-3 3-5 8-6-3 3-5 7-6 11z\"/>"
        }
        _ => {
            "<path class=\"a\" d=\"M24 4c9 8 11 36 0 54C13 40 15 12 24 4z\"/><path class=\"c\" d=\"M18 20h12M16 28h16M16 36h16M18 44h12\"/>\
             <path class=\"b\" d=\"M24 60C12 54 6 42 8 28c8 8 14 18 16 32zm0 0c12-6 18-18 16-32-8 8-14 18-16 32z\"/>"
        }
    };
    format!("<svg class=\"plant\" viewBox=\"0 0 48 64\" aria-hidden=\"true\">{shapes}</svg>")
}
