//! Every kind of fault names file, line, key and the nearest valid word.

use super::*;
use crate::policy::column::ZONES_MAX;
use crate::policy::compile::COLUMNS_MAX;
use crate::policy::row_set::ROWS_MAX;

/// The test policy with one text replaced must have exactly this fault (`file:line key [help]`).
fn fault(from: &str, to: &str, key: &str, help: &str) {
    assert!(POLICY.contains(from), "{from}");
    let text = POLICY.replacen(from, to, 1);
    let faults = Policy::compile(&files(&text)).unwrap_err();
    assert_eq!(faults.0.len(), 1, "{}", told(&faults));
    let fault = &faults.0[0];
    assert_eq!((fault.file.as_str(), fault.key.as_str()), ("policy.toml", key), "{}", told(&faults));
    assert!(fault.help.as_deref().unwrap_or("").contains(help), "{}", told(&faults));
    let changed = text.lines().zip(POLICY.lines()).position(|(one, other)| one != other).unwrap() + 1;
    let line = usize::try_from(fault.line.unwrap()).unwrap();
    // A key that is missing is told at its table's line.
    assert!(line <= changed + 1 && line + 12 > changed, "{line} {changed}");
}

#[test]
fn unknown_words_anywhere_are_refused_with_the_nearest() {
    fault("cite = \"rule 1\"", "cit = \"rule 1\"", "exclusion[0].cit", "`cite`");
    fault("weapon = \"present, used\"", "wepon = \"present, used\"", "exclusion[0].wepon", "`weapon`");
    fault("weapon = \"present, used\"", "weapon = \"presnt, used\"", "exclusion[0].weapon", "`present`");
    fault("zones = [\"east\", \"west\"]", "zones = [\"eas\", \"west\"]", "zone.city.zones[0]", "`east`");
    fault("area = \"city\"", "area = \"citty\"", "program.psr.area", "`city`");
    fault("zone = \"not(west)\"", "zone = \"not(wset)\"", "rule[7].zone", "`west`");
    fault("send = [\"clo\"]", "send = [\"cloo\"]", "rule[5].send[0]", "`clo`");
    fault("send = \"pact\"", "send = \"pacts\"", "exclusion[1].send", "`pact`");
    fault("kind = \"phone\"", "kind = \"phon\"", "program.crisis-line.kind", "`phone`");
    fault("release = \"callback\"", "release = \"calback\"", "program.clo.release", "`callback`");
    fault("\"caller-name\"]", "\"caller-nam\"]", "release.callback.fields[3]", "`caller-name`");
    fault("ask = [\"consent\"]", "ask = [\"concent\"]", "rule[4].ask[0]", "`consent`");
    fault("required = [\"callback\",", "required = [\"call_back\",", "program.clo.required[0]", "`callback`");
    fault("[calendar]", "[calender]", "calender", "`calendar`");
    fault("mode = \"advise\"", "mode = \"advice\"", "policy.mode", "`advise`");
    fault("days = \"Tue..Sat\"", "days = \"Tue..Sta\"", "program.youth.hours[0].days", "`Sat`");
    fault("send = \"community\"", "send = \"comunity\"", "safeguard[0].never.send", "`community`");
    fault("when = { setting", "when = { seting", "safeguard[0].never.when.seting", "`setting`");
    fault("always = { send = \"ordinary\"", "always = { send = \"ordinry\"", "safeguard[3].always.send", "`ordinary`");
}

