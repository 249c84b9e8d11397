//! Proofs hold for every call, and a planted hole is found and shown.

use super::*;

fn failing(text: &str) -> Vec<PolicyFault> {
    Policy::compile(&files(text)).unwrap_err().0
}

#[test]
fn the_test_policy_proves_and_has_no_findings() {
    let candidate = Candidate::read(&files(POLICY)).unwrap();
    let proofs = candidate.prove();
    // Built in, authored, and one for each risk fact that the policy uses.
    assert_eq!(proofs.len(), 7 + 4 + 7);
    for proof in &proofs {
        assert!(proof.holds(), "{proof:?}");
    }
    assert_eq!(candidate.findings(), Vec::new());
    assert_eq!(candidate.row_counts(), (8, 5));
}

#[test]
fn a_planted_hole_is_found_and_shown_as_a_call() {
    let hole = POLICY.replace("setting = \"roadway, private-residence\"", "setting = \"roadway\"");
    let hole = hole.replace("setting = \"outdoors, public-indoor\"\nbecause = \"possible", "because = \"possible");
    let faults = failing(&hole);
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].key, "never-inside-a-home");
    assert!(faults[0].line.is_some());
    let message = &faults[0].message;
    assert!(
        message.contains("setting private-residence") && message.contains("→ psr, by rule crisis-in-public"),
        "{message}"
    );
    assert!(message.contains("-year-old, person in crisis, "), "{message}");
}

#[test]
fn thresholds_that_only_a_safeguard_names_are_told_apart() {
    let hole = POLICY.replace("age = \"< 16\" } }", "age = \"< 19\" } }");
    let message = &failing(&hole)[0].message;
    assert!(message.contains("an 18-year-old") && message.contains("by rule person-down"), "{message}");
    let unknown = POLICY.replace("age = \"< 16\" } }", "age = \"< 16, unknown\" } }");
    assert!(failing(&unknown)[0].message.contains("somebody of unknown age"));
}

#[test]
fn a_safeguard_over_co_response_zones_and_dates_is_exact() {
    let never = |send: &str, when: &str| {
        format!("{POLICY}\n[[safeguard]]\nid = \"extra\"\nnever = {{ send = \"{send}\", when = {{ {when} }} }}\n")
    };
    compile(&never("pact", "violence = \"none, verbal, unknown\""));
    compile(&never("pact", "nature = \"structure-fire\""));
    compile(&never("pact", "weapon = \"present\""));
    let message = &failing(&never("pact", "violence = \"physical\""))[0].message;
    assert!(message.contains("→ pact, by exclusion violent"), "{message}");
    compile(&never("psr", "zone = \"west\", nature = \"welfare-check\""));
    compile(&never("psr", "zone = \"unknown\""));
    assert!(failing(&never("psr", "zone = \"east\""))[0].message.contains("zone city and east"));
    compile(&never("unaccompanied", "medical = \"acute\""));
    // The youth team has an officer until the end of 2025: kinds are as declared, `unaccompanied` is as they come.
    compile(&never("youth", "consent = \"unknown\""));
    let message = &failing(&never("youth", "medical = \"acute\""))[0].message;
    assert!(message.contains("→ youth"), "{message}");
    compile(&never("clo", "callback = \"unknown, none\""));
    // East is part of the city: no call is in one and not in the other.
    compile(&never("psr", "zone = \"not(city)\", nature = \"person-yelling\""));
    let apart = never("psr", "zone = \"not(city)\", nature = \"welfare-check\"");
    let apart = apart.replace("zone = \"not(west)\"", "zone = \"east, west\"");
    compile(&apart);
}

