//! A made-up policy of any number of rows, the same for the same numbers: for timing, and for tests that need many rows.
//!
//! Rules fall into ranks of a hundred. Within a rank each names call types of its own, so that no two of them hold for one
//! call and their proofs have to see it; across ranks they overlap freely. Cells of risk facts accept from the least danger
//! up in rules and from some danger on in exclusions, so that every safeguard holds.

/// A small generator of numbers (xorshift64*): no crate, and the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or(0) % limit
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// True in so many of a hundred.
    fn in_100(&mut self, times: usize) -> bool {
        self.below(100) < times
    }
}

const HEAD: &str = r#"[policy]
id = "generated"
title = "Generated"
revision = "1"
time_zone = "America/Vancouver"
mode = "advise"
[calendar]
holidays = ["2026-07-01", "2026-12-25"]
"#;
const PROGRAMS: [&str; 10] =
    ["north", "south", "east", "west", "youth", "outreach", "nurses", "line-211", "line-988", "liaisons"];
const ZONES: [&str; 8] = ["n1", "n2", "s1", "s2", "e1", "e2", "w1", "w2"];
const NATURES: [&str; 14] = [
    "person-in-crisis",
    "welfare-check",
    "person-down",
    "intoxicated-person",
    "person-yelling",
    "needs-referral",
    "needs-shelter",
    "unwanted-person",
    "encampment",
    "panhandling",
    "noise",
    "youth-crisis",
    "suspicious-person",
    "found-person",
];
/// Cells of rules: the fact, how often it is named (of a hundred), and what it may say.
const RULE_CELLS: &[(&str, usize, &[&str])] = &[
    ("weapon", 60, &["none", "none, unknown", "< access, unknown", "not(present, used)"]),
    ("violence", 50, &["none, unknown", "< threat, unknown", "not(physical)"]),
    ("self_harm", 30, &["none, unknown", "< plan, unknown", "not(means, attempt)"]),
    ("medical", 30, &["none, unknown", "not(acute)"]),
    (
        "setting",
        50,
        &[
            "outdoors, public-indoor",
            "outdoors",
            "not(private-residence)",
            "private-residence, school",
            "not(roadway, height)",
        ],
    ),
    ("age", 40, &[">= 18, unknown", "<= 26", "[13..26]", ">= 65", "not(< 16)", "(12..19), unknown"]),
    ("caller", 20, &["first-party", "not(anonymous)", "second-party, third-party, unknown"]),
    ("checked", 15, &["no", "not(yes)"]),
    ("housing", 15, &["unsheltered, sheltered", "not(housed)"]),
    ("zone", 30, &["n1, n2", "not(w1, w2)", "s1", "e1, e2, outside", "north-half"]),
    ("tier", 15, &["<= 2", "[3..5], unknown", "< 8, unknown"]),
    ("prefers", 10, &["community, none", "not(police)"]),
];
const EXCLUSION_CELLS: &[(&str, usize, &[&str])] = &[
    ("weapon", 35, &["present, used", ">= access", "not(none, unknown)"]),
    ("violence", 35, &["physical", ">= threat", "not(none, unknown)"]),
    ("self_harm", 25, &["attempt", ">= means", "not(none, unknown)"]),
    ("crime", 25, &["in-progress", "not(none, unknown)"]),
    ("medical", 20, &["acute"]),
];
/// What narrows an exclusion, so that none of them shuts every rule out.
const NARROWING: &[(&str, &[&str])] = &[
    ("setting", &["roadway", "height", "vehicle", "school", "private-residence"]),
    ("age", &["< 12", "> 90", "[13..15]"]),
    ("zone", &["w2", "s2", "e2", "outside"]),
    ("tier", &["> 90", "[70..80]", "[40..45]"]),
    ("caller", &["anonymous", "agency"]),
    ("on_scene", &["police", "fire, ems", "several"]),
    ("already_notified", &["police", "fire", "ems"]),
    ("housing", &["precarious"]),
];

