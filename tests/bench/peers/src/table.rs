//! The generated policy as plain conditions, from which the peers' policies are written.
//!
//! What the table says of unknown facts, ordered values, zones made of zones and the built-in exclusions is spelled out here, so
//! that a peer only compares strings and numbers. Hours and dates are settled by the instant of the run and cost the peers nothing.

use fourth_option::policy::Policy;
use toml::{Table as Toml, Value};

/// How a number that is not known is given to a peer.
pub const UNKNOWN_NUMBER: i64 = -1;
const NUMBERS: [&str; 2] = ["age", "tier"];
const NO_CELLS: [&str; 10] =
    ["id", "because", "cite", "effective", "send", "rank", "shadow", "automatic", "ask", "follow_up"];
/// The exclusions compiled into every policy, for programs that no officer goes along with (LANGUAGE.md).
const BUILT_IN: [(&str, &[&str]); 7] = [
    ("weapon", &["present", "used"]),
    ("violence", &["physical"]),
    ("medical", &["acute"]),
    ("crime", &["in-progress"]),
    ("self_harm", &["means", "attempt"]),
    ("consent", &["refused", "withdrawn"]),
    ("doubt", &["yes"]),
];

/// What one fact must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// One of these words, `unknown` among them where it is accepted.
    In(&'static str, Vec<String>),
    /// None of these words.
    NotIn(&'static str, Vec<String>),
    /// A code that begins with one of the first, or is one of the second.
    Code(Vec<String>, Vec<String>),
    /// A number from one to the other, both included; `true`: or not known.
    Number(&'static str, i64, i64, bool),
}

/// A way to a program: the rule, which step of its chain, and everything that must hold.
#[derive(Debug, Clone)]
pub struct Offer {
    /// `rule/step`, in the order in which they are tried.
    pub id: String,
    /// The program.
    pub program: String,
    /// All of these.
    pub tests: Vec<Test>,
}

/// The whole policy.
#[derive(Debug, Default)]
pub struct Table {
    /// Any of these means the ordinary route.
    pub exclusions: Vec<Vec<Test>>,
    /// The first of these that holds takes the call.
    pub offers: Vec<Offer>,
    /// Beginnings of call types, one for each rule.
    pub types: Vec<String>,
    /// Natures that each rule names.
    pub natures: Vec<Vec<String>>,
    /// Zones that are made of others, with those.
    pub unions: Vec<(String, Vec<String>)>,
    /// Rules and exclusions as written.
    pub rows: usize,
}

/// Reads the generated `policy.toml`; `policy` knows the order of values.
pub fn table(text: &str, policy: &Policy) -> Table {
    let toml: Toml = text.parse().expect("generated TOML");
    let mut table = Table::default();
    for (zone, about) in toml["zone"].as_table().expect("zones") {
        if about.get("zones").is_some() {
            table.unions.push((zone.clone(), zones(zone, &toml)));
        }
    }
    for (fact, values) in BUILT_IN {
        table.exclusions.push(vec![Test::In(fact, values.iter().map(|value| (*value).to_owned()).collect())]);
    }
    for row in rows(&toml, "exclusion") {
        assert_eq!(text_of(row, "send"), "ordinary", "a seed without exclusions that send to a co-response is wanted");
        table.exclusions.push(tests(row, &toml, policy));
        table.rows += 1;
    }
    for row in rows(&toml, "rule") {
        assert_eq!(row["rank"].as_integer(), Some(0), "one rank: at most one rule holds");
        let tests = tests(row, &toml, policy);
        if let Some(Test::Code(prefixes, _)) = tests.iter().find(|test| matches!(test, Test::Code(..))) {
            table.types.push(prefixes[0].clone());
        }
        if let Some(Test::In(_, natures)) = tests.iter().find(|test| matches!(test, Test::In("nature", _))) {
            table.natures.push(natures.clone());
        }
        table.offers.extend(offers(row, &tests, &toml));
        table.rows += 1;
    }
    table
}

fn rows<'a>(toml: &'a Toml, kind: &str) -> impl Iterator<Item = &'a Toml> {
    toml[kind].as_array().into_iter().flatten().filter_map(Value::as_table)
}

fn text_of<'a>(row: &'a Toml, key: &str) -> &'a str {
    row[key].as_str().expect("text")
}

