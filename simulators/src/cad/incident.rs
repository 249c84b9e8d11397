//! One incident at the CAD, from the ringing phone to the closed sheet: every change is sent as a new record.

use super::call_taker::{self, Chosen, View};
use super::notice::Notice;
use super::source::CallSource;
use crate::callers::{Channel, Door, Life, Service, Sheet, UnitLine, UnitState};
use crate::chance;
use crate::city::{Later, SimulatedCall};
use crate::clock::after;
use crate::habits::Spread;
use crate::police;
use crate::tally::{count, lock};
use jiff::Timestamp;
use rand::rngs::StdRng;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Seconds to answer, to enter the record, and to close it after the last unit or team is done: least, median, most.
const ANSWER_S: Spread = Spread([2.0, 6.0, 25.0]);
const ENTRY_S: Spread = Spread([15.0, 35.0, 120.0]);
const CLOSE_S: Spread = Spread([20.0, 60.0, 300.0]);

/// What is due on an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Due {
    Later(Later),
    Unit(String, Service, UnitState),
    Close(&'static str, &'static str),
}

/// The incident as the CAD holds it.
struct Open<'a> {
    source: &'a CallSource,
    sheet: Sheet,
    channel: Channel,
    incident: Option<String>,
    due: VecDeque<(Timestamp, Due)>,
    team_owns: bool,
    /// The call-taker's work while it lasts: the caller may ring again and units may be sent meanwhile.
    call_taker: Option<Pin<Box<dyn Future<Output = Chosen> + Send + 'a>>>,
    rng: StdRng,
}

pub(super) async fn live(source: &Arc<CallSource>, call: Arc<SimulatedCall>) {
    let clock = source.around.clock;
    let mut rng = chance::stream(source.around.seed, &format!("cad {}", call.number), 0);
    let channel = Channel::draw(&mut rng);
    clock.sleep_until(call.arrives).await;
    let answered = after(call.arrives, seconds(ANSWER_S.draw(&mut rng)));
    clock.sleep_until(after(answered, seconds(ENTRY_S.draw(&mut rng)))).await;
    let sheet = Sheet::entered(Arc::clone(&call), Arc::clone(&source.centre), answered, clock.now());
    let source_incident = sheet.incident_id(channel.format);
    let mut notices = source.desk.listen(&source_incident);
    let due = call.later.iter().map(|later| (after(call.arrives, later.after), Due::Later(later.what.clone())));
    let due = due.collect();
    let mut open = Open { source, sheet, channel, incident: None, due, team_owns: false, call_taker: None, rng };
    match open.first_record(&source_incident).await {
        Some(view) => open.seat_call_taker(view),
        // No answer from the adapter: the call goes the ordinary way, as before it was installed.
        None => open.send_unit(None),
    }
    while open.sheet.life == Life::Open {
        open.step(&mut notices).await;
    }
    source.desk.forget(&source_incident);
}

impl<'a> Open<'a> {
    /// Sends the first record and learns what the adapter makes of it.
    async fn first_record(&mut self, source_incident: &str) -> Option<View> {
        let answer = self.source.send(&self.sheet, self.channel, None).await?;
        match self.channel.door {
            Door::Intake => {
                let view = Some(View::of(&answer)).filter(|view| answer.good() && view.assessed())?;
                self.incident = view.incident();
                Some(view)
            }
            Door::PassThrough => {
                let (incident, view) = call_taker::look_up(self.source, source_incident).await?;
                self.incident = Some(incident);
                Some(view)
            }
        }
    }

    /// Lets the call-taker work on what the adapter said.
    fn seat_call_taker(&mut self, view: View) {
        let Some(incident) = self.incident.clone() else {
            return self.send_unit(None);
        };
        let (source, call) = (self.source, Arc::clone(&self.sheet.call));
        let mut rng = chance::stream(source.around.seed, &format!("call-taker {}", call.number), 0);
        self.call_taker =
            Some(Box::pin(async move { call_taker::work(source, &call, &incident, view, &mut rng).await }));
    }

