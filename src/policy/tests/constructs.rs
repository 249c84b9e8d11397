//! The constructs that published programs force on the language, each in the shape of the program that needs it.

use super::*;

const HEAD: &str =
    "[policy]\nid = \"c\"\ntitle = \"C\"\nrevision = \"1\"\ntime_zone = \"America/Los_Angeles\"\nmode = \"advise\"\n";
const DAY_AND_NIGHT: &str = "hours = [{ days = \"Mon..Sun\", from = \"00:00\", to = \"24:00\" }]\n";
const LEG: &str = "legs = [{ channel = \"webhook\", accept_deadline_s = 60 }]\n";

/// A program that is always there, with further keys.
fn program(id: &str, kind: &str, further: &str) -> String {
    format!("[program.{id}]\nkind = \"{kind}\"\n{DAY_AND_NIGHT}{LEG}{further}\n")
}

fn rule(send: &str, further: &str) -> String {
    format!("[[rule]]\nid = \"r\"\nnature = \"person-in-crisis\"\nbecause = \"crisis\"\nsend = {send}\n{further}\n")
}

fn policy(parts: &[String]) -> Policy {
    compile(&format!("{HEAD}{}", parts.concat()))
}

fn answer(policy: &Policy, pairs: &[(&str, &str)], availability: &Availability) -> Decision {
    let crisis = [&[("nature", "person-in-crisis")][..], pairs].concat();
    policy.decide(&facts(&crisis), &[], at("2025-11-04T12:00"), availability)
}

/// The programs of each step, those of one step joined by `+`.
fn told_steps(decision: &Decision) -> Vec<String> {
    let step =
        |step: &RouteStep| step.legs.iter().map(|leg| leg.program.as_str().to_owned()).collect::<Vec<_>>().join("+");
    decision.steps.iter().map(step).collect()
}

fn option<'a>(decision: &'a Decision, program: &str) -> (&'a str, &'a str) {
    let found = decision.options.iter().find(|option| option.program.as_str() == program).unwrap();
    (&found.code, &found.why)
}

#[test]
fn a_tandem_is_asked_whole_or_not_at_all() {
    let both = policy(&[
        program("cahoots", "community", "capacity = 1"),
        program("standby", "police-community", ""),
        program("line", "phone", ""),
        rule("[{ tandem = [\"standby\", \"cahoots\"] }, \"line\"]", ""),
    ]);
    let decision = answer(&both, &[], &Availability::default());
    assert_eq!(told_steps(&decision), ["standby+cahoots", "line"]);
    assert_eq!(decision.route, Route::Program(ProgramId::new("standby")), "the first leads");
    let together: Vec<_> = decision.steps[0].legs.iter().map(|leg| leg.together.len()).collect();
    assert_eq!((together, decision.steps[1].legs[0].together.len()), (vec![2, 2], 0));
    let full = Availability { load: [(ProgramId::new("cahoots"), 1)].into(), ..Availability::default() };
    let decision = answer(&both, &[], &full);
    assert_eq!(told_steps(&decision), ["line"], "half a tandem is no step");
    assert_eq!(option(&decision, "cahoots").0, "no-unit");
    // An officer beside them does not make an unarmed team one that may go to a weapon.
    assert_eq!(answer(&both, &[("weapon", "present")], &Availability::default()).route, Route::Ordinary);
    let same = [rule("[{ tandem = [\"a\", \"b\"] }]", ""), rule("[{ broadcast = [\"a\", \"b\"] }]", "")].concat();
    let same = same.replacen("id = \"r\"", "id = \"s\"", 1);
    let text = format!("{HEAD}{}{}{same}", program("a", "community", ""), program("b", "community", ""));
    assert!(told(&Policy::compile(&files(&text)).unwrap_err()).contains("send differently"));
}

/// A danger can open a call also by ending what had kept it away.
#[test]
fn an_exclusion_that_more_danger_ends_is_found_by_the_proof() {
    let text = |violence: &str| {
        let calm = format!("[[exclusion]]\nid = \"calm\"\nbecause = \"calm\"\nviolence = \"{violence}\"\n");
        format!("{HEAD}{}{calm}{}", program("van", "community", ""), rule("[\"van\"]", ""))
    };
    let broken = |violence: &str| -> Vec<String> {
        let candidate = Candidate::read(&files(&text(violence))).unwrap_or_else(|faults| panic!("{}", told(&faults)));
        candidate.prove().into_iter().filter(|proof| !proof.holds()).map(|proof| proof.safeguard).collect()
    };
    assert_eq!(broken("none"), ["built-in.monotone.violence"]);
    assert_eq!(broken("none, verbal"), ["built-in.monotone.violence"]);
    assert_eq!(broken("verbal, threat, physical"), Vec::<String>::new());
}

