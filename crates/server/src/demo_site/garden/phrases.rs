//! Word lists, and a die that falls the same way every time.

/// Chooses from lists by a name, so that the same name is always told the same way.
pub(super) struct Die(u64);

impl Die {
    /// Returns the die that belongs to a name (FNV-1a of its bytes).
    pub(super) fn of(name: &str) -> Self {
        Self(
            name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
            }),
        )
    }

    /// Returns a number from `low` to `high`, both included (splitmix64).
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let span = u64::from(high - low) + 1;
        low + u32::try_from(mixed % span).expect("a remainder is smaller than its divisor")
    }

    /// Returns one item of a list.
    pub(super) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let last = u32::try_from(list.len() - 1).expect("the lists are short");
        &list[self.between(0, last) as usize]
    }

    /// Returns one word, or one phrase, of a list.
    pub(super) fn word(&mut self, list: &[&'static str]) -> &'static str {
        self.pick::<&str>(list)
    }

    /// Returns two different items of a list of at least two.
    pub(super) fn pick_two<'a, T>(&mut self, list: &'a [T]) -> [&'a T; 2] {
        let length = u32::try_from(list.len()).expect("the lists are short");
        let first = self.between(0, length - 1);
        let second = (first + self.between(1, length - 1)) % length;
        [&list[first as usize], &list[second as usize]]
    }
}

/// First words of varieties' names; four per crop, never the same twice within one.
pub(super) const NAMES: &[&str] = &[
    "Lantern",
    "Brackwater",
    "Old Mill",
    "Harbour",
    "Widow Tarn",
    "Tollgate",
    "Saltmarsh",
    "Copperfield",
    "Evensong",
    "Fenland",
    "Drover",
    "Candlemas",
    "Orchard End",
    "Hollow Lane",
    "Bellringer",
    "Ferryman",
    "Thornbury",
    "Whitsun",
    "Lowland",
    "Beacon",
    "Quarry",
    "Lamplighter",
    "Maypole",
    "Northgate",
    "Pilgrim",
    "Ropewalk",
    "Sexton",
    "Tinker",
    "Underwood",
    "Vicar's",
    "Wherry",
    "Yardarm",
    "Abbot's",
    "Blackthorn",
    "Cinder Hill",
    "Dovecote",
    "Elm Cross",
    "Foxglove",
    "Greywether",
    "Hayrick",
    "Ivory Tower",
    "Jackdaw",
    "Kingfisher",
    "Lockkeeper",
    "Moorland",
    "Nettlebed",
    "Oxbow",
    "Partridge",
];

/// Second words of varieties' names, by what is eaten.
pub(super) const SURNAMES: &[(&str, &[&str])] = &[
    ("root", &["White", "Long", "Globe", "Crimson", "Keeper", "Half-Long"]),
    ("leaf", &["Green", "Giant", "Evergreen", "Winter", "Ruby", "Upright"]),
    ("herb", &["Broadleaf", "Curled", "Dwarf", "Fragrant", "Hardy", "Fine-Leaved"]),
    ("head", &["Ball", "Early", "Drumhead", "Hardy", "Purple", "Late"]),
    ("pod", &["Climbing", "Dwarf", "Longpod", "Scarlet", "Early", "Prolific"]),
    ("fruit", &["Gold", "Cluster", "Giant", "Striped", "Early", "Cottage"]),
    ("bulb", &["Red", "Globe", "Flat", "Keeper", "Silver", "Early"]),
    ("cob", &["Gold", "Bantam", "Early", "Bicolour", "White", "Sugar"]),
];

