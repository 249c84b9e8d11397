//! The table in Rego: `excluded` for the exclusions, and chains of `else` over the ways to a program, run by regorus's
//! register machine or its interpreter.

use crate::calls::Call;
use crate::table::{Table, Test, UNKNOWN_NUMBER};
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{CompiledPolicy, Engine, Rc, Value};
use std::collections::BTreeMap;

const ENTRY: &str = "data.fourth.answer";
/// Ways to a program that share a chain of `else`.
const GROUP: usize = 5;

/// The policy compiled once, for both ways of running it.
pub struct Rego {
    machine: RegoVM,
    compiled: CompiledPolicy,
}

impl Rego {
    pub fn new(table: &Table) -> Self {
        let mut engine = Engine::new();
        engine.add_policy("fourth.rego".to_owned(), module(table)).expect("Rego");
        let entry: Rc<str> = ENTRY.into();
        let compiled = engine.compile_with_entrypoint(&entry).expect("Rego compiles");
        let program = Compiler::compile_from_policy(&compiled, &[ENTRY]).expect("the machine's program");
        let mut machine = RegoVM::new();
        machine.load_program(program);
        Self { machine, compiled }
    }

    /// The input of a call, made before anything is timed.
    pub fn input(call: &Call) -> Value {
        let words = crate::WORDS.iter().map(|name| (Value::from(*name), Value::from(crate::word(call, name))));
        let numbers = crate::NUMBERS.iter().map(|name| (Value::from(*name), Value::from(crate::number(call, name))));
        Value::from(words.chain(numbers).collect::<BTreeMap<Value, Value>>())
    }

    /// The first way that holds, as `rule/step`: by the register machine.
    pub fn by_machine(&mut self, input: &Value) -> Option<String> {
        self.machine.set_input(input.clone());
        told(&self.machine.execute().expect("Rego runs"))
    }

    /// The same by the interpreter.
    pub fn by_interpreter(&self, input: &Value) -> Option<String> {
        told(&self.compiled.eval_with_input(input.clone()).expect("Rego runs"))
    }
}

fn told(answer: &Value) -> Option<String> {
    let answer = answer.as_string().expect("text");
    (!answer.is_empty()).then(|| answer.to_string())
}

/// Cells that are an *or* become rules of their own, since a body of Rego is an *and*.
fn module(table: &Table) -> String {
    let mut ors: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut body = |tests: &[Test]| tests.iter().map(|test| condition(test, &mut ors)).collect::<Vec<_>>().join("\n\t");
    let mut text = String::from("package fourth\n\nimport rego.v1\n\n");
    for tests in &table.exclusions {
        text += &format!("excluded if {{\n\t{}\n}}\n\n", body(tests));
    }
    // In groups: the machine has 255 registers for a rule with all its `else`.
    for (number, group) in table.offers.chunks(GROUP).enumerate() {
        let ways = group.iter().map(|offer| format!("\"{}\" if {{\n\t{}\n}}\n", offer.id, body(&offer.tests)));
        text += &format!("group_{number} := {}\n", ways.collect::<Vec<_>>().join("else := "));
    }
    text += "answer := \"\" if excluded\n";
    for number in 0..table.offers.len().div_ceil(GROUP) {
        text += &format!("else := group_{number} if group_{number}\n");
    }
    text += "else := \"\"\n\n";
    for (name, bodies) in ors {
        bodies.iter().for_each(|body| text += &format!("{name} if {body}\n\n"));
    }
    text
}

fn condition(test: &Test, ors: &mut BTreeMap<String, Vec<String>>) -> String {
    let any = |fact: &str, words: &[String]| match words {
        [one] => format!("input.{fact} == \"{one}\""),
        _ => format!(
            "input.{fact} in {{{}}}",
            words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
        ),
    };
    let mut or = |name: String, bodies: Vec<String>| {
        if let [one] = bodies.as_slice() {
            return one.clone();
        }
        ors.insert(name.clone(), bodies);
        name
    };
    match test {
        Test::In(fact, words) => any(fact, words),
        Test::NotIn(fact, words) => format!("not {}", any(fact, words)),
        Test::Code(prefixes, codes) => {
            let begins = prefixes.iter().map(|prefix| format!("startswith(input.call_type, \"{prefix}\")"));
            let is = codes.iter().map(|code| format!("input.call_type == \"{code}\""));
            let name = format!("code_{}", prefixes.join("_").to_lowercase());
            or(name, begins.chain(is).collect())
        }
        Test::Number(fact, from, to, unknown) => {
            let mut range = vec![format!("input.{fact} >= {from}")];
            if *to != i64::MAX {
                range.push(format!("input.{fact} <= {to}"));
            }
            if !*unknown {
                return range.join("\n\t");
            }
            let known = format!("{{\n\t{}\n}}", range.join("\n\t"));
            or(format!("{fact}_{from}_{to}"), vec![known, format!("input.{fact} == {UNKNOWN_NUMBER}")])
        }
    }
}