/// What a rule of a lower rank asks keeps nothing from a higher one: the proof must not take it for an exclusion.
#[test]
fn only_what_the_rank_that_decides_asks_for_keeps_a_call() {
    let asking = |asks_high: bool, asks_low: bool| {
        let rule = |id: &str, rank: u8, asks: bool| {
            let ask = if asks { "ask = [\"consent\"]" } else { "" };
            rule("[\"van\"]", &format!("rank = {rank}\n{ask}")).replace("id = \"r\"", &format!("id = \"{id}\""))
        };
        let never = "[[safeguard]]\nid = \"s\"\nnever = { send = \"van\", when = { consent = \"unknown\" } }\n";
        let rules = [rule("high", 1, asks_high), rule("low", 0, asks_low)].concat();
        let candidate =
            Candidate::read(&files(&format!("{HEAD}{}{rules}{never}", program("van", "community", "")))).unwrap();
        candidate.prove().into_iter().find(|proof| proof.safeguard == "s").unwrap().holds()
    };
    assert!(!asking(false, true), "the higher rule sends without consent");
    assert!(asking(true, true) && asking(true, false), "it asks first");
    assert!(!asking(false, false));
}

/// Regression: where another rule asks for consent first, a rule for calls in which it is not known never sends anybody.
#[test]
fn a_rule_for_calls_about_which_another_asks_first_is_said_to_send_nobody() {
    let sends_nobody = |send: &str, other: &str| {
        let named = |id: &str, rule: String| rule.replace("id = \"r\"", &format!("id = \"{id}\""));
        let rules = [named("other", rule(send, other)), named("alone", rule("[\"van\"]", "consent = \"unknown\""))];
        let programs = [program("van", "community", ""), program("line", "phone", "")];
        let text = format!("{HEAD}{}{}", programs.concat(), rules.concat());
        let findings = Candidate::read(&files(&text)).unwrap().findings();
        findings.iter().any(|found| found.row == "alone" && found.code == "asks-only")
    };
    assert!(sends_nobody("[\"van\"]", "ask = [\"consent\"]"), "a rule of its rank asks");
    assert!(sends_nobody("[\"line\"]", "rank = 1\nask = [\"consent\"]"), "a higher one asks, whoever it sends");
    assert!(!sends_nobody("[\"van\"]", "rank = -1\nask = [\"consent\"]"), "a lower one comes too late to ask");
    assert!(!sends_nobody("[\"van\"]", ""));
}

/// Without anybody's key only where every rule that holds at the deciding rank says so, and never by an exclusion.
#[test]
fn one_rule_that_wants_a_key_keeps_the_call_for_a_person() {
    let head = HEAD.replace("advise", "automatic");
    let decided = |rules: &[(i32, bool)], further: &str, known: &[(&str, &str)]| {
        let rule = |(number, (rank, automatic)): (usize, &(i32, bool))| {
            let id = rule("[\"van\"]", &format!("rank = {rank}\nautomatic = {automatic}"));
            id.replace("id = \"r\"", &format!("id = \"r{number}\""))
        };
        let rules: String = rules.iter().enumerate().map(rule).collect();
        answer(
            &compile(&format!("{head}{}{further}{rules}", program("van", "community", ""))),
            known,
            &Availability::default(),
        )
    };
    let cases = [
        (&[(0, true)][..], true),
        (&[(0, false)], false),
        (&[(0, true), (0, false)], false),
        (&[(0, false), (0, true)], false),
        (&[(1, true), (0, false)], true),
        (&[(1, false), (0, true)], false),
    ];
    for (rules, expected) in cases {
        let decision = decided(rules, "", &[]);
        assert_eq!((&decision.status, decision.automatic), (&Status::Eligible, expected), "{rules:?}");
    }
    let sent = "[[exclusion]]\nid = \"x\"\nbecause = \"x\"\nviolence = \"threat\"\nsend = \"pact\"\n";
    let further = format!("{}{sent}", program("pact", "co-response", ""));
    let decision = decided(&[(0, true)], &further, &[("violence", "threat")]);
    assert_eq!((decision.route, decision.automatic), (Route::Program(ProgramId::new("pact")), false));
}

