//! Zones of a policy: polygons, and beats by list. A point in several zones is in all of them.

use super::FileFault;
use geo::{Coord, Intersects, LineString, MultiPolygon, Polygon};
use geojson::{FeatureCollection, GeoJson, GeometryValue, PolygonType};
use std::collections::BTreeMap;

/// The value of `zone` for a call that is located and in no zone.
pub const ZONE_OUTSIDE: &str = "outside";

/// Corners in all polygons, at most.
const CORNERS_MAX: usize = 2_000_000;
/// Degrees beyond the zones' own box at which a point is taken for a mistake (about 220 km).
const FAR_DEGREES: f64 = 2.0;
/// Metres in one degree of latitude.
const METRES_PER_DEGREE: f64 = 111_195.0;

/// All zones of a policy.
#[derive(Debug, Clone, Default)]
pub struct Zones {
    /// Names in order; a zone's number is its place.
    names: Vec<String>,
    titles: BTreeMap<String, String>,
    shapes: Vec<Shape>,
    beats: BTreeMap<String, Vec<String>>,
    /// Zones made of other zones: part → wholes.
    wholes: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone)]
struct Shape {
    zone: String,
    bounds: Bounds,
    polygons: MultiPolygon<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

/// Where a point was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// In these zones (sorted); empty: located, in none. `at_border` where the uncertainty circle crosses a border.
    In {
        /// Zone names.
        zones: Vec<String>,
        /// The uncertainty circle touches a border of some zone: only the point itself was asked.
        at_border: bool,
    },
    /// The point cannot be right; why, in kebab-case.
    Implausible(&'static str),
}

impl Bounds {
    const NONE: Self = Self { west: f64::MAX, south: f64::MAX, east: f64::MIN, north: f64::MIN };

    fn with(self, longitude: f64, latitude: f64) -> Self {
        Self {
            west: self.west.min(longitude),
            south: self.south.min(latitude),
            east: self.east.max(longitude),
            north: self.north.max(latitude),
        }
    }

    fn around(self, other: Self) -> Self {
        self.with(other.west, other.south).with(other.east, other.north)
    }

    fn holds(&self, longitude: f64, latitude: f64, margin: f64) -> bool {
        (self.west - margin..=self.east + margin).contains(&longitude)
            && (self.south - margin..=self.north + margin).contains(&latitude)
    }
}

impl Zones {
    /// Adds the features of a `zones.geojson`; every fault is listed.
    pub fn read_geojson(&mut self, bytes: &[u8], faults: &mut Vec<FileFault>) {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.trim_start_matches('\u{feff}'),
            Err(_) => return faults.push(FileFault::new(None, "file", "the file is not UTF-8 text")),
        };
        let collection = match text.parse::<GeoJson>() {
            Ok(GeoJson::FeatureCollection(collection)) => collection,
            Ok(_) => return faults.push(FileFault::new(Some(1), "type", "the file is not a FeatureCollection")),
            Err(error) => {
                let line = match &error {
                    geojson::Error::MalformedGeoJson(error) => u32::try_from(error.line()).ok(),
                    _ => None,
                };
                return faults.push(
                    FileFault::new(line, "file", "the file is not GeoJSON")
                        .help("the text breaks off here; a map editor saves a FeatureCollection"),
                );
            }
        };
        self.read_features(collection, faults);
    }

    fn read_features(&mut self, collection: FeatureCollection, faults: &mut Vec<FileFault>) {
        let mut corners = 0;
        for (number, feature) in collection.features.into_iter().enumerate() {
            let place = format!("features[{number}]");
            let Some(zone) = self.read_properties(&place, feature.properties.unwrap_or_default(), faults) else {
                continue;
            };
            let Some(geometry) = feature.geometry else {
                continue;
            };
            let polygons = match geometry.value {
                GeometryValue::Polygon { coordinates } => vec![coordinates],
                GeometryValue::MultiPolygon { coordinates } => coordinates,
                other => {
                    let message = format!("a zone is a Polygon or MultiPolygon, not a {}", other.type_name());
                    faults.push(geometry_fault(&place, message));
                    continue;
                }
            };
            match shape(zone, &polygons) {
                Ok((shape, count)) => {
                    corners += count;
                    self.shapes.push(shape);
                }
                Err(message) => faults.push(geometry_fault(&place, message)),
            }
        }
        if corners > CORNERS_MAX {
            faults.push(FileFault::new(None, "features", format!("more than {CORNERS_MAX} corners")));
        }
    }

