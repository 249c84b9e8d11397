//! A made city: its policy, of as many rows as wanted, and its calls, the same on every machine. Shared by the benches.
//!
//! The policy is data before it is text, so that others can be given the same one. The zone has no daylight-saving time, so
//! that the time of day is plain arithmetic for them too.

#![allow(dead_code, reason = "each bench uses a part of it")]

/// Seconds that the city's clocks are behind UTC (America/Phoenix, all year).
pub const BEHIND_UTC_S: i64 = 7 * 3_600;
/// 2026-01-01T00:00:00Z, a Thursday.
const YEAR_START_S: i64 = 1_767_225_600;
const YEAR_S: i64 = 365 * 86_400;

/// What a cell asks of its fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// This value (a zone: the call is in it).
    Word(String),
    /// A code that begins so.
    Prefix(String),
    /// A number between both, both included.
    Between(i64, i64),
}

/// One cell: any of the tests, or `unknown`; or none of them where negated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    pub fact: &'static str,
    pub negated: bool,
    pub unknown: bool,
    pub tests: Vec<Test>,
}

/// An exclusion: it holds where all its cells do, and then the call takes the ordinary route.
#[derive(Debug, Clone)]
pub struct Exclusion {
    pub id: String,
    pub cells: Vec<Cell>,
}

/// A rule; of those that hold the one of the highest rank whose chain has a program that can take the call decides.
#[derive(Debug, Clone)]
pub struct Rule {
    pub id: String,
    pub cells: Vec<Cell>,
    pub rank: usize,
    /// Programs in the order in which they are tried.
    pub send: Vec<String>,
}

/// A program: the days and minutes in which it takes calls, and where.
#[derive(Debug, Clone)]
pub struct Program {
    pub id: String,
    pub kind: &'static str,
    /// Monday first.
    pub days: [bool; 7],
    /// Minutes after midnight; where `to_min` is not after `from_min` the shift ends on the next day.
    pub from_min: u32,
    pub to_min: u32,
    /// Zones; every place where empty.
    pub area: Vec<String>,
}

/// A policy as data.
#[derive(Debug, Clone)]
pub struct Policy {
    pub zones: Vec<String>,
    pub programs: Vec<Program>,
    pub exclusions: Vec<Exclusion>,
    pub rules: Vec<Rule>,
}

/// A call: what is known of it, and when it came (seconds since 1970, UTC).
#[derive(Debug, Clone)]
pub struct Call {
    pub facts: Vec<(&'static str, String)>,
    pub at_s: i64,
}

impl Call {
    /// The value of a fact, `None` where unknown.
    pub fn value(&self, fact: &str) -> Option<&str> {
        self.facts.iter().find(|(name, _)| *name == fact).map(|(_, value)| value.as_str())
    }