/// Regression: the first half could take the call, so that nobody was asked what the second waits for.
#[test]
fn of_a_tandem_both_halves_are_asked_for() {
    let policy = policy(&[
        program("standby", "police-community", ""),
        program("line", "phone", "required = [\"callback\"]"),
        rule("[{ tandem = [\"standby\", \"line\"] }]", ""),
        "[[exclusion]]\nid = \"well\"\nbecause = \"well\"\nbars = [\"line\"]\nmedical = \"none, minor, unknown\"\n"
            .to_owned(),
    ]);
    let decision = answer(&policy, &[("weapon", "none"), ("violence", "none")], &Availability::default());
    assert_eq!((&decision.status, option(&decision, "standby").0), (&Status::NeedsAnswer, "can-take"));
    // No answer brings the second half, and still the decision says what it waits for.
    let asked: Vec<&str> = decision.questions.iter().map(|question| question.fact.as_str()).collect();
    assert_eq!(asked, ["callback"]);
}

/// What frees from the one exclusion by either fact leaves the other: only both answers together reach the rule.
#[test]
fn where_no_one_answer_frees_from_every_exclusion_two_that_do_are_asked_for() {
    let barred = |id: &str, medical: &str, setting: &str| {
        format!(
            "[[exclusion]]\nid = \"{id}\"\nbecause = \"{id}\"\nmedical = \"{medical}, unknown\"\nsetting = \"{setting}, unknown\"\n"
        )
    };
    let policy = policy(&[
        program("van", "community", ""),
        rule("[\"van\"]", ""),
        barred("acute", "acute", "public-indoor, private-residence, vehicle, roadway, height, school"),
        barred("well", "none, minor", "outdoors"),
    ]);
    let known = [("weapon", "none"), ("violence", "none"), ("self_harm", "none")];
    let decision = answer(&policy, &known, &Availability::default());
    assert_eq!(decision.status, Status::NeedsAnswer);
    let asked: Vec<&str> = decision.questions.iter().map(|question| question.fact.as_str()).collect();
    assert_eq!(asked, ["medical", "setting"]);
}

/// A referral is no way of its own: what it waits for is not what the call waits for.
#[test]
fn what_only_a_referral_waits_for_is_not_asked() {
    let van = program("van", "community", "refers_to = \"line\"").replace("to = \"24:00\"", "to = \"06:00\"");
    let policy = policy(&[van, program("line", "phone", "required = [\"callback\"]"), rule("[\"van\"]", "")]);
    let decision = answer(&policy, &[("weapon", "none")], &Availability::default());
    assert_eq!(decision.status, Status::EligibleOutOfHours);
    assert!(decision.questions.is_empty(), "{:?}", decision.questions);
}

#[test]
fn what_a_program_declines_is_referred_and_nothing_else_is() {
    // Edmonton: out of mandate is referred elsewhere, not declined.
    let edmonton = policy(&[
        program("van", "community", "refers_to = \"line-211\""),
        program("line-211", "phone", "refers_to = \"shelter\""),
        program("shelter", "liaison", ""),
        rule("[\"van\"]", ""),
    ]);
    let decision = answer(&edmonton, &[], &Availability::default());
    assert_eq!(told_steps(&decision), ["van", "line-211", "shelter"]);
    let referred: Vec<_> =
        decision.steps.iter().map(|step| step.legs[0].referred_by.as_ref().map(ProgramId::as_str)).collect();
    assert_eq!(referred, [None, Some("van"), Some("line-211")]);
    let away = Availability { unstaffed: vec![ProgramId::new("van")], ..Availability::default() };
    let decision = answer(&edmonton, &[], &away);
    assert_eq!(decision.status, Status::EligibleNoUnit, "a referral is no way of its own");
    assert!(decision.steps.is_empty());
    let unsafe_referral = "[[safeguard]]\nid = \"no-shelter\"\nnever = { send = \"shelter\" }\n";
    let text = format!(
        "{HEAD}{}{}{}{unsafe_referral}",
        program("van", "community", "refers_to = \"shelter\""),
        program("shelter", "liaison", ""),
        rule("[\"van\"]", "")
    );
    assert!(
        told(&Policy::compile(&files(&text)).unwrap_err()).contains("shelter, by rule r"),
        "referrals are proved too"
    );
}

