//! THE STORY: bytes → record → facts → decision → journal → hand-off, as one function on one screen.

mod live;
mod catching_up;
mod load;
mod finding;
mod linked;
#[cfg(feature = "adapter")]
mod homecoming;
mod counting;
mod owed;
mod dead_letters;
mod policy_in_force;
mod recovery;
mod remembering;
mod requests;
mod roster;
mod sending;
mod sharing;
mod silence;
mod timers;
mod unmapped;
mod views;
#[cfg(test)]
mod homecoming_tests;
#[cfg(test)]
mod linked_tests;
#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod tests;

pub use dead_letters::{DeadLetter, DeadLetters, OpenedLetter};
pub use live::Desk;
pub use policy_in_force::RefusedPolicy;
pub use roster::{Roster, RosterFault};
pub use unmapped::{UnmappedCallType, UnmappedCallTypes};
pub use views::{Answer, CallProblem, Choice, IncidentState, IncidentView};

use crate::clock::monotonic_now;
use crate::facts::{ContactTraces, FactSources, Facts};
use crate::incident::{Actor, Asked, Bounds, Command, Incident, RecordReceived};
use crate::journal::Content;
use crate::policy::{Availability, Decision, Gap, Mode, Policy, PolicyIdentity};
use crate::record::{CallRecord, Format, IncidentId, LegId};
use crate::telemetry;
use crate::wire::{self, DecodeError, SenderProfile};
use bytes::Bytes;
use jiff::Timestamp;
use linked::Linked;
use live::{Prepared, Situation};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

impl Desk {
    /// A record came: the whole line.
    ///
    /// `sender` names a configured sender (its agency, zone and layout); `format` overrides recognition. When this
    /// returns `Ok` the record and the decision are durable, and the effects of the decision are on their way.
    ///
    /// # Errors
    /// [`CallProblem`]. On [`CallProblem::Decode`] the refusal itself has been journaled, without personal data.
    pub async fn receive(&self, bytes: Bytes, format: Option<Format>, sender: &str) -> Result<Answer, CallProblem> {
        self.receive_asked(bytes, format, sender, None).await
    }

    async fn receive_asked(
        &self,
        bytes: Bytes,
        format: Option<Format>,
        sender: &str,
        asked: Option<Asked>,
    ) -> Result<Answer, CallProblem> {
        let started = monotonic_now();
        let profile = self.sender(sender)?;
        self.note_heard();
        let record = match decode(bytes.clone(), format, profile).await {
            Ok(record) => Arc::new(record),
            Err(error) => return Err(self.refuse(error, &bytes).await),
        };
        let content = Content { sha256: record.identity.content_sha256.clone(), bytes };
        let slot = self.slot_for(&record).await?;
        let known = slot.known();
        let linked = self.linked(&known, Some(&record)).await;
        let assessed = self.assessing(Arc::clone(&record), content, (asked, linked));
        let done = self.work(slot, Some(Arc::clone(&record)), assessed).await?;
        for repair in &record.repairs {
            telemetry::repair_counted(record.format.name(), &repair.kind);
        }
        telemetry::call_received(started.elapsed());
        let answer = done.answer(Some(&record));
        if !answer.repeat {
            self.note_unmapped(self.policy().as_deref(), &record);
        }
        Ok(answer)
    }