/// `policy.toml` of so many rows, a seventh of them exclusions.
pub fn policy(rows: usize, seed: u64) -> String {
    let mut numbers = Numbers(seed | 1);
    let mut text = HEAD.to_owned();
    for zone in ZONES {
        text += &format!("[zone.{zone}]\nbeats = [\"{}\"]\n", zone.to_uppercase());
    }
    text += "[zone.north-half]\nzones = [\"n1\", \"n2\", \"e1\", \"w1\"]\n";
    for (place, program) in PROGRAMS.iter().enumerate() {
        let kind = match place {
            7 | 8 => "phone",
            9 => "liaison",
            _ => "community",
        };
        let area = ["area = \"north-half\"\n", "area = \"s1, s2\"\n"].get(place).copied().unwrap_or("");
        let from = 6 + place;
        text += &format!(
            "[program.{program}]\nkind = \"{kind}\"\n{area}hours = [{{ days = \"Mon..Sun\", from = \"{from:02}:00\", to = \"23:00\" }}]\nlegs = [{{ channel = \"webhook\", accept_deadline_s = 60 }}]\n"
        );
    }
    text += "[program.pact]\nkind = \"co-response\"\nhours = [{ days = \"Mon..Sun\", from = \"00:00\", to = \"24:00\" }]\nlegs = [{ channel = \"webhook\", accept_deadline_s = 60 }]\n";
    let exclusions = rows / 7;
    (0..exclusions).for_each(|number| text += &exclusion(number, &mut numbers));
    (0..rows - exclusions).for_each(|number| text += &rule(number, &mut numbers));
    text + "[[safeguard]]\nid = \"no-weapon-to-unarmed\"\nnever = { send = \"community, phone\", when = { weapon = \"present, used\" } }\n\
        [[safeguard]]\nid = \"fires\"\nalways = { send = \"ordinary\", when = { nature = \"structure-fire, fire\" } }\n\
        [[safeguard]]\nid = \"somebody-always-owns-it\"\nalways = { send = \"any\" }\n"
}

fn exclusion(number: usize, numbers: &mut Numbers) -> String {
    let mut cells = String::new();
    for (fact, times, said) in EXCLUSION_CELLS {
        if cells.lines().count() < 2 && numbers.in_100(*times) {
            cells += &format!("{fact} = \"{}\"\n", numbers.one(said));
        }
    }
    let (fact, said) = NARROWING[numbers.below(NARROWING.len())];
    cells += &format!("{fact} = \"{}\"\n", numbers.one(said));
    if numbers.in_100(50) {
        cells += &format!("nature = \"{}\"\n", natures(numbers));
    }
    let send = if numbers.in_100(8) { "pact" } else { "ordinary" };
    format!("[[exclusion]]\nid = \"x{number}\"\nbecause = \"x\"\nsend = \"{send}\"\n{cells}")
}

fn rule(number: usize, numbers: &mut Numbers) -> String {
    let (rank, place) = (number / 100, number % 100);
    let mut cells = format!(
        "call_type = \"{place:02}{}*, {place:02}-{rank}\"\nnature = \"{}\"\n",
        numbers.one(&["A", "B", "C", "D"]),
        natures(numbers)
    );
    for (fact, times, said) in RULE_CELLS {
        if numbers.in_100(*times) {
            cells += &format!("{fact} = \"{}\"\n", numbers.one(said));
        }
    }
    let first = numbers.below(PROGRAMS.len());
    let second = (first + 1 + numbers.below(PROGRAMS.len() - 1)) % PROGRAMS.len();
    let send = if numbers.in_100(60) {
        format!("\"{}\"", PROGRAMS[first])
    } else {
        format!("\"{}\", \"{}\"", PROGRAMS[first], PROGRAMS[second])
    };
    // A question of a higher rank keeps a call that a lower rank would take once a danger has grown: asked at the last only.
    let ask = if rank == 0 && numbers.in_100(40) { "ask = [\"consent\"]\n" } else { "" };
    let effective = if numbers.in_100(5) { "effective = \"2026-05-01..\"\n" } else { "" };
    format!("[[rule]]\nid = \"r{number}\"\nbecause = \"r\"\nrank = {rank}\nsend = [{send}]\n{ask}{effective}{cells}")
}

fn natures(numbers: &mut Numbers) -> String {
    let mut natures: Vec<&str> = (0..1 + numbers.below(3)).map(|_| numbers.one(&NATURES)).collect();
    natures.sort_unstable();
    natures.dedup();
    natures.join(", ")
}
