//! The pages in a real Chromium: a call arrives by itself, is answered and accepted by key, and the team clears it.

mod driver;

use driver::{BOUND, Browser, Http};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// Questions that are answered at most before the recommendation must have come.
const QUESTIONS_MAX: usize = 8;

/// Drives the pages once from the record to the figures and keeps a picture of each.
///
/// The adapter must run as another process or on another thread's runtime, open on loopback, in mode `advise`, in
/// English by default, with a Kamloops policy whose outreach teams are open now, and with a channel that takes offers
/// (an offer that cannot be delivered ends before a person can answer it).
pub fn a_call_is_answered_accepted_and_cleared(pages_url: &str, intake_url: &str, screenshots: &Path) {
    std::thread::scope(|scope| {
        let drive = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(drive(pages_url, intake_url, screenshots));
        };
        // A thread of its own, so that this may be called from within a runtime too.
        scope.spawn(drive).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Has a message that was given up sent again by keyboard alone, and measures what is read of it in light and dark.
///
/// The adapter must be open on loopback, hold exactly one letter that may be sent again, and have a destination that now
/// takes it. Blocks its thread.
pub fn a_letter_is_sent_again_by_keyboard(pages_url: &str, screenshots: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let browser = Browser::start().await;
        for (scheme, language) in [("dark", "fr"), ("dark", "en"), ("light", "fr"), ("light", "en")] {
            browser.prefer(scheme).await;
            browser.open(&format!("{pages_url}/operations?lang={language}")).await;
            browser.there(&format!("html[lang={language}][data-keys=ready] .owed-line button")).await;
            let faint = browser.run(FAINT).await;
            assert_eq!(faint, Value::Array(Vec::new()), "too faint or too small in {scheme}");
            browser.picture(screenshots, &format!("operations_{scheme}_{language}")).await;
        }
        let reached = "return document.activeElement.matches('.owed-line form button')";
        let mut tabs = 0;
        while browser.run(reached).await != Value::Bool(true) {
            assert!(tabs < 30, "the press is not reached by keyboard");
            tabs += 1;
            browser.press(TAB).await;
        }
        browser.press(ENTER).await;
        browser.there(".notice-good").await;
        browser.gone(".owed-line form button").await;
        let complaints = browser.complaints().await;
        assert!(complaints.is_empty(), "the browser complained: {complaints:#?}");
        browser.end().await;
    });
}

/// Keys by their WebDriver names.
const TAB: &str = "\u{E004}";
const ENTER: &str = "\u{E007}";

/// Texts whose contrast is under 4.5 to 1 (WCAG 2.2, 1.4.3) and buttons under 24 pixels (2.5.8).
const FAINT: &str = r##"
const bytes = (colour) => colour.match(/[\d.]+/g).map(Number);
const light = (colour) => {
  const [r, g, b] = bytes(colour).map((c) => c / 255).map((c) => (c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4));
  return .2126 * r + .7152 * g + .0722 * b;
};
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (bytes(colour)[3] !== 0) return colour;
  }
  return "rgb(255, 255, 255)";
};
const words = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
const bad = [];
for (const element of document.querySelectorAll("#letters, #letters *, .banner nav a")) {
  const box = element.getBoundingClientRect();
  if (element.tagName === "BUTTON" && Math.min(box.width, box.height) < 24) bad.push("small: " + element.textContent);
  if (!words(element) || element.closest(".unseen, svg")) continue;
  const [front, back] = [light(getComputedStyle(element).color), light(behind(element))];
  const ratio = (Math.max(front, back) + .05) / (Math.min(front, back) + .05);
  if (ratio < 4.5) bad.push(ratio.toFixed(2) + ": " + element.textContent.trim());
}
return bad;
"##;

async fn drive(pages_url: &str, intake_url: &str, screenshots: &Path) {
    let browser = Browser::start().await;
    browser.prefer("light").await;
    browser.open(&format!("{pages_url}/?lang=en")).await;
    browser.there("#live:not(:empty):not(.lost)").await;

    let incident = arrives_by_itself(&browser, intake_url).await;
    browser.click(&format!("[data-call-row=\"{incident}\"]")).await;
    browser.there(&format!("#call[data-call=\"{incident}\"]")).await;
    assert!(!browser.is_there("#call .note img").await, "caller text became markup");

    browser.there("html[data-keys=ready] #question").await;
    browser.picture(screenshots, "call_taker_light").await;
    browser.prefer("dark").await;
    browser.picture(screenshots, "call_taker_dark").await;
    browser.prefer("light").await;

    let answered = answer_by_key(&browser).await;
    assert!(answered > 0, "no question was asked");
    in_french(&browser, pages_url, &incident, screenshots).await;
    browser.picture(screenshots, "recommendation").await;

    browser.press("a").await;
    browser.there("#legs-title").await;
    browser.there(".legs .leg-offered").await;
    browser.gone(&format!("form[action=\"/calls/{incident}/accept\"]")).await;

    the_team_takes_it(&browser, pages_url, &incident, screenshots).await;
    the_figures_say_so(&browser, pages_url, screenshots).await;

    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "the browser complained: {complaints:#?}");
    browser.end().await;
}