    /// What a record makes of an incident: gathered and decided anew whenever the incident has changed meanwhile.
    fn assessing(
        &self,
        record: Arc<CallRecord>,
        content: Content,
        (asked, linked): (Option<Asked>, Linked),
    ) -> impl Fn(&Incident, &Situation<'_>) -> Result<Prepared, CallProblem> + Send + 'static {
        let (desk, traced) = (self.clone(), self.traced(&record));
        move |incident, situation| {
            let (facts, gaps) = gather(situation.policy, &record, &incident.facts);
            let facts = desk.recalled(situation, facts, traced.as_ref(), &incident.id);
            let facts = linked.raised(situation.policy, facts, incident);
            let (decision, decide_ns) = decide(situation.policy, &facts, &gaps, situation.now, situation.availability);
            let mode = situation.policy.map_or(Mode::Shadow, Policy::mode);
            let contact = traced.as_ref().map(|traced| traced.traces.clone());
            let received = received(&record, mode, contact, desk.bounds(), asked.clone());
            Ok(Prepared {
                command: Command::Receive {
                    received: Box::new(received),
                    units: record.units.clone(),
                    facts,
                    decision: Arc::new(decision),
                },
                content: Some(content.clone()),
                decide_ns,
            })
        }
    }

    /// A call-taker answered a question; re-assessed on what is known now.
    ///
    /// # Errors
    /// [`CallProblem`].
    pub async fn answer(
        &self,
        incident: &IncidentId,
        fact: &str,
        value: &str,
        by: Actor,
    ) -> Result<Answer, CallProblem> {
        let slot = self.slot(incident).await?;
        let (fact, value) = (fact.to_owned(), value.to_owned());
        let done = self
            .work(slot, None, move |incident, situation| {
                let policy = situation.policy.ok_or(CallProblem::NoPolicy)?;
                let facts = policy.answered(&incident.facts, &fact, &value)?;
                let gaps = incident.decision.as_ref().map_or(&[][..], |decision| &decision.gaps);
                let (decision, decide_ns) = decide(Some(policy), &facts, gaps, situation.now, situation.availability);
                let (fact, value, by) = (fact.clone(), value.clone(), by.clone());
                let command = Command::Answer { fact, value, by, facts, decision: Arc::new(decision) };
                Ok(Prepared { command, content: None, decide_ns })
            })
            .await?;
        Ok(done.answer(None))
    }

    /// A team reported a hazard: it only raises, and the call is re-assessed.
    ///
    /// # Errors
    /// [`CallProblem`].
    pub async fn hazard(&self, leg: &LegId, fact: &str, value: &str, by: Actor) -> Result<IncidentView, CallProblem> {
        let slot = self.slot(&leg.incident()).await?;
        let (leg, fact, value) = (leg.clone(), fact.to_owned(), value.to_owned());
        let done = self
            .work(slot, None, move |incident, situation| {
                let policy = situation.policy.ok_or(CallProblem::NoPolicy)?;
                let facts = policy.hazard(&incident.facts, &fact, &value)?;
                let gaps = incident.decision.as_ref().map_or(&[][..], |decision| &decision.gaps);
                let (decision, decide_ns) = decide(Some(policy), &facts, gaps, situation.now, situation.availability);
                let (leg, fact, value, by) = (leg.clone(), fact.clone(), value.clone(), by.clone());
                let command = Command::ReportHazard { leg, fact, value, by, facts, decision: Arc::new(decision) };
                Ok(Prepared { command, content: None, decide_ns })
            })
            .await?;
        Ok(done.view())
    }

    /// A call-taker chose.
    ///
    /// # Errors
    /// [`CallProblem`].
    pub async fn choose(&self, incident: &IncidentId, choice: Choice, by: Actor) -> Result<IncidentView, CallProblem> {
        let command = match choice {
            Choice::Accept => Command::AcceptRecommendation { by },
            Choice::Ordinary { reason } => Command::OverrideToOrdinary { by, reason },
            Choice::Program { program, reason } => {
                let policy = self.policy().ok_or(CallProblem::NoPolicy)?;
                let steps = policy
                    .steps_to(&program, self.clock().now())
                    .ok_or_else(|| CallProblem::NoSuchProgram(program.to_string()))?;
                Command::OverrideToPrograms { by, reason, steps }
            }
        };
        self.command(incident, command).await
    }

    /// Any other command: accept, decline, move, clear, return, back-up, tick, what became of an effect.
    ///
    /// # Errors
    /// [`CallProblem`].
    pub async fn command(&self, incident: &IncidentId, command: Command) -> Result<IncidentView, CallProblem> {
        let slot = self.slot(incident).await?;
        let done = self
            .work(slot, None, move |_, _| Ok(Prepared { command: command.clone(), content: None, decide_ns: 0 }))
            .await?;
        Ok(done.view())
    }
}

/// Records up to this size are decoded where they arrive (tens of microseconds); larger ones on the blocking pool,
/// since an async deadline cannot interrupt a parser (reliability.md 7.2).
const DECODE_INLINE_BYTES_MAX: usize = 64 * 1024;

/// Decodes; a parser that panics has met a poison record, which is refused like any other bad input (fault 16).
async fn decode(bytes: Bytes, format: Option<Format>, profile: Arc<SenderProfile>) -> Result<CallRecord, DecodeError> {
    let inline = bytes.len() <= DECODE_INLINE_BYTES_MAX;
    let guarded = move || {
        catch_unwind(AssertUnwindSafe(|| wire::decode(&bytes, format, &profile))).unwrap_or_else(|_| Err(poison()))
    };
    if inline { guarded() } else { tokio::task::spawn_blocking(guarded).await.unwrap_or_else(|_| Err(poison())) }
}

fn poison() -> DecodeError {
    DecodeError {
        problem: "internal-error",
        place: "the whole record".to_owned(),
        detail: "the decoder failed on this record; keep it and report it, the call stays on the ordinary route"
            .to_owned(),
    }
}

/// Gathers facts. Without a policy only the built-in words are read; where gathering fails nothing new is known. Either is
/// doubt, and the gap says which.
fn gather(policy: Option<&Policy>, record: &CallRecord, before: &Facts) -> (Facts, Vec<Gap>) {
    let gap = |why: &str| vec![Gap { fact: "nature".to_owned(), why: why.to_owned() }];
    let gathered = catch_unwind(AssertUnwindSafe(|| match policy {
        Some(policy) => policy.gather(record, before),
        None if canary!(UnheardWithoutPolicy) => (before.clone(), gap("no-policy")),
        None => (FactSources::gather_without_policy(record, before), gap("no-policy")),
    }));
    gathered.unwrap_or_else(|_| (FactSources::with_doubt(before.clone()), gap("internal-error")))
}

/// Decides, and says how long it took in nanoseconds. Whatever goes wrong is the ordinary route with its reason.
fn decide(
    policy: Option<&Policy>,
    facts: &Facts,
    gaps: &[Gap],
    at: Timestamp,
    availability: &Availability,
) -> (Decision, u64) {
    let started = monotonic_now();
    let decision = match policy {
        None => not_assessed("no-policy", "no policy is in force", None, gaps),
        Some(policy) => {
            catch_unwind(AssertUnwindSafe(|| policy.decide(facts, gaps, at, availability))).unwrap_or_else(|_| {
                not_assessed("internal-error", "the assessment failed; treat as usual", Some(policy), gaps)
            })
        }
    };
    let spent = monotonic_now().duration_since(started);
    (decision, u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX))
}

fn not_assessed(why: &str, text: &str, policy: Option<&Policy>, gaps: &[Gap]) -> Decision {
    let none = || PolicyIdentity { id: "none".to_owned(), revision: String::new(), digest: String::new() };
    Decision::not_assessed(why, text, policy.map_or_else(none, |policy| policy.identity().clone()), gaps.to_vec())
}

/// The record as the journal keeps it: no personal data.
fn received(
    record: &CallRecord,
    mode: Mode,
    contact: Option<ContactTraces>,
    bounds: Option<Bounds>,
    asked: Option<Asked>,
) -> RecordReceived {
    RecordReceived {
        identity: record.identity.clone(),
        format: record.format,
        times: record.times.clone(),
        lifecycle: record.lifecycle,
        test: record.test,
        repairs: u32::try_from(record.repairs.len()).unwrap_or(u32::MAX),
        mode,
        applied: true,
        contact,
        bounds,
        related: record.related.clone(),
        asked,
    }
}
