//! One way of writing a place and a number, so that the same one hashes alike. What comes out never leaves memory.

use crate::facts::structured::{call_back_addresses, incident_locations, is_from_agency};
use crate::record::{CallRecord, Location};

/// Side of the cells that points are put in, metres. A point is the same place as those in its cell and in the eight
/// around it: surely within 25 m, never beyond 71 m.
const CELL_M: f64 = 25.0;
/// Metres of one degree of latitude.
const DEGREE_M: f64 = 111_320.0;
/// A point less certain than this is no place, metres.
const UNCERTAINTY_M_MAX: f64 = 50.0;

/// Ways of a street line and their short form (Canada Post and USPS Publication 28).
const SHORT: [(&str, &str); 26] = [
    ("AVENUE", "AVE"),
    ("AV", "AVE"),
    ("BOULEVARD", "BLVD"),
    ("BOUL", "BLVD"),
    ("CIRCLE", "CIR"),
    ("COURT", "CT"),
    ("CRESCENT", "CRES"),
    ("CR", "CRES"),
    ("DRIVE", "DR"),
    ("EAST", "E"),
    ("EST", "E"),
    ("HIGHWAY", "HWY"),
    ("LANE", "LN"),
    ("NORTH", "N"),
    ("NORD", "N"),
    ("PARKWAY", "PKWY"),
    ("PLACE", "PL"),
    ("ROAD", "RD"),
    ("SOUTH", "S"),
    ("SUD", "S"),
    ("SQUARE", "SQ"),
    ("STREET", "ST"),
    ("TERRACE", "TER"),
    ("WEST", "W"),
    ("OUEST", "W"),
    ("TRAIL", "TRL"),
];

/// The places of the incident, each as the text it is remembered by and then those it is recognised by.
pub(super) fn places(record: &CallRecord) -> Vec<Vec<String>> {
    incident_locations(record)
        .into_iter()
        .filter_map(|location| civic(location).map(|text| vec![text]).or_else(|| cells(location)))
        .collect()
}

/// A civic address or an intersection; `None` for a street without a number, which is no place.
fn civic(location: &Location) -> Option<String> {
    let street = location.street.as_deref()?;
    let upper = plain(street);
    let mut corners: Vec<String> = upper
        .replace(['/', '@'], "&")
        .replace(" AND ", " & ")
        .split('&')
        .map(words)
        .filter(|corner| !corner.is_empty())
        .collect();
    let is_place = corners.len() > 1 || upper.contains(|letter: char| letter.is_ascii_digit());
    if !is_place || corners.is_empty() {
        return None;
    }
    // The corner of A and B is the corner of B and A.
    corners.sort();
    Some(format!("civic {} | {}", corners.join(" & "), words(&plain(location.city.as_deref().unwrap_or_default()))))
}

/// Upper case without accents.
fn plain(text: &str) -> String {
    let base = |letter: char| match letter {
        'à' | 'â' | 'ä' | 'À' | 'Â' | 'Ä' => 'A',
        'ç' | 'Ç' => 'C',
        'é' | 'è' | 'ê' | 'ë' | 'É' | 'È' | 'Ê' | 'Ë' => 'E',
        'î' | 'ï' | 'Î' | 'Ï' => 'I',
        'ô' | 'ö' | 'Ô' | 'Ö' => 'O',
        'ù' | 'û' | 'ü' | 'Ù' | 'Û' | 'Ü' => 'U',
        other => other,
    };
    text.chars().map(base).collect::<String>().to_uppercase()
}

/// Words in their short form with one space between.
fn words(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let short = |word| SHORT.iter().find(|(long, _)| *long == word).map_or(word, |(_, short)| *short);
    words.map(short).collect::<Vec<_>>().join(" ")
}

/// The cell of a point, then the eight around it.
fn cells(location: &Location) -> Option<Vec<String>> {
    let point = location.point.filter(|_| location.uncertainty_m.is_none_or(|metres| metres <= UNCERTAINTY_M_MAX))?;
    let north = (point.latitude * DEGREE_M / CELL_M).floor();
    // The width of a degree is that of the cell's own row, so that all points of a row are cut alike.
    let width = |row: f64| (row * CELL_M / DEGREE_M).to_radians().cos() * DEGREE_M / CELL_M;
    let mut cells = Vec::new();
    for down in [0.0, -1.0, 1.0] {
        let row = north + down;
        let column = (point.longitude * width(row)).floor();
        cells.extend([0.0, -1.0, 1.0].map(|aside| format!("cell {row} {}", column + aside)));
    }
    Some(cells)
}

/// The numbers to call back, as digits: a North American one without its country code. None where an agency calls, whose
/// number is not a person's.
pub(super) fn numbers(record: &CallRecord) -> Vec<String> {
    if is_from_agency(record) {
        return Vec::new();
    }
    let mut numbers: Vec<String> = call_back_addresses(record).filter_map(number).collect();
    numbers.sort();
    numbers.dedup();
    numbers
}

