//! What was journaled here while the database was away is brought home: appended as it is where the shared story stands
//! where it stood, and kept in it where it went on elsewhere.
//!
//! Done story by story under the incident's lock, so that no command falls between. What is there already is recognised
//! by its version, instant and content: a homecoming that was broken off at any point is gone through again from its start.

use super::finding::{CallKey, Found, is_reused, stated_begin};
use super::live::{Desk, Prepared, Situation, Slot, State, lock};
use super::sharing::{USED_BEFORE_MAX, name_sha256};
use super::views::CallProblem;
use super::{decide, not_assessed};
use crate::facts::Facts;
use crate::incident::{Actor, ApartEntry, Command, Event, Incident, Owner, RecordReceived};
use crate::journal::{
    self, AwayJournal, Batch, Content, Entry, Group, JournalError, Shared, Standing, Stored, Subject,
};
use crate::policy::Policy;
use crate::record::{IncidentId, LegId};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Stories brought home at one time: enough for the store to share commits.
const AT_ONCE_MAX: usize = 32;
/// How soon what could not be brought home is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Desk {
    /// Brings home what there is. What fails is tried again when this is called again.
    pub(super) async fn bring_home(&self, away: &AwayJournal) {
        let mut groups = away.groups().into_iter();
        let (mut coming, mut brought, mut failed) = (JoinSet::new(), 0_usize, 0_usize);
        loop {
            while coming.len() < AT_ONCE_MAX
                && let Some(group) = groups.next()
            {
                let desk = self.clone();
                coming.spawn(async move { desk.bring_one_home(&group).await });
            }
            match coming.join_next().await {
                Some(Ok(Ok(()))) => brought += 1,
                Some(Ok(Err(problem))) => {
                    tracing::warn!(%problem, "what was journaled here could not be brought home yet");
                    failed += 1;
                }
                Some(Err(failure)) => {
                    tracing::error!(%failure, "what was journaled here could not be brought home");
                    failed += 1;
                }
                None => break,
            }
        }
        self.follow_ties().await;
        let finished = if failed == 0 { away.finish(self.clock().now()).await } else { Ok(false) };
        match finished {
            Ok(true) => tracing::info!(incidents = brought, "the journal is whole again"),
            Ok(false) => tokio::time::sleep(AGAIN_AFTER).await,
            Err(error) => {
                tracing::warn!(%error, "the local journal could not be ended yet");
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }

    async fn bring_one_home(&self, group: &Group) -> Result<(), CallProblem> {
        let closed = self.inner().closed.read().await;
        let (Some(away), false) = (self.journal().shared().and_then(Shared::away), *closed) else { return Ok(()) };
        let left = away.left(group).await?;
        let slot = self.slot(&group.incident).await?;
        let mut state = slot.state.lock().await;
        // Under the lock, so that what came last is there too.
        let left = if left.is_empty() { left } else { away.left(group).await? };
        let bears = self.name_at_home(away, group, &left).await?;
        let mut story = away.home()?.read_incident(&bears).await?;
        if bears == group.incident {
            let ends = story.last().map_or(0, |entry| entry.version);
            if ends < group.after {
                let why = format!("incident `{bears}` ends at version {ends} there, and was at {} here", group.after);
                return Err(JournalError::Corrupt { sequence: 0, why }.into());
            }
            let there: Vec<&Entry> = story.iter().filter(|entry| entry.version > group.after).collect();
            let alike = |(there, here): &(&&Entry, &Entry)| there.stored == here.stored && there.at == here.at;
            let same = there.iter().zip(&left).take_while(alike).count();
            let moved_on = same < there.len();
            if same == left.len() || !moved_on {
                let missing = left.get(same..).unwrap_or_default();
                let appended = self.append_at_home(away, group, &story, missing).await?;
                let holds = !moved_on || away.holds_at_home(&group.incident).await?;
                story.extend(appended.iter().cloned());
                away.is_home(group);
                let incident = journal::fold(&group.incident, &story);
                if incident.version != state.incident.version {
                    self.becomes(&slot, &mut state, incident, holds);
                    self.settle(&slot, &state);
                }
                appended.into_iter().for_each(|entry| self.publish_entry(entry));
                return Ok(());
            }
        }
        if bears == group.incident {
            self.keep_apart(away, group, &slot, &mut state, (&story, &left)).await
        } else {
            tracing::warn!(incident = %bears, taken_for = %group.incident, "a call that was known was taken for a new one");
            let known = self.slot_or_new(&bears);
            let mut known_state = known.state.lock().await;
            self.keep_apart(away, group, &known, &mut known_state, (&story, &left)).await?;
            drop(known_state);
            self.unlive(&slot, &state);
            Ok(())
        }
    }

    /// The name that an incident bears in the shared journal: its own, unless a call that began here had one already.
    async fn name_at_home(&self, away: &AwayJournal, group: &Group, left: &[Entry]) -> Result<IncidentId, CallProblem> {
        let first = left.iter().find_map(record_of);
        let (0, Some(received)) = (group.after, first) else { return Ok(group.incident.clone()) };
        let key = CallKey::of(&received.identity);
        let mut before: Option<IncidentId> = None;
        for _ in 0..USED_BEFORE_MAX {
            let id = away.claim_at_home(name_sha256(&key, before.as_ref()), &group.incident).await?;
            if id == group.incident {
                return Ok(id);
            }
            let story = away.home()?.read_incident(&id).await?;
            let found = Found::of(&journal::fold(&id, &story));
            let at = left.first().map_or_else(|| self.clock().now(), |entry| entry.at);
            if !is_reused(&found, stated_begin(&received.times), at) {
                return Ok(id);
            }
            before = Some(id);
        }
        Err(JournalError::Unavailable("the sender used this name for too many calls".to_owned()).into())
    }

    /// Appends entries to the shared story as they are, unit by unit: those of one instant were one unit.
    async fn append_at_home(
        &self,
        away: &AwayJournal,
        group: &Group,
        story: &[Entry],
        missing: &[Entry],
    ) -> Result<Vec<Entry>, CallProblem> {
        let mut incident = journal::fold(&group.incident, story);
        let mut appended = Vec::with_capacity(missing.len());
        for unit in missing.chunk_by(|one, next| one.at == next.at) {
            let Some(at) = unit.first().map(|entry| entry.at) else { continue };
            let expected_version = incident.version;
            for entry in unit {
                if let Stored::Incident(event) = &entry.stored {
                    let _ = incident.on(event, at);
                }
            }
            let content = match unit.iter().find_map(record_of) {
                Some(received) => content_of(away, group, received).await?,
                None => None,
            };
            let batch = Batch {
                subject: Subject::Incident(group.incident.clone()),
                expected_version,
                at,
                events: unit.iter().map(|entry| entry.stored.clone()).collect(),
                content,
                standing: Some(Standing::of(&incident)),
            };
            appended.extend(away.home()?.append(batch).await?);
        }
        Ok(appended)
    }

    /// The shared story went on elsewhere. It stands, with its owner: what people and records said here is said to it
    /// again, the danger that was learnt here is raised in it, and all that was journaled here is kept in it.
    async fn keep_apart(
        &self,
        away: &AwayJournal,
        group: &Group,
        slot: &Arc<Slot>,
        state: &mut State,
        (story, left): (&[Entry], &[Entry]),
    ) -> Result<(), CallProblem> {
        // From here on it goes on at home, so that what is said to it is said there.
        away.is_home(group);
        let holds = away.holds_at_home(&slot.id).await;
        let kept = match holds {
            Ok(holds) => {
                state.in_doubt = None;
                self.becomes(slot, state, journal::fold(&slot.id, story), holds);
                self.say_again(away, group, slot, state, (story, left)).await
            }
            Err(error) => Err(error.into()),
        };
        self.settle(slot, state);
        if kept.is_err() {
            away.is_not_home(group);
        }
        kept
    }

    async fn say_again(
        &self,
        away: &AwayJournal,
        group: &Group,
        slot: &Arc<Slot>,
        state: &mut State,
        (story, left): (&[Entry], &[Entry]),
    ) -> Result<(), CallProblem> {
        let Some(first_hash) = left.first().map(|entry| entry.hash.clone()) else { return Ok(()) };
        let facts_here = left.iter().rev().find_map(|entry| match &entry.stored {
            Stored::Incident(Event::Assessed { facts, .. }) => Some(facts.clone()),
            Stored::Incident(_) | Stored::Adapter(_) => None,
        });
        let entries = left.iter().filter_map(|entry| match &entry.stored {
            Stored::Incident(event) => Some(ApartEntry { at: entry.at, happened: event.clone() }),
            Stored::Adapter(_) => None,
        });
        let (entries, incident, after) = (entries.collect::<Vec<_>>(), group.incident.clone(), group.after);
        let keep = move |now: &Incident, situation: &Situation<'_>| {
            if situation.policy.is_none() && facts_here.is_some() {
                // Which of them are dangers, only a policy can say; it is waited for, and the local journal keeps them.
                return Err(CallProblem::NoPolicy);
            }
            let facts = raised(situation.policy, &now.facts, facts_here.as_ref());
            let gaps = now.decision.as_ref().map_or(&[][..], |decision| &decision.gaps);
            let (decision, decide_ns) = match (&now.decision, situation.policy) {
                (None, None) => (not_assessed("no-policy", "no policy is in force", None, &[]), 0),
                (_, policy) => decide(policy, &facts, gaps, situation.now, situation.availability),
            };
            let command = Command::KeepApart {
                incident: incident.clone(),
                after,
                first_hash: first_hash.clone(),
                entries: entries.clone(),
                facts,
                decision: Arc::new(decision),
            };
            Ok(Prepared { command, content: None, decide_ns })
        };
        // First, so that nothing that follows goes out under a key that was used here.
        self.work_locked(slot, state, None, keep).await?;
        // What was said again before a homecoming was broken off, or was in doubt and written after all, is there.
        let since = |there: &&Entry| there.version > group.after;
        for entry in left.iter().filter(|here| !story.iter().filter(since).any(|there| there.stored == here.stored)) {
            let Stored::Incident(event) = &entry.stored else { continue };
            if let Event::RecordReceived(received) = event {
                self.receive_again(away, group, slot, state, received).await?;
            } else if let Some(command) = said(event, &state.incident) {
                // What does not fit the story as it went on is refused; it is kept.
                self.ordered(slot, state, command).await?;
            }
        }
        self.ordered(slot, state, Command::Tick).await?;
        // Of what followed from the story as it went on, nobody may know here what was sent.
        self.resume_one(slot, state).await;
        Ok(())
    }

    async fn receive_again(
        &self,
        away: &AwayJournal,
        group: &Group,
        slot: &Arc<Slot>,
        state: &mut State,
        received: &RecordReceived,
    ) -> Result<(), CallProblem> {
        let Some(content) = content_of(away, group, received).await? else { return Ok(()) };
        let Some(record) = self.decoded(&content.bytes, &received.identity).map(Arc::new) else {
            tracing::error!(incident = %slot.id, "a record that was taken cannot be read any more; what followed from it is kept");
            return Ok(());
        };
        let linked = self.linked(&state.incident, Some(&record)).await;
        let again = self.assessing(Arc::clone(&record), content, (received.asked.clone(), linked));
        match self.work_locked(slot, state, Some(record), again).await {
            Ok(_) | Err(CallProblem::Refused(_)) => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    async fn ordered(&self, slot: &Arc<Slot>, state: &mut State, command: Command) -> Result<(), CallProblem> {
        let prepared = move |_: &Incident, _: &Situation<'_>| {
            Ok(Prepared { command: command.clone(), content: None, decide_ns: 0 })
        };
        match self.work_locked(slot, state, None, prepared).await {
            Ok(_) | Err(CallProblem::Refused(_)) => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// An incident that never was: its call is another one's.
    fn unlive(&self, slot: &Slot, state: &State) {
        let nothing = Incident::new(slot.id.clone());
        self.move_deadline(&slot.id, state.incident.next_deadline(), None);
        self.note_owed(&nothing);
        let mut live = lock(&self.inner().live);
        live.slots.remove(&slot.id);
        live.by_call.retain(|_, found| found.incident != slot.id);
    }
}

fn record_of(entry: &Entry) -> Option<&RecordReceived> {
    match &entry.stored {
        Stored::Incident(Event::RecordReceived(received)) => Some(received),
        Stored::Incident(_) | Stored::Adapter(_) => None,
    }
}

async fn content_of(
    away: &AwayJournal,
    group: &Group,
    received: &RecordReceived,
) -> Result<Option<Content>, JournalError> {
    let sha256 = received.identity.content_sha256.clone();
    let bytes = away.content_of(group, &sha256).await?;
    Ok(bytes.map(|bytes| Content { sha256, bytes }))
}

/// Facts with every danger that others state and these do not: nothing is lowered, nothing that is no danger moves.
fn raised(policy: Option<&Policy>, facts: &Facts, others: Option<&Facts>) -> Facts {
    let (Some(policy), Some(others)) = (policy, others) else { return facts.clone() };
    let stated = others.iter();
    stated.fold(facts.clone(), |facts, (name, known)| policy.hazard(&facts, name, &known.value).unwrap_or(facts))
}

/// What somebody said that an event tells of, to be said to the story as it went on elsewhere. What followed by itself,
/// from time or from facts, follows there too, or not. Nothing here takes a call from whoever has it but the word of its
/// own team, or of somebody who may take it back before a team has it.
fn said(event: &Event, now: &Incident) -> Option<Command> {
    let gives_back = |leg: &LegId, why: &str| {
        let by = Actor::Policy;
        Some(Command::ReturnLeg { leg: leg.clone(), why: why.to_owned(), by })
    };
    match event {
        Event::BackupRequested { leg, service, team_requested, by } => Some(Command::Backup {
            leg: leg.clone(),
            service: *service,
            team_requested: *team_requested,
            by: by.clone(),
        }),
        Event::Declined { leg, cause, by } => {
            Some(Command::DeclineLeg { leg: leg.clone(), cause: *cause, by: by.clone() })
        }
        Event::TeamMoved { leg, status, by } => {
            Some(Command::MoveLeg { leg: leg.clone(), status: *status, by: by.clone() })
        }
        Event::Cleared { leg, disposition, party, by } => {
            Some(Command::ClearLeg { leg: leg.clone(), disposition: *disposition, party: *party, by: by.clone() })
        }
        // Whoever was told to stand back, or gave the call back or on, has it no more, whatever the story says.
        Event::StoodBack { leg, why: _ } => gives_back(leg, "stood-back-apart"),
        Event::HandedOn { leg, by: _ } => gives_back(leg, "handed-on-apart"),
        Event::ReturnedToOrdinary { why: _, leg: Some(leg) } => gives_back(leg, "returned-apart"),
        Event::OrdinaryChosen { by, override_reason } if now.owner == Owner::Psap => {
            let reason = Some(override_reason.clone().unwrap_or_else(|| "kept-apart".to_owned()));
            Some(Command::OverrideToOrdinary { by: by.clone(), reason })
        }
        Event::DutyClosed { duty, kind: _, outcome, by } => {
            Some(Command::CloseDuty { duty: duty.clone(), outcome: *outcome, by: by.clone() })
        }
        Event::RecordReceived(_)
        | Event::Assessed { .. }
        | Event::AnswerGiven { .. }
        | Event::Chosen { .. }
        | Event::OrdinaryChosen { .. }
        | Event::Offered { .. }
        | Event::Delivered { .. }
        | Event::Undeliverable { .. }
        | Event::Redriven { .. }
        | Event::Accepted { .. }
        | Event::TimedOut { .. }
        | Event::Withdrawn { .. }
        | Event::AnsweredLate { .. }
        | Event::HazardReported { .. }
        | Event::ReturnedToOrdinary { .. }
        | Event::UnitSeen { .. }
        | Event::Closed { .. }
        | Event::DutyOpened { .. }
        | Event::DutyOverdue { .. }
        | Event::KeptApart { .. } => None,
    }
}