#[test]
fn wrong_shapes_and_ranges_are_refused() {
    fault("capacity = 2", "capacity = \"two\"", "program.psr.capacity", "");
    fault("from = \"16:00\"", "from = \"16h\"", "program.youth.hours[0].from", "08:00");
    fault("to = \"02:00\"", "to = \"16:00\"", "program.youth.hours[0]", "24:00");
    fault(
        "effective = \"2021-02-16..2022-03-31\"",
        "effective = \"2022-03-31..2021-02-16\"",
        "rule[3].effective",
        "..",
    );
    fault("time_zone = \"America/Los_Angeles\"", "time_zone = \"America/Portland\"", "policy.time_zone", "IANA");
    fault("accept_deadline_s = 3600", "accept_deadline_s = 0", "program.clo.legs[0].accept_deadline_s", "");
    fault("age = \"<= 26\"", "age = \"<= young\"", "rule[4].age", "");
    fault("self_harm = \">= ideation\"", "self_harm = [\"ideation\"]", "exclusion[2].self_harm", "text");
    fault("setting = \"outdoors\"\nage", "setting = \">= outdoors\"\nage", "rule[1].setting", "");
    fault("follow_up = [\"48h\", \"7d\"]", "follow_up = [\"48h\", \"7w\"]", "rule[0].follow_up[1]", "48h");
    fault("send = \"pact\"", "send = \"psr\"", "exclusion[1].send", "co-response");
    fault("holidays = [\"2025-12-25\"]", "holidays = [\"Christmas\"]", "calendar.holidays[0]", "");
    fault("High = 8", "High = 11", "priorities.High", "");
    fault("values = [\"no\", \"yes\"]", "values = [\"no\", \"yes\", \"yes\"]", "fact.heat_warning.values[2]", "");
    fault("effective = \"2026-01-01..\" }", "effective = \"2025-12-31..\" }", "program.youth.crew[1]", "");
    fault("id = \"camp\"", "id = \"youth\"", "rule[5].id", "");
    fault("id = \"camp\"", "id = \"built-in.camp\"", "rule[5].id", "");
    fault("because = \"a camp in a public space\"\n", "", "rule[5].because", "");
    fault("kind = \"liaison\"\n", "", "program.clo.kind", "");
    fault("\"psr\", \"crisis-line\"] }]", "\"psr\"] }]", "rule[7].send[0]", "name");
}

#[test]
fn all_faults_are_told_at_once_in_every_file() {
    let mut broken =
        files(&POLICY.replace("kind = \"phone\"", "kind = \"fone\"").replace("because = \"everything\"", ""));
    broken.files.insert("call_types.csv".to_owned(), b"code,nature\nA,nosie\nB,noise,extra\n".to_vec());
    broken.files.insert("zones.geojson".to_owned(), b"{\n\"type\": \"FeatureCollection\",\n \"features\": [}".to_vec());
    broken.files.insert("case.toml".to_owned(), Vec::new());
    broken.files.insert("shorthand.csv".to_owned(), b"phrase,means,value\ncode 9,cue,weapn=present\n".to_vec());
    let faults = Policy::compile(&broken).unwrap_err();
    let files: BTreeSet<&str> = faults.0.iter().map(|fault| fault.file.as_str()).collect();
    assert_eq!(files, ["call_types.csv", "case.toml", "policy.toml", "shorthand.csv", "zones.geojson"].into());
    let of = |file: &str| faults.0.iter().find(|fault| fault.file == file).unwrap();
    assert_eq!(of("call_types.csv").line, Some(2));
    assert_eq!(of("call_types.csv").help.as_deref(), Some("did you mean `noise`?"));
    assert_eq!(of("shorthand.csv").line, Some(2));
    assert_eq!(of("shorthand.csv").help.as_deref(), Some("did you mean `weapon`?"));
    assert_eq!(of("zones.geojson").line, Some(3));
    assert_eq!(of("case.toml").help.as_deref(), Some("did you mean `cases.toml`?"));
}