/// Sends a record to the intake; the open page shows it without being asked.
async fn arrives_by_itself(browser: &Browser, intake_url: &str) -> String {
    browser.run("window.neverReloaded = true").await;
    let record = record();
    let answer = Http::new().ask("POST", &format!("{intake_url}/v1/calls"), Some(&record)).await;
    let answer = answer.expect("the intake takes the record");
    let incident = answer["incident"].as_str().expect("the answer names the incident").to_owned();
    browser.there(&format!("[data-call-row=\"{incident}\"]")).await;
    let same = browser.run("return window.neverReloaded === true").await;
    assert_eq!(same, Value::Bool(true), "the page was reloaded to show the call");
    incident
}

/// An encampment on the North Shore, new to the adapter each time, with a narrative that tries to be markup.
fn record() -> Value {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/call_record/eido/encampment.json");
    let nanos = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let text = std::fs::read_to_string(sample).unwrap().replace("encamp1", &format!("browser{nanos}"));
    let mut record: Value = serde_json::from_str(&text).unwrap();
    happens_now(&mut record);
    record["incidentComponent"]["incidentTypeInternalCode"] = "CS-ENC".into();
    let note = "tent under the bridge <img src=x onerror=document.title='taken'> two people, calm";
    if let Some(notes) = record["notesComponent"].as_array_mut() {
        notes.iter_mut().for_each(|one| one["notesActionComments"] = note.into());
    }
    record
}

/// Every time that the sample states is now.
fn happens_now(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with("2026-06-10T") => *text = jiff::Timestamp::now().to_string(),
        Value::Array(items) => items.iter_mut().for_each(happens_now),
        Value::Object(fields) => fields.values_mut().for_each(happens_now),
        _ => {}
    }
}

/// Answers each next question by its key, towards a team where an answer opens one, until a team is recommended.
async fn answer_by_key(browser: &Browser) -> usize {
    for answered in 0..QUESTIONS_MAX {
        if browser.is_there("#recommendation.reco-team").await {
            return answered;
        }
        let question = browser.there("#question").await;
        let fact = question.attr("data-seen").await.unwrap().unwrap();
        let opening = browser.attribute("#question [data-digit]:has(small)", "data-digit").await;
        let digit = opening.unwrap_or_else(|| "1".to_owned());
        browser.press(&digit).await;
        let began = Instant::now();
        while browser.attribute("#question", "data-seen").await.as_ref() == Some(&fact) {
            assert!(began.elapsed() < BOUND, "key {digit} did not answer `{fact}`");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        // The answer leads to a new page: it is there when it takes keys.
        browser.there("html[data-keys=ready] #recommendation").await;
    }
    assert!(browser.is_there("#recommendation.reco-team").await, "no team was recommended");
    QUESTIONS_MAX
}

async fn in_french(browser: &Browser, pages_url: &str, incident: &str, screenshots: &Path) {
    browser.open(&format!("{pages_url}/?call={incident}&lang=fr")).await;
    browser.there("html[lang=fr][data-keys=ready] #recommendation").await;
    let text = browser.run("return document.body.innerText").await;
    let text = text.as_str().unwrap_or_default();
    assert!(text.contains("Recommandation") && !text.contains("Recommendation"), "{text}");
    browser.picture(screenshots, "call_taker_french").await;
    browser.open(&format!("{pages_url}/?call={incident}&lang=en")).await;
    browser.there("html[lang=en][data-keys=ready] #recommendation").await;
}

/// The team's side: the offer, accepted, on the way, there, and cleared.
async fn the_team_takes_it(browser: &Browser, pages_url: &str, incident: &str, screenshots: &Path) {
    browser.open(&format!("{pages_url}/team")).await;
    let leg = format!("{incident}.1");
    let card = |state: &str| format!("article[data-leg=\"{leg}\"][data-state=\"{state}\"]");
    browser.there(&card("offered")).await;
    browser.picture(screenshots, "team_offer").await;
    browser.click(&format!("form[action=\"/team/legs/{leg}/accept\"] button")).await;
    browser.there(&card("accepted")).await;
    for status in ["en-route", "on-scene"] {
        browser.click(&format!("form[action=\"/team/legs/{leg}/move\"] button[value=\"{status}\"]")).await;
        browser.there(&card(status)).await;
    }
    browser.picture(screenshots, "team_on_scene").await;
    browser.click(&format!("form[action=\"/team/legs/{leg}/clear\"] option[value=\"supported\"]")).await;
    browser.click(&format!("form[action=\"/team/legs/{leg}/clear\"] button")).await;
    browser.gone(&format!("article[data-leg=\"{leg}\"]")).await;
    browser.there(".notice-good").await;
}

/// The evaluator's side: at least this call came, was offered, accepted and cleared.
async fn the_figures_say_so(browser: &Browser, pages_url: &str, screenshots: &Path) {
    browser.open(&format!("{pages_url}/evaluation")).await;
    browser.there("#figures table").await;
    let counts = browser
        .run(
            "return [...document.querySelector('#figures table').tBodies[0].rows]\
             .map(row => Number(row.cells[row.cells.length - 1].textContent))",
        )
        .await;
    let counts: Vec<u64> = counts.as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect();
    assert_eq!(counts.len(), 4, "calls, offered, accepted, cleared");
    assert!(counts.iter().all(|count| *count >= 1), "{counts:?}");
    assert!(counts.is_sorted_by(|more, less| more >= less), "more came further than came at all: {counts:?}");
    browser.picture(screenshots, "evaluation").await;
}
