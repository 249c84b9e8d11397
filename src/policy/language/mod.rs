//! The policy as it is written: typed reading of the folder's files, every fault with its file, line and key.

mod cells;
mod keys;
mod programs;
mod reader;
mod row;
mod rows;
mod schema;
mod shape;

pub(super) use cells::{Cell, Test};
pub(super) use keys::CASES;
pub(super) use programs::{Area, Decider, Leg, Program};
pub(super) use reader::{Item, Reader, Table, did_you_mean};
pub(super) use row::{
    BUILT_IN, Barred, Bars, FollowUpDue, MONOTONE, Promise, Row, RowKind, Safeguard, SendTarget, Step, StepForm, Waiver,
};
pub(super) use schema::{cases as cases_schema, policy as policy_schema};

use super::hours::Effective;
use super::{Mode, PolicyFault, PolicyFiles};
use crate::facts::{
    CallTypes, DeclaredFact, FactSources, FileFault, Narratives, Shorthand, UNKNOWN, Vocabulary, ZONE_OUTSIDE, Zones,
};
use crate::record::ReleasedField;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};

/// The main file.
pub(super) const POLICY_FILE: &str = "policy.toml";
const CALL_TYPES_FILE: &str = "call_types.csv";
const SHORTHAND_FILE: &str = "shorthand.csv";
const ZONES_FILE: &str = "zones.geojson";
/// The policy's own tests.
pub(super) const CASES_FILE: &str = "cases.toml";

/// What a destination may see where the policy says nothing else.
const RELEASE_MINIMUM: [ReleasedField; 4] =
    [ReleasedField::Nature, ReleasedField::Address, ReleasedField::Point, ReleasedField::Facts];

/// A policy as written, names resolved, not yet compiled.
#[derive(Debug)]
pub(super) struct Written {
    pub id: String,
    pub title: String,
    pub revision: String,
    pub time_zone: TimeZone,
    pub mode: Mode,
    pub cite: Option<String>,
    pub holidays: BTreeSet<Date>,
    pub sources: FactSources,
    /// In order of id.
    pub deciders: Vec<Decider>,
    /// In order of id.
    pub programs: Vec<Program>,
    pub exclusions: Vec<Row>,
    pub rules: Vec<Row>,
    pub safeguards: Vec<Safeguard>,
    pub waivers: Vec<Waiver>,
    /// By fact: language → question.
    pub questions: BTreeMap<String, BTreeMap<String, String>>,
}

/// Reads every file of the folder but `cases.toml`.
pub(super) fn read(files: &PolicyFiles) -> Result<Written, Vec<PolicyFault>> {
    let mut faults = strange_files(files);
    let Some(text) = utf8(files, POLICY_FILE, &mut faults) else {
        if !files.files.contains_key(POLICY_FILE) {
            faults.push(fault(POLICY_FILE, FileFault::new(None, "file", "the folder has no `policy.toml`")));
        }
        return Err(faults);
    };
    let mut reader = Reader::new(POLICY_FILE, text);
    let document = reader.parse(text);
    let root = reader.root(&document);

    let header = header(&mut reader, &root);
    let holidays = calendar(&mut reader, &root);
    let zones = zones(files, &mut reader, &root, &mut faults);
    let declared = declared_facts(&mut reader, &root);
    let vocabulary = Vocabulary::new(declared, &zones);
    reader.shaped(&root, keys::POLICY, &vocabulary);
    let priorities = priorities(&mut reader, &root);
    let call_types = call_types(files, &vocabulary, &mut faults);
    let narratives = narratives(files, &vocabulary, &mut faults);
    let releases = releases(&mut reader, &root);
    let deciders = programs::deciders(&mut reader, &root);
    let programs = programs::read(&mut reader, &root, &vocabulary, &zones, &releases, &deciders);
    let rows = rows::read(&mut reader, &root, &vocabulary, &programs);
    let questions = questions(&mut reader, &root, &vocabulary);

    faults.append(&mut reader.faults);
    faults.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    match (header, faults.is_empty()) {
        (Some(header), true) => Ok(Written {
            id: header.id,
            title: header.title,
            revision: header.revision,
            time_zone: header.time_zone,
            mode: header.mode,
            cite: header.cite,
            holidays,
            sources: FactSources { vocabulary, call_types, zones, priorities, narratives },
            deciders,
            programs,
            exclusions: rows.exclusions,
            rules: rows.rules,
            safeguards: rows.safeguards,
            waivers: rows.waivers,
            questions,
        }),
        _ => Err(faults),
    }
}