#[test]
fn surge_mode_adds_hours_places_and_rows() {
    let edmonton = policy(&[
        format!(
            "[program.van]\nkind = \"community\"\ncapacity = 1\nsurge_capacity = 3\n{LEG}hours = [{{ days = \"Mon..Sun\", from = \"08:00\", to = \"10:00\" }}, {{ days = \"Mon..Sun\", from = \"10:00\", to = \"20:00\", surge = true }}]\n"
        ),
        rule("[\"van\"]", ""),
        "[[rule]]\nid = \"warmth\"\nnature = \"needs-shelter\"\nsurge = true\nbecause = \"extreme weather\"\nsend = [\"van\"]\n".to_owned(),
    ]);
    let surge = Availability { surge: true, load: [(ProgramId::new("van"), 2)].into(), ..Availability::default() };
    let calm = answer(&edmonton, &[], &Availability::default());
    assert_eq!(calm.status, Status::EligibleOutOfHours);
    assert_eq!(option(&calm, "van").1, "opens Wednesday 08:00");
    assert_eq!(answer(&edmonton, &[], &surge).status, Status::Eligible);
    let shelter = facts(&[("nature", "needs-shelter")]);
    let cold =
        |availability: &Availability| edmonton.decide(&shelter, &[], at("2025-11-04T12:00"), availability).status;
    assert_eq!(cold(&surge), Status::Eligible);
    assert_eq!(cold(&Availability::default()), Status::Ineligible { because: "no-rule".to_owned() });
    // What holds only in surge mode is proved too.
    let text = format!(
        "{HEAD}{}{}[[safeguard]]\nid = \"s\"\nnever = {{ send = \"any\" }}\n",
        program("van", "community", ""),
        rule("[\"van\"]", "surge = true")
    );
    assert!(told(&Policy::compile(&files(&text)).unwrap_err()).contains("in surge mode"));
    // And compared: a rule, or hours, that count in surge mode alone.
    let day = "hours = [{ days = \"Mon..Sun\", from = \"08:00\", to = \"20:00\" }]\n";
    let hours = |further: &str| {
        let hours = day.replace(" }]", &format!(" }}{further}]"));
        policy(&[format!("[program.van]\nkind = \"community\"\n{LEG}{hours}"), rule("[\"van\"]", "")])
    };
    let rules = |further: &str| policy(&[program("van", "community", ""), rule("[\"van\"]", ""), further.to_owned()]);
    let night = ", { days = \"Mon..Sun\", from = \"20:00\", to = \"22:00\", surge = true }";
    let warmth =
        "[[rule]]\nid = \"warmth\"\nnature = \"needs-shelter\"\nsurge = true\nbecause = \"cold\"\nsend = [\"van\"]\n";
    for (without, with) in [(hours(""), hours(night)), (rules(""), rules(warmth))] {
        assert!(!without.compare(&with).lets_nothing_more_through());
        assert!(with.compare(&without).lets_nothing_more_through());
    }
}

#[test]
fn a_program_waits_for_its_decider_and_the_next_is_tried() {
    // Phoenix: no dispatcher of the programme's own on duty, so the crisis line.
    let phoenix = policy(&[
        "[decider.bh-dispatcher]\ntitle = \"Behavioural health dispatcher\"\nhours = [{ days = \"Mon..Sun\", from = \"06:00\", to = \"22:00\" }]\n".to_owned(),
        program("bh-unit", "community", "decider = \"bh-dispatcher\""),
        program("solari", "phone", ""),
        rule("[\"bh-unit\", \"solari\"]", ""),
    ]);
    assert_eq!(told_steps(&answer(&phoenix, &[], &Availability::default())), ["bh-unit", "solari"]);
    let away = Availability { deciders_away: ["bh-dispatcher".to_owned()].into(), ..Availability::default() };
    let decision = answer(&phoenix, &[], &away);
    assert_eq!(told_steps(&decision), ["solari"]);
    assert_eq!(option(&decision, "bh-unit"), ("no-decider", "Behavioural health dispatcher is not on duty"));
    let night = phoenix.decide(
        &facts(&[("nature", "person-in-crisis")]),
        &[],
        at("2025-11-04T23:00"),
        &Availability::default(),
    );
    assert_eq!(told_steps(&night), ["solari"]);
}

