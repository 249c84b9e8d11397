//! What the decision says, call by call.

use super::*;

const YELLING: &[(&str, &str)] = &[("nature", "person-yelling"), ("setting", "outdoors"), ("zone", "city,east")];

fn with(
    pairs: &[(&'static str, &'static str)],
    more: &[(&'static str, &'static str)],
) -> Vec<(&'static str, &'static str)> {
    pairs.iter().chain(more).copied().collect()
}

fn option<'a>(decision: &'a Decision, program: &str) -> &'a ProgramOption {
    decision.options.iter().find(|option| option.program.as_str() == program).unwrap()
}

fn ineligible(because: &str) -> Status {
    Status::Ineligible { because: because.to_owned() }
}

#[test]
fn a_weapon_not_asked_about_passes_where_only_a_seen_one_excludes() {
    let policy = compile(POLICY);
    let decision = decide(&policy, &with(YELLING, &[]), "2025-11-04T21:30");
    assert_eq!(decision.status, Status::Eligible);
    assert_eq!(decision.route, Route::Program(ProgramId::new("psr")));
    assert_eq!(decision.rule.as_deref(), Some("person-yelling"));
    assert_eq!(decision.reasons[0].text, "a person is outside and yelling");
    assert!(!decision.automatic, "the policy's mode is advise");
    let asked: Vec<_> = decision.questions.iter().map(|question| question.fact.as_str()).collect();
    assert!(asked.contains(&"weapon") && asked.contains(&"self_harm") && !asked.contains(&"doubt"), "{asked:?}");
    let weapon = decision.questions.iter().find(|question| question.fact == "weapon").unwrap();
    assert_eq!(weapon.opens, [true, true, true, false, false]);
    assert!(weapon.ask["fr"].starts_with("Y a-t-il une arme"));
    let flip = decision.nearest_flip.unwrap();
    assert_eq!(
        flip.changes,
        [FlipChange { fact: "weapon".to_owned(), from: "unknown".to_owned(), to: "present".to_owned() }]
    );
    assert_eq!(flip.route, Route::Ordinary);
    let legs: Vec<_> =
        decision.steps.iter().map(|step| (step.legs[0].channel.as_str(), step.legs[0].attempts)).collect();
    assert_eq!(legs, [("webhook", 2), ("sms", 1)]);
}

#[test]
fn closed_says_when_it_opens() {
    let decision = decide(&compile(POLICY), &with(YELLING, &[]), "2025-11-04T05:10");
    assert_eq!(decision.status, Status::EligibleOutOfHours);
    assert_eq!(decision.route, Route::Ordinary);
    assert_eq!(decision.steps, Vec::new());
    let psr = option(&decision, "psr");
    assert_eq!((&*psr.code, &*psr.why), ("out-of-hours", "opens today 06:00"));
    assert_eq!(psr.opens_at, Some(at("2025-11-04T06:00")));
    assert_eq!(decision.reasons[0].text, "Street response: opens today 06:00");
}

#[test]
fn outside_full_and_unstaffed_are_told_apart() {
    let policy = compile(POLICY);
    let outside = [("nature", "person-yelling"), ("setting", "outdoors"), ("zone", "outside")];
    assert_eq!(decide(&policy, &outside, "2025-11-04T12:00").status, Status::EligibleOutOfArea);
    let mut availability = Availability::default();
    availability.load.insert(ProgramId::new("psr"), 2);
    let full = policy.decide(&facts(YELLING), &[], at("2025-11-04T12:00"), &availability);
    assert_eq!(full.status, Status::EligibleNoUnit);
    assert_eq!(option(&full, "psr").why, "all its places are taken");
    availability = Availability { unstaffed: vec![ProgramId::new("psr")], ..Availability::default() };
    let unstaffed = policy.decide(&facts(YELLING), &[], at("2025-11-04T12:00"), &availability);
    assert_eq!(option(&unstaffed, "psr").why, "nobody is on duty");
    let nowhere = decide(&policy, &[("nature", "person-yelling"), ("setting", "outdoors")], "2025-11-04T12:00");
    assert_eq!(nowhere.status, Status::NeedsAnswer);
    assert_eq!(nowhere.questions[0].fact, "zone");
    assert_eq!(nowhere.questions[0].values[..], ["city", "east", "west", "outside"]);
    assert_eq!(nowhere.questions[0].opens, [true, true, true, false]);
}

