//! The JSON Schemas of `policy.toml` and `cases.toml`, printed from the table of keys that the reader reads by.
//!
//! Draft 7, which TOML editors understand. A row's cells are properties by the names of the built-in facts. A policy that
//! declares facts of its own may name them too, which a schema cannot follow: the names of cells are then left to the
//! reader, and are a closed list wherever `[fact]` is absent.

use super::keys::{CASES, POLICY};
use super::shape::{Key, Shape};
use crate::facts::{Domain, Fact, UNKNOWN, Vocabulary, Zones};
use serde_json::{Map, Value, json};

/// The schema of `policy.toml`, as a text that ends with a line break.
pub(in crate::policy) fn policy() -> String {
    let mut schema = document("policy", POLICY);
    if let (Some(object), Some(strict)) = (schema.as_object_mut(), strict_table(POLICY)) {
        object.insert("if".to_owned(), json!({ "not": { "required": ["fact"] } }));
        object.insert("then".to_owned(), strict);
    }
    text(&schema)
}

/// The schema of `cases.toml`.
pub(in crate::policy) fn cases() -> String {
    text(&document("cases", CASES))
}

fn text(schema: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(schema).unwrap_or_default())
}

fn document(name: &str, keys: &[Key]) -> Value {
    let mut schema = table(keys, false);
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
        object.insert("title".to_owned(), json!(format!("{name}.toml of a fourth-option policy")));
        let about =
            format!("Generated from src/policy/language/keys.rs: cargo test --lib schema -- --ignored. {name}.toml");
        object.insert("description".to_owned(), json!(about));
        if keys.iter().any(|key| key.name == "rule") {
            let cells: Map<String, Value> = facts().iter().map(|fact| (fact.name.to_string(), cell(fact))).collect();
            object.insert("definitions".to_owned(), json!({ "cells": { "properties": cells } }));
        }
    }
    schema
}

fn facts() -> Vec<Fact> {
    Vocabulary::new(Vec::new(), &Zones::default()).facts().to_vec()
}

fn table(keys: &[Key], cells: bool) -> Value {
    let properties: Map<String, Value> =
        keys.iter().map(|key| (key.name.to_owned(), described(shape(&key.shape), key.about))).collect();
    let needed: Vec<&str> = keys.iter().filter(|key| key.needed).map(|key| key.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if let Some(object) = schema.as_object_mut() {
        if !needed.is_empty() {
            object.insert("required".to_owned(), json!(needed));
        }
        if cells {
            object.insert("allOf".to_owned(), json!([{ "$ref": "#/definitions/cells" }]));
            // Keys of every kind pass here; those that are no key of the row must be cells.
            object.insert("additionalProperties".to_owned(), json!({ "type": ["string", "integer"] }));
        } else {
            object.insert("additionalProperties".to_owned(), json!(false));
        }
    }
    schema
}

fn described(mut schema: Value, about: &str) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.insert("description".to_owned(), json!(about));
    }
    schema
}

fn shape(shape_of: &Shape) -> Value {
    match shape_of {
        Shape::Text => json!({ "type": "string", "pattern": "\\S" }),
        Shape::Form(pattern, example) => json!({ "type": "string", "pattern": pattern, "examples": [example] }),
        Shape::Word(words) => json!({ "type": "string", "enum": words }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Shape::List(one) => json!({ "type": "array", "items": shape(one) }),
        Shape::Table(keys) => table(keys, false),
        Shape::Row(keys) => table(keys, true),
        Shape::Values => json!({ "type": "object", "additionalProperties": { "type": ["string", "integer"] } }),
        Shape::Named(one) => json!({ "type": "object", "additionalProperties": shape(one) }),
        Shape::Either(one, other) => json!({ "anyOf": [shape(one), shape(other)] }),
        Shape::LocalTime => json!({ "type": "string", "examples": ["2025-11-04T21:30"] }),
    }
}

/// A cell of one fact. Unary tests are free text to a schema; the values are there for an editor to complete.
fn cell(fact: &Fact) -> Value {
    let (en, values) = (&fact.question.first().map(|en| en.to_string()).unwrap_or_default(), fact.values());
    match &fact.domain {
        Domain::Words { .. } => {
            let values: Vec<&str> = values.iter().map(String::as_str).chain([UNKNOWN, "-"]).collect();
            json!({ "description": en, "anyOf": [{ "enum": values }, { "type": "string" }] })
        }
        Domain::Number { min, max } => {
            json!({ "description": format!("{en} ({min}…{max})"), "type": ["string", "integer"], "examples": [">= 18, unknown"] })
        }
        Domain::Code | Domain::Zones { .. } => json!({ "description": en, "type": "string" }),
    }
}

/// What holds where the policy has no facts of its own: rows name only their keys and the built-in facts. `None` where a
/// shape has no rows in it.
fn strict(shape: &Shape) -> Option<Value> {
    match shape {
        Shape::Row(keys) => {
            let facts = facts();
            let names: Vec<&str> =
                keys.iter().map(|key| key.name).chain(facts.iter().map(|fact| &*fact.name)).collect();
            let mut own = strict_table(keys).unwrap_or_else(|| json!({}));
            own.as_object_mut()?.insert("propertyNames".to_owned(), json!({ "enum": names }));
            Some(own)
        }
        Shape::Table(keys) => strict_table(keys),
        Shape::List(one) => Some(json!({ "items": strict(one)? })),
        Shape::Named(one) => Some(json!({ "additionalProperties": strict(one)? })),
        Shape::Text
        | Shape::Form(..)
        | Shape::Word(_)
        | Shape::Flag
        | Shape::Integer(..)
        | Shape::Values
        | Shape::Either(..)
        | Shape::LocalTime => None,
    }
}

fn strict_table(keys: &[Key]) -> Option<Value> {
    let inner: Map<String, Value> =
        keys.iter().filter_map(|key| Some((key.name.to_owned(), strict(&key.shape)?))).collect();
    (!inner.is_empty()).then(|| json!({ "properties": inner }))
}