#[test]
fn a_queue_orders_calls_by_urgency_and_by_who_asked() {
    let queue = "queue = [{ self_harm = \">= ideation\", because = \"at risk\" }, { caller = \"agency\", because = \"an officer asks\" }, { zone = \"not(west)\", zone_is = 1 }]";
    let queue = queue.replace(", zone_is = 1", ", because = \"not in the west\"");
    let acs = policy(&[program("bhr", "community", &queue), rule("[\"bhr\"]", "")]);
    let place = |pairs: &[(&str, &str)]| {
        let queue = answer(&acs, pairs, &Availability::default()).steps[0].legs[0].queue.clone().unwrap();
        (queue.place, queue.of, queue.because)
    };
    assert_eq!(place(&[("self_harm", "plan"), ("caller", "agency")]), (1, 4, Some("at risk".to_owned())));
    assert_eq!(place(&[("caller", "agency")]), (2, 4, Some("an officer asks".to_owned())));
    assert_eq!(place(&[("zone", "east,west")]), (4, 4, None));
    assert_eq!(place(&[("zone", "east")]).0, 3);
}

#[test]
fn follow_ups_have_a_window_and_an_owner() {
    let chicago = policy(&[
        program("care", "community", ""),
        program("opioid-response", "community", ""),
        rule("[\"care\"]", "follow_up = [\"1d\", { within = \"24h..72h\", by = \"opioid-response\" }]"),
    ]);
    let due = answer(&chicago, &[], &Availability::default()).follow_up;
    let due: Vec<_> =
        due.iter().map(|due| (due.after_h, due.within_h, due.by.as_ref().map(ProgramId::as_str))).collect();
    assert_eq!(due, [(0, 24, None), (24, 72, Some("opioid-response"))]);
}

#[test]
fn partial_exclusion_sends_to_the_co_response_of_denver_durham_and_chicago() {
    // Denver: STAR; weapon or potential violence: the co-responder, who comes where STAR would have come.
    let denver = policy(&[
        program("star", "community", ""),
        program("co-responder", "co-response", ""),
        "[[exclusion]]\nid = \"danger\"\nweapon = \">= access\"\nbecause = \"weapon\"\nsend = \"co-responder\"\n"
            .to_owned(),
        "[[exclusion]]\nid = \"threat\"\nviolence = \">= threat\"\nbecause = \"violence\"\nsend = \"co-responder\"\n"
            .to_owned(),
        rule("[\"star\"]", ""),
    ]);
    let route = |policy: &Policy, pairs: &[(&str, &str)]| answer(policy, pairs, &Availability::default()).route;
    let to = |program: &str| Route::Program(ProgramId::new(program));
    assert_eq!(route(&denver, &[]), to("star"));
    assert_eq!(route(&denver, &[("weapon", "present"), ("violence", "threat")]), to("co-responder"));
    let fire = denver.decide(
        &facts(&[("nature", "noise"), ("weapon", "present")]),
        &[],
        at("2025-11-04T12:00"),
        &Availability::default(),
    );
    assert_eq!(fire.route, Route::Ordinary, "not where the unarmed team would not have come either");

    // Chicago: the same tier, another responder by zone; the responder without an officer takes only the low tier.
    let chicago = policy(&[
        program("alternate", "community", "area = \"west\""),
        program("multidisciplinary", "co-response", "area = \"east\""),
        "[[rule]]\nid = \"low\"\nnature = \"person-in-crisis\"\ntier = \"1\"\nbecause = \"low\"\nsend = [\"alternate\", \"multidisciplinary\"]\n".to_owned(),
        "[[rule]]\nid = \"moderate\"\nnature = \"person-in-crisis\"\ntier = \"2\"\nbecause = \"moderate\"\nsend = [\"multidisciplinary\"]\n".to_owned(),
    ]);
    assert_eq!(route(&chicago, &[("tier", "1"), ("zone", "west")]), to("alternate"));
    assert_eq!(route(&chicago, &[("tier", "1"), ("zone", "east")]), to("multidisciplinary"));
    let outside = answer(&chicago, &[("tier", "2"), ("zone", "west")], &Availability::default());
    assert_eq!(outside.status, Status::EligibleOutOfArea);
}