#[test]
fn exclusions_always_win_and_every_one_is_told() {
    let policy = compile(POLICY);
    let decision = decide(&policy, &with(YELLING, &[("weapon", "used"), ("self_harm", "plan")]), "2025-11-04T12:00");
    assert_eq!(decision.status, ineligible("suicidal"));
    let hits: Vec<_> = decision.exclusions.iter().map(|hit| hit.id.as_str()).collect();
    assert_eq!(hits, ["built-in.weapon", "suicidal", "weapon-seen"]);
    assert!(decision.exclusions.iter().all(|hit| hit.for_want_of.is_empty()));
    let codes: Vec<_> = decision.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(codes, ["suicidal", "built-in.weapon", "weapon-seen"]);
    assert_eq!(option(&decision, "psr").code, "excluded");
    let flip = decision.nearest_flip.unwrap();
    let changed: Vec<_> = flip.changes.iter().map(|change| (change.fact.as_str(), change.to.as_str())).collect();
    assert_eq!(changed.len(), 2, "{changed:?}");
    assert!(changed.contains(&("weapon", "none")) && changed.contains(&("self_harm", "none")));
}

#[test]
fn an_exclusion_sends_to_a_co_response_and_the_ordinary_route_outranks_it() {
    let policy = compile(POLICY);
    let threat = with(YELLING, &[("violence", "threat")]);
    let decision = decide(&policy, &threat, "2025-11-04T12:00");
    assert_eq!((decision.status.clone(), decision.route), (Status::Eligible, Route::Program(ProgramId::new("pact"))));
    assert_eq!(decision.rule, None);
    assert_eq!(decision.exclusions[0].send, Some(ProgramId::new("pact")));
    assert_eq!(decision.reasons[0].code, "violent");
    // Physical violence bars the unaccompanied and leaves the officer's team.
    let physical = with(YELLING, &[("violence", "physical")]);
    assert_eq!(decide(&policy, &physical, "2025-11-04T12:00").route, Route::Program(ProgramId::new("pact")));
    let armed = with(YELLING, &[("violence", "threat"), ("weapon", "present")]);
    assert_eq!(decide(&policy, &armed, "2025-11-04T12:00").status, ineligible("weapon-seen"));
    // A call that no rule would take, but for what the exclusion names, does not go to the co-response.
    let fire = [("nature", "structure-fire"), ("violence", "threat")];
    let decision = decide(&policy, &fire, "2025-11-04T12:00");
    assert_eq!((decision.status, decision.route), (ineligible("violent"), Route::Ordinary));
}

/// Whatever the exclusion says of them: a co-response that has lost its officer is an unarmed team.
#[test]
fn an_exclusion_sends_to_no_co_response_whose_officer_is_away() {
    let officer = "kind = \"co-response\"\ncrew = [{ members = [\"nurse\", \"officer\"], officer = true, effective = \"..2025-12-31\" }, \
                   { members = [\"nurse\"], officer = false, effective = \"2026-01-01..\" }]";
    let policy = compile(&POLICY.replace("kind = \"co-response\"", officer));
    // Threatened, and hurt: the second bars whoever is unaccompanied besides.
    for violence in ["threat", "physical"] {
        let call = with(YELLING, &[("violence", violence)]);
        assert_eq!(decide(&policy, &call, "2025-12-30T12:00").route, Route::Program(ProgramId::new("pact")));
        let alone = decide(&policy, &call, "2026-01-02T12:00");
        assert_eq!((alone.status, alone.route), (Status::EligibleNoUnit, Route::Ordinary), "{violence}");
    }
}

