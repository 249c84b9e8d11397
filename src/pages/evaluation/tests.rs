//! The evaluator's page over a small journal: counts, a picture with its text, French, and no record.

use super::{LiveFigures, Shown, page};
use crate::access::Role;
use crate::journal::{Batch, Entry, Journal, JournalError, Pending};
use crate::measures::Figures;
use crate::pages::samples::{self, CANARY_NAME};
use crate::pages::words::Language;
use crate::record::IncidentId;
use bytes::Bytes;

/// Entries that are there, and may grow.
struct Kept(std::sync::Mutex<Vec<Entry>>);

impl Journal for Kept {
    fn append(&self, _batch: Batch) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        panic!("the page appended to the journal")
    }

    fn read_after(&self, after: u64, limit: usize) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        let found = self.0.lock().unwrap().iter().filter(|entry| entry.sequence > after).take(limit).cloned().collect();
        Box::pin(async move { Ok(found) })
    }

    fn read_incident(&self, _incident: &IncidentId) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        panic!("the evaluator's page read an incident")
    }

    fn content(&self, _incident: &IncidentId, _sha256: &str) -> Pending<'_, Result<Option<Bytes>, JournalError>> {
        panic!("the evaluator's page read a record")
    }

    fn ready(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn figures_are_the_same_whether_read_at_once_or_as_the_journal_grows() {
    let life = samples::life("i-77aa0002");
    let journal = Kept(std::sync::Mutex::new(life[..3].to_vec()));
    let live = LiveFigures::default();
    let first = live.read(&journal).await.unwrap();
    *journal.0.lock().unwrap() = life.clone();
    let grown = live.read(&journal).await.unwrap();
    let fresh = LiveFigures::default().read(&journal).await.unwrap();
    assert_eq!(grown.tables, fresh.tables);
    assert_eq!(grown.funnel, fresh.funnel);
    assert_eq!(grown.sequence, life.last().unwrap().sequence);
    assert_ne!(first.tables, grown.tables);
}

fn html(language: Language) -> String {
    let mut figures = Figures::default();
    for entry in samples::life("i-77aa0002") {
        figures.absorb(&entry);
    }
    let visitor = samples::visitor(language, &[Role::Evaluator]);
    page(&visitor, &Shown::of(&figures, 107), samples::now(), 1.0).into_string()
}

#[test]
fn a_picture_has_a_text_and_a_table_beside_it() {
    let html = html(Language::English);
    assert!(html.contains(">Offered to a team</th><td class=\"bar-cell\"><svg"), "no bar beside its name");
    assert!(html.contains("scope=\"row\">Eligible</th>"), "the statuses are not there");
    assert_eq!(
        html.matches("<svg class=\"bar\"").count(),
        html.matches("<svg class=\"bar\" viewBox=\"0 0 200 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"")
            .count()
    );
    assert!(!html.contains(CANARY_NAME));
    crate::pages::tests::controls_are_named(&html);
}

#[test]
fn the_figures_are_in_french_too() {
    let html = html(Language::French);
    for french in ["Chiffres en direct", "De l'appel à la fin", "Admissible", "Intervalles, rang le plus proche"] {
        assert!(html.contains(french), "`{french}`");
    }
    for english in ["Live figures", "Eligible", "Offers", "nearest rank", "records kept"] {
        assert!(!html.contains(english), "`{english}`");
    }
}
