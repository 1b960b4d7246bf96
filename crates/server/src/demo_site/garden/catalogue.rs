//! The catalogue: families, crops and varieties.

use super::drawing;
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
    let facts = [
        ("Family", family.link().html()),
        ("Eaten", crop.part.to_owned()),
        ("Spacing", format!("{} cm", crop.spacing_cm)),
        ("Depth", format!("{} mm", crop.depth_mm)),
        ("Ready in", format!("{} days", crop.days)),
    ];
    let varieties = crop.varieties.iter().map(|variety| {
        let (link, days) = (variety.link().html(), variety.days);
        format!(
            "<li><h3>{link}</h3><p>From {}, {}. Ready in {days} days.</p></li>\n",
            variety.town, variety.colour
        )
    });
    page.body = format!(
        "<div class=\"split\">\n<div>\n<p class=\"lead\">{}</p>\n<h2>Growing</h2>\n<p>{}</p>\n<h2>In the kitchen</h2>\n<p>{}</p>\n\
         </div>\n{}</div>\n<h2>Its year</h2>\n{}<h2>Varieties</h2>\n<ul class=\"cards two\">\n{}</ul>\n",
        crop.about,
        crop.growing,
        crop.kitchen,
        drawing::packet(crop, crop.name, &facts),
        drawing::year(crop),
        varieties.collect::<String>(),
    );
    page.related = companions(crop, library);
    page
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
    let (picture, link) = (drawing::picture(crop.part), crop.link().html());
    format!(
        "<li class=\"pictured\" style=\"--hue:{hue}\">{picture}<div><h2>{link}</h2><p>Sow {}</p></div></li>\n",
        crop.sow.in_words()
    )
}