    fn read_properties(
        &mut self,
        place: &str,
        properties: geojson::JsonObject,
        faults: &mut Vec<FileFault>,
    ) -> Option<String> {
        const KEYS: [&str; 4] = ["zone", "title", "beats", "cite"];
        let key = |name: &str| format!("{place}.properties.{name}");
        for name in properties.keys().filter(|name| !KEYS.contains(&name.as_str())) {
            let fault = FileFault::new(None, key(name), format!("no property is named `{name}`"));
            faults.push(match super::nearest_word(name, KEYS) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help(format!("properties: {}", KEYS.join(", "))),
            });
        }
        let Some(zone) = properties.get("zone").and_then(|zone| zone.as_str()) else {
            let fault = FileFault::new(None, key("zone"), "the feature does not name its zone");
            faults.push(fault.help("`\"properties\": {\"zone\": \"north-shore\"}`"));
            return None;
        };
        if !is_identifier(zone) || zone == ZONE_OUTSIDE || zone == super::UNKNOWN {
            faults
                .push(FileFault::new(None, key("zone"), format!("`{zone}` cannot name a zone")).help(IDENTIFIER_HELP));
            return None;
        }
        let title = properties.get("title").and_then(|title| title.as_str());
        let beats: Vec<String> = match properties.get("beats") {
            None => Vec::new(),
            Some(beats) => {
                let list = beats.as_array().map(|list| list.iter().map(|beat| beat.as_str().map(str::to_owned)));
                let Some(list) = list.and_then(|list| list.collect()) else {
                    faults.push(FileFault::new(None, key("beats"), "beats are a list of texts"));
                    return None;
                };
                list
            }
        };
        self.declare(zone, title, &beats, &[]);
        Some(zone.to_owned())
    }

    /// Adds a zone by list: its beats, and the zones that it is made of.
    pub fn declare(&mut self, zone: &str, title: Option<&str>, beats: &[String], parts: &[String]) {
        if let Err(place) = self.names.binary_search_by(|name| name.as_str().cmp(zone)) {
            self.names.insert(place, zone.to_owned());
        }
        if let Some(title) = title {
            self.titles.insert(zone.to_owned(), title.to_owned());
        }
        for beat in beats {
            self.beats.entry(beat.trim().to_uppercase()).or_default().push(zone.to_owned());
        }
        for part in parts {
            self.wholes.entry(part.clone()).or_default().push(zone.to_owned());
        }
    }

    /// Zone names in order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The values of the fact `zone`: the names, then `outside`. None where the policy has no zones.
    #[must_use]
    pub fn value_names(&self) -> Vec<String> {
        if self.names.is_empty() {
            return Vec::new();
        }
        self.names.iter().cloned().chain([ZONE_OUTSIDE.to_owned()]).collect()
    }

    /// A zone and the zones that it is part of, in order.
    #[must_use]
    pub fn closure(&self, zone: &str) -> Vec<String> {
        self.with_wholes(vec![zone.to_owned()])
    }

    /// A zone's title, its name where it has none.
    #[must_use]
    pub fn title<'a>(&'a self, zone: &'a str) -> &'a str {
        self.titles.get(zone).map_or(zone, String::as_str)
    }

    /// The zones that list a beat, sorted.
    #[must_use]
    pub fn of_beat(&self, beat: &str) -> Vec<String> {
        let zones = self.beats.get(&beat.trim().to_uppercase()).cloned().unwrap_or_default();
        self.with_wholes(zones)
    }

    /// True where some zone has a shape, so that coordinates can tell.
    #[must_use]
    pub fn has_shapes(&self) -> bool {
        !self.shapes.is_empty()
    }

    /// Where a point is. The point decides; `uncertainty_m` only tells whether a border is within the circle.
    #[must_use]
    pub fn place(&self, latitude: f64, longitude: f64, uncertainty_m: Option<f64>) -> Placed {
        let on_earth = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        if !on_earth {
            // A longitude west of 90° in the place of the latitude is the usual slip.
            let swapped = self.bounds().holds(latitude, longitude, FAR_DEGREES);
            return Placed::Implausible(if swapped { "location-swapped" } else { "location-invalid" });
        }
        if latitude.abs() < 0.01 && longitude.abs() < 0.01 {
            return Placed::Implausible("location-zero");
        }
        let bounds = self.bounds();
        if !bounds.holds(longitude, latitude, FAR_DEGREES) {
            let swapped = bounds.holds(latitude, longitude, FAR_DEGREES);
            return Placed::Implausible(if swapped { "location-swapped" } else { "location-far-outside" });
        }
        let point = Coord { x: longitude, y: latitude };
        let zones = self
            .shapes
            .iter()
            .filter(|shape| shape.bounds.holds(longitude, latitude, 0.0) && shape.polygons.intersects(&point))
            .map(|shape| shape.zone.clone())
            .collect();
        let at_border = uncertainty_m
            .filter(|metres| *metres > 0.0)
            .is_some_and(|metres| self.shapes.iter().any(|shape| shape.border_within(point, metres)));
        Placed::In { zones: self.with_wholes(zones), at_border }
    }

    fn bounds(&self) -> Bounds {
        self.shapes.iter().fold(Bounds::NONE, |bounds, shape| bounds.around(shape.bounds))
    }

    fn with_wholes(&self, mut zones: Vec<String>) -> Vec<String> {
        let mut next = 0;
        while let Some(zone) = zones.get(next).cloned() {
            for whole in self.wholes.get(&zone).into_iter().flatten() {
                if !zones.contains(whole) {
                    zones.push(whole.clone());
                }
            }
            next += 1;
        }
        zones.sort_unstable();
        zones.dedup();
        zones
    }
}