#[test]
fn an_officer_who_leaves_cannot_be_counted_on_after_midnight() {
    // From this date on an officer comes; the shift of the night before is still without one.
    let later = POLICY
        .replace("officer = true, effective = \"..2025-12-31\"", "officer = false, effective = \"..2025-12-31\"")
        .replace(
            "members = [\"worker\", \"peer\"], effective",
            "members = [\"worker\", \"officer\"], officer = true, effective",
        );
    let policy = compile(&later);
    let acute =
        [("nature", "youth-crisis"), ("age", "17"), ("weapon", "none"), ("consent", "given"), ("medical", "acute")];
    assert_eq!(decide(&policy, &acute, "2026-01-01T01:00").route, Route::Ordinary);
    assert_eq!(decide(&policy, &acute, "2026-01-01T17:00").route, Route::Program(ProgramId::new("youth")));
}

#[test]
fn a_proof_counts_with_the_crew_of_the_night_before_where_a_shift_runs_past_midnight() {
    let officers = POLICY
        .replace("officer = true, effective = \"..2025-12-31\"", "effective = \"..2025-12-31\"")
        .replace("\"peer\"], effective = \"2026", "\"officer\"], officer = true, effective = \"2026")
        .replace("id = \"youth\"\n", "id = \"youth\"\neffective = \"2026-01-01..\"\n");
    let alone =
        "\n[[safeguard]]\nid = \"extra\"\nnever = { send = \"unaccompanied\", when = { nature = \"youth-crisis\" } }\n";
    let faults = failing(&(officers.clone() + alone));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].message.contains("2026-01-01") && faults[0].message.contains("→ youth"), "{}", faults[0].message);
    // A shift that ends at midnight leaves nobody of the old crew on duty on the new crew's first day.
    for until in ["24:00", "23:00", "00:00"] {
        compile(&(officers.replace("to = \"02:00\"", &format!("to = \"{until}\"")) + alone));
    }
}

/// A policy of one rule, `noise` to the crisis line, with more lines before it and `never any` after it.
fn noise(rule: &str, exclusions: &str, when: &str) -> String {
    let head = POLICY
        .split("[[exclusion]]")
        .next()
        .unwrap()
        .replace("[zone.city]", "[zone.hills]\nzones = [\"west\"]\n[zone.city]");
    format!(
        "{head}{exclusions}\n[[rule]]\nid = \"noise\"\nnature = \"noise\"\nbecause = \"x\"\nsend = [\"crisis-line\"]\n{rule}\n\
         [[safeguard]]\nid = \"extra\"\nnever = {{ send = \"any\", when = {{ {when} }} }}\n"
    )
}

#[test]
fn a_proof_knows_that_a_call_can_be_in_a_zone_that_no_row_names() {
    let in_the_city = "[[exclusion]]\nid = \"city\"\nzone = \"city\"\nbecause = \"x\"\n";
    let faults = failing(&noise("", in_the_city, "zone = \"not(outside, unknown)\""));
    assert!(faults[0].message.contains("→ crisis-line"), "{faults:?}");
    let in_the_hills = "[[exclusion]]\nid = \"hills\"\nzone = \"hills\"\nbecause = \"x\"\n";
    compile(&noise("", &(in_the_city.to_owned() + in_the_hills), "zone = \"not(outside, unknown)\""));
    // What is in a part is in the whole.
    compile(&noise("zone = \"east\"", "", "zone = \"not(city)\""));
}

#[test]
fn a_rule_that_asks_for_the_place_sends_where_it_is_known_to_the_proof_too() {
    let asks = "ask = [\"zone\"]";
    compile(&noise(asks, "", "zone = \"unknown\""));
    for known in ["zone = \"outside\"", "zone = \"east\"", "nature = \"noise\""] {
        assert!(failing(&noise(asks, "", known))[0].message.contains("→ crisis-line"), "{known}");
    }
}

