//! The call-taker: sees the recommendation, asks what it asks for, presses doubt now and then, accepts or overrides.

use super::source::CallSource;
use crate::chance;
use crate::city::SimulatedCall;
use crate::client::Answer;
use crate::habits::Spread;
use crate::tally::count;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Questions a call-taker asks of one caller, at most.
const QUESTIONS_MAX: usize = 10;
/// Looks at the adapter for a call it was sent through the pass-through, at most; and the machine's time between two.
const LOOKS_MAX: u32 = 40;
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// Seconds a call-taker takes to press accept or override: least, median, most.
const CHOICE_S: Spread = Spread([2.0, 6.0, 25.0]);
/// Share of ordinary recommendations about vulnerable people that a call-taker overrides to a program on the list.
const OVERRIDE_TO_PROGRAM: f64 = 0.08;
/// Reasons for it.
const PROGRAM_REASONS: [&str; 3] = ["team knows the person", "caller asks for the team", "screened by the call-taker"];
/// Further share of calls in which doubt is pressed although nothing is wrong.
const DOUBT: f64 = 0.005;

/// The questions of a call-taker's card, asked in this order where the adapter does not say which ones matter.
const CARD: [&str; 9] = ["weapon", "violence", "self_harm", "medical", "crime", "setting", "consent", "housing", "age"];

/// What came of the call-taker's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chosen {
    /// A program is being asked.
    Program,
    /// Police, fire or EMS.
    Ordinary,
}

/// The adapter's answer about a call, read as a console would: whatever is missing is as good as empty.
#[derive(Debug, Clone, Default)]
pub(super) struct View(Value);

impl View {
    pub(super) fn of(answer: &Answer) -> Self {
        Self(answer.json())
    }

    /// The adapter's name of the incident.
    pub(super) fn incident(&self) -> Option<String> {
        self.0.get("incident").and_then(Value::as_str).map(str::to_owned)
    }

    fn decision(&self) -> &Value {
        self.0.get("decision").unwrap_or(&self.0)
    }

    pub(super) fn assessed(&self) -> bool {
        self.decision().get("status").is_some_and(|status| !status.is_null())
    }

    fn status(&self) -> &str {
        let status = self.decision().get("status");
        status.and_then(|status| status.get("name").unwrap_or(status).as_str()).unwrap_or_default()
    }

    fn recommended(&self) -> Option<&str> {
        self.decision().get("route").and_then(|route| route.get("program")).and_then(Value::as_str)
    }

    /// Facts asked for, in the adapter's order.
    fn questions(&self) -> Vec<String> {
        let questions = self.decision().get("questions").and_then(Value::as_array);
        let fact = |question: &Value| question.get("fact").and_then(Value::as_str).map(str::to_owned);
        questions.map(|questions| questions.iter().filter_map(fact).collect()).unwrap_or_default()
    }

    /// Programs that could take the call, else any program on the list; none where the adapter lists none.
    fn programs(&self) -> Vec<String> {
        let options = self.decision().get("options").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let name = |option: &&Value| option.get("program").and_then(Value::as_str).map(str::to_owned);
        let able = options.iter().filter(|option| option.get("can_take").and_then(Value::as_bool) == Some(true));
        let able: Vec<String> = able.filter_map(|option| name(&option)).collect();
        if able.is_empty() { options.iter().filter_map(|option| name(&option)).collect() } else { able }
    }
}