/// Regression: with the team closed, a threat was told as the one change that would bring the nurse and the officer.
#[test]
fn no_flip_to_a_program_states_more_danger_than_is_known() {
    let policy = compile(POLICY);
    let closed = "2025-11-04T05:10";
    let threat = decide(&policy, &with(YELLING, &[("violence", "threat")]), closed);
    assert_eq!(threat.route, Route::Program(ProgramId::new("pact")), "a threat would bring them");
    for known in [&[][..], &[("violence", "none")], &[("violence", "verbal")]] {
        let decision = decide(&policy, &with(YELLING, known), closed);
        assert_eq!(decision.status, Status::EligibleOutOfHours);
        let changes = decision.nearest_flip.iter().flat_map(|flip| &flip.changes);
        assert_eq!(changes.filter(|change| change.fact == "violence").count(), 0, "{known:?}");
    }
    // What takes a call off a team is told by the danger that would.
    let open = decide(&policy, &with(YELLING, &[("weapon", "none")]), "2025-11-04T21:30").nearest_flip.unwrap();
    assert_eq!((open.changes[0].to.as_str(), open.route), ("present", Route::Ordinary));
}

#[test]
fn an_exclusion_for_want_of_an_answer_asks_while_a_rule_can_be_reached() {
    let policy = compile(POLICY);
    let youth = [("nature", "youth-crisis"), ("age", "17"), ("consent", "given")];
    let decision = decide(&policy, &youth, "2025-11-04T18:00");
    assert_eq!(decision.status, Status::NeedsAnswer);
    assert_eq!(decision.route, Route::Ordinary);
    assert_eq!(decision.rule.as_deref(), Some("youth"));
    assert_eq!(decision.exclusions[0].for_want_of, ["weapon"]);
    assert_eq!(decision.questions[0].fact, "weapon");
    assert_eq!(decision.questions[0].opens, [true, false, false, false, false]);
    assert_eq!(decision.reasons[0].text, "a weapon cannot be ruled out (not known: weapon)");
    assert_eq!(decision.nearest_flip.unwrap().changes.len(), 1);
    let too_old = [("nature", "youth-crisis"), ("age", "40")];
    let decision = decide(&policy, &too_old, "2025-11-04T18:00");
    assert_eq!(decision.status, ineligible("no-rule"));
    assert!(decision.exclusions[0].for_want_of == ["weapon"]);
    let answered = with(&youth, &[("weapon", "none")]);
    assert_eq!(decide(&policy, &answered, "2025-11-04T18:00").status, Status::Eligible);
}

#[test]
fn a_rule_that_an_answer_could_open_asks_for_it() {
    let policy = compile(POLICY);
    let down = [("nature", "person-down"), ("zone", "city,west")];
    let decision = decide(&policy, &down, "2025-11-04T12:00");
    assert_eq!(decision.status, Status::NeedsAnswer);
    let asked: Vec<_> = decision.questions.iter().take(2).map(|question| question.fact.as_str()).collect();
    assert_eq!(asked, ["setting", "checked"]);
    assert_eq!(decision.nearest_flip.unwrap().changes.len(), 2);
    assert_eq!(
        decide(&policy, &[("nature", "person-down"), ("checked", "yes")], "2025-11-04T12:00").status,
        ineligible("no-rule")
    );
}

#[test]
fn what_a_row_asks_and_what_a_program_requires_must_be_known_first() {
    let policy = compile(POLICY);
    let youth = [("nature", "youth-crisis"), ("age", "17"), ("weapon", "none")];
    let decision = decide(&policy, &youth, "2025-11-04T18:00");
    assert_eq!((decision.status, decision.questions[0].fact.as_str()), (Status::NeedsAnswer, "consent"));
    let camp = [("nature", "encampment")];
    let decision = decide(&policy, &camp, "2025-11-04T12:00");
    assert_eq!(decision.status, Status::NeedsAnswer);
    let asked: Vec<_> = decision.questions.iter().take(2).map(|question| question.fact.as_str()).collect();
    assert_eq!(asked, ["callback", "already_notified"]);
    assert_eq!(option(&decision, "clo").code, "missing-field");
    let anonymous = with(&camp, &[("callback", "none"), ("already_notified", "none")]);
    assert_eq!(decide(&policy, &anonymous, "2025-11-04T12:00").status, ineligible("missing-field"));
    let known = with(&camp, &[("callback", "available"), ("already_notified", "none")]);
    let decision = decide(&policy, &known, "2025-11-04T12:00");
    assert_eq!(decision.status, Status::Eligible);
    let plan = &decision.steps[0].legs[0];
    assert_eq!(plan.call_back_within_min, Some(60));
    assert_eq!(plan.release.len(), 4);
    assert_eq!(decide(&policy, &known, "2025-12-25T12:00").status, Status::EligibleOutOfHours, "a holiday");
}

