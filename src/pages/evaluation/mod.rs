//! The evaluator's page: live figures, computed from the journal's entries and nothing else. No record is ever read.

mod picture;

use super::layout::{self, Page};
use super::visitor::{Entrant, Evaluating, Visitor};
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
    /// The tables over everything that the journal holds now, and the position of its last entry.
    ///
    /// # Errors
    /// The journal's; what was taken in before stays.
    pub async fn tables(&self, journal: &dyn Journal) -> Result<(u64, Vec<Table>), JournalError> {
        let mut kept = self.kept.lock().await;
        loop {
            let entries = journal.read_after(kept.sequence, BATCH).await?;
            for entry in &entries {
                kept.figures.absorb(entry);
                kept.sequence = entry.sequence;
            }
            if entries.len() < BATCH {
                return Ok((kept.sequence, kept.figures.tables()));
            }
        }
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
    let Ok((sequence, tables)) = state.figures.tables(state.desk.journal().as_ref()).await else {
        return layout::problem(&visitor.words, StatusCode::SERVICE_UNAVAILABLE, "no-figures", "/evaluation");
    };
    match asked.fragment.as_deref() {
        Some("figures") => see(&figures(&visitor, &tables, sequence, now)),
        Some(_) => StatusCode::NOT_FOUND.into_response(),
        None => see(&page(&visitor, &tables, sequence, now, state.doors.clock.speed())),
    }
}

/// The whole page.
#[must_use]
pub fn page(visitor: &Visitor, tables: &[Table], sequence: u64, now: Timestamp, speed: f64) -> Markup {
    layout::page(&Page {
        visitor,
        title: "title.evaluation",
        path: "/evaluation",
        query: String::new(),
        now,
        speed,
        chips: html! {},
        body: figures(visitor, tables, sequence, now),
    })
}

fn figures(visitor: &Visitor, tables: &[Table], sequence: u64, now: Timestamp) -> Markup {
    let words = &visitor.words;
    html! {
        div #figures.figures data-fragment="figures" data-now=(now.as_millisecond()) data-slow="true" {
            div.figures-head {
                h1 { (words.t("evaluation.title")) }
                p.muted {
                    (words.with("evaluation.as-of", &[("time", &words.clock_time_exact(now)), ("sequence", &sequence.to_string())]))
                }
            }
            div.tables { @for table in tables { (picture::table(words, table)) } }
            p.muted { (words.t("evaluation.method")) }
        }
    }
}

#[cfg(test)]
mod tests;