    /// Waits for the next thing due, the next notice or the call-taker's choice, and does what follows.
    ///
    /// Only the waiting is given up when another comes first; what has begun is done to its end.
    async fn step(&mut self, notices: &mut mpsc::Receiver<Notice>) {
        let clock = self.source.around.clock;
        let next = self.due.front().map(|due| due.0);
        let wait = async {
            match next {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let call_taker = self.call_taker.as_mut();
        let choice = async {
            match call_taker {
                Some(work) => work.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wait => {
                if let Some((_, due)) = self.due.pop_front() {
                    self.happen(due).await;
                }
            }
            Some(notice) = notices.recv() => self.heed(&notice).await,
            chosen = choice => {
                self.call_taker = None;
                if chosen == Chosen::Ordinary {
                    self.send_unit(None);
                }
            }
        }
    }

    /// Does what the adapter's notice asks of a dispatcher.
    async fn heed(&mut self, notice: &Notice) {
        match notice {
            Notice::TeamAccepted => self.team_owns = true,
            Notice::TeamMoved | Notice::Alarm | Notice::Other(_) => {}
            Notice::OrdinaryRoute => {
                self.team_owns = false;
                self.send_unit(None);
                if let Some(incident) = &self.incident {
                    call_taker::acknowledge(self.source, incident).await;
                }
            }
            Notice::Backup(service) => {
                let service = match service.as_str() {
                    "ems" => Service::Ems,
                    "fire" => Service::Fire,
                    _ => Service::Police,
                };
                self.send_unit(Some(service));
            }
            Notice::Cleared => {
                self.team_owns = false;
                self.close_if_done();
            }
        }
    }

    async fn happen(&mut self, due: Due) {
        let counters = &self.source.around.counters;
        match due {
            Due::Later(Later::Note(note)) => {
                self.note(note);
            }
            Due::Later(Later::Danger(danger)) => {
                count(&counters.dangers_sent);
                self.sheet.stated.insert(danger.fact, danger.value);
                self.note(danger.note);
            }
            Due::Later(Later::Cancelled(note)) => {
                // Once somebody is on the way the caller's word no longer ends the call.
                if self.team_owns || !self.sheet.units.is_empty() {
                    return;
                }
                count(&counters.cancels_sent);
                self.note(note);
                self.sheet.life = Life::Cancelled;
                self.sheet.disposition = Some(("10", "Event cancelled"));
            }
            Due::Unit(unit, service, state) => self.unit_moved(unit, service, state),
            Due::Close(code, text) => {
                if self.team_owns {
                    return;
                }
                count(&counters.closed_by_cad);
                self.sheet.life = Life::Closed;
                self.sheet.disposition = Some((code, text));
            }
        }
        self.record().await;
    }

    /// Sends the sheet as it stands now, as a later version.
    async fn record(&mut self) {
        self.sheet.version_at = self.source.around.clock.now();
        // A CAD uses one of the two ways in for later records; both lead to the same line.
        let by_update = chance::happens(&mut self.rng, 0.5);
        let incident = self.incident.clone().filter(|_| by_update);
        let _ = self.source.send(&self.sheet, self.channel, incident.as_deref()).await;
    }

    fn note(&mut self, note: String) {
        self.sheet.notes.push((self.source.around.clock.now(), note));
    }

    /// Dispatches a unit of the service (the one that fits the call where none is named) unless one is there already.
    fn send_unit(&mut self, service: Option<Service>) {
        let service = service.unwrap_or_else(|| police::first_service(&self.sheet.call));
        let coming = self.due.iter().any(|(_, due)| matches!(due, Due::Unit(_, of, _) if *of == service));
        let there = self.sheet.units.iter().any(|unit| unit.service == service);
        if coming || there || self.sheet.life != Life::Open {
            return;
        }
        let now = self.source.around.clock.now();
        let priority = self.sheet.call.priority.clone();
        let response = lock(&self.source.police).respond(service, &priority, now, &mut self.rng);
        let Some(response) = response else { return };
        count(&self.source.around.counters.units_dispatched);
        for (state, at) in response.taken {
            self.schedule(at, Due::Unit(response.unit.clone(), service, state));
        }
    }

    fn unit_moved(&mut self, name: String, service: Service, state: UnitState) {
        let now = self.source.around.clock.now();
        match self.sheet.units.iter_mut().find(|unit| unit.name == name) {
            Some(unit) => unit.taken.push((state, now)),
            None => self.sheet.units.push(UnitLine { name, service, taken: vec![(state, now)] }),
        }
        if state == UnitState::Cleared {
            self.close_if_done();
        }
    }

    /// Closes in a while, where no unit is still out, no team owns the call, and no closing is due.
    fn close_if_done(&mut self) {
        let out = self.due.iter().any(|(_, due)| matches!(due, Due::Unit(..) | Due::Close(..)));
        if out || self.team_owns {
            return;
        }
        let outcomes =
            [("01", "Report taken"), ("02", "No report"), ("18", "Settled by contact"), ("14", "Gone on arrival")];
        let (code, text) = chance::one_of(&mut self.rng, &outcomes).copied().unwrap_or(("18", "Settled by contact"));
        let at = after(self.source.around.clock.now(), seconds(CLOSE_S.draw(&mut self.rng)));
        self.schedule(at, Due::Close(code, text));
    }

    fn schedule(&mut self, at: Timestamp, due: Due) {
        let place = self.due.iter().position(|(later, _)| *later > at).unwrap_or(self.due.len());
        self.due.insert(place, (at, due));
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
}