#[test]
fn the_next_rank_and_the_next_program_are_tried() {
    let policy = compile(POLICY);
    let crisis = [
        ("nature", "person-in-crisis"),
        ("setting", "outdoors"),
        ("zone", "city,east"),
        ("caller", "first-party"),
        ("callback", "available"),
    ];
    let first = decide(&policy, &crisis, "2021-06-01T12:00");
    assert_eq!(
        (first.rule.as_deref(), first.route),
        (Some("crisis-by-phone-first"), Route::Program(ProgramId::new("crisis-line")))
    );
    let channels: Vec<_> = first.steps.iter().map(|step| step.legs[0].channel.as_str()).collect();
    assert_eq!(channels, ["warm-transfer", "webhook", "sms"]);
    let later = decide(&policy, &crisis, "2022-04-01T12:00");
    assert_eq!((later.rule.as_deref(), later.route), (Some("crisis-in-public"), Route::Program(ProgramId::new("psr"))));
    let due: Vec<_> = later.follow_up.iter().map(|due| (due.after_h, due.within_h)).collect();
    assert_eq!(due, [(0, 48), (0, 168)]);
    let night = decide(&policy, &crisis, "2022-04-01T03:00");
    assert_eq!(night.route, Route::Program(ProgramId::new("crisis-line")));
    assert!(night.reasons.iter().any(|reason| reason.code == "out-of-hours"));
    let availability = Availability { unstaffed: vec![ProgramId::new("crisis-line")], ..Availability::default() };
    let nobody = policy.decide(&facts(&crisis), &[], at("2021-06-01T03:00"), &availability);
    assert_eq!((nobody.status, nobody.rule.as_deref()), (Status::EligibleNoUnit, Some("crisis-by-phone-first")));
}

#[test]
fn a_shift_past_midnight_and_a_crew_that_loses_its_officer() {
    let policy = compile(POLICY);
    let youth = [("nature", "youth-crisis"), ("age", "17"), ("weapon", "none"), ("consent", "given")];
    // 2025-12-31 is a Wednesday; the shift that began on it is still accompanied after midnight.
    for (local, kind) in [
        ("2025-12-31T23:30", ProgramKind::CoResponse),
        ("2026-01-01T01:30", ProgramKind::CoResponse),
        ("2026-01-01T16:30", ProgramKind::Community),
    ] {
        let decision = decide(&policy, &youth, local);
        assert_eq!(decision.status, Status::Eligible, "{local}");
        assert_eq!(decision.steps[0].legs[0].kind, kind, "{local}");
    }
    assert_eq!(decide(&policy, &youth, "2026-01-01T02:00").status, Status::EligibleOutOfHours);
    // Acute medical need: the accompanied crew may go, the other may not.
    let acute = with(&youth, &[("medical", "acute")]);
    assert_eq!(decide(&policy, &acute, "2025-12-31T23:30").status, Status::Eligible);
    let barred = decide(&policy, &acute, "2026-01-01T16:30");
    assert_eq!(barred.status, ineligible("built-in.medical"));
    assert_eq!(option(&barred, "youth").code, "officer-needed");
}

