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

/// A layout of times of day, of rows to leave out, of a zone and an agency of its own.
const EXPORT: &str = r#"agency = "rural-fire"
time_zone = "America/Chicago"
time_formats = ["%m/%d/%y %I:%M %p"]
missing = ["NULL"]
[[leave_out]]
name = "Remarks"
values = ["TEST*", "*DUP:*", "VOID"]
because = "no-call"
[[column]]
name = "No"
field = "incident"
[[column]]
name = "Beat"
field = "beat"
missing = ["-1"]
[[column]]
name = "Dispatch"
field = "dispatched"
on_name = "Date"
unit_times = true
[[column]]
name = "Arrive"
field = "on-scene"
on_name = "Date"
unit_times = true
[[column]]
name = "Closed"
field = "closed"
on_name = "Date"
"#;

fn export(rows: &str) -> Vec<FileRow> {
    let sender = SenderProfile { layout: Some(Layout::parse(EXPORT).unwrap()), ..sender() };
    let text = format!("No,Beat,Date,Dispatch,Arrive,Closed,Remarks\n{rows}");
    let mut rows = decode_rows(text.as_bytes(), &sender).unwrap();
    std::iter::from_fn(|| rows.next_file_row()).collect()
}

#[test]
fn times_of_day_pass_midnight_and_take_the_layouts_zone() {
    let rows = export(
        "1,N1,1/3/10 12:00 AM,\"E1=23:50:00, M5=23:58:00, M6=00:03:00\",\"E1=23:49:00, M6=00:10:00\",01:30:00,\n\
         2,-1,1/3/10 12:00 AM,NULL,E1=06:10:00,,\n3,N1,soon,E1=06:00:00,E1=25:00:00,,\n",
    );
    let first = rows[0].record.as_ref().unwrap();
    assert_eq!(first.identity.agency.as_str(), "rural-fire");
    let stated: Vec<_> = first.times.iter().collect();
    assert_eq!(
        stated,
        [
            (TimePoint::Dispatched, at("2010-01-03T23:50:00-06:00")),
            // A minute before the dispatch is a slip of a clock and not a day.
            (TimePoint::OnScene, at("2010-01-03T23:49:00-06:00")),
            (TimePoint::Closed, at("2010-01-04T01:30:00-06:00")),
        ]
    );
    let units: Vec<_> = first.units.iter().map(|unit| (unit.unit.as_str(), unit.status, unit.at.unwrap())).collect();
    assert_eq!(units[2], ("M6", TimePoint::Dispatched, at("2010-01-04T00:03:00-06:00")));
    assert_eq!(units[4], ("M6", TimePoint::OnScene, at("2010-01-04T00:10:00-06:00")));
    assert!(has_repair(first, "Dispatch", "midnight-passed"));
    let second = rows[1].record.as_ref().unwrap();
    assert_eq!((second.nature.beat.as_deref(), second.times.get(TimePoint::Dispatched)), (None, None));
    assert!(second.repairs.is_empty(), "what the layout calls missing is not mended: {:?}", second.repairs);
    let third = rows[2].record.as_ref().unwrap();
    assert!(has_repair(third, "Dispatch", "date-unreadable") && third.times.iter().next().is_none());
}

#[test]
fn rows_to_leave_out_say_why_and_a_live_record_is_not_left_out() {
    let rows = export(
        "1,N1,,NULL,,,test call\n2,N1,,NULL,,,stored complaint dup: 17\n3,N1,,NULL,,,void\n4,N1,,NULL,,,avoid\n",
    );
    let left_out: Vec<_> = rows.iter().map(|row| row.left_out.as_deref()).collect();
    assert_eq!(left_out, [Some("no-call"), Some("no-call"), Some("no-call"), None]);
    assert!(rows.iter().all(|row| row.record.is_ok()));
}

#[test]
fn a_row_longer_than_its_header_is_told() {
    let rows = export("1,N1,,NULL,,,,more\n2,N1,,NULL,,,\n");
    let long = |row: &FileRow| row.record.as_ref().unwrap().repairs.iter().any(|repair| repair.kind == "row-too-long");
    assert_eq!(rows.iter().map(long).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn layouts_of_exports_are_refused_where_they_mean_nothing() {
    let detail = |text: &str| Layout::parse(text).unwrap_err().detail;
    let incident = "[[column]]\nname = \"A\"\nfield = \"incident\"\n";
    assert!(detail(&format!("time_zone = \"Mars/Olympus\"\n{incident}")).contains("Mars/Olympus"));
    let column = |more: &str| format!("{incident}[[column]]\nname = \"B\"\n{more}\n");
    assert!(detail(&column("field = \"dispatched\"\nunit_times = true")).contains("on_name"));
    assert!(detail(&column("field = \"beat\"\non_name = \"Date\"")).contains("a field that is a time"));
    let leave_out =
        |values: &str| format!("{incident}[[leave_out]]\nname = \"A\"\nvalues = {values}\nbecause = \"b\"\n");
    assert!(detail(&leave_out("[]")).contains("leave_out") && detail(&leave_out("[\"**\"]")).contains("leave_out"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(400))]

    /// Whatever stands in a file: every line that is not empty belongs to exactly one row, in order.
    #[test]
    fn no_line_of_a_file_is_lost(body in "([0-9A-Z\",=:/ -]{0,12}(\r?\n)){0,12}[0-9A-Z\",]{0,8}") {
        let rows = export(&body);
        let text = format!("header\n{body}");
        let mut owner = vec![0; text.lines().count() + 1];
        let mut before = 1;
        for row in &rows {
            proptest::prop_assert!(row.line > before, "rows stand in order: {rows:?}");
            before = row.line + row.lines - 1;
            for line in row.line..=before {
                owner[usize::try_from(line).unwrap()] += 1;
            }
        }
        for (number, line) in text.lines().enumerate().skip(1) {
            let owned = owner[number + 1];
            proptest::prop_assert!(owned == 1 || (line.is_empty() && owned == 0), "line {} of {body:?}: {owned}", number + 1);
        }
    }
}
