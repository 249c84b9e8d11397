//! Which facts a reader must see first, known or not: what is not known is never the same as "no".

/// Facts that say whether somebody could be hurt; shown as "not known" where nobody has said.
const RISKS: [&str; 5] = ["weapon", "violence", "self_harm", "medical", "crime"];

/// Name, value (`None` where not known) of the risk facts first, then of the others by name.
pub fn first<'a, V>(known: impl Iterator<Item = (&'a str, V)>) -> Vec<(&'a str, Option<V>)> {
    let mut others: Vec<(&str, Option<V>)> = known.map(|(fact, value)| (fact, Some(value))).collect();
    let mut risks = Vec::new();
    for risk in RISKS {
        let at = others.iter().position(|(fact, _)| *fact == risk);
        risks.push(at.map_or((risk, None), |at| others.remove(at)));
    }
    risks.extend(others);
    risks
}