#[test]
fn broken_toml_and_empty_folders_are_told() {
    let faults = Policy::compile(&files("[policy]\nid = \"a\"\n= 3\n")).unwrap_err();
    assert!(faults.0.iter().any(|fault| fault.key == "syntax" && fault.line == Some(3)), "{}", told(&faults));
    let faults = Policy::compile(&PolicyFiles::default()).unwrap_err();
    assert_eq!(told(&faults), "policy.toml file: the folder has no `policy.toml` []");
    let faults = Policy::compile(&files("")).unwrap_err();
    assert!(told(&faults).contains("`[policy]` is missing"));
    let mut latin = files(POLICY);
    latin.files.insert("policy.toml".to_owned(), vec![0xff, 0xfe]);
    assert!(told(&Policy::compile(&latin).unwrap_err()).contains("not UTF-8"));
}

#[test]
fn faults_of_cases_have_their_lines() {
    let cases = "[[case]]\nid = \"a\"\nat = \"2025-11-04T21:30\"\nfacts = { nature = \"nosie\" }\nexpect = { status = \"eligble\", rule = \"yuth\" }\n\n[[case]]\nid = \"b\"\nat = \"soon\"\nexpect = { status = \"eligible\", route = \"prs\" }\n";
    let mut with_cases = files(POLICY);
    with_cases.files.insert("cases.toml".to_owned(), cases.as_bytes().to_vec());
    let faults = Policy::compile(&with_cases).unwrap_err();
    let found: Vec<_> = faults
        .0
        .iter()
        .map(|fault| (fault.line.unwrap(), fault.key.as_str(), fault.help.as_deref().unwrap_or("")))
        .collect();
    assert_eq!(
        found,
        [
            (4, "case[0].facts.nature", "did you mean `noise`?"),
            (5, "case[0].expect.status", "did you mean `eligible`?"),
            (5, "case[0].expect.rule", "did you mean `youth`?"),
            (9, "case[1].at", "`2025-11-04T21:30`, local time in the policy's zone"),
            (10, "case[1].expect.route", "did you mean `psr`?"),
        ]
    );
}

/// What a bit-set, a column's bit or a zone's bit has no place for would be left out of every decision: it is refused.
#[test]
fn a_policy_of_more_rows_facts_or_zones_than_there_is_room_for_is_refused() {
    let numbered = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let head = "[policy]\nid = \"p\"\ntitle = \"P\"\nrevision = \"1\"\ntime_zone = \"America/Los_Angeles\"\nmode = \"advise\"\n";
    let read = |text: &str| Candidate::read(&files(&format!("{head}{text}"))).map(|read| read.compiled);
    let row = |number: usize| format!("[[exclusion]]\nid = \"x{number}\"\nweapon = \"used\"\nbecause = \"x\"\n");
    let fact = |number: usize| format!("[fact.f{number}]\nvalues = [\"no\", \"yes\"]\n");
    let used = |number: usize| format!("[[exclusion]]\nid = \"x{number}\"\nf{number} = \"yes\"\nbecause = \"x\"\n");
    let facts = |count: usize| numbered(count, &fact) + &numbered(count, &used);
    let zone = |number: usize| format!("[zone.z{number}]\nzones = [\"east\"]\n");
    let zones = |count: usize| numbered(count, &zone) + &row(0);
    let room = |build: &dyn Fn(usize) -> String, most: usize, held: &dyn Fn(&Compiled) -> usize, says: &str| {
        let already = held(&read(&build(1)).unwrap()) - 1;
        let full = read(&build(most - already)).unwrap_or_else(|faults| panic!("{}", told(&faults)));
        assert_eq!(held(&full), most, "{says}");
        for more in [1, 2] {
            let faults = read(&build(most - already + more)).err().unwrap_or_else(|| panic!("{says}: {more} too many"));
            assert!(faults.0.iter().any(|fault| fault.message.contains(says)), "{}", told(&faults));
        }
    };
    room(&|count| numbered(count, &row), ROWS_MAX, &|built| built.table.rows.len(), "more than 1024 rows");
    room(&facts, COLUMNS_MAX, &|built| built.table.columns.len(), "more than 64 facts");
    room(&zones, ZONES_MAX - 1, &|built| built.sources.zones.names().len(), "more than 511 zones");
}
