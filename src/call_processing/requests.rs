//! Requests for service of other agencies: whoever asked may take it back, over any connection and after a restart.

use super::live::{Desk, lock};
use super::views::{Answer, CallProblem, IncidentView};
use crate::incident::{Asked, Command, Event, Incident};
use crate::journal::{Entry, JournalError, Stored, Subject};
use crate::record::{Format, IncidentId};
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};

/// Requests held by name, at most: the newest. Those of open incidents are found without.
const REQUESTS_MAX: usize = 10_000;
/// Records that are looked through for a request that is not in memory.
const LATELY_MAX: usize = 500;

/// Which incident each request was for. Where a peer has used a name again, the newest.
#[derive(Default)]
pub(super) struct Requests {
    incidents: HashMap<Asked, IncidentId>,
    order: VecDeque<Asked>,
}

impl Requests {
    pub(super) fn note(&mut self, asked: &Asked, incident: &IncidentId) {
        if self.incidents.insert(asked.clone(), incident.clone()).is_some() {
            return;
        }
        self.order.push_back(asked.clone());
        if self.order.len() > REQUESTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.incidents.remove(&oldest);
        }
    }
}

impl Desk {
    /// As [`Desk::receive`], for a record with which another agency asks for service.
    ///
    /// # Errors
    /// [`CallProblem`].
    pub async fn receive_request(
        &self,
        bytes: Bytes,
        format: Option<Format>,
        sender: &str,
        asked: Asked,
    ) -> Result<Answer, CallProblem> {
        self.receive_asked(bytes, format, sender, Some(asked)).await
    }

    /// Whoever asked for service takes it back: when this returns `Ok`, the incident is durably over.
    ///
    /// # Errors
    /// [`CallProblem::NoSuchIncident`] where this peer has not asked by this name; [`CallProblem::Refused`] where the
    /// request stands; the journal's, also while what other adapters were asked cannot be seen.
    pub async fn cancel_request(&self, asked: Asked) -> Result<IncidentView, CallProblem> {
        let incident = match self.incident_asked(&asked) {
            Some(incident) => incident,
            None if self.journal_away_since().is_some() => {
                return Err(JournalError::Unavailable("the request may be known elsewhere".to_owned()).into());
            }
            None => self.asked_lately(&asked).await?.ok_or(CallProblem::NoSuchIncident)?,
        };
        self.command(&incident, Command::CancelRequest { asked }).await
    }

    /// What another adapter was asked a moment ago, this one may not have heard of yet: the journal knows.
    async fn asked_lately(&self, asked: &Asked) -> Result<Option<IncidentId>, JournalError> {
        let records = self.journal().read_kind_before("record-received", u64::MAX, LATELY_MAX).await?;
        let of_it = |entry: Entry| match (entry.subject, entry.stored) {
            (Subject::Incident(id), Stored::Incident(Event::RecordReceived(received))) => {
                (received.asked.as_ref() == Some(asked)).then_some(id)
            }
            (_, _) => None,
        };
        Ok(records.into_iter().find_map(of_it))
    }

    fn incident_asked(&self, asked: &Asked) -> Option<IncidentId> {
        if let Some(incident) = lock(&self.inner().requests).incidents.get(asked) {
            return Some(incident.clone());
        }
        let has = |incident: &Incident| incident.asked.iter().any(|(known, _)| known == asked);
        self.open_incidents().into_iter().find(|view| has(&view.incident)).map(|view| view.incident.id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call_processing::tests::{EVENING, by, desk_on, record};
    use crate::call_processing::{Choice, Desk};
    use crate::incident::Phase;
    use crate::journal::{EmbeddedJournal, Journal, Settings};
    use std::sync::Arc;

    fn asked(request: &str) -> Asked {
        Asked { by: "neighbour".to_owned(), request: request.to_owned() }
    }

    async fn ask(desk: &Desk, call: &str, request: &str) -> IncidentId {
        let bytes = record(call, EVENING, "none");
        desk.receive_request(bytes, None, "default", asked(request)).await.unwrap().incident
    }

    /// Over any connection, after a restart, and once; by nobody else; and not where nothing can be made durable.
    #[tokio::test]
    async fn a_request_is_taken_back_after_a_restart_open_or_closed() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let settings = Settings::new(folder.path().join("journal.db"));
            let journal: Arc<dyn Journal> = Arc::new(EmbeddedJournal::open(&settings).unwrap());
            desk_on(journal, 1.0)
        };
        let desk = open().await;
        let (one, two) = (ask(&desk, "one", "q1").await, ask(&desk, "two", "q2").await);
        desk.choose(&one, Choice::Accept, by()).await.unwrap();
        desk.cancel_request(asked("q2")).await.unwrap();
        drop(desk);
        let desk = open().await;
        let watcher = Asked { by: "watcher".to_owned(), ..asked("q1") };
        for unknown in [asked("q3"), watcher] {
            let problem = desk.cancel_request(unknown).await.unwrap_err();
            assert!(matches!(problem, CallProblem::NoSuchIncident), "{problem}");
        }
        for (request, incident) in [("q1", &one), ("q2", &two), ("q1", &one)] {
            let view = desk.cancel_request(asked(request)).await.unwrap();
            assert_eq!((&view.incident.id, view.incident.phase), (incident, Phase::Closed));
        }
        // A name that is not in memory is found in the journal: another adapter may have been asked.
        lock(&desk.inner().requests).incidents.clear();
        assert_eq!(desk.cancel_request(asked("q2")).await.unwrap().incident.id, two);
        // Of an open call, it is found in the call.
        ask(&desk, "three", "q3").await;
        lock(&desk.inner().requests).incidents.clear();
        assert!(desk.incident_asked(&asked("q3")).is_some() && desk.incident_asked(&asked("q2")).is_none());
        desk.close().await;
        let problem = desk.cancel_request(asked("q3")).await.unwrap_err();
        assert!(matches!(problem, CallProblem::Journal(JournalError::Unavailable(_))), "{problem}");
    }

    #[test]
    fn a_name_used_again_is_the_newest_request_and_the_oldest_are_let_go() {
        let asked = |number: usize| Asked { by: "neighbour".to_owned(), request: format!("q{number}") };
        let mut requests = Requests::default();
        requests.note(&asked(0), &IncidentId::new("i-old"));
        requests.note(&asked(0), &IncidentId::new("i-new"));
        assert_eq!(requests.incidents[&asked(0)], IncidentId::new("i-new"));
        for number in 1..=REQUESTS_MAX {
            requests.note(&asked(number), &IncidentId::new("i"));
        }
        assert_eq!((requests.incidents.len(), requests.order.len()), (REQUESTS_MAX, REQUESTS_MAX));
        assert!(!requests.incidents.contains_key(&asked(0)) && requests.incidents.contains_key(&asked(1)));
    }
}
