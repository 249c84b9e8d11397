//! Fields of a record as facts: call types, priority, place, people, call-back, cautions, stated answers.

use super::call_types::{Implied, Pin, Unmapped};
use super::natures::{caution_words, eido_meaning, nature, place_setting};
use super::vocabulary::canonical_code;
use super::zones::Placed;
use super::{FactSources, Facts, Source, ZONE_OUTSIDE};
use crate::record::{CallRecord, Location, Person};

/// Something of a record that could not be learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlearnt {
    /// The fact concerned.
    pub fact: String,
    /// Kebab-case reason (`call-type-not-in-table`, `call-type-version-mismatch`, `location-outside-every-zone`, `value-out-of-domain`, …).
    pub why: &'static str,
}

struct Gathering<'a> {
    sources: &'a FactSources,
    before: &'a Facts,
    facts: Facts,
    gaps: Vec<Unlearnt>,
}

pub(super) fn gather(sources: &FactSources, record: &CallRecord, before: &Facts) -> (Facts, Vec<Unlearnt>) {
    let mut gathering = Gathering { sources, before, facts: before.clone(), gaps: Vec::new() };
    gathering.first_call_type(record);
    gathering.call_types(record);
    gathering.priority(record);
    gathering.place(record);
    gathering.zone(record);
    gathering.people(record);
    gathering.cautions(record);
    for (fact, value) in &record.stated_facts {
        gathering.stated(fact, value);
    }
    gathering.narrative(record);
    (gathering.facts, gathering.gaps)
}

