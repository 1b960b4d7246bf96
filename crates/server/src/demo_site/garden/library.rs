//! Reads the texts in `data/`: records separated by empty lines, each a line of fields and then its sentences.

use super::page::Link;
use super::variety::Variety;

/// Everything that the site tells of.
pub(super) struct Library {
    pub(super) families: Vec<Family>,
    pub(super) crops: Vec<Crop>,
    pub(super) places: Vec<Place>,
    pub(super) guides: Vec<Guide>,
    pub(super) people: Vec<Person>,
    pub(super) months: Vec<Month>,
}

pub(super) struct Family {
    pub(super) name: &'static str,
    /// The first word of the name, by which crops refer to it.
    pub(super) key: &'static str,
    pub(super) latin: &'static str,
    /// The colour of its pages, in degrees.
    pub(super) hue: u16,
    pub(super) sentences: Vec<&'static str>,
}

pub(super) struct Crop {
    pub(super) name: &'static str,
    pub(super) latin: &'static str,
    pub(super) family: &'static str,
    /// What is eaten of it: `root`, `leaf`, `herb`, `head`, `pod`, `fruit`, `bulb` or `cob`.
    pub(super) part: &'static str,
    pub(super) sow: Season,
    pub(super) harvest: Season,
    pub(super) spacing_cm: u32,
    pub(super) depth_mm: u32,
    pub(super) days: u32,
    pub(super) about: &'static str,
    pub(super) growing: &'static str,
    pub(super) kitchen: &'static str,
    pub(super) varieties: Vec<Variety>,
}

/// Months from one to another, both included; it may lead over the end of the year.
#[derive(Clone, Copy)]
pub(super) struct Season {
    pub(super) from: usize,
    pub(super) to: usize,
}

pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) soil: &'static str,
    pub(super) faces: &'static str,
    pub(super) light: &'static str,
    pub(super) sentences: Vec<&'static str>,
}

pub(super) struct Guide {
    pub(super) title: &'static str,
    pub(super) topic: &'static str,
    pub(super) summary: &'static str,
    pub(super) steps: Vec<&'static str>,
}

pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) work: &'static str,
    pub(super) since: &'static str,
    pub(super) sentences: Vec<&'static str>,
}

pub(super) struct Month {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) sentences: Vec<&'static str>,
}

impl Library {
    /// Reads all texts; they ship with the program, and a test reads them too.
    pub(super) fn open() -> Self {
        let mut crops: Vec<Crop> = records(include_str!("data/crops.txt")).map(Crop::read).collect();
        for (number, crop) in crops.iter_mut().enumerate() {
            crop.varieties = (0..VARIETIES_PER_CROP).map(|nth| Variety::bred(crop, number, nth)).collect();
        }
        Self {
            families: records(include_str!("data/families.txt")).map(Family::read).collect(),
            crops,
            places: records(include_str!("data/places.txt")).map(Place::read).collect(),
            guides: records(include_str!("data/guides.txt")).map(Guide::read).collect(),
            people: records(include_str!("data/people.txt")).map(Person::read).collect(),
            months: records(include_str!("data/months.txt")).map(Month::read).collect(),
        }
    }

    /// Returns the family of a crop.
    pub(super) fn family(&self, crop: &Crop) -> &Family {
        self.families
            .iter()
            .find(|family| family.key == crop.family)
            .expect("every crop's family has a record")
    }

    /// Returns the crops of a family, in the catalogue's order.
    pub(super) fn crops_of<'a>(&'a self, family: &'a Family) -> impl Iterator<Item = &'a Crop> {
        self.crops.iter().filter(move |crop| crop.family == family.key)
    }

    /// Returns an item of a list by any number.
    pub(super) fn nth<T>(list: &[T], number: usize) -> &T {
        &list[number % list.len()]
    }
}

/// How many varieties each crop has.
const VARIETIES_PER_CROP: usize = 4;

struct Record {
    fields: Vec<&'static str>,
    lines: Vec<&'static str>,
}

fn records(text: &'static str) -> impl Iterator<Item = Record> {
    text.split("\n\n").map(|record| {
        let mut lines = record.trim().lines();
        let fields = lines.next().unwrap_or_default().split(" | ").collect();
        Record { fields, lines: lines.collect() }
    })
}

impl Family {
    fn read(Record { fields, lines }: Record) -> Self {
        let hue = fields[3].parse().expect("the fourth field of a family is its hue");
        Self { name: fields[0], key: fields[1], latin: fields[2], hue, sentences: lines }
    }

    pub(super) fn link(&self) -> Link {
        Link::new(format!("/families/{}/", slug(self.name)), self.name)
    }
}

