//! The compiled table against an evaluator that is slow and obviously right, on random policies and calls.

use super::*;
use crate::facts::Domain;
use crate::policy::compile::rank;
use crate::policy::language::{Promise, SendTarget, StepForm, Test, read};
use crate::policy::route::Way;
use proptest::prelude::*;

const HEAD: &str = r#"
[policy]
id = "random"
title = "Random"
revision = "1"
time_zone = "America/Los_Angeles"
mode = "advise"
[program.day]
kind = "community"
hours = [{ days = "Mon..Fri", from = "08:00", to = "16:00" }]
capacity = [{ calls = 1, effective = "..2025-12-31" }, { calls = 2, effective = "2026-01-01.." }]
legs = [{ channel = "a", accept_deadline_s = 60 }]
[program.east-team]
kind = "community"
crew = [{ members = ["a"], officer = true, effective = "..2025-12-31" }, { members = ["a"], effective = "2026-01-01.." }]
hours = [{ days = "Mon..Sun", from = "16:00", to = "04:00" }]
area = [{ zones = "east" }, { zones = "west", effective = "2025-11-09..2026-01-31" }]
legs = [{ channel = "a", accept_deadline_s = 60 }]
[program.line]
kind = "phone"
hours = [{ days = "Mon..Sun", from = "00:00", to = "24:00" }]
required = ["callback"]
legs = [{ channel = "a", accept_deadline_s = 60 }]
[program.pact]
kind = "co-response"
crew = [{ members = ["a", "b"], officer = true, effective = "..2026-01-31" }, { members = ["a"], officer = false, effective = "2026-02-01.." }]
hours = [{ days = "Mon..Sun", from = "06:00", to = "24:00" }]
units_of = "day"
legs = [{ channel = "a", accept_deadline_s = 60 }]
"#;

/// Facts with the cells that random rows draw from, and the values that random calls draw from.
const CHOICES: &[(&str, &[&str], &[&str])] = &[
    (
        "nature",
        &["noise", "noise, person-down", "not(theft)", "person-in-crisis, person-down"],
        &["noise", "person-down", "theft", "person-in-crisis", "fire"],
    ),
    (
        "weapon",
        &["not(none)", "present, used", "none, unknown", "not(present, used)", ">= access", "none"],
        &["none", "mentioned", "access", "present", "used"],
    ),
    ("violence", &["not(none)", "threat, physical", "< threat, unknown"], &["none", "verbal", "threat", "physical"]),
    (
        "age",
        &["<= 26", "[13..26]", ">= 18, unknown", "not(< 16)", "(12..19)", "40"],
        &["5", "13", "16", "18", "19", "26", "27", "40", "90"],
    ),
    (
        "call_type",
        &["25*", "25A*", "25A01, 17*", "not(25B*)", "not(25A01, unknown)"],
        &["25A01", "25A02", "25B01", "25", "17", "17D", "9"],
    ),
    (
        "zone",
        &["east", "not(west)", "west, outside", "city, unknown", "not(east, unknown)"],
        &["city,east", "city,west", "city,east,west", "outside", "east"],
    ),
    (
        "consent",
        &["given", "not(refused, withdrawn)", "given, unknown"],
        &["given", "not-sought", "refused", "withdrawn"],
    ),
    ("medical", &["not(none)", "none, minor, unknown"], &["none", "minor", "acute"]),
    ("callback", &["available", "not(none)"], &["available", "none"]),
    ("doubt", &["no, unknown"], &["no", "yes"]),
];
const PROGRAMS: [&str; 4] = ["day", "east-team", "line", "pact"];
/// What random exclusions bar that leave some programs: named, of a kind, without an officer.
const BARS: [&str; 4] = ["[\"day\"]", "[\"community\"]", "[\"unaccompanied\"]", "[\"line\", \"pact\"]"];
pub(super) const TIMES: [&str; 6] = [
    "2025-11-04T09:00",
    "2025-11-04T17:00",
    "2025-11-09T03:00",
    "2026-01-01T02:00",
    "2026-02-03T12:00",
    "2026-02-03T23:59",
];
const DATES: [&str; 4] = ["", "effective = \"2025-11-09..\"\n", "effective = \"..2025-11-04\"\n", ""];