/// A fault of one of the folder's files in the shape every fault has.
pub(super) fn fault(file: &str, fault: FileFault) -> PolicyFault {
    PolicyFault { file: file.to_owned(), line: fault.line, key: fault.key, message: fault.message, help: fault.help }
}

/// A file whose name is nearly right would be ignored silently, so it is refused.
fn strange_files(files: &PolicyFiles) -> Vec<PolicyFault> {
    let known = [POLICY_FILE, CALL_TYPES_FILE, SHORTHAND_FILE, ZONES_FILE, CASES_FILE];
    files
        .files
        .keys()
        .filter(|name| [".toml", ".csv", ".geojson"].iter().any(|ending| name.ends_with(ending)))
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| {
            let mut strange = FileFault::new(None, "file", format!("a policy has no file `{name}`"));
            strange.help = reader::did_you_mean(name, &known);
            fault(name, strange)
        })
        .collect()
}

pub(super) fn utf8<'a>(files: &'a PolicyFiles, name: &str, faults: &mut Vec<PolicyFault>) -> Option<&'a str> {
    match std::str::from_utf8(files.files.get(name)?) {
        Ok(text) => Some(text.trim_start_matches('\u{feff}')),
        Err(_) => {
            faults.push(fault(name, FileFault::new(None, "file", "the file is not UTF-8 text")));
            None
        }
    }
}

struct Header {
    id: String,
    title: String,
    revision: String,
    time_zone: TimeZone,
    mode: Mode,
    cite: Option<String>,
}

fn header(reader: &mut Reader, root: &Table<'_>) -> Option<Header> {
    let table = reader.table(&reader.get(root, "policy")?)?;
    let id = identifier(reader, &table, "id");
    let title = reader.required_text(&table, "title");
    let revision = reader.required_text(&table, "revision");
    let cite = reader.optional_text(&table, "cite");
    let zone_name = reader.required_text(&table, "time_zone");
    let time_zone = zone_name.and_then(|name| match TimeZone::get(&name) {
        Ok(zone) => Some(zone),
        Err(_) => {
            let key = table.key("time_zone");
            let help = Some("a name of the IANA time zone database, as `America/Vancouver`".to_owned());
            let line = reader.get(&table, "time_zone").map_or(table.line, |item| item.line);
            reader.fault(line, key, format!("no time zone is named `{name}`"), help);
            None
        }
    });
    let mode = reader.required_text(&table, "mode").and_then(|mode| match mode.as_str() {
        "shadow" => Some(Mode::Shadow),
        "advise" => Some(Mode::Advise),
        "automatic" => Some(Mode::Automatic),
        _ => None,
    });
    Some(Header { id: id?, title: title?, revision: revision?, time_zone: time_zone?, mode: mode?, cite })
}

/// A required identifier.
fn identifier(reader: &mut Reader, table: &Table<'_>, key: &str) -> Option<String> {
    let text = reader.required_text(table, key)?;
    let line = reader.get(table, key).map_or(table.line, |item| item.line);
    check_identifier(reader, line, &table.key(key), &text).then_some(text)
}

fn check_identifier(reader: &mut Reader, line: u32, key: &str, text: &str) -> bool {
    let good = text.starts_with(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit())
        && text
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '-' | '_' | '.'));
    if !good {
        let help = "lower-case letters, digits, `-`, `_` and `.`, beginning with a letter or digit";
        reader.fault(line, key, format!("`{text}` is not an identifier"), Some(help.to_owned()));
    }
    good
}

