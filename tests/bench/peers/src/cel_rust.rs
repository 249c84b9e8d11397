//! The table in CEL: one program for each exclusion and each way to a program, tried in order until one holds.

use crate::calls::Call;
use crate::table::{Table, Test, UNKNOWN_NUMBER};
use cel::{Context, Env, Program, Value};
use std::sync::Arc;

/// Programs compiled once.
pub struct Cel {
    env: Arc<Env>,
    exclusions: Vec<Program>,
    offers: Vec<(String, Program)>,
}

impl Cel {
    pub fn new(table: &Table) -> Self {
        let env = Arc::new(Env::stdlib());
        let compile = |tests: &[Test]| {
            let text = tests.iter().map(condition).collect::<Vec<_>>().join(" && ");
            env.compile(&text).expect("CEL")
        };
        let exclusions = table.exclusions.iter().map(|tests| compile(tests)).collect();
        let offers = table.offers.iter().map(|offer| (offer.id.clone(), compile(&offer.tests))).collect();
        Self { exclusions, offers, env: Arc::clone(&env) }
    }

    /// The variables of a call, bound before anything is timed.
    pub fn context(&self, call: &Call) -> Context<'static, 'static> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        for name in crate::WORDS {
            context.add_variable(name, crate::word(call, name).to_owned()).expect("a variable");
        }
        for name in crate::NUMBERS {
            context.add_variable(name, crate::number(call, name)).expect("a variable");
        }
        context
    }

    /// The first way that holds, as `rule/step`.
    pub fn answer(&self, context: &Context<'_, '_>) -> Option<&str> {
        let holds = |program: &Program| program.execute(context).expect("CEL runs") == Value::Bool(true);
        if self.exclusions.iter().any(holds) {
            return None;
        }
        self.offers.iter().find(|(_, program)| holds(program)).map(|(id, _)| id.as_str())
    }
}

fn condition(test: &Test) -> String {
    let any = |fact: &str, words: &[String]| match words {
        [one] => format!("{fact} == \"{one}\""),
        _ => format!("{fact} in {words:?}"),
    };
    match test {
        Test::In(fact, words) => any(fact, words),
        Test::NotIn(fact, words) => format!("!({})", any(fact, words)),
        Test::Code(prefixes, codes) => {
            let begins = prefixes.iter().map(|prefix| format!("call_type.startsWith(\"{prefix}\")"));
            let is = codes.iter().map(|code| format!("call_type == \"{code}\""));
            format!("({})", begins.chain(is).collect::<Vec<_>>().join(" || "))
        }
        Test::Number(fact, from, to, unknown) => {
            let mut range = vec![format!("{fact} >= {from}")];
            if *to != i64::MAX {
                range.push(format!("{fact} <= {to}"));
            }
            let range = range.join(" && ");
            if *unknown { format!("({range} || {fact} == {UNKNOWN_NUMBER})") } else { range }
        }
    }
}