/// What the eaten part looks like.
pub(super) const SHAPES: &[(&str, &[&str])] = &[
    (
        "root",
        &[
            "smooth and blunt at the tip",
            "broad in the shoulder and short",
            "slim, even and easy to pull",
            "round, with a single thin tail",
            "rough outside and fine within",
        ],
    ),
    (
        "leaf",
        &[
            "upright and close together",
            "broad, with a pale rib",
            "deeply cut and dark",
            "curled at the edge",
            "long, and crisp to the base",
        ],
    ),
    (
        "herb",
        &[
            "small, dark and strongly scented",
            "flat and as broad as a coin",
            "finely cut, like a feather",
            "curled so tightly that rain stands on it",
            "soft, with a bloom like breath on a window",
        ],
    ),
    (
        "head",
        &[
            "round and tight enough to squeak",
            "pointed and loosely wrapped",
            "flat on top and heavy for its size",
            "open at the crown and full at the base",
            "small, so that one is enough for two",
        ],
    ),
    (
        "pod",
        &[
            "straight, and as long as a hand",
            "short, plump and held above the leaves",
            "flat when young and flecked when old",
            "slightly curved, without a string",
            "carried in pairs from the knee upwards",
        ],
    ),
    (
        "fruit",
        &[
            "round and evenly ribbed",
            "long, with a neck like a flask",
            "small and carried in great numbers",
            "glossy, and firm to the end",
            "uneven in shape and never in taste",
        ],
    ),
    (
        "bulb",
        &[
            "round, with a thin neck",
            "flat, like a river stone",
            "long, and good to slice",
            "tightly wrapped in three skins",
            "plump, with cloves of one size",
        ],
    ),
    (
        "cob",
        &[
            "filled to the tip",
            "short, with sixteen straight rows",
            "long and slightly curved",
            "wrapped in nine tight leaves",
            "carried low, two to a plant",
        ],
    ),
];

/// Which colour the eaten part has, unless the name says it.
pub(super) const COLOURS: &[(&str, &[&str])] = &[
    (
        "root",
        &[
            "cream",
            "deep red",
            "golden",
            "white with a violet flush",
            "straw yellow",
            "ivory",
            "copper",
            "rose",
        ],
    ),
    ("leaf", &["pale green", "dark green", "blue-green", "bronze", "green with red veins", "silver-grey"]),
    ("herb", &["bright green", "dark green", "grey-green", "bronze", "purple-tinged", "golden green"]),
    ("head", &["pale green", "dark green", "blue-green", "violet", "white", "green, flecked with red"]),
    ("pod", &["bright green", "pale yellow", "violet", "dark green", "green, flecked with red"]),
    ("fruit", &["deep red", "golden", "dark green", "almost black", "orange", "cream, striped with green"]),
    ("bulb", &["straw yellow", "copper", "rose", "white", "brown-skinned", "white with a violet flush"]),
    ("cob", &["golden", "cream", "white", "pale yellow"]),
];

/// What a name tells of the colour.
pub(super) const TOLD: &[(&str, &str)] = &[
    ("White", "white"),
    ("Crimson", "crimson"),
    ("Ruby", "ruby red"),
    ("Red", "red"),
    ("Silver", "silvery white"),
    ("Gold", "golden"),
    ("Purple", "purple"),
    ("Scarlet", "green, streaked with scarlet"),
    ("Green", "bright green"),
    ("Striped", "green, striped with cream"),
    ("Bicolour", "white and golden"),
];

pub(super) const TOWNS: &[&str] = &[
    "Hexworthy",
    "Sallow Bridge",
    "Nether Combe",
    "Port Ellery",
    "Great Thaxby",
    "Cold Aston Mill",
    "Marrowby",
    "Lower Fenwick",
    "St Brannock",
    "Oldershaw",
    "Whitmoor",
    "Pennet",
    "Ravensholt",
    "Little Sorrel",
    "Dunmere",
];

pub(super) const RAISERS: &[&str] = &[
    "a lock keeper",
    "two sisters",
    "the station master",
    "a retired pilot",
    "Alma Greenhalgh",
    "the cook of an inn",
    "Peter Ormonde",
    "a school class",
    "the lighthouse crew",
    "Ruth Castleton",
    "a chapel choir",
    "Isaac Venn",
    "a postman",
    "Nora Blyth",
    "the monks",
];

