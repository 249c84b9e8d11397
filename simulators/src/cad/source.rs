//! The CAD's sending side: records through both doors, tried again while the adapter is away, with digests of all that went.

use super::incident;
use super::{CadDesk, digest};
use crate::callers::{Centre, Channel, Door, SENDER_HEADER, Sheet};
use crate::chance;
use crate::city::{City, SimulatedCall};
use crate::client::Answer;
use crate::police::Police;
use crate::tally::{count, lock};
use crate::team::Surroundings;
use hyper::Method;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often a record is tried while no answer, a 429 or a 5xx comes.
const TRIES: u32 = 8;
/// Pause before the second try, of the machine's time; doubled for each later one up to the most.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// The CAD as a source of calls, with its call-takers and the ordinary units.
#[derive(Debug)]
pub(crate) struct CallSource {
    pub(crate) around: Surroundings,
    pub(crate) city: City,
    pub(crate) centre: Arc<Centre>,
    pub(crate) desk: Arc<CadDesk>,
    /// The CAD's bearer token, with which records are sent.
    pub(crate) cad_token: String,
    /// The call-takers' bearer token.
    pub(crate) token: String,
    pub(crate) police: Mutex<Police>,
    /// Share of records sent twice with the same bytes.
    pub(crate) duplicates: f64,
    sent_digests: Mutex<BTreeSet<String>>,
    repeats: AtomicU64,
}

impl CallSource {
    pub(crate) fn new(
        around: Surroundings,
        city: City,
        desk: Arc<CadDesk>,
        tokens: (String, String),
        duplicates: f64,
    ) -> Self {
        let (cad_token, token) = tokens;
        let centre = Arc::new(Centre::of(&city));
        Self {
            around,
            city,
            centre,
            desk,
            cad_token,
            token,
            police: Mutex::new(Police::on_duty()),
            duplicates,
            sent_digests: Mutex::default(),
            repeats: AtomicU64::new(0),
        }
    }

    /// Plays one call from its arrival until the CAD closes it.
    pub(crate) async fn live(self: Arc<Self>, call: SimulatedCall) {
        count(&self.around.counters.calls);
        incident::live(&self, Arc::new(call)).await;
    }

    /// Sends the sheet as it stands. `Some` with the last answer, where one came.
    pub(crate) async fn send(&self, sheet: &Sheet, channel: Channel, incident: Option<&str>) -> Option<Answer> {
        let bytes = bytes::Bytes::from(sheet.write(channel.format, channel.encoding));
        let counters = &self.around.counters;
        count(&counters.records_sent);
        if channel.door == Door::PassThrough {
            count(&counters.sent_by_pass_through);
        }
        let answer = self.deliver(&bytes, channel, incident).await;
        match &answer {
            Some(answer) if answer.good() => {
                count(&counters.records_acknowledged);
                if channel.door == Door::PassThrough {
                    lock(&self.sent_digests).insert(digest(&bytes));
                }
            }
            Some(answer) if answer.status < 500 => count(&counters.records_refused),
            _ => count(&counters.records_given_up),
        }
        if self.sends_twice() {
            // A repeat after a lost answer looks just like this.
            count(&counters.records_repeated);
            let _ = self.deliver(&bytes, channel, incident).await;
        }
        answer
    }

    /// Digests of records acknowledged through the pass-through that the CAD has not received.
    pub(crate) fn missing(&self) -> Vec<String> {
        let sent = lock(&self.sent_digests);
        sent.iter().filter(|digest| self.desk.received_times(digest) == 0).cloned().collect()
    }

    fn sends_twice(&self) -> bool {
        if self.duplicates <= 0.0 {
            return false;
        }
        let ordinal = self.repeats.fetch_add(1, Ordering::Relaxed);
        chance::happens(&mut chance::stream(self.around.seed, "repeats", ordinal), self.duplicates)
    }

    async fn deliver(&self, bytes: &bytes::Bytes, channel: Channel, incident: Option<&str>) -> Option<Answer> {
        let authorization = format!("Bearer {}", self.cad_token);
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", channel.format.content_type()),
            (SENDER_HEADER, channel.format.sender()),
        ];
        let mut pause = RETRY_PAUSE;
        let mut last = None;
        for attempt in 1..=TRIES {
            let doors = self.around.doors.wait().await;
            let url = match (channel.door, incident) {
                (Door::PassThrough, _) => format!("{}/cad/records", doors.intake),
                (Door::Intake, None) => format!("{}/v1/calls", doors.intake),
                (Door::Intake, Some(incident)) => format!("{}/v1/calls/{incident}/updates", doors.intake),
            };
            last = self.around.client.send(Method::POST, &url, &headers, bytes.clone()).await.ok();
            let again = last.as_ref().is_none_or(|answer| answer.status == 429 || answer.status >= 500);
            if !again || attempt == TRIES {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
        last
    }
}
