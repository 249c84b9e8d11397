//! `fourth import` and `fourth replay` as their users run them.

use crate::support::{fourth, root, shared};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Public data sets by file and layout.
const DATA_SETS: [(&str, &str); 4] = [
    ("san_diego.csv", "san_diego_pd.toml"),
    ("milwaukee.csv", "milwaukee_pd.toml"),
    ("lane_county_mobile_crisis.csv", "lane_county_mobile_crisis.toml"),
    ("lancaster_rural_fire.csv", "lancaster_rural_fire.toml"),
];

const LAYOUT: &str = r#"agency = "invented"
time_zone = "America/Vancouver"
time_formats = ["%d/%m/%Y %H:%M"]
missing = ["NULL"]

[[leave_out]]
name = "Remarks"
values = ["DUP*"]
because = "duplicate"

[[column]]
name = "No"
field = "incident"

[[column]]
name = "Date"
and_name = "Time"
field = "received"

[[column]]
name = "Units"
field = "on-scene"
on_name = "Day"
unit_times = true

[[column]]
name = "Type"
field = "call-type"

[[column]]
name = "Weapon"
fact = "weapon"
values = { "N" = "none", "Y" = "present" }
"#;

const ROWS: &str = "No,Date,Time,Day,Units,Type,Weapon,Remarks\r
1,04/05/2026,23:50,04/05/2026 00:00,\"E1=23:58:30, M5=00:05:17\",5150,N,\r
2,04/05/2026,12:00,04/05/2026 00:00,NULL,5150,,\r
3,04/05/2026,12:01,04/05/2026 00:00,NULL,5150,perhaps,\r
4,04/05/2026,12:02,04/05/2026 00:00,NULL,CW,N,DUP of 3\r
5,NULL,,,NULL,CW,N,\r
6,04/05/2026,12:03\r
7,04/05/2026,12:04,04/05/2026 00:00,NULL,CW,N,,and a stray cell\r
,04/05/2026,12:05,04/05/2026 00:00,NULL,CW,N,\r
\r
9,04/05/2026,02:00,04/05/2026 00:00,NULL,CW,N,\r
10,04/05/2026,12:06,04/05/2026 00:00,NULL,\"415V,N,\r
11,04/05/2026,12:07,04/05/2026 00:00,NULL,CW,N,\r
12,04/05/2026,12:08,04/05/2026 00:00,NULL,CW,N,\r
";

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(place.path("layout.toml"), LAYOUT).unwrap();
        std::fs::write(place.path("calls.csv"), ROWS).unwrap();
        place
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn import(&self, layout: &Path, file: &Path) -> Value {
        let arguments = [
            "import",
            "--json",
            "--layout",
            layout.to_str().unwrap(),
            "--into",
            &self.path("calls.db"),
            file.to_str().unwrap(),
        ];
        let (status, out, err) = fourth(&arguments);
        assert_eq!(status, 0, "{err}");
        serde_json::from_str(&out).unwrap()
    }

    fn import_own(&self) -> Value {
        self.import(&PathBuf::from(self.path("layout.toml")), &PathBuf::from(self.path("calls.csv")))
    }

    fn replay(&self, arguments: &[&str]) -> String {
        let store = self.path("calls.db");
        let all: Vec<&str> = ["replay", "--policy", "schemas/history/san_diego", store.as_str()]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let (status, out, err) = fourth(&all);
        assert_eq!(status, 0, "{err}");
        out
    }
}

fn count(account: &Value, path: &str) -> u64 {
    account.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} in {account}"))
}

fn refused(account: &Value) -> u64 {
    account["refused"].as_object().unwrap().values().map(|rows| rows["count"].as_u64().unwrap()).sum()
}

fn assert_adds_up(account: &Value) {
    let taken = count(account, "/added")
        + count(account, "/replaced/count")
        + count(account, "/unchanged")
        + count(account, "/older/count");
    assert_eq!(count(account, "/taken"), taken, "{account}");
    assert_eq!(count(account, "/rows"), taken + refused(account), "{account}");
}