#[test]
fn built_in_safeguards_bar_every_unaccompanied_team_whatever_the_rules_say() {
    let bare = r#"
        [policy]
        id = "bare"
        title = "Bare"
        revision = "1"
        time_zone = "America/Los_Angeles"
        mode = "automatic"
        [program.team]
        kind = "community"
        hours = [{ days = "Mon..Sun", from = "00:00", to = "24:00" }]
        legs = [{ channel = "webhook", accept_deadline_s = 60 }]
        [[rule]]
        id = "everything"
        because = "everything"
        send = ["team"]
        automatic = true
    "#;
    let policy = compile(bare);
    assert_eq!(decide(&policy, &[], "2025-11-04T12:00").status, Status::Eligible);
    assert!(decide(&policy, &[], "2025-11-04T12:00").automatic);
    let dangers = [
        ("weapon", "present", "built-in.weapon"),
        ("weapon", "used", "built-in.weapon"),
        ("violence", "physical", "built-in.violence"),
        ("medical", "acute", "built-in.medical"),
        ("crime", "in-progress", "built-in.crime"),
        ("self_harm", "means", "built-in.self-harm"),
        ("self_harm", "attempt", "built-in.self-harm"),
        ("consent", "refused", "built-in.consent"),
        ("consent", "withdrawn", "built-in.consent"),
        ("doubt", "yes", "built-in.doubt"),
    ];
    for (fact, value, id) in dangers {
        let decision = decide(&policy, &[(fact, value)], "2025-11-04T12:00");
        assert_eq!((decision.status, decision.route), (ineligible(id), Route::Ordinary), "{fact}={value}");
        assert!(decision.steps.is_empty());
    }
    let waived = format!(
        "{bare}\n[[waiver]]\nsafeguard = \"built-in.medical\"\nsigned_by = \"director\"\nbecause = \"paramedics\"\n"
    );
    let waived = compile(&waived);
    assert_eq!(decide(&waived, &[("medical", "acute")], "2025-11-04T12:00").status, Status::Eligible);
    assert_eq!(waived.waivers()[0].safeguard, "built-in.medical");
    assert_eq!(decide(&waived, &[("weapon", "used")], "2025-11-04T12:00").status, ineligible("built-in.weapon"));
}

#[test]
fn nothing_is_assessed_on_what_is_not_understood() {
    let policy = compile(POLICY);
    let noon = at("2025-11-04T12:00");
    let gap = |fact: &str, why: &str| Gap { fact: fact.to_owned(), why: why.to_owned() };
    let not_assessed = |why: &str| Status::NotAssessed { why: why.to_owned() };
    let unmapped = [gap("nature", "call-type-not-in-table")];
    let decision = policy.decide(&Facts::default(), &unmapped, noon, &Availability::default());
    assert_eq!(decision.status, not_assessed("call-type-not-in-table"));
    assert_eq!(decision.questions[0].fact, "nature");
    assert_eq!(decision.gaps, unmapped);
    // A nature known from before does not stand for a call type that nobody knows; an answer does.
    assert_eq!(
        policy.decide(&facts(YELLING), &unmapped, noon, &Availability::default()).status,
        not_assessed("call-type-not-in-table")
    );
    let answered = facts(YELLING).with("nature", "person-yelling", Source::Answer);
    assert_eq!(policy.decide(&answered, &unmapped, noon, &Availability::default()).status, Status::Eligible);
    assert_eq!(decide(&policy, &[], "2025-11-04T12:00").status, not_assessed("no-call-type"));
    let stranger = facts(YELLING).with("weapon", "trebuchet", Source::Structured);
    let decision = policy.decide(&stranger, &[], noon, &Availability::default());
    assert_eq!(decision.status, not_assessed("value-out-of-domain"));
    assert!(decision.gaps.contains(&gap("weapon", "value-out-of-domain")));
    let stated =
        policy.decide(&facts(YELLING), &[gap("housing", "value-out-of-domain")], noon, &Availability::default());
    assert_eq!(stated.status, not_assessed("value-out-of-domain"));
}