fn cells(choice: &[(usize, usize)]) -> String {
    let mut used = BTreeSet::new();
    choice
        .iter()
        .filter(|(fact, _)| used.insert(fact % CHOICES.len()))
        .map(|(fact, cell)| {
            let (name, cells, _) = CHOICES[fact % CHOICES.len()];
            format!("{name} = \"{}\"\n", cells[cell % cells.len()])
        })
        .collect()
}

fn picks(most: usize) -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((0..CHOICES.len(), 0..8_usize), 0..most)
}

pub(super) fn policy_text() -> impl Strategy<Value = String> {
    let exclusion = (picks(3), 0..3 + BARS.len(), 0..4_usize);
    let rule = (picks(4), prop::collection::vec(0..4_usize, 1..4), -1..2_i64, 0..8_usize, 0..4_usize);
    let rows = (prop::collection::vec(exclusion, 0..5), prop::collection::vec(rule, 0..7), picks(3), 0..5_usize);
    rows.prop_map(|(exclusions, rules, when, target)| {
        let mut text = HEAD.to_owned();
        for (number, (choice, send, date)) in exclusions.iter().enumerate() {
            let what = match send {
                0 => "send = \"pact\"".to_owned(),
                1 | 2 => "send = \"ordinary\"".to_owned(),
                bars => format!("bars = {}", BARS[bars - 3]),
            };
            let (date, cells) = (DATES[*date], cells(choice));
            text += &format!("[[exclusion]]\nid = \"x{number}\"\nbecause = \"x\"\n{what}\n{date}{cells}");
        }
        for (number, (choice, send, rank, ask, date)) in rules.iter().enumerate() {
            let mut seen = BTreeSet::new();
            let chain: Vec<String> = send
                .iter()
                .filter(|place| seen.insert(**place))
                .map(|place| format!("\"{}\"", PROGRAMS[*place]))
                .collect();
            // One chain in eight begins with a tandem of its first two.
            let chain = match chain.as_slice() {
                [lead, other, rest @ ..] if *ask == 1 => {
                    [vec![format!("{{ tandem = [{lead}, {other}] }}")], rest.to_vec()].concat()
                }
                _ => chain,
            };
            let ask = if *ask == 0 { "ask = [\"consent\"]\n" } else { "" };
            text += &format!(
                "[[rule]]\nid = \"r{number}\"\nbecause = \"r\"\nrank = {rank}\nsend = [{}]\n{ask}{}{}",
                chain.join(", "),
                DATES[*date],
                cells(choice)
            );
        }
        let target = ["psr-none", "community", "any", "unaccompanied", "pact"][target].replace("psr-none", "line, day");
        let when = cells(&when).trim().replace('\n', ", ");
        format!("{text}[[safeguard]]\nid = \"s\"\nnever = {{ send = \"{target}\", when = {{ {when} }} }}\n")
    })
}

pub(super) fn call() -> impl Strategy<Value = (Facts, usize, u32)> {
    (prop::collection::vec(0..14_usize, CHOICES.len()), 0..TIMES.len(), 0..3_u32).prop_map(|(values, time, load)| {
        let known = CHOICES.iter().zip(values).filter_map(|((name, _, list), value)| Some((*name, *list.get(value)?)));
        (facts(&known.collect::<Vec<_>>()), time, load)
    })
}