#[test]
fn a_code_enters_the_policy_at_a_date() {
    // Baltimore: 25B03 was added in 2022.
    let baltimore = policy(&[
        program("line-988", "phone", ""),
        rule("[\"line-988\"]", "call_type = \"25A01, 25A02\"\neffective = \"2021-06-16..\""),
        rule("[\"line-988\"]", "call_type = \"25B03\"\neffective = \"2022-04-01..\"").replace("\"r\"", "\"added\""),
    ]);
    let rule_at = |code: &str, time: &str| {
        let call = facts(&[("nature", "person-in-crisis"), ("call_type", code)]);
        baltimore.decide(&call, &[], at(time), &Availability::default()).rule
    };
    assert_eq!(rule_at("25A01", "2021-07-01T12:00").as_deref(), Some("r"));
    assert_eq!(rule_at("25B03", "2022-03-31T23:59"), None);
    assert_eq!(rule_at("25B03", "2022-04-01T00:00").as_deref(), Some("added"));
}

#[test]
fn an_area_grows_on_a_date() {
    // Portland: Lents at first, the whole city later; one team.
    let area = "area = [{ zones = \"east\" }, { zones = \"west\", effective = \"2022-03-28..\" }]";
    let text = [program("psr", "community", area), rule("[\"psr\"]", "")].concat();
    let portland = policy(std::slice::from_ref(&text));
    let status = |zone: &str, time: &str| {
        let call = facts(&[("nature", "person-in-crisis"), ("zone", zone)]);
        portland.decide(&call, &[], at(time), &Availability::default()).status
    };
    assert_eq!(status("east", "2021-06-02T12:00"), Status::Eligible);
    assert_eq!(status("west", "2022-03-27T23:59"), Status::EligibleOutOfArea);
    assert_eq!(status("west", "2022-03-28T00:00"), Status::Eligible, "by the civil date, as rows are");
    let unplaced = portland.decide(
        &facts(&[("nature", "person-in-crisis")]),
        &[],
        at("2021-06-02T12:00"),
        &Availability::default(),
    );
    assert_eq!(unplaced.status, Status::NeedsAnswer);
    // Proofs and comparisons see each date: nobody goes west before it, and somebody does after.
    let guarded = |effective: &str| {
        let text = text.replace("2022-03-28..", effective);
        let guard = "[[safeguard]]\nid = \"west\"\nnever = { send = \"psr\", when = { zone = \"not(east)\" } }\n";
        Policy::compile(&files(&format!("{HEAD}{text}{guard}"))).map_err(|faults| told(&faults))
    };
    let broken = guarded("2022-03-28..").unwrap_err();
    assert!(broken.contains("zone west") && broken.contains(" 2022-03-2") && broken.contains("→ psr"), "{broken}");
    let moved = policy(&[text.replace("2022-03-28..", "2022-03-28..2023-12-31")]);
    assert_eq!(portland.compare(&moved).relation, crate::policy::Relation::Subset);
    assert_eq!(moved.compare(&portland).relation, crate::policy::Relation::Superset);
    let same = policy(&[text.replace("{ zones = \"east\" }", "{ zones = \"east\", effective = \"1990-01-01..\" }")]);
    assert_eq!(same.compare(&same).relation, crate::policy::Relation::Equal);
}

