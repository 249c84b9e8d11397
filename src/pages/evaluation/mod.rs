//! The evaluator's page: live figures, computed from the journal's entries and nothing else. No record is ever read.

mod picture;

use super::layout::{self, Page};
use super::visitor::{Entrant, Evaluating, Visitor};
use super::words::Words;
use super::{PageState, see};
use crate::journal::{Journal, JournalError};
use crate::measures::{Figures, Table};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use tokio::sync::Mutex;

/// Entries read from the journal at a time.
const BATCH: usize = 2_000;

/// The figures as far as the journal has been read. Each look reads what was appended since the last one, so that the
/// figures are the same after a restart, and nothing is missed by a reader that lagged.
#[derive(Default)]
pub struct LiveFigures {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    sequence: u64,
    figures: Figures,
}

impl LiveFigures {
    /// The figures over everything that the journal holds now.
    ///
    /// # Errors
    /// The journal's; what was taken in before stays.
    pub async fn read(&self, journal: &dyn Journal) -> Result<Shown, JournalError> {
        let mut kept = self.kept.lock().await;
        loop {
            let entries = journal.read_after(kept.sequence, BATCH).await?;
            for entry in &entries {
                kept.figures.absorb(entry);
                kept.sequence = entry.sequence;
            }
            if entries.len() < BATCH {
                return Ok(Shown::of(&kept.figures, kept.sequence));
            }
        }
    }
}

/// What one look at the page shows.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Position of the last journal entry that is counted.
    pub sequence: u64,
    /// From call to clearance: incidents that came at least so far. Keys of words and counts.
    pub funnel: [(&'static str, u64); 4],
    /// Every table of the measures.
    pub tables: Vec<Table>,
}

impl Shown {
    /// What these figures show.
    #[must_use]
    pub fn of(figures: &Figures, sequence: u64) -> Self {
        let totals = figures.totals();
        let funnel = [
            ("funnel.incidents", totals.incidents),
            ("funnel.offered", totals.incidents_offered),
            ("funnel.accepted", totals.incidents_accepted),
            ("funnel.cleared", totals.clears),
        ];
        Self { sequence, funnel, tables: figures.tables() }
    }
}

/// The route.
pub fn routes() -> Router<PageState> {
    Router::new().route("/evaluation", get(look))
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    fragment: Option<String>,
}

async fn look(State(state): State<PageState>, entrant: Entrant<Evaluating>, Query(asked): Query<Asked>) -> Response {
    let visitor = entrant.0;
    let now = state.doors.clock.now();
    let Ok(shown) = state.figures.read(state.desk.journal().as_ref()).await else {
        return layout::problem(&visitor.words, StatusCode::SERVICE_UNAVAILABLE, "no-figures", "/evaluation");
    };
    match asked.fragment.as_deref() {
        Some("figures") => see(&figures(&visitor, &shown, now)),
        Some(_) => StatusCode::NOT_FOUND.into_response(),
        None => see(&page(&visitor, &shown, now, state.doors.clock.speed())),
    }
}

/// The whole page.
#[must_use]
pub fn page(visitor: &Visitor, shown: &Shown, now: Timestamp, speed: f64) -> Markup {
    layout::page(&Page {
        visitor,
        title: "title.evaluation",
        path: "/evaluation",
        query: String::new(),
        now,
        speed,
        chips: html! {},
        body: figures(visitor, shown, now),
    })
}

fn figures(visitor: &Visitor, shown: &Shown, now: Timestamp) -> Markup {
    let words = &visitor.words;
    let (full, empty): (Vec<_>, Vec<_>) = shown.tables.iter().partition(|table| !table.rows.is_empty());
    let empty: Vec<_> = empty.iter().map(|table| picture::phrase(words, &table.title)).collect();
    html! {
        div #figures.figures data-fragment="figures" data-now=(now.as_millisecond()) data-slow="true" {
            div.figures-head {
                h1 { (words.t("evaluation.title")) }
                p.muted {
                    (words.with("evaluation.as-of", &[("time", &words.clock_time_exact(now)), ("sequence", &shown.sequence.to_string())]))
                }
            }
            @let (wide, narrow): (Vec<_>, Vec<_>) = full.iter().partition(|table| picture::is_wide(table));
            div.tables {
                (picture::table(words, &funnel(words, shown)))
                @for table in narrow { (picture::table(words, table)) }
            }
            @for table in wide { (picture::table(words, table)) }
            @if !empty.is_empty() { p.muted { (words.with("evaluation.nothing", &[("tables", &empty.join(" · "))])) } }
            p.muted { (words.t("evaluation.method")) }
        }
    }
}

/// The first picture: how many calls came how far. Its words are the reader's already.
fn funnel(words: &Words, shown: &Shown) -> Table {
    let mut table = Table::new(words.t("funnel.title"), &["what", "count"]);
    for (key, count) in shown.funnel {
        table.row([words.t(key).to_owned(), count.to_string()]);
    }
    table
}

#[cfg(test)]
mod tests;