/// A cell against a call, from the text's meaning alone.
fn accepts(written: &Written, cell: &Cell, facts: &Facts) -> bool {
    let fact = &written.sources.vocabulary.facts()[cell.fact];
    let Some(value) = facts.value(&fact.name) else {
        return cell.unknown != cell.negated;
    };
    let values = fact.values();
    let place = |word: &str| values.iter().position(|known| known == word).unwrap();
    let listed = cell.tests.iter().any(|test| match (test, &fact.domain) {
        // East and west are parts of the city, whether a call says so or not.
        (Test::Word(wanted), Domain::Zones { .. }) => value
            .split(',')
            .any(|zone| place(zone) == *wanted || (["east", "west"].contains(&zone) && place("city") == *wanted)),
        (Test::Word(wanted), _) => place(value) == *wanted,
        (Test::Between(least, most), _) => (*least..=*most).contains(&value.parse::<i64>().unwrap()),
        (Test::Code(code), _) => value == code,
        (Test::Prefix(stem), _) => value.starts_with(stem.as_str()),
    });
    listed != cell.negated
}

fn holds(written: &Written, row: &Row, facts: &Facts, date: Date) -> bool {
    row.effective.holds(date) && row.cells.iter().all(|cell| accepts(written, cell, facts))
}

/// True where some answer to one unknown fact would make the row not hold.
fn for_want_of(written: &Written, row: &Row, facts: &Facts) -> bool {
    row.cells.iter().any(|cell| {
        let fact = &written.sources.vocabulary.facts()[cell.fact];
        let candidates: Vec<String> = match &fact.domain {
            Domain::Number { min, max } => (*min..=*max).map(|number| number.to_string()).collect(),
            Domain::Code => CHOICES
                .iter()
                .find(|(name, ..)| *name == fact.name)
                .unwrap()
                .2
                .iter()
                .map(|code| (*code).to_owned())
                .collect(),
            _ => fact.values(),
        };
        fact.askable
            && facts.value(&fact.name).is_none()
            && candidates
                .iter()
                .any(|value| !accepts(written, cell, &facts.clone().with(&fact.name, value, Source::Answer)))
    })
}

struct Slow<'a> {
    written: &'a Written,
    rows: &'a [Row],
    facts: &'a Facts,
    at: Timestamp,
    load: u32,
}

