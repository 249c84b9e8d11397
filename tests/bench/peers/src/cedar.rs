//! The table in Cedar: a `forbid` for each exclusion, a `permit` for each way to a program; the permits that hold are the answer.

use crate::calls::Call;
use crate::table::{Table, Test, UNKNOWN_NUMBER};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityUid, Policy, PolicyId, PolicySet, Request, RestrictedExpression,
};

/// The engine with its policies, parsed once.
pub struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
}

impl Cedar {
    pub fn new(table: &Table) -> Self {
        let mut policies = PolicySet::new();
        let mut add = |id: &str, effect: &str, tests: &[Test]| {
            let when = tests.iter().map(condition).collect::<Vec<_>>().join(" && ");
            let text = format!("{effect}(principal, action, resource) when {{ {when} }};");
            policies.add(Policy::parse(Some(PolicyId::new(id)), text).expect("Cedar")).expect("ids differ");
        };
        for (number, tests) in table.exclusions.iter().enumerate() {
            add(&format!("exclusion {number}"), "forbid", tests);
        }
        for offer in &table.offers {
            add(&offer.id, "permit", &offer.tests);
        }
        Self { authorizer: Authorizer::new(), policies, entities: Entities::empty() }
    }

    /// The request of a call, made before anything is timed.
    pub fn request(call: &Call) -> Request {
        let uid = |text: &str| text.parse::<EntityUid>().expect("an entity");
        let text = |name: &str| RestrictedExpression::new_string(crate::word(call, name).to_owned());
        let number = |name: &str| RestrictedExpression::new_long(crate::number(call, name));
        let words = crate::WORDS.iter().map(|name| ((*name).to_owned(), text(name)));
        let numbers = crate::NUMBERS.iter().map(|name| ((*name).to_owned(), number(name)));
        let context = Context::from_pairs(words.chain(numbers)).expect("a context");
        let [principal, action, resource] = ["Caller::\"911\"", "Action::\"offer\"", "Call::\"call\""].map(uid);
        Request::new(principal, action, resource, context, None).expect("a request")
    }

    /// The first way that holds, as `rule/step`.
    pub fn answer(&self, request: &Request) -> Option<String> {
        let response = self.authorizer.is_authorized(request, &self.policies, &self.entities);
        assert_eq!(response.diagnostics().errors().count(), 0);
        match response.decision() {
            Decision::Allow => response.diagnostics().reason().map(PolicyId::to_string).min(),
            Decision::Deny => None,
        }
    }
}

fn condition(test: &Test) -> String {
    let any = |fact: &str, words: &[String]| match words {
        [one] => format!("context.{fact} == \"{one}\""),
        _ => format!("{words:?}.contains(context.{fact})"),
    };
    match test {
        Test::In(fact, words) => any(fact, words),
        Test::NotIn(fact, words) => format!("!({})", any(fact, words)),
        Test::Code(prefixes, codes) => {
            let begins = prefixes.iter().map(|prefix| format!("context.call_type like \"{prefix}*\""));
            let is = codes.iter().map(|code| format!("context.call_type == \"{code}\""));
            format!("({})", begins.chain(is).collect::<Vec<_>>().join(" || "))
        }
        Test::Number(fact, from, to, unknown) => {
            let mut range = vec![format!("context.{fact} >= {from}")];
            if *to != i64::MAX {
                range.push(format!("context.{fact} <= {to}"));
            }
            let range = range.join(" && ");
            if *unknown { format!("({range} || context.{fact} == {UNKNOWN_NUMBER})") } else { range }
        }
    }
}