impl Gathering<'_> {
    fn gap(&mut self, fact: &str, why: &'static str) {
        let gap = Unlearnt { fact: fact.to_owned(), why };
        if !self.gaps.contains(&gap) {
            self.gaps.push(gap);
        }
    }

    /// States a value of the product's own making; a table that speaks another vocabulary shows as a gap.
    fn state(&mut self, fact: &str, value: &str, source: Source) {
        if self.facts.state(&self.sources.vocabulary, fact, value, source).is_err() {
            self.gap(fact, "value-out-of-domain");
        }
    }

    /// States a value of the sender's. A value out of domain is doubt until a call-taker answers, for nothing tells
    /// whether it meant danger.
    fn stated(&mut self, fact: &str, value: &str) {
        if self.facts.state(&self.sources.vocabulary, fact, value, Source::Structured).is_err() {
            self.gap(fact, "value-out-of-domain");
            self.state("doubt", "yes", Source::Structured);
        }
    }

    /// The type that the call had first, as its record states it: read as if a record had come then, so that what it meant
    /// is not lowered by the type that the call has now.
    fn first_call_type(&mut self, record: &CallRecord) {
        let Some(first) = record.nature.first_call_type.as_deref().and_then(canonical_code) else { return };
        match self.sources.call_types.look_up(&first, &Pin::of(&record.nature)) {
            Ok(meaning) => self.implied(std::slice::from_ref(meaning)),
            Err(why) => self.gap("first_call_type", why.name()),
        }
        self.state("first_call_type", &first, Source::Structured);
    }

    fn call_types(&mut self, record: &CallRecord) {
        let (fields, table) = (&record.nature, &self.sources.call_types);
        let pin = Pin::of(fields);
        let common = fields.common_type.as_deref().map(|code| eido_meaning(code).map(Implied::from));
        let mut meanings: Vec<Implied> = Vec::new();
        let mut unmapped = matches!(common, Some(None)).then_some(Unmapped::NotInTable);
        meanings.extend(common.flatten());
        let own = table.own(fields, &pin);
        match own {
            None => {}
            Some((_, Ok(meaning))) => {
                // The agency's own table stands in for a common code that the registry does not know.
                unmapped = None;
                // Of equal danger the agency's own word is the more exact.
                meanings.insert(0, meaning.clone());
            }
            Some((_, Err(why))) if !meanings.is_empty() => self.gap("call_type", why.name()),
            Some((_, Err(why))) => unmapped = Some(why),
        }
        for code in &fields.further_call_types {
            match table.look_up(code, &pin) {
                Ok(meaning) => meanings.push(meaning.clone()),
                Err(why) => unmapped = unmapped.max(Some(why)),
            }
        }
        self.implied(&meanings);
        let call_type = own.and_then(|(code, _)| canonical_code(code));
        if let Some(why) = unmapped {
            self.gap("nature", why.name());
            // A nature that was answered for another call type does not vouch for this one.
            let changed = call_type.as_deref() != self.before.value("call_type");
            if changed && self.before.source("nature") == Some(Source::Answer) {
                self.state("doubt", "yes", Source::Structured);
            }
        } else if self.facts.value("nature").is_none() {
            let why = if meanings.is_empty() { "no-call-type" } else { "call-type-says-nothing" };
            self.gap("nature", why);
        }
        if let Some(code) = call_type {
            // A type that was changed since an earlier record was first.
            let is_stated = self.before.source("call_type") != Some(Source::Answer);
            let earlier = self.before.value("call_type").filter(|earlier| is_stated && *earlier != code);
            if let Some(earlier) = earlier.filter(|_| self.facts.value("first_call_type").is_none()) {
                self.state("first_call_type", earlier, Source::CallType);
            }
            self.state("call_type", &code, Source::Structured);
        }
    }

    /// Of several natures the most dangerous rules; of several implied values of a risk the merge keeps the greatest.
    fn implied(&mut self, meanings: &[Implied]) {
        let danger = |name: &str| nature(name).map_or(9, |nature| nature.danger);
        let mut ruling: Option<&str> = None;
        for name in meanings.iter().filter_map(|meaning| meaning.nature.as_deref()) {
            if ruling.is_none_or(|ruling| danger(name) > danger(ruling)) {
                ruling = Some(name);
            }
        }
        if let Some(name) = ruling {
            self.state("nature", name, Source::CallType);
        }
        for (fact, value) in meanings.iter().flat_map(|meaning| &meaning.facts) {
            self.state(fact, value, Source::CallType);
        }
        if let Some(priority) = meanings.iter().filter_map(|meaning| meaning.priority).max() {
            self.state("priority", &priority.to_string(), Source::CallType);
        }
    }

    fn priority(&mut self, record: &CallRecord) {
        if let Some(common) = record.nature.common_priority {
            return self.stated("priority", &common.to_string());
        }
        let Some(text) = &record.nature.priority_text else {
            return;
        };
        match self.sources.priorities.get(&text.trim().to_lowercase()).copied() {
            Some(number) => self.state("priority", &number.to_string(), Source::Structured),
            None if self.sources.priorities.is_empty() => {}
            None => self.gap("priority", "priority-not-in-table"),
        }
    }

    fn place(&mut self, record: &CallRecord) {
        let place = incident_locations(record).into_iter();
        for location in place {
            if location.street.as_deref().is_some_and(|street| !street.trim().is_empty()) || location.point.is_some() {
                self.state("address", "given", Source::Structured);
            }
            if let Some(word) = &location.place_type {
                match place_setting(word) {
                    Some(Some(setting)) => self.state("setting", setting, Source::Structured),
                    Some(None) => {}
                    None => self.gap("setting", "place-type-not-in-table"),
                }
            }
        }
    }

    fn zone(&mut self, record: &CallRecord) {
        let zones = &self.sources.zones;
        if zones.names().is_empty() {
            return;
        }
        let mut found: Option<Vec<String>> = None;
        let locations = incident_locations(record);
        for location in &locations {
            let Some(point) = location.point.filter(|_| zones.has_shapes()) else {
                continue;
            };
            match zones.place(point.latitude, point.longitude, location.uncertainty_m) {
                Placed::Implausible(why) => self.gap("zone", why),
                Placed::In { zones, at_border } => {
                    if at_border {
                        self.gap("zone", "location-uncertain-at-border");
                    }
                    let resolved = !zones.is_empty();
                    found.get_or_insert_default().extend(zones);
                    if resolved {
                        break;
                    }
                }
            }
        }
        if let Some(beat) = &record.nature.beat {
            match zones.of_beat(beat) {
                zones if zones.is_empty() => self.gap("zone", "beat-in-no-zone"),
                zones => found.get_or_insert_default().extend(zones),
            }
        }
        match found {
            Some(zones) if zones.is_empty() => {
                self.gap("zone", "location-outside-every-zone");
                self.state("zone", ZONE_OUTSIDE, Source::Structured);
            }
            Some(zones) => self.state("zone", &zones.join(","), Source::Structured),
            None if self.facts.value("zone").is_some() || self.gaps.iter().any(|gap| gap.fact == "zone") => {}
            None if locations.is_empty() => self.gap("zone", "no-location"),
            None => self.gap("zone", "location-without-coordinates"),
        }
    }

    fn people(&mut self, record: &CallRecord) {
        if let Some(caller) = caller(record) {
            self.state("caller", caller, Source::Structured);
        }
        let callers = || record.persons.iter().filter(|person| is_caller(person));
        if call_back_addresses(record).any(can_be_called) {
            self.state("callback", "available", Source::Structured);
        }
        if callers().any(|person| person.name.as_deref().is_some_and(|name| !name.trim().is_empty())) {
            self.state("caller_name", "given", Source::Structured);
        }
        let first_party = self.facts.value("caller") == Some("first-party");
        let mut ages: Vec<u16> = record
            .persons
            .iter()
            .filter(|person| is_subject(person) || (first_party && is_caller(person)))
            .filter_map(|person| person.age_years)
            .collect();
        ages.sort_unstable();
        ages.dedup();
        match ages.as_slice() {
            [] => {}
            [age] => self.stated("age", &age.to_string()),
            _ => self.gap("age", "several-ages"),
        }
    }

    /// Cues of the narrative, which only raise.
    fn narrative(&mut self, record: &CallRecord) {
        let (said, too_long) = self.sources.narratives.read(record);
        for (fact, said) in said {
            if self.facts.hear(&self.sources.vocabulary, &fact, said).is_err() {
                self.gap(&fact, "value-out-of-domain");
            }
        }
        if too_long {
            // What nobody read is not waved through.
            self.gap("doubt", "narrative-too-long");
            self.state("doubt", "yes", Source::Structured);
        }
    }

    fn cautions(&mut self, record: &CallRecord) {
        for caution in &record.cautions {
            let words = caution.kind.to_lowercase();
            let mut understood = false;
            for entry in caution_words().iter().filter(|entry| words.contains(&entry.word)) {
                understood = true;
                self.state(&entry.fact, &entry.value, Source::Structured);
            }
            if understood {
                continue;
            }
            self.gap("doubt", "caution-not-understood");
            // A caution that its sender calls grave is not waved through for want of a word.
            if matches!(caution.severity.as_deref().map(str::to_lowercase).as_deref(), Some("highest" | "high")) {
                self.state("doubt", "yes", Source::Structured);
            }
        }
    }
}