/// One offer for each step of the rule's chain, up to the first whose program serves every place.
fn offers(row: &Toml, tests: &[Test], toml: &Toml) -> Vec<Offer> {
    let mut tests = tests.to_vec();
    for fact in row.get("ask").and_then(Value::as_array).into_iter().flatten() {
        assert_eq!(fact.as_str(), Some("consent"), "what the generator asks");
        tests.push(Test::NotIn("consent", vec!["unknown".to_owned()]));
    }
    let mut offers = Vec::new();
    for (step, program) in row["send"].as_array().expect("a chain").iter().enumerate() {
        let program = program.as_str().expect("a program").to_owned();
        let area = toml["program"][&program].get("area").and_then(Value::as_str);
        let mut tests = tests.clone();
        if let Some(area) = area {
            tests.push(Test::In("zone", zones(area, toml)));
        }
        offers.push(Offer { id: format!("{}/{step}", text_of(row, "id")), program, tests });
        if area.is_none() {
            break;
        }
    }
    offers
}

fn tests(row: &Toml, toml: &Toml, policy: &Policy) -> Vec<Test> {
    let cells = row.iter().filter(|(key, _)| !NO_CELLS.contains(&key.as_str()));
    let mut tests: Vec<Test> =
        cells.map(|(fact, cell)| test(fact, cell.as_str().expect("a cell"), toml, policy)).collect();
    // The narrowest first, as a careful author of a peer's policy would write it.
    tests.sort_by_key(|test| match test {
        Test::Code(..) => 0,
        Test::In("nature", _) => 1,
        _ => 2,
    });
    tests
}

fn test(fact: &str, cell: &str, toml: &Toml, policy: &Policy) -> Test {
    let fact: &'static str = fact.to_owned().leak();
    if NUMBERS.contains(&fact) {
        return number(fact, cell);
    }
    if fact == "call_type" {
        let (prefixes, codes): (Vec<&str>, Vec<&str>) = parts(cell).partition(|part| part.ends_with('*'));
        let owned = |words: Vec<&str>| words.into_iter().map(|word| word.trim_end_matches('*').to_owned()).collect();
        return Test::Code(owned(prefixes), owned(codes));
    }
    let words = |cell: &str| match fact {
        "zone" => zones(cell, toml),
        _ => parts(cell).flat_map(|part| ordered(fact, part, policy)).collect(),
    };
    match cell.strip_prefix("not(").and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => Test::NotIn(fact, words(inner)),
        None => Test::In(fact, words(cell)),
    }
}

fn parts(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(',').map(str::trim)
}

/// Zones of a list, with those that a zone is made of in its place.
fn zones(cell: &str, toml: &Toml) -> Vec<String> {
    let of = |zone: &str| match toml["zone"].get(zone).and_then(|zone| zone.get("zones")).and_then(Value::as_array) {
        Some(inner) => inner.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => vec![zone.to_owned()],
    };
    parts(cell).flat_map(of).collect()
}

/// `>= threat` and the like as the values it accepts, anything else as it stands.
fn ordered(fact: &str, part: &str, policy: &Policy) -> Vec<String> {
    let (sign, bound) = match part.split_once(' ') {
        Some((sign @ (">=" | ">" | "<=" | "<"), bound)) => (sign, bound),
        _ => return vec![part.to_owned()],
    };
    let values = policy.fact_values(fact).expect("a known fact");
    let at = values.iter().position(|value| value == bound).expect("a value of the fact");
    let accepted = |place: usize| match sign {
        ">=" => place >= at,
        ">" => place > at,
        "<=" => place <= at,
        _ => place < at,
    };
    let places = values.iter().enumerate().filter(|(place, value)| accepted(*place) && *value != "unknown");
    places.map(|(_, value)| value.clone()).collect()
}

/// The cells of numbers that the generator writes: one condition, and perhaps `unknown`.
fn number(fact: &'static str, cell: &str) -> Test {
    if let Some(inner) = cell.strip_prefix("not(< ").and_then(|rest| rest.strip_suffix(')')) {
        return Test::Number(fact, inner.parse().expect("a number"), i64::MAX, true);
    }
    let unknown = cell.ends_with(", unknown");
    let cell = cell.trim_end_matches(", unknown");
    let value = |text: &str| text.trim().parse::<i64>().expect("a number");
    let (from, to) = match cell.split_at(1) {
        (">", rest) if rest.starts_with('=') => (value(&rest[1..]), i64::MAX),
        (">", rest) => (value(rest) + 1, i64::MAX),
        ("<", rest) if rest.starts_with('=') => (0, value(&rest[1..])),
        ("<", rest) => (0, value(rest) - 1),
        (open, rest) => {
            let (from, to) = rest[..rest.len() - 1].split_once("..").expect("a range");
            let close = &rest[rest.len() - 1..];
            (value(from) + i64::from(open == "("), value(to) - i64::from(close == ")"))
        }
    };
    Test::Number(fact, from, to, unknown)
}