fn number(address: &str) -> Option<String> {
    let address = address.trim().to_ascii_lowercase();
    let bare = ["tel:", "sips:", "sip:"].iter().find_map(|scheme| address.strip_prefix(scheme)).unwrap_or(&address);
    // Parameters, the host of a SIP address and an extension are not of the number.
    let end = bare.find([';', '@', 'x', '#']).unwrap_or(bare.len());
    let part = bare.get(..end)?;
    if part.chars().any(char::is_alphabetic) {
        return None;
    }
    let digits: String = part.chars().filter(char::is_ascii_digit).collect();
    let digits = match digits.len() {
        11 => digits.strip_prefix('1').unwrap_or(&digits),
        _ => &digits,
    };
    // 911 and seven digits stands for a telephone without a number (J-STD-036), and many have the same.
    let pseudo = digits.len() == 10 && digits.starts_with("911");
    let one_digit = digits.chars().all(|digit| digits.starts_with(digit));
    ((7..=15).contains(&digits.len()) && !pseudo && !one_digit).then(|| digits.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{AgencyId, Format, Point, RecordIdentity, SourceId};
    use proptest::prelude::*;

    fn address(street: &str) -> Option<String> {
        civic(&Location { street: Some(street.to_owned()), city: Some("Québec".to_owned()), ..Location::default() })
    }

    fn at(latitude: f64, longitude: f64) -> Vec<String> {
        let point = Some(Point { latitude, longitude });
        cells(&Location { point, ..Location::default() }).unwrap()
    }

    #[test]
    fn an_address_is_one_place_however_it_is_written() {
        let written = ["100 Lorne Street", "100  LORNE ST.", "100, lorne st"];
        assert!(written.iter().all(|street| address(street) == address(written[0])));
        assert_eq!(address("12 avenue Sainte-Thérèse Est").as_deref(), Some("civic 12 AVE SAINTE THERESE E | QUEBEC"));
        assert_eq!(address("Seymour St & 3rd Ave"), address("3RD AVENUE / SEYMOUR STREET"));
        assert_eq!(address("Victoria St W and 1st Ave"), address("1st ave @ victoria st west"));
        assert_ne!(address("100 Lorne St"), address("101 Lorne St"));
        assert_eq!(address("Lorne Street"), None, "a whole street is no place");
        assert_eq!(address(" - "), None);
    }

    #[test]
    fn a_number_is_its_digits_without_the_dress() {
        let plain = number("2505550100");
        for dressed in
            ["tel:+1-250-555-0100", "+1 (250) 555-0100", "sip:+12505550100@ims.example;user=phone", "250.555.0100 x12"]
        {
            assert_eq!(number(dressed), plain, "{dressed}");
        }
        assert_eq!(plain.as_deref(), Some("2505550100"));
        assert_eq!(number("tel:+447700900123").as_deref(), Some("447700900123"));
        for none in ["911-555-0100", "0000000000", "12345", "sip:front.desk@shelter.example", ""] {
            assert_eq!(number(none), None, "{none}");
        }
    }

    #[test]
    fn an_agency_that_calls_leaves_no_number() {
        let identity = RecordIdentity {
            agency: AgencyId::new("a"),
            element: SourceId::new("cad"),
            incident: "1".to_owned(),
            updated_at: None,
            content_sha256: String::new(),
        };
        let mut record = CallRecord::new(identity, Format::Delimited);
        record.callbacks = vec!["250-555-0100".to_owned(), "tel:+12505550100".to_owned()];
        assert_eq!(numbers(&record).len(), 1);
        record.call_source = Some("Hospital".to_owned());
        assert_eq!(numbers(&record).len(), 0);
    }

    #[test]
    fn an_uncertain_point_is_no_place_and_a_civic_address_stands_over_a_point() {
        let point = Some(Point { latitude: 50.7, longitude: -120.3 });
        let vague = Location { point, uncertainty_m: Some(300.0), ..Location::default() };
        assert_eq!(cells(&vague), None);
        let street = Some("5 Main".to_owned());
        let both = Location { point, street, ..Location::default() };
        assert!(civic(&both).is_some_and(|text| text.starts_with("civic 5 MAIN")));
    }

    proptest! {
        #[test]
        fn a_point_nearby_is_the_same_place_and_a_far_one_is_not(
            latitude in -70.0_f64..70.0, longitude in -170.0_f64..170.0, metres in 0.0_f64..400.0, bearing in 0.0_f64..360.0,
        ) {
            let (east, north) = (metres * bearing.to_radians().sin(), metres * bearing.to_radians().cos());
            let there = (latitude + north / DEGREE_M, longitude + east / (DEGREE_M * latitude.to_radians().cos()));
            let here = at(latitude, longitude);
            let recognised = at(there.0, there.1).iter().any(|cell| *cell == here[0]);
            if metres < CELL_M * 0.98 {
                prop_assert!(recognised);
            }
            if metres > CELL_M * 2.0 * 2.0_f64.sqrt() * 1.02 {
                prop_assert!(!recognised);
            }
        }
    }
}
