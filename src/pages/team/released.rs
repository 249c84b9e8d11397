//! What a team may see of one call: nothing but the fields its leg's release list names.

use crate::call_processing::IncidentView;
use crate::incident::{Leg, LegState};
use crate::record::{CallRecord, Point, ReleasedField};

/// A call as one team sees it. The page is drawn from this and never sees the record (invariant I14).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TeamCall {
    /// The call's name, cut to what is said over a radio.
    pub reference: String,
    /// What it is about, in the policy's neutral words.
    pub nature: Option<String>,
    /// Places, each in one line.
    pub places: Vec<String>,
    /// Coordinates.
    pub point: Option<Point>,
    /// Call-back addresses.
    pub callbacks: Vec<String>,
    /// The caller's name.
    pub caller_name: Option<String>,
    /// Age of the person concerned, years.
    pub age_years: Option<u16>,
    /// Facts as name and value.
    pub facts: Vec<(String, String)>,
    /// Narrative notes, newest first.
    pub notes: Vec<String>,
}

/// Fields that stay on the page once a leg is no longer the team's: on a stand-back, where not to go; else nothing.
fn allowed(leg: &Leg) -> Vec<ReleasedField> {
    match leg.state {
        LegState::Offered | LegState::Accepted | LegState::EnRoute | LegState::OnScene | LegState::WithPerson => {
            leg.plan.release.clone()
        }
        LegState::StoodBack => {
            leg.plan.release.iter().copied().filter(|field| *field == ReleasedField::Address).collect()
        }
        _ => Vec::new(),
    }
}

/// One call as the team of one leg may see it.
#[must_use]
pub fn released(view: &IncidentView, leg: &Leg) -> TeamCall {
    let fields = allowed(leg);
    let may = |field: ReleasedField| fields.contains(&field);
    let facts = &view.incident.facts;
    let mut call = TeamCall { reference: reference(view.incident.id.as_str()), ..TeamCall::default() };
    if may(ReleasedField::Nature) {
        call.nature = facts.value("nature").map(str::to_owned);
    }
    if may(ReleasedField::Facts) {
        let told = |(name, known): (&str, &crate::facts::Known)| (name.to_owned(), known.value.clone());
        call.facts = facts.iter().filter(|(name, _)| *name != "nature").map(told).collect();
    }
    if let Some(record) = view.record.as_deref() {
        from_record(&mut call, record, &may);
    }
    call
}

fn from_record(call: &mut TeamCall, record: &CallRecord, may: &impl Fn(ReleasedField) -> bool) {
    if may(ReleasedField::Address) {
        for place in &record.locations {
            let parts = [&place.street, &place.city, &place.description];
            let line = parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ");
            if !line.is_empty() {
                call.places.push(line);
            }
        }
    }
    if may(ReleasedField::Point) {
        call.point = record.locations.iter().find_map(|place| place.point);
    }
    if may(ReleasedField::Callback) {
        call.callbacks.clone_from(&record.callbacks);
    }
    let caller = |person: &&crate::record::Person| person.roles.iter().any(|role| role == "Caller");
    if may(ReleasedField::CallerName) {
        call.caller_name = record.persons.iter().find(caller).and_then(|person| person.name.clone());
    }
    if may(ReleasedField::Age) {
        let concerned = record.persons.iter().filter(|person| !caller(person));
        call.age_years = concerned.chain(&record.persons).find_map(|person| person.age_years);
    }
    if may(ReleasedField::Narrative) {
        call.notes = record.notes.iter().rev().map(|note| note.text.clone()).collect();
    }
}

/// The first eight characters of an incident's name: enough to tell two open calls apart by voice.
#[must_use]
pub fn reference(incident: &str) -> String {
    incident.chars().filter(char::is_ascii_alphanumeric).take(8).collect::<String>().to_uppercase()
}