/// Looks a call up that was sent through the pass-through, until it has been assessed or the bound is reached.
pub(super) async fn look_up(source: &CallSource, source_incident: &str) -> Option<(String, View)> {
    for _ in 0..LOOKS_MAX {
        let doors = source.around.doors.wait().await;
        let url = format!("{}/v1/calls?call={}", doors.intake, in_query(source_incident));
        let found = source.around.client.get(&url, &source.token).await.ok().filter(Answer::good);
        if let Some(incident) = found.and_then(|answer| View::of(&answer).incident()) {
            let url = format!("{}/v1/calls/{incident}", doors.intake);
            let answer = source.around.client.get(&url, &source.token).await.ok().filter(Answer::good);
            if let Some(view) = answer.map(|answer| View::of(&answer)).filter(View::assessed) {
                return Some((incident, view));
            }
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    count(&source.around.counters.not_assessed_in_time);
    None
}

/// Works the call: questions, doubt, choice. Without an adapter's answer the call goes the ordinary way, as ever.
pub(super) async fn work(
    source: &CallSource,
    call: &SimulatedCall,
    incident: &str,
    mut view: View,
    rng: &mut StdRng,
) -> Chosen {
    let doubtful = call.truth.get("doubt").is_some_and(|doubt| doubt == "yes") || chance::happens(rng, DOUBT);
    if doubtful {
        wait(source, CHOICE_S.draw(rng)).await;
        count(&source.around.counters.doubts);
        view = answer(source, incident, "doubt", "yes").await.unwrap_or(view);
    } else if view.status() == "needs-answer" && chance::happens(rng, source.city.screening.asked_by_call_taker) {
        view = ask(source, call, incident, view, rng).await;
    }
    choose(source, call, incident, &view, rng).await
}

/// Asks one question after another while answers may still open a route.
async fn ask(source: &CallSource, call: &SimulatedCall, incident: &str, mut view: View, rng: &mut StdRng) -> View {
    let screening = &source.city.screening;
    let mut asked = BTreeSet::new();
    while asked.len() < QUESTIONS_MAX && view.status() == "needs-answer" {
        let questions = view.questions();
        let card = CARD.iter().map(|fact| (*fact).to_owned()).filter(|_| questions.is_empty());
        let Some(fact) = questions.iter().cloned().chain(card).find(|fact| !asked.contains(fact)) else { break };
        let [least, most] = screening.answer_delay_s;
        let delay_s = if least < most { rng.random_range(least..most) } else { least };
        wait(source, delay_s).await;
        let unknown = chance::happens(rng, screening.caller_does_not_know);
        if let Some(value) = call.truth.get(&fact).filter(|_| !unknown)
            && let Some(later) = answer(source, incident, &fact, value).await
        {
            view = later;
        }
        asked.insert(fact);
    }
    view
}

/// Accepts the recommendation, or overrides it with a reason.
async fn choose(source: &CallSource, call: &SimulatedCall, incident: &str, view: &View, rng: &mut StdRng) -> Chosen {
    wait(source, CHOICE_S.draw(rng)).await;
    let counters = &source.around.counters;
    if view.recommended().is_some() {
        if chance::happens(rng, source.city.screening.override_share) {
            let reason = chance::one_of(rng, &source.city.screening.override_reasons).cloned().unwrap_or_default();
            if post_choice(source, incident, &json!({ "choice": "ordinary", "reason": reason })).await {
                count(&counters.overrides_to_ordinary);
                return Chosen::Ordinary;
            }
            return Chosen::Program;
        }
        if post_choice(source, incident, &json!({ "choice": "accept" })).await {
            count(&counters.choices_accepted);
        }
        return Chosen::Program;
    }
    let vulnerable = call.family == crate::city::Family::Vulnerable;
    if vulnerable
        && chance::happens(rng, OVERRIDE_TO_PROGRAM)
        && let Some(program) = program_named(source, view, rng)
    {
        let reason = chance::one_of(rng, &PROGRAM_REASONS).copied().unwrap_or_default();
        let choice = json!({ "choice": "program", "program": program, "reason": reason });
        if post_choice(source, incident, &choice).await {
            count(&counters.overrides_to_program);
            return Chosen::Program;
        }
    }
    if post_choice(source, incident, &json!({ "choice": "accept" })).await {
        count(&counters.choices_accepted);
    }
    Chosen::Ordinary
}

/// A program that the call-taker would name: of the adapter's list, else of those the centre works with.
fn program_named(source: &CallSource, view: &View, rng: &mut StdRng) -> Option<String> {
    let listed = view.programs();
    let known = || source.city.teams.iter().map(|team| team.program.clone()).collect();
    chance::one_of(rng, &if listed.is_empty() { known() } else { listed }).cloned()
}

/// Keys an answer in; the view after it, where it was taken.
async fn answer(source: &CallSource, incident: &str, fact: &str, value: &str) -> Option<View> {
    let doors = source.around.doors.wait().await;
    let url = format!("{}/v1/calls/{incident}/answers", doors.intake);
    let body = json!({ "fact": fact, "value": value });
    let answer = source.around.client.post_json(&url, &source.token, &body).await.ok().filter(Answer::good)?;
    count(&source.around.counters.answers);
    Some(View::of(&answer))
}

/// Presses a choice; true where it was granted.
async fn post_choice(source: &CallSource, incident: &str, choice: &Value) -> bool {
    let counters = &source.around.counters;
    let doors = source.around.doors.wait().await;
    let url = format!("{}/v1/calls/{incident}/choice", doors.intake);
    match source.around.client.post_json(&url, &source.token, choice).await {
        Ok(answer) if answer.good() => {
            count(&counters.choices);
            true
        }
        Ok(answer) if answer.status < 500 => {
            count(&counters.choices_refused);
            false
        }
        Ok(_) | Err(_) => false,
    }
}

/// Says that the centre has a call that came back.
pub(super) async fn acknowledge(source: &CallSource, incident: &str) {
    let doors = source.around.doors.wait().await;
    let url = format!("{}/v1/calls/{incident}/acknowledge", doors.intake);
    if source.around.client.post_json(&url, &source.token, &json!({})).await.is_ok_and(|answer| answer.good()) {
        count(&source.around.counters.returns_acknowledged);
    }
}

async fn wait(source: &CallSource, seconds: f64) {
    source.around.clock.sleep(Duration::from_secs_f64(seconds)).await;
}

/// The text as a query value: everything but letters, digits and `-._~` in percent form.
fn in_query(text: &str) -> String {
    let mut query = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            query.push(char::from(byte));
        } else {
            query.push_str(&format!("%{byte:02X}"));
        }
    }
    query
}
