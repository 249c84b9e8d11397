//! Delimited text in.

use super::*;
use crate::record::{Lifecycle, Point, TimePoint};

fn rows() -> Vec<Result<CallRecord, DecodeError>> {
    decode_rows(&sample("delimited/calls.csv"), &sender_with_layout()).unwrap().collect()
}

#[test]
fn each_row_is_a_record() {
    let rows: Vec<CallRecord> = rows().into_iter().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 4);
    let first = &rows[0];
    assert_eq!(first.identity.incident, "K-4401");
    assert_eq!(first.times.get(TimePoint::Received), Some(at("2026-06-09T14:03:10-07:00")));
    assert_eq!(first.notes[0].text, "Man on a bench, \"asleep\" for two hours");
    assert_eq!(first.locations[0].point, Some(Point { latitude: 50.6781, longitude: -120.3367 }));
    assert_eq!(first.stated_facts, [("weapon".to_owned(), "none".to_owned())]);
    assert_eq!(first.unknown_fields, ["Shift"]);
    assert_eq!(rows[1].persons[0].name.as_deref(), Some("André Lund"));
    assert_eq!(rows[1].stated_facts, [], "an empty cell says nothing");
    assert_eq!(rows[2].stated_facts, [("weapon".to_owned(), "present".to_owned())]);
    let last = &rows[3];
    assert_eq!(last.lifecycle, Lifecycle::Cancelled);
    assert_eq!(last.stated_facts, [], "a value that the layout does not have is unknown");
    for (path, kind) in [
        ("Weapon", "value-not-in-layout"),
        ("Answered", "time-unreadable"),
        ("Age", "age-unreadable"),
        ("latitude", "coordinates-exchanged"),
    ] {
        assert!(has_repair(last, path, kind), "{path} {kind}");
    }
    assert_eq!(rows.iter().map(|row| &row.identity.content_sha256).collect::<std::collections::BTreeSet<_>>().len(), 4);
}

#[test]
fn one_row_with_its_header_is_a_call_record_and_two_are_not() {
    let file = sample("delimited/calls.csv");
    let lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
    let sender = sender_with_layout();
    let record = decode(&lines[..2].concat(), None, &sender).unwrap();
    assert_eq!(record.identity.incident, "K-4401");
    assert_eq!(decode(&file, None, &sender).unwrap_err().problem, "several-rows");
    assert_eq!(decode(lines[0], None, &sender).unwrap_err().problem, "not-recognised");
    assert_eq!(decode(b"a,b\n1,2\n", None, &sender).unwrap_err().problem, "missing-column");
}

#[test]
fn a_row_cut_short_is_refused_with_its_line() {
    let file = sample("delimited/calls.csv");
    let cut = file.len() - 30;
    let last = decode_rows(&file[..cut], &sender_with_layout()).unwrap().last().unwrap().unwrap_err();
    assert_eq!((last.problem, last.place.as_str()), ("missing-field", "line 5, Age"));
    let quoted = b"Call No\nK-1\n\"K-2\nK-3\n";
    let layout = Layout::parse("[[column]]\nname = \"Call No\"\nfield = \"incident\"\n").unwrap();
    let sender = SenderProfile { layout: Some(layout), ..sender() };
    let problems: Vec<_> =
        decode_rows(quoted, &sender).unwrap().map(|row| row.err().map(|error| error.problem)).collect();
    assert_eq!(problems, [None, Some("malformed-row")]);
    let pipe = decode(b"Call No\n5\" pipe\n", None, &sender).unwrap();
    assert_eq!(pipe.identity.incident, "5\" pipe", "a quote within a field is text");
}

#[test]
fn columns_by_position_without_header() {
    let layout = Layout::parse(
        "delimiter = \"|\"\nquote = \"\"\nheader = false\n\
         [[column]]\nindex = 2\nfield = \"incident\"\n[[column]]\nindex = 4\nfield = \"call-type\"\n\
         [[column]]\nindex = 1\nfield = \"updated-at\"\n",
    )
    .unwrap();
    let sender = SenderProfile { layout: Some(layout), ..sender() };
    let record = decode(b"2026-06-09T14:00:00|K-9|x|5\" PIPE\n", None, &sender).unwrap();
    assert_eq!(record.nature.call_type.as_deref(), Some("5\" PIPE"));
    assert_eq!(record.identity.updated_at, Some(at("2026-06-09T14:00:00-07:00")));
    assert_eq!(record.unknown_fields, ["column 3"]);
}

#[test]
fn a_layout_that_says_nothing_clear_is_refused_with_its_line() {
    let refused = |text: &str| {
        let error = Layout::parse(text).unwrap_err();
        assert_eq!(error.problem, "malformed-layout");
        (error.place, error.detail)
    };
    assert_eq!(refused("header = true\ncolumn = []\n").1, "no column has `field = \"incident\"`");
    let (place, detail) = refused("header = true\n\n[[column]]\nname = \"A\"\nfield = \"incidnet\"\n");
    assert_eq!(place, "line 5");
    assert!(detail.contains("incidnet"), "{detail}");
    assert_eq!(refused("[[column]]\nname = \"A\"\nfield = \"incident\"\n[[column]]\nname = \"B\"\n").0, "line 4");
    assert_eq!(refused("delimter = \",\"\ncolumn = []\n").0, "line 1");
    assert_eq!(refused("header = false\n[[column]]\nname = \"A\"\nfield = \"incident\"\n").0, "line 2");
}

#[test]
fn text_without_a_layout_is_not_recognised() {
    assert_eq!(problem(&sample("delimited/calls.csv")), "not-recognised");
    assert_eq!(decode(b"a,b", Some(Format::Delimited), &sender()).unwrap_err().problem, "no-layout");
}