impl From<&super::natures::Meaning> for Implied {
    fn from(meaning: &super::natures::Meaning) -> Self {
        Self { nature: meaning.nature.clone(), priority: None, facts: meaning.implies.clone() }
    }
}

/// Locations of the incident itself: those so named, else those without a role. Where the caller is, where the tower is
/// and how the call was routed say nothing of where the incident is.
pub(super) fn incident_locations(record: &CallRecord) -> Vec<&Location> {
    for roles in [&["CurrentIncident"][..], &["InitialIncident"], &[]] {
        let found: Vec<&Location> = record
            .locations
            .iter()
            .filter(|location| match &location.role {
                Some(role) => roles.iter().any(|wanted| role.eq_ignore_ascii_case(wanted)),
                None => roles.is_empty(),
            })
            .collect();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

fn has_role(person: &Person, roles: &[&str]) -> bool {
    person.roles.iter().any(|role| roles.iter().any(|wanted| role.trim().eq_ignore_ascii_case(wanted)))
}

fn is_caller(person: &Person) -> bool {
    has_role(person, &["Caller", "ReportingParty"])
}

/// The person the call is about: by role, or the one person of a record that gives no roles.
fn is_subject(person: &Person) -> bool {
    person.roles.is_empty() || has_role(person, &["Patient", "InvolvedPerson", "PersonOfInterest", "Victim", "Suspect"])
}

/// True where an address or number can be called back: a SIP address, or at least seven digits.
#[must_use]
pub fn can_be_called(address: &str) -> bool {
    let address = address.trim();
    address.to_ascii_lowercase().starts_with("sip") || address.chars().filter(char::is_ascii_digit).count() >= 7
}

/// Where the reporter can be called back, as the record has it.
pub(super) fn call_back_addresses(record: &CallRecord) -> impl Iterator<Item = &str> {
    let callers = record.persons.iter().filter(|person| is_caller(person));
    record.callbacks.iter().map(String::as_str).chain(callers.filter_map(|person| person.phone.as_deref()))
}

/// Who is calling, from the call's source and the roles of people (EIDO PersonRole); `None` where they do not tell.
fn caller(record: &CallRecord) -> Option<&'static str> {
    if source_is(record, &OFFICERS) {
        return Some("officer");
    }
    if is_from_agency(record) {
        return Some("agency");
    }
    let mut callers = record.persons.iter().filter(|person| is_caller(person));
    let caller = callers.next()?;
    if callers.next().is_some() {
        return None;
    }
    if has_role(caller, &["Patient", "InvolvedPerson", "Victim", "PersonOfInterest"]) {
        Some("first-party")
    } else if has_role(caller, &["PatientRelative", "PatientAcquaintance", "VictimRelative", "VictimAcquaintance"]) {
        Some("second-party")
    } else if has_role(caller, &["Witness"]) {
        Some("third-party")
    } else {
        None
    }
}

/// Words of a call's source for police who ask by themselves.
const OFFICERS: [&str; 4] = ["officer", "police", "field", "self-initiated"];
/// And for any other agency.
const AGENCIES: [&str; 8] = ["fire", "ems", "ambulance", "agency", "alarm", "dispatch", "hospital", "security"];

/// True where the call's source names an agency, police or another.
pub(super) fn is_from_agency(record: &CallRecord) -> bool {
    source_is(record, &OFFICERS) || source_is(record, &AGENCIES)
}

fn source_is(record: &CallRecord, words: &[&str]) -> bool {
    let Some(source) = record.call_source.as_ref().map(|source| source.to_lowercase()) else { return false };
    let parts = source.split(|letter: char| !letter.is_alphanumeric() && letter != '-');
    parts.into_iter().any(|part| words.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::super::{CallTypes, Narratives, Vocabulary, Zones};
    use super::*;
    use crate::record::{AgencyId, Caution, CodeSystem, Format, Point, RecordIdentity, SourceId};
    use std::collections::BTreeMap;

    fn sources() -> FactSources {
        let mut zones = Zones::default();
        let geojson = r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"zone":"north","beats":["N1"]},
            "geometry":{"type":"Polygon","coordinates":[[[-120.4,50.7],[-120.3,50.7],[-120.3,50.8],[-120.4,50.8],[-120.4,50.7]]]}}]}"#;
        zones.read_geojson(geojson.as_bytes(), &mut Vec::new());
        let vocabulary = Vocabulary::new(Vec::new(), &zones);
        let table = "code,nature,priority,implies\nWELCK,welfare-check,3,\n10-56,suicidal-person,8,self_harm=plan\nFIGHT,assault,9,violence=physical\nMISC,,,\n";
        let (call_types, faults) = CallTypes::read(table.as_bytes(), &vocabulary);
        assert_eq!(faults, Vec::new());
        let priorities = BTreeMap::from([("high".to_owned(), 8)]);
        FactSources { vocabulary, call_types, zones, priorities, narratives: Narratives::default() }
    }

    fn record(call_type: Option<&str>) -> CallRecord {
        let identity = RecordIdentity {
            agency: AgencyId::new("a"),
            element: SourceId::new("cad"),
            incident: "1".to_owned(),
            updated_at: None,
            content_sha256: String::new(),
        };
        let mut record = CallRecord::new(identity, Format::Delimited);
        record.nature.call_type = call_type.map(str::to_owned);
        record
    }

    fn whys(gaps: &[Unlearnt]) -> Vec<(&str, &str)> {
        gaps.iter().map(|gap| (gap.fact.as_str(), gap.why)).collect()
    }

    #[test]
    fn of_several_call_types_the_most_dangerous_rules() {
        let mut welfare = record(Some("welck"));
        welfare.nature.further_call_types = vec!["FIGHT".to_owned()];
        let (facts, gaps) = sources().gather(&welfare, &Facts::default());
        assert_eq!(facts.value("nature"), Some("assault"));
        assert_eq!(facts.value("violence"), Some("physical"));
        assert_eq!(facts.value("priority"), Some("9"));
        assert_eq!(whys(&gaps), [("zone", "no-location")]);
    }

    #[test]
    fn a_call_type_that_no_row_knows_is_a_gap_and_the_common_code_helps_out() {
        let mut strange = record(Some("ZZZ"));
        let (facts, gaps) = sources().gather(&strange, &Facts::default());
        assert_eq!(facts.value("nature"), None);
        assert_eq!(whys(&gaps)[0], ("nature", "call-type-not-in-table"));
        strange.nature.common_type = Some("MNTL".to_owned());
        let (facts, gaps) = sources().gather(&strange, &Facts::default());
        assert_eq!(facts.value("nature"), Some("person-in-crisis"));
        assert_eq!(whys(&gaps)[0], ("call_type", "call-type-not-in-table"));
        assert_eq!(whys(&sources().gather(&record(None), &Facts::default()).1)[0], ("nature", "no-call-type"));
        assert_eq!(
            whys(&sources().gather(&record(Some("MISC")), &Facts::default()).1)[0],
            ("nature", "call-type-says-nothing")
        );
    }

    #[test]
    fn a_call_type_of_another_version_is_not_read_as_if_it_were_of_this_one() {
        let mut pinned = sources();
        let table = "code,vendor,version,nature\n25A01,MPDS,13.3,welfare-check\n";
        pinned.call_types = CallTypes::read(table.as_bytes(), &pinned.vocabulary).0;
        let mut call = record(Some("25A01"));
        call.nature.declare(&CodeSystem { vendor: "mpds".to_owned(), version: Some("13.3".to_owned()) });
        assert_eq!(pinned.gather(&call, &Facts::default()).0.value("nature"), Some("welfare-check"));
        call.nature.call_type_version = Some("14".to_owned());
        let (facts, gaps) = pinned.gather(&call, &Facts::default());
        assert_eq!((facts.value("nature"), whys(&gaps)[0]), (None, ("nature", "call-type-version-mismatch")));
        call.nature.common_type = Some("WELFARE".to_owned());
        let (facts, gaps) = pinned.gather(&call, &Facts::default());
        assert_eq!(facts.value("nature"), Some("welfare-check"), "the common code says it");
        assert_eq!(whys(&gaps)[0], ("call_type", "call-type-version-mismatch"));
        let mut other = record(Some("25A01"));
        other.nature.call_type_vendor = Some("APCO".to_owned());
        other.nature.declare(&CodeSystem { vendor: "MPDS".to_owned(), version: Some("13.3".to_owned()) });
        assert_eq!(other.nature.call_type_version, None, "another vendor's version is not this one's");
    }

    /// One record that states both types says what two records in that order do.
    #[test]
    fn the_first_call_type_is_kept_and_its_danger_stays() {
        let sources = sources();
        let both = |first: &str, last: &str| {
            let mut record = record(Some(last));
            record.nature.first_call_type = Some(first.to_owned());
            sources.gather(&record, &Facts::default())
        };
        for (first, last) in [("FIGHT", "WELCK"), ("WELCK", "FIGHT"), ("10-56", "WELCK"), ("WELCK", "10-56")] {
            let (one, _) = both(&first.to_lowercase(), last);
            let (before, _) = sources.gather(&record(Some(first)), &Facts::default());
            assert_eq!(before.value("first_call_type"), None, "it is not known to have been another");
            let (two, _) = sources.gather(&record(Some(last)), &before);
            for facts in [&one, &two] {
                let types = (facts.value("first_call_type"), facts.value("call_type"));
                assert_eq!(types, (Some(first), Some(last)));
            }
            for fact in ["nature", "violence", "self_harm"] {
                assert_eq!(one.value(fact), two.value(fact), "{fact} of {first} and {last}");
            }
            // A third type changes the last one only.
            let (three, _) = sources.gather(&record(Some("MISC")), &two);
            assert_eq!((three.value("first_call_type"), three.value("call_type")), (Some(first), Some("MISC")));
        }
        let (talked_down, gaps) = both("FIGHT", "WELCK");
        assert_eq!((talked_down.value("nature"), talked_down.value("violence")), (Some("assault"), Some("physical")));
        assert_eq!(whys(&gaps), [("zone", "no-location")]);
        let (unknown, gaps) = both("ZZZ", "WELCK");
        assert_eq!((unknown.value("nature"), unknown.value("first_call_type")), (Some("welfare-check"), Some("ZZZ")));
        assert_eq!(whys(&gaps)[0], ("first_call_type", "call-type-not-in-table"));
        // What a call-taker answered is no earlier type of the record's.
        let answered = sources.answered(&Facts::default(), "call_type", "WELCK").unwrap();
        let (later, _) = sources.gather(&record(Some("FIGHT")), &answered);
        assert_eq!(later.value("first_call_type"), None);
    }

    #[test]
    fn an_unknown_further_call_type_is_not_waved_through() {
        let mut welfare = record(Some("WELCK"));
        welfare.nature.further_call_types = vec!["MEDX".to_owned()];
        let (_, gaps) = sources().gather(&welfare, &Facts::default());
        assert_eq!(whys(&gaps)[0], ("nature", "call-type-not-in-table"));
    }

    #[test]
    fn an_answered_nature_does_not_vouch_for_a_new_unknown_call_type() {
        let sources = sources();
        let (facts, _) = sources.gather(&record(Some("ZZZ")), &Facts::default());
        let answered = sources.answered(&facts, "nature", "welfare-check").unwrap();
        let (same, _) = sources.gather(&record(Some("ZZZ")), &answered);
        assert_eq!(same.value("doubt"), None);
        let (other, _) = sources.gather(&record(Some("YYY")), &answered);
        assert_eq!(other.value("doubt"), Some("yes"));
    }

    #[test]
    fn a_value_out_of_domain_is_doubt() {
        let mut stated = record(Some("WELCK"));
        stated.stated_facts =
            vec![("weapon".to_owned(), "machete".to_owned()), ("violence".to_owned(), "None".to_owned())];
        let (facts, gaps) = sources().gather(&stated, &Facts::default());
        assert_eq!(facts.value("weapon"), None);
        assert_eq!(facts.value("violence"), Some("none"));
        assert_eq!(facts.value("doubt"), Some("yes"));
        assert!(whys(&gaps).contains(&("weapon", "value-out-of-domain")));
    }

    #[test]
    fn fields_become_facts() {
        let mut call = record(Some("WELCK"));
        call.nature.priority_text = Some("High".to_owned());
        call.callbacks = vec!["tel:+1-250-555-0100".to_owned()];
        call.locations = vec![
            Location {
                role: Some("RoutingLocation".to_owned()),
                point: Some(Point { latitude: 50.75, longitude: -120.35 }),
                ..Location::default()
            },
            Location {
                role: Some("CurrentIncident".to_owned()),
                point: Some(Point { latitude: 50.75, longitude: -120.35 }),
                place_type: Some("Library".to_owned()),
                ..Location::default()
            },
        ];
        call.persons = vec![
            Person {
                roles: vec!["Caller".to_owned(), "Witness".to_owned()],
                name: Some("A".to_owned()),
                age_years: Some(50),
                ..Person::default()
            },
            Person { roles: vec!["Patient".to_owned()], age_years: Some(19), ..Person::default() },
        ];
        call.cautions = vec![Caution { kind: "Premise: FIREARMS".to_owned(), severity: None }];
        let (facts, gaps) = sources().gather(&call, &Facts::default());
        let expected = [
            ("address", "given"),
            ("age", "19"),
            ("call_type", "WELCK"),
            ("callback", "available"),
            ("caller", "third-party"),
            ("caller_name", "given"),
            ("nature", "welfare-check"),
            ("priority", "8"),
            ("setting", "public-indoor"),
            ("weapon", "access"),
            ("zone", "north"),
        ];
        let found: Vec<_> = facts.iter().map(|(name, known)| (name, &*known.value)).collect();
        assert_eq!(found, expected);
        assert_eq!(gaps, Vec::new());
    }

    #[test]
    fn what_disappears_clears_nothing() {
        let sources = sources();
        let mut first = record(Some("10-56"));
        first.nature.beat = Some("n1".to_owned());
        let (before, _) = sources.gather(&first, &Facts::default());
        let (after, gaps) = sources.gather(&record(None), &before);
        assert_eq!(after, before);
        assert_eq!(gaps, Vec::new());
    }

    #[test]
    fn a_grave_caution_without_a_word_for_it_is_doubt() {
        let mut call = record(Some("WELCK"));
        call.cautions = vec![Caution { kind: "XK-9".to_owned(), severity: Some("normal".to_owned()) }];
        assert_eq!(sources().gather(&call, &Facts::default()).0.value("doubt"), None);
        call.cautions[0].severity = Some("High".to_owned());
        assert_eq!(sources().gather(&call, &Facts::default()).0.value("doubt"), Some("yes"));
    }
}
