//! Tests of the table of operations and of the description made from it.

use super::*;
use std::collections::BTreeSet;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/openapi.yaml");

#[test]
#[ignore = "writes schemas/openapi.yaml; run it after a change of the table"]
fn write_the_description() {
    std::fs::write(FILE, document()).unwrap();
}

#[test]
fn the_published_description_is_not_stale() {
    let published = std::fs::read_to_string(FILE).unwrap();
    assert!(
        published == document(),
        "schemas/openapi.yaml is stale; write it with: cargo test --lib openapi -- --ignored write_the_description"
    );
}

#[test]
fn every_route_of_the_table_is_in_the_description() {
    let document = document();
    for operation in OPERATIONS {
        let path = format!("\n  {}:\n", operation.path.replace("{*", "{"));
        let block = document.split_once(&path).unwrap_or_else(|| panic!("{path} is missing")).1;
        let block: String = block.lines().take_while(|line| line.starts_with("    ")).collect::<Vec<_>>().join("\n");
        for method in operation.methods {
            assert!(block.contains(&format!("    {method}:")), "{method} {path} is missing");
        }
        assert!(block.contains(&quoted(operation.summary)));
    }
}

#[test]
fn every_handler_has_one_operation_and_every_guarded_one_its_action() {
    let handlers: BTreeSet<Handler> = OPERATIONS.iter().map(|operation| operation.handler).collect();
    assert_eq!(handlers.len(), OPERATIONS.len());
    for operation in OPERATIONS {
        let open = matches!(operation.handler, Handler::Alive | Handler::Ready | Handler::Description);
        assert_eq!(operation.action.is_none(), open, "{:?}", operation.handler);
        assert!(!operation.summary.is_empty());
        let shapes: BTreeSet<&str> = SHAPES.iter().map(|shape| shape.name).collect();
        if let Takes::Shape(name) = operation.takes {
            assert!(shapes.contains(name));
        }
        if let Gives::Shape(name) | Gives::Events(name) = operation.gives {
            assert!(shapes.contains(name));
        }
    }
}

#[test]
fn the_description_has_an_entry_for_every_status_it_names() {
    for status in OPERATIONS.iter().flat_map(|operation| operation.problems) {
        assert!(KINDS.iter().any(|kind| kind.status == *status), "no problem has status {status}");
    }
}
