//! PIDF-LO (RFC 4119) to a place: civic address (RFC 5139) and shapes (RFC 5491).

use super::DecodeError;
use super::xml::{Element, Tree};
use crate::record::{Location, Point};

/// Metres of one degree of latitude, mean over the WGS 84 ellipsoid.
const METRES_PER_DEGREE: f64 = 111_132.0;
/// Metres in one international foot (EPSG 9002).
const METRES_PER_FOOT: f64 = 0.3048;

/// Civic elements of RFC 5139 that this reader knows, as they stand in one address.
#[derive(Default)]
struct Civic<'t> {
    fields: Vec<(&'t str, &'t str)>,
}

/// Reads the first civic address and the first shape of a PIDF-LO document into `place`.
///
/// Returns the repair kinds that apply to the document.
///
/// # Errors
/// What [`Tree::parse`] refuses.
pub(super) fn read(text: &str, place: &mut Location) -> Result<Vec<&'static str>, DecodeError> {
    let tree = Tree::parse(text)?;
    let mut repairs = Vec::new();
    let mut civic_seen = false;
    let mut shape_seen = false;
    for element in tree.elements() {
        match element.name() {
            "civicAddress" if !civic_seen => {
                civic_seen = true;
                Civic::of(element).fill(place);
            }
            "Point" | "Circle" | "Ellipse" | "ArcBand" | "Polygon" | "Sphere" | "Ellipsoid" | "Prism"
                if !shape_seen && element.children().next().is_some() =>
            {
                shape_seen = true;
                shape(element, place, &mut repairs);
            }
            // RFC 4480: the kind of place is the name of an empty element.
            "place-type" if place.place_type.is_none() => {
                place.place_type = element.children().next().map(|kind| kind.name().to_owned());
            }
            _ => {}
        }
    }
    if !civic_seen && !shape_seen {
        repairs.push("location-without-place");
    }
    Ok(repairs)
}

impl<'t> Civic<'t> {
    fn of(address: Element<'t, '_>) -> Self {
        Self { fields: address.children().filter_map(|child| Some((child.name(), child.text()?))).collect() }
    }

    fn get(&self, name: &str) -> Option<&'t str> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| *value)
    }

    fn joined(&self, names: &[&str], separator: &str) -> Option<String> {
        let parts: Vec<&str> = names.iter().filter_map(|name| self.get(name)).collect();
        (!parts.is_empty()).then(|| parts.join(separator))
    }

    fn fill(&self, place: &mut Location) {
        // RFC 4119 put the street into A6 before RFC 5139 gave it RD.
        let street = if self.get("RD").is_some() { "RD" } else { "A6" };
        let names = ["HNO", "HNS", "PRD", "PRM", street, "STS", "POD", "POM"];
        place.street = if self.get(street).is_some() { self.joined(&names, " ") } else { None };
        place.city = self.get("A3").or_else(|| self.get("PCN")).map(str::to_owned);
        place.region = self.get("A1").map(str::to_owned);
        place.postal_code = self.get("PC").map(str::to_owned);
        place.description = self.joined(&["NAM", "LMK", "BLD", "FLR", "UNIT", "ROOM", "LOC"], ", ");
        place.place_type = self.get("PLC").map(str::to_ascii_lowercase);
    }
}

fn shape(shape: Element<'_, '_>, place: &mut Location, repairs: &mut Vec<&'static str>) {
    if !is_wgs84(shape) {
        repairs.push("unknown-coordinate-system");
        return;
    }
    if matches!(shape.name(), "Polygon" | "Prism") {
        outline(shape, place, repairs);
        return;
    }
    let Some(centre) = descendant(shape, &["pos", "coordinates"]).and_then(Element::text).and_then(first_position)
    else {
        repairs.push("coordinates-unreadable");
        return;
    };
    let (point, repair) = checked(centre.0, centre.1);
    repairs.extend(repair);
    place.point = point;
    let reach = match shape.name() {
        "Circle" | "Sphere" => shape.child("radius"),
        "Ellipse" | "Ellipsoid" => shape.child("semiMajorAxis"),
        "ArcBand" => shape.child("outerRadius"),
        _ => None,
    };
    place.uncertainty_m = reach.and_then(metres);
}

