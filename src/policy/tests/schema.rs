//! The published JSON Schemas are the reader's own table, accept every policy of the library, and refuse what it refuses.

use super::*;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn published(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/policy").join(name)
}

fn library() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(published("library")).unwrap();
    let folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    assert!(folders.len() >= 4);
    folders
}

/// A TOML text as JSON, local times as texts.
fn json(text: &str) -> Value {
    fn plain(value: toml::Value) -> Value {
        match value {
            toml::Value::Datetime(at) => Value::String(at.to_string()),
            toml::Value::Array(list) => list.into_iter().map(plain).collect(),
            toml::Value::Table(table) => {
                Value::Object(table.into_iter().map(|(key, value)| (key, plain(value))).collect())
            }
            other => serde_json::to_value(other).unwrap(),
        }
    }
    plain(toml::Value::Table(text.parse().unwrap()))
}

fn validator(schema: &str) -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap()
}

#[test]
#[ignore = "writes schemas/policy/*.schema.json; run it after a change of the table of keys"]
fn write_the_schemas() {
    for (name, schema) in schemas() {
        std::fs::write(published(name), schema).unwrap();
    }
}

#[test]
fn the_published_schemas_are_not_stale() {
    for (name, now) in schemas() {
        let published = std::fs::read_to_string(published(name)).unwrap();
        assert!(
            published == now,
            "{name} is stale; write it with: cargo test --lib schema -- --ignored write_the_schemas"
        );
    }
}

#[test]
fn every_policy_of_the_library_is_valid_by_the_schemas() {
    let [(_, policy), (_, cases)] = schemas();
    let (policy, cases) = (validator(&policy), validator(&cases));
    for folder in library() {
        for (file, validator) in [("policy.toml", &policy), ("cases.toml", &cases)] {
            let value = json(&std::fs::read_to_string(folder.join(file)).unwrap());
            let found: Vec<String> =
                validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert_eq!(found, Vec::<String>::new(), "{folder:?} {file}");
        }
    }
}

/// One mistake each: the reader refuses it, and so does the schema.
#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    // Without facts of its own, so that the names of cells are closed too.
    let own = ["[fact.heat_warning]\nvalues = [\"no\", \"yes\"]\n", "heat_warning = \"not(yes)\"\n"];
    let good = own.iter().fold(POLICY.to_owned(), |text, own| {
        assert!(text.contains(own));
        text.replace(own, "")
    });
    compile(&good);
    let [(_, schema), _] = schemas();
    let validator = validator(&schema);
    assert!(validator.is_valid(&json(&good)));
    let mistakes = [
        ("cite = \"rule 1\"", "cit = \"rule 1\""),
        ("weapon = \"present, used\"", "wepon = \"present, used\""),
        ("[calendar]", "[calender]"),
        ("mode = \"advise\"", "mode = \"advice\""),
        ("kind = \"phone\"", "kind = \"phon\""),
        ("capacity = 2", "capacity = \"two\""),
        ("capacity = 2", "capacity = -1"),
        ("from = \"16:00\"", "from = \"16h\""),
        ("accept_deadline_s = 3600", "accept_deadline_s = 0"),
        ("self_harm = \">= ideation\"", "self_harm = [\"ideation\"]"),
        ("follow_up = [\"48h\", \"7d\"]", "follow_up = [\"48h\", \"7w\"]"),
        ("holidays = [\"2025-12-25\"]", "holidays = [\"Christmas\"]"),
        ("High = 8", "High = 11"),
        ("because = \"a camp in a public space\"\n", ""),
        ("kind = \"liaison\"\n", ""),
        ("when = { setting", "when = { seting"),
        ("days = \"Tue..Sat\"", "days = \"Tue..Sta\""),
        ("automatic = true", "automatic = \"yes\""),
        ("id = \"camp\"", "id = \"Camp site\""),
        ("\"caller-name\"]", "\"caller-nam\"]"),
        ("broadcast = [", "broadcst = ["),
        ("send = [\"clo\"]", "send = \"clo\""),
        ("title = \"Test city\"", "title = \" \""),
    ];
    for (from, to) in mistakes {
        assert!(good.contains(from), "{from}");
        let bad = good.replacen(from, to, 1);
        assert!(Policy::compile(&files(&bad)).is_err(), "the reader takes {to}");
        assert!(!validator.is_valid(&json(&bad)), "the schema takes {to}");
    }
}

/// The examples of LANGUAGE.md name every key of the tables, and have their shape.
#[test]
fn the_examples_of_the_language_page_are_valid_and_whole() {
    let page = std::fs::read_to_string(published("LANGUAGE.md")).unwrap();
    let blocks: Vec<&str> = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [(_, policy), (_, cases)] = schemas();
    for (block, schema) in blocks.iter().zip([policy, cases]) {
        let found: Vec<String> = validator(&schema)
            .iter_errors(&json(block))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(found, Vec::<String>::new(), "{block}");
        let tables: Value = serde_json::from_str(&schema).unwrap();
        let mut keys = BTreeSet::new();
        named(&tables, &mut keys);
        for key in keys {
            assert!(page.contains(&format!("`{key}`")) || block.contains(&key), "LANGUAGE.md does not show `{key}`");
        }
    }
    assert_eq!(blocks.len(), 2);
}

/// The names of all properties of a schema, cells aside.
fn named(schema: &Value, into: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object.iter().filter(|(key, _)| !["definitions", "then"].contains(&key.as_str())) {
                if let (true, Value::Object(properties)) = (key == "properties", value) {
                    into.extend(properties.keys().cloned());
                }
                named(value, into);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| named(value, into)),
        _ => {}
    }
}