impl Slow<'_> {
    fn date(&self) -> Date {
        self.written.time_zone.to_datetime(self.at).date()
    }

    /// True where one of these exclusions bars a program that comes so.
    fn bars(&self, rows: &[&Row], place: usize, accompanied: bool) -> bool {
        let id = self.written.programs[place].id.as_str();
        rows.iter().any(|row| match &row.kind {
            RowKind::Exclusion(Bars::Some(barred)) => {
                let named = (0..PROGRAMS.len()).filter(|other| barred.programs & (1 << other) != 0);
                let named: Vec<&str> = named.map(|other| self.written.programs[other].id.as_str()).collect();
                named.contains(&id) || (barred.unaccompanied && !accompanied)
            }
            _ => false,
        })
    }

    fn local(&self) -> jiff::civil::DateTime {
        self.written.time_zone.to_datetime(self.at)
    }

    /// The day on which the shift began that a program is on; `None` where it is on none.
    fn began(&self, place: usize) -> Option<Date> {
        let program = &self.written.programs[place];
        let local = self.local();
        let minute = u16::try_from(local.hour()).unwrap() * 60 + u16::try_from(local.minute()).unwrap();
        let shift = &program.shifts[0];
        let weekday = |date: Date| shift.days[usize::from(date.weekday().to_monday_zero_offset().unsigned_abs())];
        let yesterday = local.date().yesterday().unwrap();
        let overnight = shift.to_min <= shift.from_min;
        if weekday(local.date()) && minute >= shift.from_min && (overnight || minute < shift.to_min) {
            Some(local.date())
        } else if overnight && weekday(yesterday) && minute < shift.to_min {
            Some(yesterday)
        } else {
            None
        }
    }

    fn is_accompanied(&self, place: usize) -> bool {
        let day = self.began(place).unwrap_or(self.local().date());
        match self.written.programs[place].id.as_str() {
            "pact" => day < jiff::civil::date(2026, 2, 1),
            "east-team" => day < jiff::civil::date(2026, 1, 1),
            _ => false,
        }
    }

    fn program(&self, place: usize, held: &[&Row]) -> Result<(), &'static str> {
        let program = &self.written.programs[place];
        let (local, began, accompanied) = (self.local(), self.began(place), self.is_accompanied(place));
        let (soft, hard): (Vec<&Row>, Vec<&Row>) =
            held.iter().partition(|row| for_want_of(self.written, row, self.facts));
        if self.bars(&hard, place, accompanied) {
            return Err("barred");
        }
        let zone = self.facts.value("zone");
        let west = (jiff::civil::date(2025, 11, 9)..=jiff::civil::date(2026, 1, 31)).contains(&local.date());
        let served = |zone: &str| zone == "east" || (zone == "west" && west);
        if program.area.is_some() && zone.is_some_and(|zone| !zone.split(',').any(served)) {
            return Err("area");
        }
        if began.is_none() {
            return Err("hours");
        }
        let capacity = match (program.id.as_str(), local.date() < jiff::civil::date(2026, 1, 1)) {
            ("day" | "pact", true) => 1,
            ("day" | "pact", false) => 2,
            _ => u32::MAX,
        };
        if self.load >= capacity {
            return Err("unit");
        }
        if program.id.as_str() == "line" && self.facts.value("callback") == Some("none") {
            return Err("absent");
        }
        let lacks = (program.area.is_some() && zone.is_none())
            || (program.id.as_str() == "line" && self.facts.value("callback").is_none());
        if lacks || self.bars(&soft, place, accompanied) { Err("missing") } else { Ok(()) }
    }

    /// The answer as a word: the row that decides and the program, or why not.
    fn way(&self) -> String {
        let held: Vec<&Row> =
            self.rows.iter().filter(|row| holds(self.written, row, self.facts, self.date())).collect();
        let soft = |row: &Row| for_want_of(self.written, row, self.facts);
        let exclusions = |wanted: &dyn Fn(&Bars) -> bool| {
            let mut found: Vec<&Row> = held
                .iter()
                .copied()
                .filter(|row| matches!(&row.kind, RowKind::Exclusion(bars) if wanted(bars)))
                .collect();
            // Built-in rows stand in their own order, before the authored ones in order of id.
            found.sort_by_key(|row| if row.line > 0 { row.id.clone() } else { String::new() });
            found
        };
        let ordinary = exclusions(&|bars| *bars == Bars::All);
        if let Some(row) = ordinary.iter().find(|row| !soft(row)) {
            return format!("excluded {}", row.id);
        }
        let pact = exclusions(&|bars| matches!(bars, Bars::AllBut(_)));
        let certain = pact.iter().find(|row| !soft(row));
        if !ordinary.is_empty() || (certain.is_none() && !pact.is_empty()) {
            return "unsure".to_owned();
        }
        let some = exclusions(&|bars| matches!(bars, Bars::Some(_)));
        if let Some(row) = certain {
            return self.to_pact(row, &some);
        }
        let mut rules: Vec<&Row> =
            held.iter().copied().filter(|row| matches!(row.kind, RowKind::Rule { .. })).collect();
        rules.sort_by(|one, other| (rank(other), &one.id).cmp(&(rank(one), &other.id)));
        let alone = |row: &&Row| matches!(&row.kind, RowKind::Exclusion(Bars::Some(bars)) if bars.unaccompanied);
        let reason = some.iter().copied().find(|row| alone(row) && !soft(row));
        self.by_rules(&rules, &some, reason)
    }

    fn to_pact(&self, row: &Row, held: &[&Row]) -> String {
        let named: Vec<usize> = row.cells.iter().map(|cell| cell.fact).collect();
        let covered = self.rows.iter().any(|rule| {
            matches!(rule.kind, RowKind::Rule { .. })
                && rule.effective.holds(self.date())
                && rule.cells.iter().all(|cell| named.contains(&cell.fact) || accepts(self.written, cell, self.facts))
        });
        let pact = self.written.programs.iter().position(|program| program.id.as_str() == "pact").unwrap();
        let accompanied = self.is_accompanied(pact);
        // Without its officer it is not what the exclusion sends to, whoever else is barred.
        let can = self.program(pact, if accompanied { held } else { &[] });
        match (covered, can.and(if accompanied { Ok(()) } else { Err("unit") })) {
            (false, _) => format!("excluded {}", row.id),
            (true, Ok(())) => format!("go {} pact", row.id),
            (true, Err("missing")) => "ask".to_owned(),
            (true, Err("barred")) => "barred".to_owned(),
            (true, Err(why)) => format!("nobody {why}"),
        }
    }

    fn by_rules(&self, rules: &[&Row], held: &[&Row], reason: Option<&Row>) -> String {
        const NEAREST: [&str; 7] =
            ["ask", "nobody unit", "nobody hours", "nobody area", "nobody absent", "barred", "none"];
        let mut best = NEAREST.len() - 1;
        let mut last = None;
        for rule in rules {
            if last == Some(rank(rule)) {
                continue;
            }
            last = Some(rank(rule));
            let asks = |rule: &&&Row| matches!(&rule.kind, RowKind::Rule { ask, .. } if !ask.is_empty());
            let alike: Vec<_> = rules.iter().filter(|other| rank(other) == rank(rule)).filter(asks).collect();
            if !alike.is_empty() && self.facts.value("consent").is_none() {
                return format!("ask {}", rule.id);
            }
            let RowKind::Rule { send, .. } = &rule.kind else { continue };
            for step in send {
                let can: Vec<_> = step.programs.iter().map(|place| (*place, self.program(*place, held))).collect();
                let first = match step.form {
                    StepForm::AnyOf => can.iter().find(|(_, can)| can.is_ok()),
                    StepForm::AllOf => can.first().filter(|_| can.iter().all(|(_, can)| can.is_ok())),
                    StepForm::ReferredBy(_) => continue,
                };
                if let Some((place, _)) = first {
                    return format!("go {} {}", rule.id, self.written.programs[*place].id);
                }
                for near in can.iter().filter_map(|(_, can)| can.err()) {
                    best = best.min(match near {
                        "missing" => 0,
                        "unit" => 1,
                        "hours" => 2,
                        "area" => 3,
                        "absent" => 4,
                        _ => 5,
                    });
                }
            }
        }
        match (NEAREST[best], reason) {
            ("none", Some(row)) => format!("excluded {}", row.id),
            ("ask", _) => "ask".to_owned(),
            (word, _) => word.to_owned(),
        }
    }
}