impl Shape {
    /// True where some edge passes within `metres` of the point, on a plane that is true near the point.
    fn border_within(&self, point: Coord<f64>, metres: f64) -> bool {
        let across = METRES_PER_DEGREE * point.y.to_radians().cos().max(0.01);
        if !self.bounds.holds(point.x, point.y, metres / across) {
            return false;
        }
        let flat = |corner: Coord<f64>| ((corner.x - point.x) * across, (corner.y - point.y) * METRES_PER_DEGREE);
        let near = |line: &LineString<f64>| {
            line.lines().any(|edge| {
                let ((from_x, from_y), (to_x, to_y)) = (flat(edge.start), flat(edge.end));
                let (along_x, along_y) = (to_x - from_x, to_y - from_y);
                let length = along_x.mul_add(along_x, along_y * along_y);
                let share = if length > 0.0 { -(from_x * along_x + from_y * along_y) / length } else { 0.0 };
                let share = share.clamp(0.0, 1.0);
                let (x, y) = (share.mul_add(along_x, from_x), share.mul_add(along_y, from_y));
                x.mul_add(x, y * y) <= metres * metres
            })
        };
        self.polygons.iter().any(|polygon| near(polygon.exterior()) || polygon.interiors().iter().any(near))
    }
}

fn shape(zone: String, polygons: &[PolygonType]) -> Result<(Shape, usize), &'static str> {
    let mut bounds = Bounds::NONE;
    let mut corners = 0;
    let mut built = Vec::new();
    for rings in polygons {
        let mut lines = Vec::new();
        for ring in rings {
            let mut line = Vec::with_capacity(ring.len());
            for position in ring {
                let [longitude, latitude, ..] = position.as_slice() else {
                    return Err("a position needs a longitude and a latitude");
                };
                if !(-180.0..=180.0).contains(longitude) || !(-90.0..=90.0).contains(latitude) {
                    return Err("a position is not on earth; longitude comes first");
                }
                bounds = bounds.with(*longitude, *latitude);
                line.push(Coord { x: *longitude, y: *latitude });
            }
            if line.len() < 4 || line.first() != line.last() {
                return Err("a ring has at least four positions and ends where it began");
            }
            corners += line.len();
            lines.push(LineString::new(line));
        }
        let mut lines = lines.into_iter();
        let Some(outer) = lines.next() else {
            return Err("a polygon needs a ring");
        };
        built.push(Polygon::new(outer, lines.collect()));
    }
    if built.is_empty() {
        return Err("the zone has no polygon");
    }
    Ok((Shape { zone, bounds, polygons: MultiPolygon::new(built) }, corners))
}

