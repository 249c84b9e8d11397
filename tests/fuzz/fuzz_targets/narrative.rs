//! Any text as a narrative: read without a panic, and never lower than what was known before.
#![no_main]

use fourth_option::facts::{CallTypes, FactSources, Facts, Narratives, Vocabulary, Zones};
use fourth_option::record::{AgencyId, CallRecord, Format, Note, RecordIdentity, SourceId};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::sync::LazyLock;

static SOURCES: LazyLock<FactSources> = LazyLock::new(|| {
    let zones = Zones::default();
    FactSources {
        vocabulary: Vocabulary::new(Vec::new(), &zones),
        call_types: CallTypes::default(),
        zones,
        priorities: BTreeMap::new(),
        narratives: Narratives::default(),
    }
});

fuzz_target!(|text: &str| {
    let identity = RecordIdentity {
        agency: AgencyId::new("a"),
        element: SourceId::new("cad"),
        incident: "1".to_owned(),
        updated_at: None,
        content_sha256: String::new(),
    };
    let mut record = CallRecord::new(identity, Format::EidoJson);
    record.notes = vec![Note { at: None, text: text.to_owned() }];
    let (first, _) = SOURCES.gather(&record, &Facts::default());
    let (again, _) = SOURCES.gather(&record, &first);
    assert_eq!(first, again, "the same words are no news");
    record.notes.push(Note { at: None, text: "has a knife".to_owned() });
    let (more, _) = SOURCES.gather(&record, &first);
    let danger = |facts: &Facts, fact: &str| {
        let definition = SOURCES.vocabulary.find(fact).map(|(_, fact)| fact);
        facts.value(fact).and_then(|value| Some(definition?.danger_of(value))).unwrap_or(0)
    };
    for fact in SOURCES.vocabulary.facts() {
        assert!(danger(&more, &fact.name) >= danger(&first, &fact.name));
    }
    assert!(danger(&more, "weapon") > 0);
});