fn spelt(compiled: &Compiled, way: Way) -> String {
    let id = |row: usize| compiled.table.id(row);
    match way {
        Way::Excluded(row) => format!("excluded {}", id(row)),
        Way::Unsure => "unsure".to_owned(),
        Way::NoRule => "none".to_owned(),
        Way::Ask(row) => format!("ask {}", id(row)),
        Way::Barred { .. } => "barred".to_owned(),
        Way::Nobody { why, .. } => {
            let why = match why {
                crate::policy::route::Can::OutOfHours => "hours",
                crate::policy::route::Can::OutOfArea => "area",
                crate::policy::route::Can::NoUnit => "unit",
                crate::policy::route::Can::Absent(_) => "absent",
                other => return format!("{other:?}"),
            };
            format!("nobody {why}")
        }
        Way::Go { row, program, .. } => format!("go {} {}", id(row), compiled.programs[program].id),
    }
}

/// Where a decision sends, every leg of it must be allowed, and its words must be there.
fn check_decision(compiled: &Compiled, decision: &Decision, facts: &Facts) {
    assert!(!decision.reasons.is_empty());
    assert_eq!(decision.status == Status::Eligible, decision.route != Route::Ordinary, "{decision:?}");
    assert_eq!(decision.steps.is_empty(), decision.route == Route::Ordinary);
    assert_eq!(decision.options.len(), compiled.programs.len());
    let dangers = [
        ("weapon", &["present", "used"][..]),
        ("violence", &["physical"]),
        ("medical", &["acute"]),
        ("consent", &["refused", "withdrawn"]),
        ("doubt", &["yes"]),
    ];
    let danger = dangers.iter().any(|(fact, values)| facts.value(fact).is_some_and(|value| values.contains(&value)));
    for leg in decision.steps.iter().flat_map(|step| &step.legs) {
        assert!(!(danger && leg.kind.unaccompanied()), "{decision:?}");
        assert_ne!(facts.value("doubt"), Some("yes"));
    }
    for question in &decision.questions {
        assert_eq!(question.values.len(), question.opens.len());
        assert!(question.fact == "doubt" || facts.value(&question.fact).is_none());
    }
    if decision.status == Status::NeedsAnswer {
        assert!(!decision.questions.is_empty(), "{decision:?}");
    }
}