    /// Weekday, Monday 0, and minute of the day by the city's clocks.
    pub fn local(&self) -> (usize, u32) {
        let local = self.at_s - BEHIND_UTC_S;
        // 1970-01-01 was a Thursday.
        let weekday = (local.div_euclid(86_400) + 3).rem_euclid(7);
        (weekday as usize, (local.rem_euclid(86_400) / 60) as u32)
    }
}

fn cell(fact: &'static str, text: &str) -> Cell {
    let (negated, inner) = match text.strip_prefix("not(") {
        Some(inner) => (true, inner.trim_end_matches(')')),
        None => (false, text),
    };
    let mut cell = Cell { fact, negated, unknown: false, tests: Vec::new() };
    for part in inner.split(',').map(str::trim) {
        let number = |text: &str| text.trim().parse::<i64>().expect("a number");
        if part == "unknown" {
            cell.unknown = true;
        } else if let Some(stem) = part.strip_suffix('*') {
            cell.tests.push(Test::Prefix(stem.to_owned()));
        } else if let Some((least, most)) = part.split_once("..") {
            cell.tests.push(Test::Between(number(least), number(most)));
        } else {
            cell.tests.push(Test::Word(part.to_owned()));
        }
    }
    cell
}

fn cells(texts: &[(&'static str, &str)]) -> Vec<Cell> {
    texts.iter().map(|(fact, text)| cell(fact, text)).collect()
}

/// What bars every call, in the manner of the published programs.
const EXCLUSIONS: &[&[(&str, &str)]] = &[
    &[("nature", "structure-fire, fire, fire-alarm, gas-leak, hazardous-material, rescue, water-rescue")],
    &[("nature", "medical-emergency, overdose, death")],
    &[("nature", "assault, sexual-assault, weapon-incident, shooting, stabbing, robbery, burglary, homicide")],
    &[("nature", "domestic-violence, abduction, hostage-or-barricade, bomb-or-terror, pursuit")],
    &[("weapon", "present, used")],
    &[("weapon", "access, unknown"), ("nature", "suicidal-person, interpersonal-dispute, disturbance")],
    &[("violence", "physical")],
    &[("violence", "threat, unknown"), ("nature", "not(welfare-check, needs-shelter, needs-transport, person-down)")],
    &[("self_harm", "means, attempt")],
    &[("self_harm", "plan, unknown"), ("nature", "suicidal-person")],
    &[("medical", "acute")],
    &[("medical", "minor, unknown"), ("nature", "person-down, intoxicated-person")],
    &[("crime", "in-progress")],
    &[("crime", "past"), ("caller", "second-party"), ("nature", "unwanted-person, trespass")],
    &[("age", "0..11")],
    &[("age", "12..15"), ("setting", "not(school, private-residence)")],
    &[("setting", "height, roadway")],
    &[("setting", "vehicle"), ("nature", "intoxicated-person, suspicious-person")],
    &[("on_scene", "police, fire, several")],
    &[("on_scene", "ems"), ("nature", "not(person-in-crisis, youth-crisis)")],
    &[("priority", "9..10")],
    &[("priority", "7..8"), ("nature", "disturbance, suspicious-person, indecent-exposure")],
    &[("call_type", "25D*, 25E*")],
    &[("call_type", "23C*, 23D*, 23E*")],
    &[("call_type", "101D*, 106D*, 110D*"), ("weapon", "not(none)")],
    &[("call_type", "129C*"), ("violence", "not(none, verbal)")],
    &[("consent", "refused, withdrawn")],
    &[("caller", "anonymous"), ("nature", "suspicious-person, drug-activity")],
    &[("already_notified", "fire, ems")],
    &[("prefers", "police"), ("consent", "not(given)")],
];

/// What a rule asks of a call beside its district; varied from district to district.
const RULES: &[&[(&str, &str)]] = &[
    &[("nature", "welfare-check"), ("setting", "outdoors, public-indoor"), ("weapon", "none, mentioned, unknown")],
    &[("nature", "person-down"), ("checked", "no"), ("medical", "none"), ("age", "18..130, unknown")],
    &[
        ("nature", "person-in-crisis"),
        ("weapon", "none"),
        ("violence", "none, verbal"),
        ("self_harm", "none, ideation"),
    ],
    &[("nature", "intoxicated-person"), ("violence", "none"), ("medical", "none"), ("setting", "not(vehicle)")],
    &[("nature", "needs-shelter, needs-transport"), ("weapon", "not(present, used)")],
    &[("nature", "unwanted-person, loitering, panhandling"), ("violence", "none, verbal"), ("crime", "none")],
    &[("nature", "youth-crisis"), ("age", "12..24"), ("weapon", "none"), ("violence", "not(physical, unknown)")],
    &[("nature", "suicidal-person"), ("self_harm", "none, ideation"), ("weapon", "none"), ("callback", "available")],
    &[("nature", "encampment, drug-paraphernalia, blocked-egress"), ("crime", "none, unknown")],
    &[("nature", "neighbour-dispute, noise"), ("violence", "none"), ("caller", "first-party, third-party")],
    &[("call_type", "25A*, 25B*"), ("weapon", "none"), ("violence", "none, verbal"), ("priority", "0..6, unknown")],
    &[("call_type", "32B*, 121A*"), ("checked", "no, unknown"), ("setting", "not(roadway, height)")],
    &[
        ("nature", "person-yelling"),
        ("setting", "outdoors"),
        ("weapon", "not(present, used)"),
        ("age", "18..130, unknown"),
    ],
    &[("nature", "needs-referral, public-assistance"), ("housing", "precarious, sheltered, unsheltered, unknown")],
];

/// The policy of a city with as many rows as wanted, the built-in ones not counted; at least a hundred.
pub fn policy(rows: usize) -> Policy {
    let wanted = rows - EXCLUSIONS.len();
    let districts = wanted.div_ceil(RULES.len());
    let zones: Vec<String> = (0..districts).map(|district| format!("district-{district:02}")).collect();
    let exclusions = EXCLUSIONS
        .iter()
        .enumerate()
        .map(|(number, texts)| Exclusion { id: format!("x{number:02}"), cells: cells(texts) })
        .collect();
    let mut rules = Vec::new();
    for number in 0..wanted {
        let (district, form) = (number / RULES.len(), number % RULES.len());
        let mut cells = cells(RULES[form]);
        cells.push(cell("zone", &zones[district]));
        // Every third district also asks whom the caller prefers, or for how long nobody has been there.
        match district % 3 {
            1 => cells.push(cell("prefers", "not(police)")),
            2 => cells.push(cell("on_scene", "none, community, clinician, unknown")),
            _ => {}
        }
        let team = format!("team-{:02}", district % TEAMS);
        let mut send = match form {
            6 => vec!["youth".to_owned(), team],
            7 => vec!["line-988".to_owned()],
            9 => vec!["call-back".to_owned()],
            13 => vec!["line-211".to_owned()],
            _ => vec![team],
        };
        if form % 2 == 0 && form != 6 {
            send.push("line-211".to_owned());
        }
        rules.push(Rule { id: format!("r{number:04}"), cells, rank: wanted - number, send });
    }
    Policy { programs: programs(&zones), zones, exclusions, rules }
}

const TEAMS: usize = 12;

fn programs(zones: &[String]) -> Vec<Program> {
    let mut programs: Vec<Program> = (0..TEAMS.min(zones.len()))
        .map(|team| Program {
            id: format!("team-{team:02}"),
            kind: "community",
            days: std::array::from_fn(|day| team % 3 != 2 || day < 6),
            from_min: 60 * [6, 8, 10, 16][team % 4],
            to_min: 60 * [22, 24, 2, 4][team % 4],
            area: zones.iter().skip(team).step_by(TEAMS).cloned().collect(),
        })
        .collect();
    let everywhere = |id: &str, kind, from_min, to_min| Program {
        id: id.to_owned(),
        kind,
        days: [true; 7],
        from_min,
        to_min,
        area: Vec::new(),
    };
    programs.extend([
        everywhere("youth", "community", 14 * 60, 60),
        everywhere("line-211", "phone", 7 * 60, 23 * 60),
        everywhere("line-988", "phone", 0, 24 * 60),
        Program {
            days: [true, true, true, true, true, false, false],
            ..everywhere("call-back", "liaison", 9 * 60, 17 * 60)
        },
    ]);
    programs
}

impl Cell {
    /// As the policy language writes it.
    pub fn text(&self) -> String {
        let mut parts: Vec<String> = self
            .tests
            .iter()
            .map(|test| match test {
                Test::Word(word) => word.clone(),
                Test::Prefix(stem) => format!("{stem}*"),
                Test::Between(least, most) => format!("[{least}..{most}]"),
            })
            .collect();
        if self.unknown {
            parts.push("unknown".to_owned());
        }
        let inner = parts.join(", ");
        if self.negated { format!("not({inner})") } else { inner }
    }
}

impl Policy {
    /// The text of its `policy.toml`.
    pub fn toml(&self) -> String {
        let mut text = "[policy]\nid = \"generated\"\ntitle = \"A made city\"\nrevision = \"1\"\n\
                        time_zone = \"America/Phoenix\"\nmode = \"advise\"\n"
            .to_owned();
        for (number, zone) in self.zones.iter().enumerate() {
            text += &format!("[zone.{zone}]\nbeats = [\"B{number}\"]\n");
        }
        let clock = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        for program in &self.programs {
            let days: Vec<&str> = DAYS.iter().zip(program.days).filter(|(_, on)| *on).map(|(day, _)| *day).collect();
            text += &format!(
                "[program.{}]\nkind = \"{}\"\nhours = [{{ days = \"{}\", from = \"{}\", to = \"{}\" }}]\n\
                 legs = [{{ channel = \"webhook\", accept_deadline_s = 90, attempts = 2 }}]\n",
                program.id,
                program.kind,
                days.join(", "),
                clock(program.from_min),
                clock(program.to_min),
            );
            if !program.area.is_empty() {
                text += &format!("area = \"{}\"\n", program.area.join(", "));
            }
        }
        let cells = |cells: &[Cell]| -> String {
            cells.iter().map(|cell| format!("{} = \"{}\"\n", cell.fact, cell.text())).collect()
        };
        for exclusion in &self.exclusions {
            text += &format!(
                "[[exclusion]]\nid = \"{}\"\nbecause = \"this is a call for police, fire or ambulance\"\nsend = \"ordinary\"\n{}",
                exclusion.id,
                cells(&exclusion.cells)
            );
        }
        for rule in &self.rules {
            let send: Vec<String> = rule.send.iter().map(|program| format!("\"{program}\"")).collect();
            text += &format!(
                "[[rule]]\nid = \"{}\"\nbecause = \"a community team may take this call\"\nrank = {}\nsend = [{}]\n{}",
                rule.id,
                rule.rank,
                send.join(", "),
                cells(&rule.cells)
            );
        }
        text
    }
}

/// Numbers that look random and are the same everywhere (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// A fact, how often of a hundred calls it is known, and its values, the more frequent ones more often.
const KNOWN: &[(&str, usize, &[&str])] = &[
    ("weapon", 70, &["none", "none", "none", "none", "none", "none", "none", "mentioned", "access", "present", "used"]),
    ("violence", 70, &["none", "none", "none", "none", "none", "none", "verbal", "verbal", "threat", "physical"]),
    ("self_harm", 45, &["none", "none", "none", "none", "none", "ideation", "ideation", "plan", "means"]),
    ("medical", 60, &["none", "none", "none", "none", "none", "minor", "acute"]),
    ("crime", 55, &["none", "none", "none", "none", "none", "past", "in-progress"]),
    (
        "setting",
        85,
        &["outdoors", "outdoors", "public-indoor", "private-residence", "private-residence", "vehicle", "roadway"],
    ),
    ("checked", 35, &["yes", "no", "no"]),
    ("consent", 30, &["given", "given", "not-sought", "refused"]),
    ("prefers", 20, &["community", "community", "police", "none"]),
    ("caller", 80, &["first-party", "second-party", "third-party", "third-party", "agency", "anonymous"]),
    ("callback", 90, &["available", "available", "available", "none"]),
    ("already_notified", 25, &["none", "none", "none", "none", "police", "ems"]),
    ("on_scene", 30, &["none", "none", "none", "none", "community", "police", "ems"]),
    ("housing", 25, &["housed", "precarious", "unsheltered", "unsheltered"]),
];

/// Nature with the call types that a CAD writes for it.
const NATURES: &[(&str, &[&str])] = &[
    ("welfare-check", &["WELFARE", "121A01", "32B02"]),
    ("welfare-check", &["WELFARE", "121A02"]),
    ("person-in-crisis", &["25A01", "25B03", "25D02", "MENTAL"]),
    ("person-in-crisis", &["25A02", "25B06"]),
    ("suicidal-person", &["25D01", "25E01", "25B03"]),
    ("youth-crisis", &["25A01", "YOUTH"]),
    ("person-down", &["32B01", "DOWN"]),
    ("intoxicated-person", &["INTOX", "23C02"]),
    ("needs-shelter", &["OUTREACH"]),
    ("needs-transport", &["OUTREACH"]),
    ("needs-referral", &["INFO", "OUTREACH"]),
    ("unwanted-person", &["129C01", "129B01", "UNWANTED"]),
    ("loitering", &["LOITER"]),
    ("encampment", &["CAMP"]),
    ("drug-paraphernalia", &["NEEDLE"]),
    ("neighbour-dispute", &["DISPUTE", "114B01"]),
    ("noise", &["NOISE"]),
    ("person-yelling", &["YELL"]),
    ("disturbance", &["113B01", "DISTURB"]),
    ("suspicious-person", &["129C03", "SUSP"]),
    ("interpersonal-dispute", &["114C01"]),
    ("assault", &["106D01", "106B01"]),
    ("theft", &["130B01"]),
    ("traffic-collision", &["77D01", "29B01"]),
    ("medical-emergency", &["6D01", "10D02"]),
    ("structure-fire", &["69D05"]),
    ("trespass", &["133B01"]),
    ("public-assistance", &["ASSIST"]),
];

/// Calls of 2026 to the city of this policy.
pub fn calls(policy: &Policy, count: usize) -> Vec<Call> {
    let mut numbers = Numbers(2026);
    (0..count).map(|_| call(policy, &mut numbers)).collect()
}

fn call(policy: &Policy, numbers: &mut Numbers) -> Call {
    let mut facts: Vec<(&'static str, String)> = Vec::with_capacity(20);
    // One call in fifty has no call type that the policy knows.
    if numbers.below(50) != 0 {
        let (nature, types) = NATURES[numbers.below(NATURES.len())];
        facts.push(("nature", nature.to_owned()));
        facts.push(("call_type", types[numbers.below(types.len())].to_owned()));
    }
    facts.push(("priority", numbers.below(11).to_string()));
    match numbers.below(25) {
        0 => {}
        1 => facts.push(("zone", "outside".to_owned())),
        _ => facts.push(("zone", policy.zones[numbers.below(policy.zones.len())].clone())),
    }
    for (fact, often, values) in KNOWN {
        if numbers.below(100) < *often {
            facts.push((fact, values[numbers.below(values.len())].to_owned()));
        }
    }
    if numbers.below(100) < 65 {
        facts.push(("age", (8 + numbers.below(80)).to_string()));
    }
    if numbers.below(200) == 0 {
        facts.push(("doubt", "yes".to_owned()));
    }
    let second = numbers.below(YEAR_S as usize) as i64;
    Call { facts, at_s: YEAR_START_S + second }
}