#[test]
fn every_row_of_a_bad_file_is_taken_or_refused_with_its_line() {
    let place = Place::new();
    let account = place.import_own();
    assert_adds_up(&account);
    assert_eq!((count(&account, "/rows"), count(&account, "/added")), (12, 4));
    for (reason, lines) in [
        ("duplicate", vec![5]),
        ("no-time", vec![6]),
        ("missing-field (Units)", vec![7]),
        ("row-too-long", vec![8]),
        ("missing-field", vec![9]),
        ("malformed-row", vec![12, 13, 14]),
    ] {
        assert_eq!(account["refused"][reason]["lines"], serde_json::json!(lines), "{reason} in {account}");
    }
    assert_eq!(account["repairs"]["value-not-in-layout (Weapon)"]["lines"], serde_json::json!([4]));
    assert_eq!(account["repairs"]["midnight-passed (Units)"]["lines"], serde_json::json!([2]));
    let again = place.import_own();
    assert_adds_up(&again);
    assert_eq!((count(&again, "/added"), count(&again, "/unchanged")), (0, 4), "the same file does not double");
    let arguments =
        ["import", "--layout", &place.path("layout.toml"), "--into", &place.path("new.db"), &place.path("calls.csv")];
    let (status, text, _) = fourth(&arguments);
    assert_eq!(status, 0);
    assert!(text.contains("no-time") && text.contains("line 12, 13, 14"), "{text}");
}

#[test]
fn a_replay_tells_what_is_unknown_what_is_assumed_and_what_moves() {
    let place = Place::new();
    place.import_own();
    let told: Value = serde_json::from_str(&place.replay(&["--json"])).unwrap();
    assert_eq!(count(&told, "/calls"), 4);
    assert_eq!(count(&told, "/statuses/needs-answer"), 4, "violence is not in the file: {told}");
    assert_eq!(count(&told, "/questions/violence/calls"), 4);
    assert_eq!(count(&told, "/questions/weapon/calls"), 2);
    let assumed: Value = serde_json::from_str(&place.replay(&["--json", "--assume", "violence=none"])).unwrap();
    assert_eq!((count(&assumed, "/routes/line-988"), count(&assumed, "/statuses/needs-answer")), (1, 2), "{assumed}");
    let text = place.replay(&["--assume", "violence=none", "--assume", "weapon=none"]);
    assert!(text.contains("ASSUMED, not known: weapon = none for 2 calls (50.0 %)"), "{text}");
    assert!(text.contains("Mon  ") && text.contains('█'), "{text}");
    // A second policy without the crisis rule's phone line.
    let second = place.path("second");
    std::fs::create_dir(&second).unwrap();
    for file in ["policy.toml", "call_types.csv"] {
        let text = std::fs::read_to_string(root().join("schemas/history/san_diego").join(file)).unwrap();
        let text = text.replace("send = [\"crisis-team\", \"line-988\"]", "send = [\"crisis-team\"]");
        std::fs::write(Path::new(&second).join(file), text).unwrap();
    }
    let arguments = ["--json", "--assume", "violence=none", "--assume", "weapon=none", "--against", second.as_str()];
    let moved: Value = serde_json::from_str(&place.replay(&arguments)).unwrap();
    assert_eq!((count(&moved, "/moves/moved"), count(&moved, "/moves/lost")), (1, 1));
    assert_eq!(moved["moves"]["kinds"][0]["examples"], serde_json::json!(["1"]));
    assert_eq!(moved["moves"]["kinds"][0]["from"]["route"], "line-988");
    assert_eq!(moved["moves"]["kinds"][0]["to"]["status"], "eligible-out-of-hours");
    let text = place.replay(&arguments[1..]);
    assert!(text.contains("1 of 4 calls move (25.0 %)"), "{text}");
    // As the records are, every call needs an answer by both: proved to move, and none of these does.
    let (store, first) = (place.path("calls.db"), "schemas/history/san_diego");
    let (status, out, err) = fourth(&["diff", "--json", first, second.as_str(), "--history", store.as_str()]);
    assert_eq!(status, 0, "{err}");
    let diff: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((count(&diff, "/history/calls"), count(&diff, "/history/moved")), (4, 0));
    let (_, text, _) = fourth(&["diff", first, second.as_str(), "--history", store.as_str()]);
    assert!(text.contains("0 of 4 calls move"), "{text}");
}

