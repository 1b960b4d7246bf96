//! Pictures: what is eaten of a plant, a packet of seed, a crop's year.

use super::library::{Crop, MONTHS};

/// Draws a packet of seed, with what is printed on it.
pub(super) fn packet(crop: &Crop, name: &str, facts: &[(&str, String)]) -> String {
    let facts =
        facts.iter().map(|(word, value)| format!("<dt>{word}</dt><dd>{value}</dd>")).collect::<String>();
    let (picture, latin) = (picture(crop.part), crop.latin);
    format!(
        "<aside class=\"packet\">{picture}<p class=\"label\">{name}<small>{latin}</small></p><dl>{facts}</dl></aside>\n"
    )
}

/// Draws the year of a crop: twelve squares, marked where it is sown and where it is harvested.
pub(super) fn year(crop: &Crop) -> String {
    let months = (1..=12).map(|month| {
        let sow = if crop.sow.holds(month) { "<i class=\"sow\">sow</i>" } else { "" };
        let harvest = if crop.harvest.holds(month) { "<i class=\"pick\">pick</i>" } else { "" };
        let name = MONTHS[month - 1];
        format!("<li><a href=\"/almanac/{}/\">{}</a>{sow}{harvest}</li>", name.to_lowercase(), &name[..3])
    });
    format!("<ol class=\"year\">{}</ol>\n", months.collect::<String>())
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