#[test]
fn doubt_that_the_product_raised_can_be_asked_about() {
    let policy = compile(POLICY);
    let doubtful = facts(&with(YELLING, &[("doubt", "yes")]));
    let decision = policy.decide(&doubtful, &[], at("2025-11-04T12:00"), &Availability::default());
    assert_eq!(decision.status, ineligible("built-in.doubt"));
    assert!(decision.questions.iter().any(|question| question.fact == "doubt" && question.opens == [true, false]));
    let by_hand = facts(YELLING).with("doubt", "yes", Source::Answer);
    let decision = policy.decide(&by_hand, &[], at("2025-11-04T12:00"), &Availability::default());
    assert!(decision.questions.iter().all(|question| question.fact != "doubt"));
}

#[test]
fn shadow_is_recorded_and_offered_to_nobody() {
    let policy = compile(POLICY);
    let noise = [("nature", "noise"), ("zone", "city,east")];
    let decision = decide(&policy, &noise, "2025-11-04T12:00");
    assert_eq!((decision.status, decision.route), (Status::ShadowEligible, Route::Ordinary));
    assert_eq!(decision.rule.as_deref(), Some("noise-later"));
    assert!(decision.steps.is_empty());
    let shadow = compile(&POLICY.replace("mode = \"advise\"", "mode = \"shadow\""));
    let decision = decide(&shadow, YELLING, "2025-11-04T12:00");
    assert_eq!((decision.status, decision.route), (Status::ShadowEligible, Route::Ordinary));
    let automatic = compile(&POLICY.replace("mode = \"advise\"", "mode = \"automatic\""));
    assert!(decide(&automatic, YELLING, "2025-11-04T12:00").automatic);
}

#[test]
fn codes_zones_and_declared_facts_are_met_by_pattern() {
    let policy = compile(POLICY);
    let base = [("nature", "welfare-check"), ("call_type", "25A07"), ("zone", "city,east")];
    let decision = decide(&policy, &base, "2025-11-04T12:00");
    assert_eq!(decision.status, Status::Eligible);
    assert_eq!(decision.steps[0].legs.len(), 2, "a broadcast offers to both at once");
    assert_eq!(decision.steps.len(), 2, "the second leg of one of them");
    let both = [("nature", "welfare-check"), ("call_type", "25A07"), ("zone", "city,east,west")];
    assert_eq!(decide(&policy, &both, "2025-11-04T12:00").status, ineligible("no-rule"));
    let other = [("nature", "welfare-check"), ("call_type", "25B01"), ("zone", "city,east")];
    assert_eq!(decide(&policy, &other, "2025-11-04T12:00").status, ineligible("no-rule"));
    let warned = with(&base, &[("heat_warning", "yes")]);
    assert_eq!(decide(&policy, &warned, "2025-11-04T12:00").status, ineligible("no-rule"));
}

#[test]
fn one_program_can_be_asked_by_name() {
    let policy = compile(POLICY);
    let steps = policy.steps_to(&ProgramId::new("psr"), at("2025-11-04T12:00")).unwrap();
    assert_eq!(steps.len(), 2);
    assert_eq!(policy.steps_to(&ProgramId::new("nobody"), at("2025-11-04T12:00")), None);
    assert_eq!(policy.fact_values("weapon").unwrap().len(), 5);
    assert_eq!(policy.fact_values("nothing"), None);
    let youth = policy.programs().into_iter().find(|program| program.id.as_str() == "youth").unwrap();
    assert_eq!((youth.kind, youth.crew.len()), (ProgramKind::Community, 2));
}

#[test]
fn the_digest_is_of_every_file_and_the_decision_carries_it() {
    let policy = compile(POLICY);
    let mut changed = files(POLICY);
    changed.files.insert("README.md".to_owned(), b"hello".to_vec());
    let other = Policy::compile(&changed).unwrap();
    assert_ne!(policy.identity().digest, other.identity().digest);
    let decision = decide(&policy, YELLING, "2025-11-04T12:00");
    assert_eq!(&*decision.policy, policy.identity());
    let json = serde_json::to_string(&decision).unwrap();
    assert_eq!(serde_json::from_str::<Decision>(&json).unwrap(), decision);
}