/// Every call in columns, at every instant, is answered as it is alone, and counted once.
fn batch_agrees(compiled: &Compiled, calls: &[(Facts, usize, u32)]) {
    let gap = |fact: &str, why: &str| Gap { fact: fact.to_owned(), why: why.to_owned() };
    let profiles: Vec<Profile> = calls
        .iter()
        .map(|(facts, time, load)| {
            let gaps = [gap("nature", "call-type-not-in-table"), gap("priority", "value-out-of-domain")];
            let gaps = gaps.into_iter().filter(|gap| *load == 2 && (*time == 0) == (gap.fact == "nature"));
            // One that bars nothing, whatever is known of its fact.
            let gaps = gaps.chain((*load == 1).then(|| gap("setting", "location-outside-every-zone")));
            let facts =
                if *time == 1 { facts.clone().with("nature", "unknown", Source::Answer) } else { facts.clone() };
            Profile { facts, gaps: gaps.collect() }
        })
        .collect();
    let rows: Vec<(u32, Timestamp)> = (0..u32::try_from(calls.len()).unwrap())
        .flat_map(|profile| TIMES.map(|time| (profile, at(time))))
        .rev()
        .collect();
    let columns = Calls::new(&profiles, &rows).unwrap();
    assert_eq!(columns.len(), rows.len());
    let availability = Availability::default();
    let mut seen = BTreeSet::new();
    let mut status: BTreeMap<&str, u64> = BTreeMap::new();
    compiled.what_if_each(&columns, &availability, |number, _, answer| {
        let (profile, at) = rows[number];
        let profile = &profiles[profile as usize];
        assert_eq!(answer, compiled.answer(&compiled.read(&profile.facts, &profile.gaps), at, &availability));
        *status.entry(answer.status.name()).or_default() += 1;
        assert!(seen.insert(number));
    });
    assert_eq!(seen.len(), rows.len());
    let tally = compiled.what_if(&columns, &availability);
    assert_eq!((tally.calls, tally.status), (rows.len() as u64, status));
    assert_eq!(tally.hour.values().flat_map(BTreeMap::values).sum::<u64>(), tally.calls);
    assert_eq!(tally.route.values().sum::<u64>(), tally.calls);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]
    #[test]
    fn the_table_says_what_the_text_says(text in policy_text(), calls in prop::collection::vec(call(), 16)) {
        let with_text = files(&format!("{text}\n[zone.city]\nzones = [\"east\", \"west\"]\n"));
        let written = read(&with_text).unwrap_or_else(|faults| panic!("{}\n{text}", told(&PolicyFaults(faults))));
        let again = read(&with_text).unwrap();
        let safeguards = written.safeguards.clone();
        let compiled = Compiled::build(written, String::new()).unwrap();
        let proofs = compiled.proofs(&safeguards);
        prop_assert!(proofs.iter().take(7).all(Proof::holds), "{:?}", proofs);
        let Promise::Never(targets) = &safeguards[0].promise else { unreachable!() };
        batch_agrees(&compiled, &calls);
        for (facts, time, load) in calls {
            let at = at(TIMES[time]);
            let mut availability = Availability::default();
            availability.load.insert(ProgramId::new("day"), load);
            let moment = compiled.moment(at, &availability);
            let call = compiled.table.code(&facts);
            let way = compiled.verdict(&call, &moment).way;
            let slow = Slow { written: &again, rows: &compiled.table.rows, facts: &facts, at, load };
            let expected = slow.way();
            let found = spelt(&compiled, way);
            // Which row is named where only an answer is missing is a matter of taste.
            let same = found == expected || (expected == "ask" && found.starts_with("ask"));
            prop_assert!(same, "{found} instead of {expected}: {facts:?} at {} {text}", TIMES[time]);

            let decision = compiled.decide(&facts, &[], at, &availability);
            let answer = compiled.answer(&compiled.read(&facts, &[]), at, &availability);
            prop_assert_eq!(answer.status.name(), decision.status.name());
            prop_assert_eq!(answer.because, decision.status.because());
            prop_assert_eq!(answer.program.map_or("ordinary", ProgramId::as_str), decision.route.name());
            prop_assert_eq!(answer.rule, decision.rule.as_deref());
            prop_assert_eq!(compiled.reachable(&call, &moment), compiled.reachable_by_cuts(&call, &moment));
            check_decision(&compiled, &decision, &facts);
            let promised = safeguards[0].when.iter().all(|cell| accepts(&again, cell, &facts));
            for leg in decision.steps.iter().flat_map(|step| &step.legs).filter(|_| promised) {
                let forbidden = targets.iter().any(|target| match target {
                    SendTarget::Any => true,
                    SendTarget::Unaccompanied => leg.kind.unaccompanied(),
                    SendTarget::Kind(kind) => compiled.programs.iter().any(|program| program.id == leg.program && program.kind == *kind),
                    SendTarget::Program(place) => compiled.programs[*place].id == leg.program,
                });
                prop_assert!(!(forbidden && proofs[7].holds()), "proved and broken: {decision:?} {text}");
            }
        }
    }
}