impl Crop {
    fn read(Record { fields, lines }: Record) -> Self {
        let number = |field: usize| fields[field].parse().expect("the last fields of a crop are numbers");
        Self {
            name: fields[0],
            latin: fields[1],
            family: fields[2],
            part: fields[3],
            sow: Season::read(fields[4]),
            harvest: Season::read(fields[5]),
            spacing_cm: number(6),
            depth_mm: number(7),
            days: number(8),
            about: lines[0],
            growing: lines[1],
            kitchen: lines[2],
            varieties: Vec::new(),
        }
    }

    pub(super) fn path(&self) -> String {
        format!("/crops/{}/", slug(self.name))
    }

    pub(super) fn link(&self) -> Link {
        Link::new(self.path(), self.name)
    }
}

impl Season {
    fn read(field: &str) -> Self {
        let (from, to) = field.split_once('-').expect("a season is two months with a dash between");
        let month = |text: &str| text.parse().expect("a month is a number from 1 to 12");
        Self { from: month(from), to: month(to) }
    }

    /// Returns whether a month, counted from 1, lies within.
    pub(super) fn holds(self, month: usize) -> bool {
        if self.from <= self.to {
            (self.from..=self.to).contains(&month)
        } else {
            month >= self.from || month <= self.to
        }
    }

    pub(super) fn in_words(self) -> String {
        if (self.from, self.to) == (1, 12) {
            return "all year".to_owned();
        }
        format!("{} to {}", MONTHS[self.from - 1], MONTHS[self.to - 1])
    }
}

/// The months' names, as a season is told.
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl Place {
    fn read(Record { fields, lines }: Record) -> Self {
        Self { name: fields[0], soil: fields[1], faces: fields[2], light: fields[3], sentences: lines }
    }

    pub(super) fn link(&self) -> Link {
        Link::new(format!("/garden/{}/", slug(self.name)), self.name)
    }

    /// Returns the name as it stands within a sentence.
    pub(super) fn in_a_sentence(&self) -> String {
        self.name.strip_prefix("The ").map_or_else(|| self.name.to_owned(), |name| format!("the {name}"))
    }
}

impl Guide {
    fn read(Record { fields, lines }: Record) -> Self {
        Self { title: fields[0], topic: fields[1], summary: fields[2], steps: lines }
    }

    pub(super) fn link(&self) -> Link {
        Link::new(format!("/guides/{}/", slug(self.title)), self.title)
    }
}

impl Person {
    fn read(Record { fields, lines }: Record) -> Self {
        Self { name: fields[0], work: fields[1], since: fields[2], sentences: lines }
    }

    pub(super) fn link(&self) -> Link {
        Link::new(format!("/people/{}/", slug(self.name)), self.name)
    }
}

impl Month {
    fn read(Record { fields, lines }: Record) -> Self {
        Self { name: fields[0], summary: fields[1], sentences: lines }
    }

    pub(super) fn link(&self) -> Link {
        Link::new(format!("/almanac/{}/", slug(self.name)), self.name)
    }
}

/// Returns a name as it stands in a path.
pub(super) fn slug(name: &str) -> String {
    let lower = name.to_lowercase().replace('\'', "");
    lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_can_be_read_and_refers_to_what_there_is() {
        let library = Library::open();
        assert_eq!((library.crops.len(), library.families.len(), library.months.len()), (44, 10, 12));
        for crop in &library.crops {
            assert_eq!(library.family(crop).key, crop.family);
            assert!(
                super::super::phrases::SHAPES.iter().any(|(part, _)| *part == crop.part),
                "{}",
                crop.part
            );
        }
        assert!(library.families.iter().all(|family| library.crops_of(family).next().is_some()));
    }

    #[test]
    fn no_text_needs_to_be_escaped() {
        for text in [
            include_str!("data/crops.txt"),
            include_str!("data/families.txt"),
            include_str!("data/places.txt"),
            include_str!("data/guides.txt"),
            include_str!("data/people.txt"),
            include_str!("data/months.txt"),
        ] {
            assert!(
                !text.contains(['<', '>', '&', '"']),
                "a text holds a character that means something in HTML"
            );
        }
    }

    #[test]
    fn a_season_may_lead_over_the_end_of_the_year() {
        let winter = Season { from: 11, to: 2 };
        assert_eq!(
            [10, 11, 12, 1, 2, 3].map(|month| winter.holds(month)),
            [false, true, true, true, true, false]
        );
        assert_eq!(winter.in_words(), "November to February");
    }

    #[test]
    fn a_slug_is_fit_for_a_path() {
        assert_eq!(slug("Widow's Corner"), "widows-corner");
        assert_eq!(slug("Four-year rotation"), "four-year-rotation");
    }
}
