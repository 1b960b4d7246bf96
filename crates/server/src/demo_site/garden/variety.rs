//! One variety of a crop: what makes it different, and the page that tells it.

use super::drawing;
use super::library::{Crop, Library, slug};
use super::page::{Link, Listing, Page};
use super::phrases::{self, Die};

/// What sets one variety apart.
pub(super) struct Variety {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) colour: &'static str,
    pub(super) town: &'static str,
    pub(super) year: u32,
    /// How many days from sowing to the first harvest.
    pub(super) days: u32,
    pub(super) trials: Vec<Trial>,
}

/// How a variety did in one bed in one year.
pub(super) struct Trial {
    pub(super) year: u32,
    /// A number by which a place is chosen.
    pub(super) place: usize,
    pub(super) sprouted_percent: u32,
    pub(super) days: u32,
    /// Harvest in tenths of a kilogram to the square pace.
    pub(super) harvest: u32,
}

impl Variety {
    /// Returns the `nth` variety of a crop, which is the `number`th of the catalogue.
    pub(super) fn bred(crop: &Crop, number: usize, nth: usize) -> Self {
        // Twelve apart, so that the four names of a crop differ.
        let first = phrases::NAMES[(number * 7 + nth * 12) % phrases::NAMES.len()];
        let mut die = Die::of(&format!("{first} {}", crop.name));
        let surname = die.word(of_part(phrases::SURNAMES, crop.part));
        let name = format!("{first} {surname}");
        let told = phrases::TOLD.iter().find(|(word, _)| *word == surname).map(|(_, colour)| *colour);
        let days = crop.days * die.between(86, 112) / 100;
        let trials = (2022..=2026).map(|year| Trial::held(&mut die, year, days)).collect();
        Self {
            path: format!("{}{}/", crop.path(), slug(&name)),
            name,
            colour: told.unwrap_or_else(|| die.word(of_part(phrases::COLOURS, crop.part))),
            town: die.word(phrases::TOWNS),
            year: die.between(1871, 2011),
            days,
            trials,
        }
    }

    pub(super) fn link(&self) -> Link {
        Link::new(self.path.clone(), self.name.clone())
    }

    /// Writes the variety's page.
    pub(super) fn page(&self, crop: &Crop, library: &Library) -> Page {
        let family = library.family(crop);
        let kind = crop.name.to_lowercase();
        let description = format!(
            "{}, {} {kind} from {}: when to sow it, how it did in five years of trials, and what it is good for.",
            self.name, self.colour, self.town
        );
        let mut page = Page::new(self.path.clone(), format!("{} {kind}", self.name), description);
        page.listing = Listing::Crops;
        page.kind = "article";
        page.hue = family.hue;
        page.crumbs = vec![Link::new("/crops/", "Crops"), crop.link()];
        page.body = self.body(crop, library);
        let siblings = crop.varieties.iter().filter(|other| other.path != self.path).map(Self::link);
        page.related = siblings.chain([family.link(), self.place(library).clone()]).collect();
        page
    }

    fn place(&self, library: &Library) -> Link {
        let best =
            self.trials.iter().max_by_key(|trial| trial.harvest).expect("a variety was tried in some year");
        Library::nth(&library.places, best.place).link()
    }

    fn body(&self, crop: &Crop, library: &Library) -> String {
        let mut die = Die::of(&self.path);
        let lead = self.origin(crop, &mut die);
        let (habit, growing) = (self.habit(crop, &mut die), self.growing(crop));
        let [taste, also] = die.pick_two(phrases::TASTES);
        let [good, better] = die.pick_two(phrases::STRENGTHS);
        let weak = die.pick(phrases::WEAKNESSES);
        let person = die.pick(&library.people);
        let note = die.pick(phrases::NOTES);
        format!(
            "<div class=\"split\">\n<div>\n<p class=\"lead\">{lead}</p>\n<p>{habit}</p>\n<h2>Growing it</h2>\n<p>{growing}</p>\n\
             <h2>In the kitchen</h2>\n<p>{taste} {also} {}</p>\n<h2>For and against</h2>\n\
             <ul class=\"signs\"><li class=\"plus\">{good}</li><li class=\"plus\">{better}</li><li class=\"minus\">{weak}</li></ul>\n\
             <blockquote><p>{note}</p><footer>{}, {}</footer></blockquote>\n</div>\n{}</div>\n\
             <h2>Five years of trials</h2>\n{}",
            crop.kitchen,
            person.link().html(),
            person.work,
            self.packet(crop),
            self.table(library),
        )
    }