/// How a variety came about. `{v}` is the variety, `{c}` the crop, `{r}` who, `{t}` where, `{y}` when, `{n}` a number.
pub(super) const ORIGINS: &[&str] = &[
    "{v} was found at {t} in {y} by {r}, as the one plant of its row that the slugs had left alone.",
    "At {t}, {v} was chosen from mixed seed over {n} seasons by {r}, and let out of the garden in {y}.",
    "In {y} a jar without a label came to us from {t}; what grew from it was {v}.",
    "{v} comes from a cross that was made at {t} in {y} by {r}, put aside, and found again {n} years later.",
    "{v} has been in this catalogue since {y}, when a matchbox of seed arrived from {t}, sent by {r}.",
    "For {n} years {v} was grown at {t} and nowhere else; in {y} it was shared with us by {r}.",
    "{v} is what remained when {t} was flooded in {y} and everything else in the row was lost.",
    "Nobody meant to raise {v}: it came up in {y} on a compost heap at {t}, and was noticed by {r}.",
];

pub(super) const REASONS: &[&str] = &[
    "nothing else fills the gap before midsummer",
    "those who have tasted it ask for it by name",
    "it comes true from seed in a garden of any size",
    "it has never once failed in the Chapel Plot, where everything fails",
    "it can be left standing for three weeks when nobody has time",
    "the school sows it every year and would be sad without it",
    "it does well on poor ground, and most of us have poor ground",
    "it keeps longer than any other that we have tried",
    "the bees would notice if it were gone",
    "it is the one that we take home ourselves",
];

pub(super) const TASTES: &[&str] = &[
    "It tastes clean and a little of hazelnut.",
    "It is sweet at first and leaves something sharp behind.",
    "Raw it is mild, and heat brings out far more than one expects.",
    "Its flavour is strong, and half as much is enough.",
    "It is best on the day on which it was picked, and good for a week.",
    "There is a trace of aniseed in it, which cooking takes away.",
    "It is firm, juicy, and without any bitterness.",
    "Frost improves it, and the kitchen should wait for the first one.",
    "It holds its shape in the pan and its colour in the jar.",
    "It is made for soup, and soup is made for it.",
];

pub(super) const STRENGTHS: &[&str] = &[
    "stands in wet summers",
    "ready a week before its neighbours",
    "comes up evenly",
    "good in a pot",
    "slow to run to seed",
    "shrugs off mildew",
    "stores until March",
    "can be sown twice",
    "needs no stake",
    "crops for ten weeks",
    "does well in half shade",
    "worth growing for its looks alone",
];

pub(super) const WEAKNESSES: &[&str] = &[
    "loved by pigeons",
    "splits after a sudden rain",
    "hates to be moved",
    "sulks in cold soil",
    "needs water in dry weeks",
    "seed is slow in the first year",
    "not for heavy clay",
    "has to be picked every other day",
    "falls over in gales",
    "its label is always lost",
];

pub(super) const NOTES: &[&str] = &[
    "Sow it on a Tuesday, if only to have a reason for doing it today.",
    "I grew it for a bet and have grown it ever since.",
    "If I could keep three jars of the four hundred, this would be one.",
    "Do not feed it. Everybody feeds it.",
    "The trick is to forget it until it is nearly too late.",
    "It looked so poor in June that I nearly dug it in. Wait for August.",
    "Thin it properly, and then thin it once more.",
    "Three visitors in four ask what it is, and the fourth asks for seed.",
    "My grandmother called it something else, and I shall not write down what.",
    "It wants to be near the path, where you can see how it does.",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_die_falls_the_same_way_for_the_same_name() {
        let roll = |name: &str| -> Vec<u32> {
            let mut die = Die::of(name);
            (0..8).map(|_| die.between(1, 6)).collect()
        };
        assert_eq!(roll("leek"), roll("leek"));
        assert_ne!(roll("leek"), roll("kale"));
        assert!(roll("leek").iter().all(|number| (1..=6).contains(number)));
    }

    #[test]
    fn two_picks_are_never_the_same() {
        for name in NAMES {
            let [first, second] = Die::of(name).pick_two(STRENGTHS);
            assert_ne!(first, second);
        }
    }
}