/// Dates that differ in one thing alone are looked at each for itself: who may come, with an officer or without, and where.
#[test]
fn a_proof_looks_at_every_date_on_which_anything_is_different() {
    let crews = |first: &str, then: &str| {
        POLICY
            .replace(
                "{ members = [\"worker\", \"officer\"], officer = true, effective = \"..2025-12-31\" }",
                &format!("{{ members = [\"worker\"]{first}, effective = \"..2025-12-31\" }}"),
            )
            .replace(
                "{ members = [\"worker\", \"peer\"], effective = \"2026-01-01..\" }",
                &format!(
                    "{{ members = [\"worker\"]{then}, effective = \"2026-01-01..2026-01-31\" }}, \
                     {{ members = [\"worker\"]{then}, effective = \"2026-02-01..\" }}"
                ),
            )
            .replace("id = \"youth\"\n", "id = \"youth\"\neffective = \"2026-01-01..\"\n")
    };
    let never = |send: &str, when: &str| {
        format!("\n[[safeguard]]\nid = \"extra\"\nnever = {{ send = \"{send}\", when = {{ {when} }} }}\n")
    };
    // In the night of the change alone the crew of before can come, without an officer, or with one.
    let alone = failing(&(crews("", ", officer = true") + &never("unaccompanied", "nature = \"youth-crisis\"")));
    assert!(alone[0].message.contains("2026-01-01") && alone[0].message.contains("→ youth"), "{alone:?}");
    let acute = never("youth", "medical = \"acute\"");
    let accompanied = failing(&(crews(", officer = true", "") + &acute));
    assert!(
        accompanied[0].message.contains("2026-01-01") && accompanied[0].message.contains("→ youth"),
        "{accompanied:?}"
    );
    compile(&(crews("", "") + &acute));
    // Until the year's end the west is served; nothing else ever changes.
    let undated = POLICY
        .replace("effective = \"2021-02-16..2022-03-31\"\n", "")
        .replace(", effective = \"..2025-12-31\" },", " },")
        .replace("  { members = [\"worker\", \"peer\"], effective = \"2026-01-01..\" },\n", "");
    let area = "area = [{ zones = \"west\", effective = \"..2025-12-31\" }, { zones = \"east\" }]";
    let elsewhere = never("psr", "zone = \"not(east)\", nature = \"person-yelling\"");
    let served = failing(&(undated.replace("area = \"city\"", area) + &elsewhere));
    assert_eq!((served.len(), served[0].key.as_str()), (1, "extra"), "{served:?}");
    assert!(served[0].message.contains("2025-12-31") && served[0].message.contains("→ psr"), "{served:?}");
    compile(&(POLICY.replace("area = \"city\"", "area = \"east\"") + &elsewhere));
}

/// The table bars what the built-in safeguards forbid; the proof does not take that on trust.
#[test]
fn a_built_in_safeguard_without_its_row_is_refuted_and_a_waived_one_is_said_to_be() {
    let waiver = "\n[[waiver]]\nsafeguard = \"built-in.medical\"\nsigned_by = \"director\"\nbecause = \"paramedics\"\n";
    let mut candidate = Candidate::read(&files(&(POLICY.to_owned() + waiver))).unwrap();
    let medical = |candidate: &Candidate| {
        let mut proofs = candidate.prove().into_iter();
        proofs.find(|proof| proof.safeguard == "built-in.medical").unwrap()
    };
    let waived = medical(&candidate);
    assert!(waived.waived && waived.call.is_none(), "{waived:?}");
    // The row is left out of the table, and nobody has signed for it.
    candidate.compiled.waivers.clear();
    let refuted = medical(&candidate);
    assert!(!refuted.waived && !refuted.holds(), "{refuted:?}");
    assert!(refuted.call.is_some_and(|call| call.confirmed));
}

#[test]
fn rules_that_overlap_at_one_rank_must_send_alike() {
    let text = format!(
        "{POLICY}\n[[rule]]\nid = \"also-yelling\"\nnature = \"person-yelling\"\nchecked = \"not(yes)\"\nbecause = \"also\"\nsend = [\"crisis-line\"]\n"
    );
    let faults = failing(&text);
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].key, "person-yelling");
    assert!(
        faults[0].message.contains("`also-yelling` and `person-yelling`")
            || faults[0].message.contains("`person-yelling` and `also-yelling`"),
        "{}",
        faults[0].message
    );
    assert!(faults[0].message.contains("setting outdoors"), "{}", faults[0].message);
    compile(&text.replace("id = \"also-yelling\"\n", "id = \"also-yelling\"\nrank = -1\n"));
    compile(&text.replace("send = [\"crisis-line\"]\n", "send = [\"psr\"]\n").replace(
        "checked = \"not(yes)\"\nbecause = \"also\"\nsend = [\"crisis-line\"]",
        "because = \"also\"\nsend = [\"psr\"]",
    ));
}