    fn origin(&self, crop: &Crop, die: &mut Die) -> String {
        let years = die.between(4, 30).to_string();
        let story = die.pick(phrases::ORIGINS);
        let raiser = die.word(phrases::RAISERS);
        let story = story
            .replace("{v}", &self.name)
            .replace("{c}", crop.name)
            .replace("{r}", raiser)
            .replace("{t}", self.town)
            .replace("{y}", &self.year.to_string())
            .replace("{n}", &years);
        format!("{story} It has stayed on the list because {}.", die.pick(phrases::REASONS))
    }

    fn habit(&self, crop: &Crop, die: &mut Die) -> String {
        let shape = die.pick(of_part(phrases::SHAPES, crop.part));
        let (what, is) = match crop.part {
            "root" => ("roots", "are"),
            "leaf" | "herb" => ("leaves", "are"),
            "head" => ("heads", "are"),
            "pod" => ("pods", "are"),
            "fruit" => ("fruits", "are"),
            "bulb" => ("bulbs", "are"),
            _ => ("cobs", "are"),
        };
        format!("The {what} {is} {}, {shape}. {}", self.colour, crop.about)
    }

    fn growing(&self, crop: &Crop) -> String {
        let usual = i64::from(crop.days);
        let pace = match i64::from(self.days) - usual {
            late @ 1.. => format!("{late} days later than most"),
            0 => "as soon as most".to_owned(),
            early => format!("{} days before most", -early),
        };
        format!(
            "{} Sow from {}, {} mm deep, and give each plant {} cm. The first are ready {} days after sowing, {pace}; \
             harvest runs from {}.",
            crop.growing,
            crop.sow.in_words(),
            crop.depth_mm,
            crop.spacing_cm,
            self.days,
            crop.harvest.in_words(),
        )
    }

    /// Draws the packet, with what is printed on it.
    fn packet(&self, crop: &Crop) -> String {
        let mut die = Die::of(&self.name);
        let rows = [
            ("Crop", crop.link().html()),
            ("Sow", crop.sow.in_words()),
            ("Harvest", crop.harvest.in_words()),
            ("Spacing", format!("{} cm", crop.spacing_cm)),
            ("Depth", format!("{} mm", crop.depth_mm)),
            ("Ready in", format!("{} days", self.days)),
            ("In a packet", format!("{} seeds", die.between(2, 40) * 10)),
        ];
        drawing::packet(crop, &self.name, &rows)
    }

    fn table(&self, library: &Library) -> String {
        let rows = self.trials.iter().map(|trial| {
            let place = Library::nth(&library.places, trial.place).link().html();
            let Trial { year, sprouted_percent, days, .. } = trial;
            format!("<tr><td>{year}</td><td>{place}</td><td>{sprouted_percent} %</td><td>{days}</td><td>{}</td></tr>\n", trial.weight())
        });
        format!(
            "<div class=\"wide\"><table>\n<thead><tr><th>Year</th><th>Bed</th><th>Came up</th><th>Days to harvest</th>\
             <th>Harvest per square pace</th></tr></thead>\n<tbody>\n{}</tbody>\n</table></div>\n",
            rows.collect::<String>()
        )
    }
}

impl Trial {
    fn held(die: &mut Die, year: u32, days: u32) -> Self {
        Self {
            year,
            place: die.between(0, 1_000) as usize,
            sprouted_percent: die.between(61, 98),
            days: days * die.between(92, 110) / 100,
            harvest: die.between(8, 64),
        }
    }

    pub(super) fn weight(&self) -> String {
        format!("{}.{} kg", self.harvest / 10, self.harvest % 10)
    }
}

/// Returns the list that belongs to what is eaten of a crop.
fn of_part(lists: &'static [(&str, &[&'static str])], part: &str) -> &'static [&'static str] {
    lists
        .iter()
        .find(|(name, _)| *name == part)
        .map(|(_, list)| *list)
        .expect("every part has a list of words")
}