/// Reads `effective`, open where it is left out.
fn effective(reader: &mut Reader, table: &Table<'_>) -> Effective {
    let Some(item) = reader.get(table, "effective") else {
        return Effective::default();
    };
    let Some(text) = reader.text(&item) else {
        return Effective::default();
    };
    Effective::parse(&text).unwrap_or_else(|| {
        let help = "`2026-05-01..`, `..2026-12-31` or `2026-05-01..2026-12-31`".to_owned();
        reader.fault(item.line, item.path, format!("`{text}` is not a range of dates"), Some(help));
        Effective::default()
    })
}

fn calendar(reader: &mut Reader, root: &Table<'_>) -> BTreeSet<Date> {
    let Some(item) = reader.get(root, "calendar") else {
        return BTreeSet::new();
    };
    let Some(table) = reader.table(&item) else {
        return BTreeSet::new();
    };
    let mut dates = BTreeSet::new();
    for (text, item) in reader.texts(&table, "holidays") {
        match text.parse::<Date>() {
            Ok(date) => drop(dates.insert(date)),
            Err(_) => {
                reader.fault(item.line, item.path, format!("`{text}` is not a date"), Some("`2026-07-01`".to_owned()))
            }
        }
    }
    dates
}

fn zones(files: &PolicyFiles, reader: &mut Reader, root: &Table<'_>, faults: &mut Vec<PolicyFault>) -> Zones {
    let mut zones = Zones::default();
    if let Some(bytes) = files.files.get(ZONES_FILE) {
        let mut found = Vec::new();
        zones.read_geojson(bytes, &mut found);
        faults.extend(found.into_iter().map(|found| fault(ZONES_FILE, found)));
    }
    let mut parts_named = Vec::new();
    for (name, table) in reader.named_tables(root, "zone") {
        if !check_identifier(reader, table.line, &table.path, name) {
            continue;
        }
        if name == ZONE_OUTSIDE || name == UNKNOWN {
            reader.fault(table.line, table.path.clone(), format!("`{name}` cannot name a zone"), None);
            continue;
        }
        let title = reader.optional_text(&table, "title");
        let texts = |list: Vec<(String, Item<'_>)>| list.into_iter().map(|(text, _)| text).collect::<Vec<_>>();
        let beats = texts(reader.texts(&table, "beats"));
        let parts = reader.texts(&table, "zones");
        if beats.is_empty() && parts.is_empty() {
            reader.fault(table.line, table.path.clone(), "the zone has neither beats nor zones", None);
        }
        parts_named.extend(parts.iter().map(|(part, item)| (part.clone(), item.path.clone(), item.line)));
        zones.declare(name, title.as_deref(), &beats, &texts(parts));
    }
    for (part, key, line) in parts_named {
        let names: Vec<&str> = zones.names().iter().map(String::as_str).collect();
        if !names.contains(&part.as_str()) {
            reader.not_among(line, &key, "zone", &part, &names);
        }
    }
    zones
}

fn declared_facts(reader: &mut Reader, root: &Table<'_>) -> Vec<DeclaredFact> {
    let mut declared = Vec::new();
    for (name, table) in reader.named_tables(root, "fact") {
        let mut good = check_identifier(reader, table.line, &table.path, name);
        if Vocabulary::is_built_in(name) || rows::is_row_key(name) {
            reader.fault(table.line, table.path.clone(), format!("`{name}` is taken by the language"), None);
            good = false;
        }
        let mut values: Vec<String> = Vec::new();
        for (value, item) in reader.texts(&table, "values") {
            let plain = check_identifier(reader, item.line, &item.path, &value);
            if value == UNKNOWN || values.contains(&value) {
                reader.fault(item.line, item.path, format!("`{value}` cannot be a value here"), None);
            } else if plain {
                values.push(value);
            }
        }
        if values.is_empty() && table.has("values") {
            reader.fault(table.line, table.key("values"), "the fact has no values", None);
            good = false;
        }
        let ordered = reader.optional_flag(&table, "ordered").unwrap_or(false);
        let risk = reader.optional_flag(&table, "risk").unwrap_or(false);
        if good {
            declared.push(DeclaredFact { name: name.to_owned(), values, ordered, risk });
        }
    }
    declared
}

fn priorities(reader: &mut Reader, root: &Table<'_>) -> BTreeMap<String, u8> {
    let Some(item) = reader.get(root, "priorities") else {
        return BTreeMap::new();
    };
    let Some(table) = reader.table(&item) else {
        return BTreeMap::new();
    };
    let items = reader.items(&table);
    items
        .into_iter()
        .filter_map(|(word, item)| {
            let number = reader.integer(&item)?;
            Some((word.trim().to_lowercase(), u8::try_from(number).ok()?))
        })
        .collect()
}

fn call_types(files: &PolicyFiles, vocabulary: &Vocabulary, faults: &mut Vec<PolicyFault>) -> CallTypes {
    let Some(bytes) = files.files.get(CALL_TYPES_FILE) else {
        return CallTypes::default();
    };
    let (table, found) = CallTypes::read(bytes, vocabulary);
    faults.extend(found.into_iter().map(|found| fault(CALL_TYPES_FILE, found)));
    table
}

/// The reading of narratives, with the agency's shorthand where the folder has it.
fn narratives(files: &PolicyFiles, vocabulary: &Vocabulary, faults: &mut Vec<PolicyFault>) -> Narratives {
    let mut found = Vec::new();
    let shorthand = match files.files.get(SHORTHAND_FILE) {
        Some(bytes) => Shorthand::read(bytes, vocabulary, &mut found),
        None => Shorthand::default(),
    };
    let narratives = Narratives::with(&shorthand).unwrap_or_else(|message| {
        found.push(FileFault::new(None, "phrase", message));
        Narratives::default()
    });
    faults.extend(found.into_iter().map(|found| fault(SHORTHAND_FILE, found)));
    narratives
}

/// The kebab-case names of the fields that may be released.
const RELEASED: [(&str, ReleasedField); 8] = [
    ("nature", ReleasedField::Nature),
    ("address", ReleasedField::Address),
    ("point", ReleasedField::Point),
    ("callback", ReleasedField::Callback),
    ("caller-name", ReleasedField::CallerName),
    ("age", ReleasedField::Age),
    ("facts", ReleasedField::Facts),
    ("narrative", ReleasedField::Narrative),
];

fn releases(reader: &mut Reader, root: &Table<'_>) -> BTreeMap<String, Vec<ReleasedField>> {
    let mut releases = BTreeMap::from([("minimum".to_owned(), RELEASE_MINIMUM.to_vec())]);
    for (name, table) in reader.named_tables(root, "release") {
        check_identifier(reader, table.line, &table.path, name);
        let mut fields = Vec::new();
        for (word, item) in reader.texts(&table, "fields") {
            match RELEASED.iter().find(|(name, _)| *name == word) {
                Some((_, field)) if !fields.contains(field) => fields.push(*field),
                Some(_) => reader.fault(item.line, item.path, format!("`{word}` stands twice"), None),
                None => {}
            }
        }
        releases.insert(name.to_owned(), fields);
    }
    releases
}

fn questions(
    reader: &mut Reader,
    root: &Table<'_>,
    vocabulary: &Vocabulary,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut questions: BTreeMap<String, BTreeMap<String, String>> = vocabulary
        .facts()
        .iter()
        .map(|fact| {
            let [en, fr] = fact.question.clone().map(std::borrow::Cow::into_owned);
            (fact.name.to_string(), BTreeMap::from([("en".to_owned(), en), ("fr".to_owned(), fr)]))
        })
        .collect();
    for (name, table) in reader.named_tables(root, "question") {
        if !questions.contains_key(name) {
            let names: Vec<&str> = vocabulary.facts().iter().map(|fact| &*fact.name).collect();
            reader.not_among(table.line, &table.path, "fact", name, &names);
            continue;
        }
        for language in ["en", "fr"] {
            if table.has(language)
                && let Some(text) = reader.required_text(&table, language)
                && let Some(texts) = questions.get_mut(name)
            {
                texts.insert(language.to_owned(), text);
            }
        }
    }
    questions
}