#[test]
fn rows_that_can_never_decide_are_reported() {
    let text = format!(
        "{POLICY}\n[program.idle]\nkind = \"phone\"\nhours = [{{ days = \"Mon\", from = \"08:00\", to = \"09:00\" }}]\nlegs = [{{ channel = \"x\", accept_deadline_s = 1 }}]\n\
         [[rule]]\nid = \"at-home\"\nnature = \"noise\"\nsetting = \"private-residence\"\nbecause = \"x\"\nsend = [\"psr\"]\n\
         [[rule]]\nid = \"armed\"\nnature = \"noise\"\nweapon = \"used\"\nbecause = \"x\"\nsend = [\"psr\"]\n\
         [[rule]]\nid = \"nobody\"\nchecked = \"not(yes, no, unknown)\"\nbecause = \"x\"\nsend = [\"psr\"]\n\
         [[exclusion]]\nid = \"gun\"\nweapon = \"used\"\nbecause = \"x\"\n\
         [[exclusion]]\nid = \"burglars\"\nnature = \"burglary\"\nbecause = \"x\"\n"
    );
    let findings = Candidate::read(&files(&text)).unwrap().findings();
    let mut told: Vec<_> = findings.iter().map(|finding| (finding.row.as_str(), finding.code)).collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ("armed", "hidden"),
            ("at-home", "hidden"),
            ("burglars", "reason-only"),
            ("gun", "makes-no-difference"),
            ("idle", "unused-program"),
            ("nobody", "never-holds")
        ]
    );
    let hidden = findings.iter().find(|finding| finding.row == "at-home").unwrap();
    assert!(hidden.text.contains("traffic-or-home"), "{}", hidden.text);
}

#[test]
fn cases_pass_fail_and_cover() {
    let cases = r#"
[[case]]
id = "yelling"
at = "2025-11-04T21:30"
facts = { call_type = "yell", setting = "outdoors", zone = "city, east" }
expect = { status = "eligible", route = "psr", rule = "person-yelling", exclusions = [], questions = ["weapon"], options = { psr = "can-take", youth = "no-rule" } }
[[case]]
id = "five in the morning"
at = 2025-11-04T05:10:00
facts = { nature = "person-yelling", setting = "outdoors", zone = "city" }
expect = { status = "eligible-out-of-hours", route = "ordinary", opens = "2025-11-04T06:00" }
[[case]]
id = "wrong"
at = "2025-11-04T21:30"
facts = { nature = "noise", weapon = "present", age = 12 }
load = { psr = 2 }
unstaffed = ["youth"]
expect = { status = "eligible", because = "no-rule", exclusions = ["weapon-seen"] }
"#;
    let mut with_cases = files(POLICY);
    with_cases.files.insert("cases.toml".to_owned(), cases.as_bytes().to_vec());
    let report = Candidate::read(&with_cases).unwrap().run_cases();
    let passes: Vec<_> = report.results.iter().map(|result| (result.case.as_str(), result.passes())).collect();
    assert_eq!(passes, [("yelling", true), ("five in the morning", true), ("wrong", false)], "{:?}", report.results);
    assert_eq!(
        report.results[2].differences,
        [
            "status: expected eligible, found ineligible",
            "because: expected no-rule, found weapon-seen",
            "exclusions: expected weapon-seen, found built-in.weapon, weapon-seen"
        ]
    );
    assert_eq!((report.rows, report.uncovered.len()), (13, 11));
    assert!((report.coverage_percent() - 100.0 * 2.0 / 13.0).abs() < 1e-9);
}
