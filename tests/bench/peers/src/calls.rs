//! Made-up calls for the generated policy: the same for the same numbers. Each fact is known or not, and most calls are harmless.

use std::collections::BTreeMap;

/// A call: the value of each fact, `unknown` left out.
pub type Call = BTreeMap<&'static str, String>;

/// What a fact says of a harmless call; `unknown` is a choice like others.
const HARMLESS: [(&str, &[&str]); 15] = [
    ("weapon", &["none", "none", "none", "unknown"]),
    ("violence", &["none", "none", "verbal", "unknown"]),
    ("self_harm", &["none", "none", "ideation", "unknown"]),
    ("medical", &["none", "none", "minor", "unknown"]),
    ("crime", &["none", "none", "past", "unknown"]),
    ("doubt", &["no", "unknown"]),
    ("consent", &["given", "given", "not-sought", "unknown"]),
    (
        "setting",
        &["outdoors", "outdoors", "public-indoor", "private-residence", "unknown", "school", "roadway", "vehicle"],
    ),
    ("caller", &["first-party", "second-party", "third-party", "unknown", "agency", "anonymous"]),
    ("checked", &["no", "no", "yes", "unknown"]),
    ("housing", &["unsheltered", "sheltered", "housed", "precarious", "unknown"]),
    ("zone", &["n1", "n2", "s1", "s2", "e1", "e2", "w1", "w2", "outside", "unknown"]),
    ("prefers", &["community", "none", "unknown", "police"]),
    ("on_scene", &["none", "none", "unknown", "police", "several"]),
    ("already_notified", &["none", "none", "unknown", "police"]),
];
/// What one call in twenty says instead, of each of these facts: about a quarter of all calls have some danger.
const DANGER: [(&str, &[&str]); 7] = [
    ("weapon", &["mentioned", "access", "present", "used"]),
    ("violence", &["threat", "physical"]),
    ("self_harm", &["plan", "means", "attempt"]),
    ("medical", &["acute"]),
    ("crime", &["in-progress"]),
    ("doubt", &["yes"]),
    ("consent", &["refused", "withdrawn"]),
];

/// A small generator of numbers (xorshift64*), the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or(0) % limit
    }
}

/// So many calls, whose types and natures are those of the table's rules, not always together.
pub fn calls(count: usize, seed: u64, types: &[String], natures: &[Vec<String>]) -> Vec<Call> {
    let mut numbers = Numbers(seed | 1);
    (0..count).map(|_| call(&mut numbers, types, natures)).collect()
}

fn call(numbers: &mut Numbers, types: &[String], natures: &[Vec<String>]) -> Call {
    let mut call = Call::new();
    let kind = numbers.below(types.len());
    call.insert("call_type", format!("{}{}", types[kind], numbers.below(10)));
    // Four in five calls have a nature that the rule of their type names.
    let of = if numbers.below(5) < 4 { kind } else { numbers.below(natures.len()) };
    let nature = &natures[of][numbers.below(natures[of].len())];
    call.insert("nature", nature.clone());
    for (place, (fact, harmless)) in HARMLESS.into_iter().enumerate() {
        let danger = DANGER.get(place).filter(|_| numbers.below(20) == 0);
        let values = danger.map_or(harmless, |(_, values)| values);
        let value = values[numbers.below(values.len())];
        if value != "unknown" {
            call.insert(fact, value.to_owned());
        }
    }
    if numbers.below(4) < 3 {
        call.insert("age", (10 + numbers.below(80)).to_string());
    }
    if numbers.below(3) < 1 {
        call.insert("tier", numbers.below(12).to_string());
    }
    call
}