#[test]
fn bad_input_to_import_and_replay_names_it_and_the_next_step() {
    let place = Place::new();
    let (layout, file, store) = (place.path("layout.toml"), place.path("calls.csv"), place.path("calls.db"));
    let no_zone = place.path("no_zone.toml");
    std::fs::write(&no_zone, LAYOUT.replace("time_zone", "# time_zone")).unwrap();
    let other_columns = place.path("other.csv");
    std::fs::write(&other_columns, "a,b\n1,2\n").unwrap();
    place.import_own();
    for (arguments, named) in [
        (vec!["import", "--layout", "absent.toml", "--into", &store, &file], vec!["absent.toml"]),
        (vec!["import", "--layout", &no_zone, "--into", &store, &file], vec!["no_zone.toml", "time_zone", "help"]),
        (vec!["import", "--layout", &layout, "--into", &store, "absent.csv"], vec!["absent.csv"]),
        (vec!["import", "--layout", &layout, "--into", &store, &other_columns], vec!["other.csv", "`No`", "help"]),
        (vec!["import", "--layout", &layout, "--into", &file, &file], vec!["calls.csv", "no store", "help"]),
        (vec!["replay", "--policy", "schemas/history/san_diego", "absent.db"], vec!["absent.db", "help"]),
        (
            vec!["replay", "--policy", "schemas/history/san_diego", "--assume", "wepon=none", &store],
            vec!["wepon", "did you mean `weapon`?"],
        ),
        (
            vec!["replay", "--policy", "schemas/history/san_diego", "--assume", "weapon=knife", &store],
            vec!["knife", "mentioned"],
        ),
    ] {
        let (status, _, err) = fourth(&arguments);
        assert_eq!(status, 2, "{arguments:?}: {err}");
        for word in named {
            assert!(err.contains(word), "{arguments:?} must say `{word}`: {err}");
        }
    }
}

#[test]
fn the_example_policy_checks() {
    let (status, out, err) = fourth(&["check", "--min-coverage", "100", "schemas/history/san_diego"]);
    assert_eq!(status, 0, "{out}{err}");
}

/// Every row of the public exports is taken or refused, and no import doubles.
#[test]
#[cfg_attr(not(public_samples), ignore = "FOURTH_SHARED is absent: the public exports were not read")]
fn every_row_of_the_public_exports_is_accounted_for() {
    for (file, layout) in DATA_SETS {
        let place = Place::new();
        let file = shared().join("data/calls").join(file);
        let layout = root().join("schemas/history/layouts").join(layout);
        let rows = csv::Reader::from_path(&file).unwrap().into_byte_records().map(Result::unwrap).count() as u64;
        let account = place.import(&layout, &file);
        assert_adds_up(&account);
        assert_eq!(count(&account, "/rows"), rows, "{}", file.display());
        assert!(count(&account, "/added") * 10 > rows * 7, "most rows are calls: {account}");
        assert_eq!(account["unread_columns"], serde_json::json!([]), "the layout speaks of every column");
        let again = place.import(&layout, &file);
        assert_adds_up(&again);
        assert_eq!(count(&again, "/added"), 0, "the same file does not double");
    }
}

/// The figures of the README.
#[test]
#[cfg_attr(not(public_samples), ignore = "FOURTH_SHARED is absent: the public exports were not read")]
fn the_san_diego_file_is_replayed() {
    let place = Place::new();
    let layout = root().join("schemas/history/layouts/san_diego_pd.toml");
    place.import(&layout, &shared().join("data/calls/san_diego.csv"));
    let told: Value = serde_json::from_str(&place.replay(&["--json"])).unwrap();
    let calls = count(&told, "/calls");
    let by_status: u64 = told["statuses"].as_object().unwrap().values().map(|calls| calls.as_u64().unwrap()).sum();
    let by_hour: u64 = told["hours"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|day| day.as_array().unwrap())
        .map(|hour| count(hour, "/calls"))
        .sum();
    assert_eq!((calls, by_status, by_hour), (7189, 7189, 7189));
    assert_eq!(count(&told, "/statuses/needs-answer"), 839);
    assert_eq!(told["unassessed_call_types"].as_object().unwrap().keys().collect::<Vec<_>>(), ["AU1", "AU2", "none"]);
}