/// EPSG 4326 or 4979 (with height); RFC 5491 requires one of them, and leaving it out means the same.
fn is_wgs84(shape: Element<'_, '_>) -> bool {
    shape.attribute("srsName").is_none_or(|name| {
        name.ends_with(":4326") || name.ends_with(":4979") || name.ends_with("/4326") || name.ends_with("CRS84")
    })
}

fn descendant<'t, 'a>(element: Element<'t, 'a>, names: &[&str]) -> Option<Element<'t, 'a>> {
    element.children().find_map(
        |child| {
            if names.contains(&child.name()) { Some(child) } else { descendant(child, names) }
        },
    )
}

fn numbers(text: &str) -> impl Iterator<Item = Option<f64>> + '_ {
    text.split([' ', ',', '\t', '\n', '\r'])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse::<f64>().ok().filter(|number| number.is_finite()))
}

fn first_position(text: &str) -> Option<(f64, f64)> {
    let mut numbers = numbers(text);
    Some((numbers.next()??, numbers.next()??))
}

fn metres(length: Element<'_, '_>) -> Option<f64> {
    let value = length.text()?.parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0)?;
    let feet = length.attribute("uom").is_some_and(|unit| unit.ends_with("9002"));
    Some(if feet { value * METRES_PER_FOOT } else { value })
}

/// A polygon becomes the mean of its corners and the distance to the farthest of them.
fn outline(shape: Element<'_, '_>, place: &mut Location, repairs: &mut Vec<&'static str>) {
    let mut corners: Vec<(f64, f64)> = Vec::new();
    if let Some(list) = descendant(shape, &["posList"]).and_then(Element::text) {
        // A prism's corners carry a height each.
        let dimensions = if shape.name() == "Prism" { 3 } else { 2 };
        let all: Option<Vec<f64>> = numbers(list).collect();
        for corner in all.unwrap_or_default().chunks_exact(dimensions) {
            if let [latitude, longitude, ..] = corner {
                corners.push((*latitude, *longitude));
            }
        }
    } else if let Some(ring) = descendant(shape, &["LinearRing"]) {
        corners.extend(ring.children().filter_map(|corner| first_position(corner.text()?)));
    }
    if corners.len() > 1 && corners.first() == corners.last() {
        corners.pop();
    }
    #[expect(clippy::cast_precision_loss, reason = "a record has at most a few thousand corners")]
    let count = corners.len() as f64;
    let sum = corners.iter().fold((0.0, 0.0), |sum, corner| (sum.0 + corner.0, sum.1 + corner.1));
    let (point, repair) = checked(sum.0 / count, sum.1 / count);
    repairs.extend(repair);
    place.point = point;
    if let Some(point) = point {
        let scale = point.latitude.to_radians().cos();
        let reach = corners.iter().map(|corner| {
            let north = corner.0 - point.latitude;
            let east = (corner.1 - point.longitude) * scale;
            north.hypot(east) * METRES_PER_DEGREE
        });
        place.uncertainty_m = Some(reach.fold(0.0, f64::max).round());
    }
}

/// A position on the Earth, or `None` and why not. Exchanged coordinates are recognised where only that order can be.
pub(super) fn checked(latitude: f64, longitude: f64) -> (Option<Point>, Option<&'static str>) {
    let valid = |latitude: f64, longitude: f64| latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
    if latitude == 0.0 && longitude == 0.0 {
        // Nobody calls from the Gulf of Guinea; software writes zeros where it knows no place.
        (None, Some("coordinates-zero"))
    } else if valid(latitude, longitude) {
        (Some(Point { latitude, longitude }), None)
    } else if valid(longitude, latitude) {
        (Some(Point { latitude: longitude, longitude: latitude }), Some("coordinates-exchanged"))
    } else {
        (None, Some("coordinates-unreadable"))
    }
}