#[test]
fn an_exclusion_that_names_whom_it_bars_leaves_the_others() {
    let exclusion = |id: &str, cell: &str, further: &str| {
        format!("[[exclusion]]\nid = \"{id}\"\n{cell}\nbecause = \"{id} it is\"\n{further}\n")
    };
    let parts = [
        program("psr", "community", ""),
        program("line", "phone", ""),
        program("pact", "co-response", ""),
        exclusion("suicidal", "self_harm = \">= ideation\"", "bars = [\"psr\"]"),
        exclusion("near", "weapon = \"not(none)\"", "bars = [\"unaccompanied\"]"),
        rule("[\"psr\", \"line\", \"pact\"]", ""),
    ];
    let city = policy(&parts);
    let calm = [("weapon", "none"), ("self_harm", "none")];
    assert_eq!(told_steps(&answer(&city, &calm, &Availability::default())), ["psr", "line", "pact"]);
    let thinking = answer(&city, &[("weapon", "none"), ("self_harm", "ideation")], &Availability::default());
    assert_eq!(told_steps(&thinking), ["line", "pact"]);
    assert_eq!(option(&thinking, "psr"), ("excluded", "suicidal it is"));
    assert_eq!(thinking.exclusions[0].bars.as_ref().unwrap().programs, [ProgramId::new("psr")]);
    // For want of an answer only the program that is barred waits; the next goes, and the question is asked.
    let unasked = answer(&city, &[("self_harm", "none")], &Availability::default());
    assert_eq!(told_steps(&unasked), ["pact"]);
    assert_eq!(option(&unasked, "psr"), ("needs-answer", "near it is (not known: weapon)"));
    assert!(unasked.questions.iter().any(|question| question.fact == "weapon"));
    let away = Availability { unstaffed: vec![ProgramId::new("pact")], ..Availability::default() };
    assert_eq!(answer(&city, &[("self_harm", "none")], &away).status, Status::NeedsAnswer);
    let barred = answer(&city, &[("self_harm", "none"), ("weapon", "access")], &away);
    assert_eq!(barred.status, Status::EligibleNoUnit, "the co-response would take it");
    let no_pact = parts.concat().replace(", \"pact\"]", "]");
    let barred = answer(&policy(&[no_pact]), &[("self_harm", "none"), ("weapon", "access")], &away);
    assert_eq!(barred.status, Status::Ineligible { because: "near".to_owned() });
    // It is proved as any other bar is, and it lifts no built-in one.
    let guard = "[[safeguard]]\nid = \"s\"\nnever = { send = \"psr\", when = { self_harm = \"ideation\" } }\n";
    policy(&[parts.concat(), guard.to_owned()]);
    let broken = format!("{HEAD}{}{guard}", parts.concat()).replace("send = \"psr\"", "send = \"line\"");
    assert!(told(&Policy::compile(&files(&broken)).unwrap_err()).contains("→ line, by rule r"));
    assert_eq!(
        told_steps(&answer(&city, &[("weapon", "present"), ("self_harm", "means")], &Availability::default())),
        ["pact"]
    );
    let doubt = answer(&city, &[("weapon", "none"), ("doubt", "yes")], &Availability::default());
    assert!(told_steps(&doubt).is_empty());
    // Taking it away diverts more calls, and the comparison says so.
    let less = policy(&[parts.concat().replace("[\"unaccompanied\"]", "[\"psr\"]")]);
    assert_eq!(city.compare(&less).moves[2].kind, crate::policy::MoveKind::ProgramToProgram);
    assert!(city.compare(&less).moves[2].call.as_ref().is_some_and(|call| call.confirmed));
}

#[test]
fn two_programs_with_the_same_units_are_full_together() {
    // Minneapolis: two units, alone or together with an officer; a capacity by date as Denver's one van had.
    let bcr = policy(&[
        program(
            "bcr",
            "community",
            "capacity = [{ calls = 1, effective = \"..2022-08-31\" }, { calls = 2, effective = \"2022-09-01..\" }]",
        ),
        program("bcr-with-police", "co-response", "units_of = \"bcr\""),
        "[[exclusion]]\nid = \"threat\"\nviolence = \">= threat\"\nbecause = \"threat\"\nsend = \"bcr-with-police\"\n"
            .to_owned(),
        rule("[\"bcr\"]", ""),
    ]);
    let status = |violence: &str, load: &[(&str, u32)], time: &str| {
        let load = load.iter().map(|(program, calls)| (ProgramId::new(*program), *calls)).collect();
        let availability = Availability { load, ..Availability::default() };
        let call = facts(&[("nature", "person-in-crisis"), ("violence", violence)]);
        bcr.decide(&call, &[], at(time), &availability).status
    };
    let one_each = [("bcr", 1), ("bcr-with-police", 1)];
    for violence in ["none", "threat"] {
        assert_eq!(status(violence, &one_each, "2025-11-04T12:00"), Status::EligibleNoUnit, "{violence}");
        assert_eq!(status(violence, &one_each[..1], "2025-11-04T12:00"), Status::Eligible);
        assert_eq!(status(violence, &one_each[1..], "2022-08-31T12:00"), Status::EligibleNoUnit);
    }
    let away = Availability { unstaffed: vec![ProgramId::new("bcr")], ..Availability::default() };
    let call = facts(&[("nature", "person-in-crisis"), ("violence", "threat")]);
    assert_eq!(bcr.decide(&call, &[], at("2025-11-04T12:00"), &away).status, Status::EligibleNoUnit);
}