/// What an identifier is made of, for help lines.
pub(super) const IDENTIFIER_HELP: &str =
    "lower-case letters, digits, `-`, `_` and `.`, beginning with a letter or digit";

pub(super) fn is_identifier(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit())
        && text
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '-' | '_' | '.'))
}

fn geometry_fault(place: &str, message: impl Into<String>) -> FileFault {
    FileFault::new(None, format!("{place}.geometry"), message)
        .help("`[[[-120.4, 50.7], …, [-120.4, 50.7]]]`: longitude first, closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(zone: &str, west: f64, south: f64, size: f64) -> String {
        let (east, north) = (west + size, south + size);
        format!(
            r#"{{"type":"Feature","properties":{{"zone":"{zone}"}},"geometry":{{"type":"Polygon","coordinates":[[[{west},{south}],[{east},{south}],[{east},{north}],[{west},{north}],[{west},{south}]]]}}}}"#
        )
    }

    fn zones() -> Zones {
        let mut zones = Zones::default();
        let mut faults = Vec::new();
        let text = format!(
            r#"{{"type":"FeatureCollection","features":[{},{}]}}"#,
            square("north", -120.4, 50.7, 0.1),
            square("core", -120.35, 50.65, 0.1)
        );
        zones.read_geojson(text.as_bytes(), &mut faults);
        assert_eq!(faults, Vec::new());
        zones.declare("city", None, &["B7".to_owned()], &["north".to_owned(), "core".to_owned()]);
        zones
    }

    #[test]
    fn a_point_in_several_zones_is_in_all_of_them_and_of_what_they_are_part() {
        let placed = zones().place(50.72, -120.32, None);
        let all = ["city", "core", "north"].map(str::to_owned).to_vec();
        assert_eq!(placed, Placed::In { zones: all, at_border: false });
        assert_eq!(zones().place(50.9, -120.3, None), Placed::In { zones: vec![], at_border: false });
        assert_eq!(zones().of_beat("b7"), ["city"]);
    }

    #[test]
    fn only_the_point_decides_and_a_border_in_the_circle_is_told() {
        let inside = |metres| match zones().place(50.7005, -120.39, Some(metres)) {
            Placed::In { zones, at_border } => (zones.len(), at_border),
            Placed::Implausible(why) => panic!("{why}"),
        };
        assert_eq!(inside(20.0), (2, false));
        assert_eq!(inside(100.0), (2, true));
    }

    #[test]
    fn points_that_cannot_be_right_are_told_from_points_outside() {
        assert_eq!(zones().place(0.0, 0.0, None), Placed::Implausible("location-zero"));
        assert_eq!(zones().place(-120.35, 50.72, None), Placed::Implausible("location-swapped"));
        assert_eq!(zones().place(95.0, 500.0, None), Placed::Implausible("location-invalid"));
        assert_eq!(zones().place(43.6, -79.4, None), Placed::Implausible("location-far-outside"));
        assert_eq!(zones().place(f64::NAN, -120.0, None), Placed::Implausible("location-invalid"));
    }

    #[test]
    fn faults_name_the_feature_and_the_property() {
        let mut faults = Vec::new();
        let text = r#"{"type":"FeatureCollection","features":[
            {"type":"Feature","properties":{"zon":"a"},"geometry":null},
            {"type":"Feature","properties":{"zone":"b"},"geometry":{"type":"Point","coordinates":[1,2]}},
            {"type":"Feature","properties":{"zone":"c"},"geometry":{"type":"Polygon","coordinates":[[[50,-120],[51,-120],[51,-119],[50,-120]]]}}]}"#;
        Zones::default().read_geojson(text.as_bytes(), &mut faults);
        let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "features[0].properties.zon",
                "features[0].properties.zone",
                "features[1].geometry",
                "features[2].geometry"
            ]
        );
        assert_eq!(faults[0].help.as_deref(), Some("did you mean `zone`?"));
    }
}
