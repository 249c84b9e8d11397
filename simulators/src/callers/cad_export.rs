//! A CAD's sheet as the vendor's `CallExport` XML: full state at every change, local times without an offset.

use super::codes::{call_type_text, place_type, priority_text, unit_type};
use super::{Encoding, Life, Sheet, UnitLine, UnitState, local};
use std::fmt::Write as _;

const NAMESPACE: &str = "http://www.newworldsystems.com/Aegis/CAD/Peripheral/CallExport/2011/02";

pub(super) fn write(sheet: &Sheet, encoding: Encoding) -> String {
    let encoding = match encoding {
        Encoding::Utf8 | Encoding::Utf8Marked => "UTF-8",
        Encoding::Utf16Le | Encoding::Utf16Be => "UTF-16",
    };
    let mut xml = Xml::default();
    xml.line(&format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>"));
    xml.line(&format!("<CallExport xmlns=\"{NAMESPACE}\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">"));
    head(&mut xml, sheet);
    contexts(&mut xml, sheet);
    place(&mut xml, sheet);
    narratives(&mut xml, sheet);
    xml.within("Persons", |xml| {
        xml.within("Person", |xml| {
            xml.element("FirstName", &sheet.call.name.0);
            xml.element("LastName", &sheet.call.name.1);
            if let Some(age) = sheet.stated.get("age") {
                xml.element("Age", age);
            }
            xml.element("Role", if own_call(sheet) { "Caller" } else { "Subject" });
        });
    });
    if let Some((_, text)) = sheet.disposition {
        xml.within("Dispositions", |xml| {
            xml.within("CallDisposition", |xml| {
                xml.element("Name", text);
                xml.element("Count", "1");
                xml.element("DateTime", &local(sheet.version_at, sheet));
            });
        });
    }
    if !sheet.units.is_empty() {
        xml.within("AssignedUnits", |xml| {
            for (number, one) in sheet.units.iter().enumerate() {
                unit(xml, sheet, one, number == 0);
            }
        });
    }
    xml.line("</CallExport>");
    xml.0
}

fn own_call(sheet: &Sheet) -> bool {
    sheet.stated.get("caller").is_some_and(|caller| caller == "first-party")
}

fn head(xml: &mut Xml, sheet: &Sheet) {
    let call = &sheet.call;
    // The numeric id is the number without its hyphen, as the vendor's own ids are whole numbers.
    xml.element("CallId", &call.number.replace('-', ""));
    xml.element("CallNumber", &call.number);
    xml.element("CallSource", "911");
    if own_call(sheet) {
        xml.element("CallerName", &format!("{} {}", call.name.0, call.name.1));
    } else {
        xml.nil("CallerName");
    }
    match &call.callback {
        Some(number) => xml.element("CallerPhone", number),
        None => xml.nil("CallerPhone"),
    }
    xml.element("NatureOfCall", &call_type_text(&call.kind));
    xml.element("CreateDateTime", &local(call.arrives, sheet));
    flags(xml, sheet);
}

fn flags(xml: &mut Xml, sheet: &Sheet) {
    let flag = |on: bool| if on { "true" } else { "false" };
    xml.element("ClosedFlag", flag(sheet.life != Life::Open));
    xml.element("CanceledFlag", flag(sheet.life == Life::Cancelled));
}

fn contexts(xml: &mut Xml, sheet: &Sheet) {
    xml.within("AgencyContexts", |xml| {
        xml.within("AgencyContext", |xml| {
            xml.element("AgencyType", "Police");
            xml.element("CallType", &sheet.call.call_type);
            xml.element("Priority", priority_text(&sheet.call.priority));
            xml.element("Status", if sheet.life == Life::Open { "Active" } else { "Closed" });
            xml.element("CreatedDateTime", &local(sheet.answered_at, sheet));
            flags(xml, sheet);
        });
    });
}

fn place(xml: &mut Xml, sheet: &Sheet) {
    let call = &sheet.call;
    let centre = &sheet.centre;
    xml.within("Location", |xml| {
        xml.element("FullAddress", &format!("{} {}", call.house_number, call.street));
        xml.element("HouseNumber", &call.house_number);
        let (street, kind) = call.street.rsplit_once(' ').unwrap_or((&call.street, ""));
        xml.element("StreetName", street);
        xml.element("StreetType", kind);
        xml.element("City", &centre.city);
        xml.element("State", &centre.province);
        xml.element("Zip", &centre.postal_code);
        xml.element("LatitudeY", &call.latitude.to_string());
        xml.element("LongitudeX", &call.longitude.to_string());
        xml.element("CommonName", &call.place);
        if let Some(setting) = sheet.stated.get("setting") {
            xml.element("LocationType", place_type(setting));
        }
        let cautions = cautions(sheet);
        if !cautions.is_empty() {
            xml.within("Cautions", |xml| cautions.iter().for_each(|caution| xml.element("Caution", caution)));
        }
    });
}

/// Cautions in the vendor's words for what the sheet states of weapons and violence.
fn cautions(sheet: &Sheet) -> Vec<&'static str> {
    let stated = |fact: &str| sheet.stated.get(fact).map(String::as_str).unwrap_or_default();
    let weapon = match stated("weapon") {
        "access" => Some("Weapon"),
        "present" | "used" => Some("Armed"),
        _ => None,
    };
    let violence = matches!(stated("violence"), "threat" | "physical").then_some("Violent");
    weapon.into_iter().chain(violence).collect()
}

fn narratives(xml: &mut Xml, sheet: &Sheet) {
    xml.within("Narratives", |xml| {
        for (at, text) in &sheet.notes {
            xml.within("Narrative", |xml| {
                xml.element("CreateDateTime", &local(*at, sheet));
                xml.element("CreateUser", "position4");
                xml.element("Type", "Dispatch");
                xml.element("Text", text);
                xml.element("Restriction", "None");
            });
        }
    });
}

fn unit(xml: &mut Xml, sheet: &Sheet, unit: &UnitLine, primary: bool) {
    let taken =
        |wanted: UnitState| unit.taken.iter().find(|taken| taken.0 == wanted).map(|taken| local(taken.1, sheet));
    xml.within("Unit", |xml| {
        xml.element("UnitNumber", &unit.name);
        xml.element("Type", unit_type(unit.service));
        xml.element("IsPrimary", if primary { "true" } else { "false" });
        for (name, state) in [
            ("DispatchDateTime", UnitState::Dispatched),
            ("EnrouteDateTime", UnitState::EnRoute),
            ("ArriveDateTime", UnitState::OnScene),
            ("ClearDateTime", UnitState::Cleared),
        ] {
            match taken(state) {
                Some(at) => xml.element(name, &at),
                None => xml.nil(name),
            }
        }
    });
}

/// XML being written: every text escaped, every element closed.
#[derive(Default)]
struct Xml(String);

impl Xml {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn element(&mut self, name: &str, text: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "<{name}>{}</{name}>", escaped(text));
    }

    fn nil(&mut self, name: &str) {
        let _ = writeln!(self.0, "<{name} xsi:nil=\"true\"/>");
    }

    fn within(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.line(&format!("<{name}>"));
        fill(self);
        self.line(&format!("</{name}>"));
    }
}

/// Text with the five characters of XML escaped.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            other => escaped.push(other),
        }
    }
    escaped
}
