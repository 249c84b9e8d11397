//! The commands as their users run them: exit status, output, and what they say of bad input.

use crate::support::{Place, fourth, shared};
use serde_json::Value;

fn decisions(arguments: &[&str]) -> Vec<Value> {
    let (status, out, err) = fourth(arguments);
    assert_eq!(status, 0, "{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const KEYS: &[&str] = &[
    "call",
    "format",
    "repairs",
    "facts",
    "status",
    "route",
    "rule",
    "exclusions",
    "reasons",
    "options",
    "questions",
    "nearest_flip",
    "policy",
    "decide_ns",
];

/// Show 2 of the first issue, on the public samples.
#[test]
#[cfg_attr(not(public_samples), ignore = "FOURTH_SHARED is absent: the public samples were not read")]
fn decide_gives_one_decision_for_each_public_sample() {
    let shared = shared();
    let mut files = vec![shared.join("standards/eido/call_transfer.json")];
    let mut exports: Vec<_> =
        std::fs::read_dir(shared.join("standards/cad-xml")).unwrap().map(|entry| entry.unwrap().path()).collect();
    exports.sort();
    files.extend(exports.into_iter().filter(|path| path.extension().is_some_and(|found| found == "xml")));
    let mut arguments = vec!["decide", "--json", "--policy", "schemas/policy/library/kamloops"];
    arguments.extend(files.iter().map(|file| file.to_str().unwrap()));
    let decisions = decisions(&arguments);
    assert_eq!(decisions.len(), files.len(), "one decision for each file, UTF-16 included");
    for decision in &decisions {
        for key in KEYS {
            assert!(decision.get(key).is_some(), "`{key}` is missing");
        }
        assert!(!decision["reasons"].as_array().unwrap().is_empty(), "every no has a reason");
    }
    let fire = files.iter().position(|file| file.ends_with("full_call.xml")).unwrap();
    assert_eq!(decisions[fire]["route"], "ordinary", "the structure fire goes to the ordinary route");
    assert!(decisions[fire]["reasons"][0]["text"].as_str().is_some_and(|text| !text.is_empty()));
}

#[test]
fn decide_answers_our_own_samples_and_takes_answers() {
    let mut files: Vec<String> = ["schemas/call_record/eido", "schemas/call_record/call_export"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(crate::support::root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == "json" || found == "xml"))
        .map(|path| path.to_str().unwrap().to_owned())
        .collect();
    files.sort();
    assert!(files.len() >= 4, "our own samples are there");
    let mut arguments =
        vec!["decide", "--json", "--policy", "schemas/policy/library/kamloops", "--answer", "doubt=yes"];
    arguments.extend(files.iter().map(String::as_str));
    for decision in decisions(&arguments) {
        assert_eq!(decision["route"], "ordinary", "doubt always falls to the ordinary route");
    }
}

#[test]
fn bad_input_is_one_line_that_names_the_input_and_exits_with_two() {
    for arguments in [
        &["decide", "--policy", "schemas/policy/library/kamloops", "no-such-file.json"][..],
        &["decide", "--policy", "no-such-folder", "README.md"],
        &["decode", "Cargo.toml"],
        &["check", "no-such-folder"],
        &["serve", "--config", "no-such-file.toml"],
        &["journal", "verify", "--journal", "no-such-file.db"],
        &["report", "--journal", "no-such-file.db"],
    ] {
        let (status, _, err) = fourth(arguments);
        assert_eq!(status, 2, "{arguments:?}: {err}");
        let named = arguments.iter().any(|argument| argument.contains('.') && err.contains(argument))
            || err.contains("no-such-folder");
        assert!(named, "{arguments:?} must name the input: {err}");
    }
}

/// Every policy of the library is proved and all its cases pass.
#[test]
fn serve_check_says_what_would_be_in_force_and_what_is_at_fault() {
    let place = Place::new(|policy| policy, "");
    let configuration = place.configuration();
    let check = || fourth(&["serve", "--check", "--config", configuration.to_str().unwrap()]);
    let (status, out, error) = check();
    assert_eq!((status, error.as_str()), (0, ""), "{out}");
    for said in
        ["kamloops revision", "digest", "as expected", "no sender declares it", "SIGHUP", "it would be in force"]
    {
        assert!(out.contains(said), "{said} is missing in\n{out}");
    }
    let text = std::fs::read_to_string(&configuration).unwrap();
    let declared = text.replace("[access]", "call_types = { vendor = \"mpds\" }\n\n[access]");
    std::fs::write(&configuration, declared).unwrap();
    assert!(check().1.contains("rows for MPDS: declared by default"), "{}", check().1);
    let cases = place.folder.path().join("policy/cases.toml");
    let changed = std::fs::read_to_string(&cases).unwrap().replacen("\"eligible\"", "\"ineligible\"", 1);
    std::fs::write(cases, changed).unwrap();
    let (status, out, _) = check();
    assert_eq!(status, 1);
    assert!(out.contains("refused") && out.contains("cases.toml line"), "{out}");
}

#[test]
fn every_policy_of_the_library_checks() {
    let entries = std::fs::read_dir("schemas/policy/library").unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<String> = entries.filter(|path| path.is_dir()).map(|path| path.display().to_string()).collect();
    assert!(folders.len() >= 4);
    for folder in folders {
        let (status, out, err) = fourth(&["check", &folder]);
        assert_eq!(status, 0, "{folder}: {out}{err}");
    }
}

/// Show 1 of the third issue: a row that lets calls through of which nobody knows whether there is a weapon.
#[test]
fn a_row_that_lets_an_unknown_weapon_through_fails_the_check_with_the_call() {
    let copied = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir("schemas/policy/library/new-westminster").unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), copied.path().join(entry.file_name())).unwrap();
    }
    let folder = copied.path().to_str().unwrap();
    assert_eq!(fourth(&["check", folder]).0, 0);
    let policy = copied.path().join("policy.toml");
    let hole = "\n[[rule]]\nid = \"hole\"\nrank = 99\nnature = \"welfare-check\"\nweapon = \"unknown\"\nbecause = \"it lets them through\"\nsend = [\"crt-outreach\"]\n";
    let text = std::fs::read_to_string(&policy).unwrap() + hole;
    std::fs::write(policy, text).unwrap();
    let (status, out, _) = fourth(&["check", folder]);
    assert_eq!(status, 1);
    let through = out.lines().find(|line| line.starts_with("not proved: ")).unwrap();
    for said in ["`no-weapon-to-outreach`", "welfare check, weapon unknown", "18:00 → crt-outreach, by rule hole"] {
        assert!(through.contains(said), "{said} is missing in {through}");
    }
    let (status, out, _) = fourth(&["check", "--json", folder]);
    let report: Value = serde_json::from_str(&out).unwrap();
    let proofs = report["proofs"].as_array().unwrap();
    let broken: Vec<&Value> = proofs.iter().filter(|proof| !proof["call"].is_null()).collect();
    assert_eq!((status, broken.len()), (1, 1));
    assert_eq!(broken[0]["call"]["route"], "crt-outreach");
    assert_eq!(broken[0]["call"]["confirmed"], true, "the table, asked about this call, sends it there");
    assert!(broken[0]["call"]["facts"].get("weapon").is_none(), "unknown is not a value that is stated");
    let (status, out, _) = fourth(&["diff", "schemas/policy/library/new-westminster", folder]);
    assert_eq!(status, 2, "a policy whose safeguards fail is not compared: {out}");
}