/// A hundred thousand pairs of policy and call: the table and the slow evaluator go the same way on every one.
#[test]
fn the_table_goes_where_the_slow_evaluator_goes_on_a_hundred_thousand_pairs() {
    const POLICIES: u32 = 128;
    const CALLS: usize = 800;
    let pairs = std::cell::Cell::new(0_usize);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(POLICIES));
    let strategy = (policy_text(), any::<u64>());
    let outcome = runner.run(&strategy, |(text, seed)| {
        let with_text = files(&format!("{text}\n[zone.city]\nzones = [\"east\", \"west\"]\n"));
        let again = read(&with_text).unwrap();
        let compiled = Compiled::build(read(&with_text).unwrap(), String::new()).unwrap();
        let mut numbers = seed;
        let mut below = |bound: usize| {
            // Knuth's MMIX generator: its upper bits are good enough to choose among a few values.
            numbers = numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(numbers >> 33).unwrap() % bound
        };
        for _ in 0..CALLS {
            let mut known = Facts::default();
            for (name, _, list) in CHOICES {
                if let Some(value) = list.get(below(list.len() * 2)) {
                    known = known.with(name, value, Source::Structured);
                }
            }
            let (time, load) = (TIMES[below(TIMES.len())], u32::try_from(below(3)).unwrap());
            let mut availability = Availability::default();
            availability.load.insert(ProgramId::new("day"), load);
            let at = at(time);
            let way = compiled.verdict(&compiled.table.code(&known), &compiled.moment(at, &availability)).way;
            let slow = Slow { written: &again, rows: &compiled.table.rows, facts: &known, at, load };
            let (found, expected) = (spelt(&compiled, way), slow.way());
            let same = found == expected || (expected == "ask" && found.starts_with("ask"));
            prop_assert!(same, "{} instead of {}: {:?} at {} {}", found, expected, known, time, text);
            pairs.set(pairs.get() + 1);
        }
        Ok(())
    });
    outcome.unwrap();
    println!("{} pairs of a random policy and a random call", pairs.get());
    assert!(pairs.get() >= 100_000);
}
