//! The single transition function: one event changes the state and makes at most one effect of a kind, live and at recovery alike.

use super::event::{BackupService, Disposition, Party, RecordReceived};
use super::{Act, CadNotice, Duty, DutyState, Effect, Event, GivenUp, Incident, Leg, LegState, Owner, Phase};
use crate::facts::Facts;
use crate::policy::{Decision, LegPlan, Mode, ProgramKind, RouteStep, Status};
use crate::record::{DutyId, LegId, Lifecycle, ProgramId, RELATED_MAX, Related, Relation, TimePoint};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Incident {
    /// Applies one event: the only transition function, live and at recovery.
    ///
    /// Total: every event is taken in every state, for an event has happened. What may happen is
    /// [`Incident::handle`]'s to say. Effects and their keys depend on the state and the event only.
    pub fn on(&mut self, event: &Event, at: Timestamp) -> Vec<Effect> {
        self.version = self.version.saturating_add(1);
        let act = self.apply(event, at);
        let further = if let Event::Accepted { leg, by: _ } = event { self.go_ahead(leg) } else { None };
        let again = if let Event::Redriven { key, by: _ } = event { self.on_redriven(key) } else { None };
        act.into_iter().chain(further).map(|act| self.issue(act)).chain(again).collect()
    }

    /// What events of one instant make of it, with their effects: worked out before they are appended, so once they are durable.
    #[must_use]
    pub fn after(&self, events: &[Event], at: Timestamp) -> (Self, Vec<Effect>) {
        let mut after = self.clone();
        let effects = events.iter().flat_map(|event| after.on(event, at)).collect();
        (after, effects)
    }

    fn apply(&mut self, event: &Event, at: Timestamp) -> Option<Act> {
        match event {
            Event::RecordReceived(received) => self.on_record(received),
            Event::Assessed { decision, facts, cause: _ } => self.on_assessed(decision, facts, at),
            Event::AnswerGiven { .. } | Event::HazardReported { .. } => None,
            Event::Chosen { steps, by: _, override_reason: _ } => self.on_chosen(steps),
            Event::OrdinaryChosen { by: _, override_reason } => self.on_ordinary_chosen(override_reason.is_some()),
            Event::Offered { leg, plan, deadline } => Some(self.on_offered(leg, plan, *deadline, at)),
            Event::Delivered { key } => {
                if !canary!(DeliveredNotRemembered) {
                    self.outstanding.remove(key);
                }
                None
            }
            Event::Undeliverable { key, why } => self.on_undeliverable(key, why),
            Event::Redriven { key: _, by: _ } => None,
            Event::Accepted { leg, by: _ } => self.on_accepted(leg, at),
            Event::Declined { leg, cause: _, by: _ } => self.on_declined(leg),
            Event::HandedOn { leg, by: _ } => self.on_handed_on(leg),
            Event::TimedOut { leg } => self.end_leg(leg, LegState::TimedOut),
            Event::Withdrawn { leg, why } => self.on_withdrawn(leg, why),
            Event::AnsweredLate { leg, answer } => self.on_answered_late(leg, answer),
            Event::TeamMoved { leg, status, by: _ } => self.on_moved(leg, *status, at),
            Event::BackupRequested { leg: _, service, team_requested, by: _ } => {
                Some(backup(*service, *team_requested))
            }
            Event::StoodBack { leg, why } => self.on_stood_back(leg, why),
            Event::Cleared { leg, disposition, party, by: _ } => self.on_cleared(leg, *disposition, *party, at),
            Event::ReturnedToOrdinary { why, leg } => {
                let act = self.on_returned(leg.as_ref(), why);
                Some(act).filter(|_| !canary!(CadNotToldOfReturn))
            }
            Event::UnitSeen { unit, status, at: taken } => {
                self.units_seen.insert((unit.clone(), *status));
                self.first(*status, *taken)
            }
            Event::Closed { why: _ } => {
                self.hand_to_psap(Phase::Closed);
                self.first(TimePoint::Closed, at)
            }
            Event::DutyOpened { duty, kind, program, leg, from, due } => {
                let (id, program, leg) = (duty.clone(), program.clone(), leg.clone());
                let (kind, from, due, state) = (*kind, *from, *due, DutyState::Open);
                self.duties.push(Duty { id, kind, program, leg, from, due, state });
                None
            }
            Event::DutyOverdue { duty, kind, program } => {
                self.set_duty(duty, DutyState::Overdue);
                if canary!(OverdueNotTold) {
                    return None;
                }
                Some(Act::TellCad(CadNotice::Overdue { duty: *kind, program: program.clone() }))
            }
            Event::DutyClosed { duty, kind: _, outcome, by: _ } => {
                self.set_duty(duty, DutyState::Closed(*outcome));
                None
            }
            Event::KeptApart { incident: _, after: _, first_hash, entries: _ } => {
                self.kept_apart.insert(first_hash.clone());
                self.whose_it_is()
            }
        }
    }

    /// What the CAD must hear again after another adapter told it something else.
    fn whose_it_is(&self) -> Option<Act> {
        match self.owning_leg() {
            Some(leg) => Some(Act::TellCad(CadNotice::TeamAccepted { program: leg.plan.program.clone() })),
            None if self.is_open() && self.mode != Mode::Shadow => Some(ordinary_route("kept-apart")),
            None => None,
        }
    }

    fn set_duty(&mut self, id: &DutyId, state: DutyState) {
        if let Some(duty) = self.duties.iter_mut().find(|duty| duty.id == *id) {
            duty.state = state;
        }
    }

    fn issue(&mut self, act: Act) -> Effect {
        let key = Effect::key_of(&self.id, self.version, self.kept_apart.len(), act.what());
        let effect = Effect { key, act };
        self.outstanding.insert(effect.key.clone(), effect.clone());
        effect
    }

    fn on_record(&mut self, received: &RecordReceived) -> Option<Act> {
        self.seen.insert(received.identity.content_sha256.clone());
        for related in &received.related {
            self.relate(related, received.applied);
        }
        self.asked.extend(received.asked.clone().map(|asked| (asked, received.identity.agency.clone())));
        if canary!(DeadlineLengthenedByUpdate) {
            self.legs.iter_mut().for_each(|leg| leg.deadline += jiff::SignedDuration::from_secs(30));
        }
        if !received.applied {
            return None;
        }
        if let Some(updated_at) = received.identity.updated_at {
            self.applied.insert(element_key(received), updated_at);
        }
        self.identity = Some(received.identity.clone());
        self.mode = received.mode;
        self.test = received.test;
        // A record of before the bounds were stated does not release anybody.
        self.bounds = received.bounds.or(self.bounds);
        for (point, at) in received.times.iter() {
            self.first(point, at);
        }
        None
    }

    /// Ties only grow, as dangers do, whichever record says so first; a link is ended by a newer record alone.
    pub(crate) fn relate(&mut self, related: &Related, applied: bool) {
        let known = self.related.get(&related.incident).copied();
        match (related.how, known) {
            (Relation::Unlinked, Some(Relation::Linked)) if applied => {
                self.related.remove(&related.incident);
            }
            (Relation::Unlinked, _) => {}
            (how, Some(known)) if known <= how => {}
            (_, None) if self.related.len() > RELATED_MAX => {}
            (how, _) => {
                self.related.insert(related.incident.clone(), how);
            }
        }
    }

    fn on_assessed(&mut self, decision: &Arc<Decision>, facts: &Facts, at: Timestamp) -> Option<Act> {
        self.facts = facts.clone();
        self.decision = Some(Arc::clone(decision));
        match self.phase {
            Phase::Assessed | Phase::Ordinary => {
                self.phase = if self.choice_is_open() { Phase::Assessed } else { Phase::Ordinary };
            }
            Phase::Offered | Phase::WithTeam | Phase::Closed => {}
        }
        self.first(TimePoint::Assessed, at)
    }

    /// True where a call-taker's choice, or an answer before it, could still send the call to a program.
    fn choice_is_open(&self) -> bool {
        let promising = self
            .decision
            .as_ref()
            .is_some_and(|decision| matches!(decision.status, Status::Eligible | Status::NeedsAnswer));
        promising && !self.settled && !self.is_merged() && !self.test && self.mode != Mode::Shadow
    }

    fn on_chosen(&mut self, steps: &[RouteStep]) -> Option<Act> {
        self.settled = true;
        self.steps_left = steps.to_vec();
        self.chosen_on = self.decision.as_ref().map(|decision| decision.status.clone());
        self.follow_up = self.decision.as_ref().map(|decision| decision.follow_up.clone()).unwrap_or_default();
        None
    }

    fn on_ordinary_chosen(&mut self, overridden: bool) -> Option<Act> {
        self.settled = true;
        match self.phase {
            // The return that follows in the same batch takes the call back and tells the CAD, once.
            Phase::Offered | Phase::WithTeam | Phase::Closed => None,
            Phase::Assessed | Phase::Ordinary => {
                self.phase = Phase::Ordinary;
                let why = if overridden { "overridden" } else { "chosen" };
                (self.mode != Mode::Shadow).then(|| ordinary_route(why))
            }
        }
    }

    fn on_offered(&mut self, leg: &LegId, plan: &LegPlan, deadline: Timestamp, at: Timestamp) -> Act {
        self.take_from_steps(plan);
        self.legs.push(Leg { id: leg.clone(), plan: plan.clone(), state: LegState::Offered, offered_at: at, deadline });
        self.phase = Phase::Offered;
        self.first(TimePoint::Offered, at);
        Act::Offer { leg: leg.clone(), plan: plan.clone(), deadline }
    }

    /// Takes the plan, and every step passed over on the way to it, off the steps not yet tried.
    fn take_from_steps(&mut self, plan: &LegPlan) {
        let Some(position) = self.steps_left.iter().position(|step| step.legs.contains(plan)) else { return };
        self.steps_left.drain(..position);
        if let Some(step) = self.steps_left.first_mut() {
            step.legs.retain(|left| left != plan);
            if step.legs.is_empty() {
                self.steps_left.remove(0);
            }
        }
    }

    fn on_undeliverable(&mut self, key: &str, why: &str) -> Option<Act> {
        let effect = self.outstanding.remove(key)?;
        if let Act::Offer { leg, .. } = &effect.act {
            return match self.leg(leg).map(|leg| leg.state) {
                Some(LegState::Offered) => self.end_leg(leg, LegState::Unreachable),
                Some(_) | None => None,
            };
        }
        self.undelivered.insert(key.to_owned(), GivenUp { effect: effect.clone(), why: why.to_owned() });
        match effect.act {
            // A team that was not reached may still be on its way into danger: the PSAP must call it.
            Act::StandBack { .. } => Some(ordinary_route("team-not-told-to-stand-back")),
            Act::Offer { .. } | Act::Withdraw { .. } | Act::Proceed { .. } | Act::TellCad(_) => None,
        }
    }

    /// The effect as it was, under its own key: whoever had it after all takes it once.
    fn on_redriven(&mut self, key: &str) -> Option<Effect> {
        let effect = self.undelivered.remove(key)?.effect;
        self.outstanding.insert(effect.key.clone(), effect.clone());
        Some(effect)
    }

    fn on_accepted(&mut self, leg: &LegId, at: Timestamp) -> Option<Act> {
        let lead = if self.leg(leg)?.plan.together.is_empty() {
            leg.clone()
        } else {
            if canary!(HalfTandemOwns) {
                self.owner = Owner::Team(leg.clone());
            }
            self.end_offer(leg, LegState::Agreed)?;
            let partner = self.partner(leg).filter(|partner| partner.state == LegState::Agreed)?.id.clone();
            // Both have accepted: the one named first owns the call, the other comes beside it.
            let plan = &self.leg(leg)?.plan;
            let (lead, other) = if plan.together.first() == Some(&plan.program) {
                (leg.clone(), partner)
            } else {
                (partner, leg.clone())
            };
            self.end_offer(&other, LegState::Accompanying);
            lead
        };
        let program = self.end_offer(&lead, LegState::Accepted)?;
        // A phone team may still hand the call on to the rest of the chain.
        if self.leg(&lead)?.plan.kind != ProgramKind::Phone {
            self.steps_left.clear();
        }
        self.owner = Owner::Team(lead);
        self.phase = Phase::WithTeam;
        self.first(TimePoint::Accepted, at);
        Some(Act::TellCad(CadNotice::TeamAccepted { program }))
    }

    /// The team of a tandem that agreed first learns that the other has too.
    fn go_ahead(&self, accepted: &LegId) -> Option<Act> {
        if canary!(ProceedNotSent) {
            return None;
        }
        let other =
            self.partner(accepted).filter(|other| other.state.owns() || other.state == LegState::Accompanying)?;
        Some(Act::Proceed { leg: other.id.clone(), plan: other.plan.clone() })
    }

    /// Who has declined is not asked on a further leg.
    fn on_declined(&mut self, leg: &LegId) -> Option<Act> {
        let program = self.end_offer(leg, LegState::Declined)?;
        let asks = |plan: &LegPlan| plan.program == program || plan.together.contains(&program);
        for step in &mut self.steps_left {
            step.legs.retain(|plan| !asks(plan));
        }
        self.steps_left.retain(|step| !step.legs.is_empty());
        None
    }

    /// The PSAP owns the call while the next step of the chain is asked.
    fn on_handed_on(&mut self, leg: &LegId) -> Option<Act> {
        let program = self.end_offer(leg, LegState::HandedOn)?;
        self.owner = Owner::Psap;
        self.phase = Phase::Offered;
        Some(Act::TellCad(CadNotice::HandedOn { program }))
    }

    fn on_withdrawn(&mut self, leg: &LegId, why: &str) -> Option<Act> {
        self.end_leg(leg, LegState::Withdrawn);
        self.recalled.insert(leg.clone(), why.to_owned());
        if canary!(WithdrawNotSent) {
            return None;
        }
        self.withdraw(leg, why.to_owned())
    }

    fn on_answered_late(&mut self, leg: &LegId, answer: &str) -> Option<Act> {
        self.late.insert((leg.clone(), answer.to_owned()));
        let why = self.ended_why(self.leg(leg)?);
        self.withdraw(leg, why)
    }

    fn withdraw(&self, leg: &LegId, why: String) -> Option<Act> {
        let leg = self.leg(leg)?;
        Some(Act::Withdraw { leg: leg.id.clone(), plan: leg.plan.clone(), why })
    }

    fn on_moved(&mut self, leg: &LegId, status: TimePoint, at: Timestamp) -> Option<Act> {
        let state = LegState::of_status(status)?;
        self.moved.insert((leg.clone(), status));
        if self.leg(leg)?.state == LegState::Accompanying {
            // The call's progress is its owner's.
            return None;
        }
        let program = self.end_offer(leg, state)?;
        self.first(status, at);
        Some(Act::TellCad(CadNotice::TeamMoved { program, status }))
    }

    fn on_stood_back(&mut self, leg: &LegId, why: &str) -> Option<Act> {
        self.end_leg(leg, LegState::StoodBack);
        if self.owner == Owner::Team(leg.clone()) {
            self.hand_to_psap(Phase::Ordinary);
        }
        if canary!(StandBackNotSent) {
            return None;
        }
        let leg = self.leg(leg)?;
        Some(Act::StandBack { leg: leg.id.clone(), plan: leg.plan.clone(), why: why.to_owned() })
    }

    fn on_cleared(
        &mut self,
        leg: &LegId,
        disposition: Disposition,
        party: Option<Party>,
        at: Timestamp,
    ) -> Option<Act> {
        if let Some(beside) = self.accompanying_leg().map(|leg| leg.id.clone()) {
            self.end_leg(&beside, LegState::Cleared);
        }
        let program = self.end_offer(leg, LegState::Cleared);
        self.hand_to_psap(Phase::Ordinary);
        self.first(TimePoint::Cleared, at);
        Some(Act::TellCad(CadNotice::Cleared {
            program: program?,
            disposition: disposition.name().to_owned(),
            apco_code: disposition.apco_code().to_owned(),
            party: party.map(|party| party.name().to_owned()),
        }))
    }

    fn on_returned(&mut self, leg: Option<&LegId>, why: &str) -> Act {
        if let Some(leg) = leg
            && self.leg(leg).is_some_and(|leg| leg.state.owns() || leg.state == LegState::Accompanying)
        {
            self.end_leg(leg, LegState::Returned);
        }
        self.settled = !canary!(OfferedAgainAfterReturn);
        if canary!(OwnerLostOnReturn) {
            self.phase = Phase::Ordinary;
            return ordinary_route(why);
        }
        self.hand_to_psap(Phase::Ordinary);
        ordinary_route(why)
    }

    /// The PSAP owns the call, and nothing more will be offered on the old choice.
    fn hand_to_psap(&mut self, phase: Phase) {
        self.owner = Owner::Psap;
        self.steps_left.clear();
        self.phase = phase;
    }

    fn end_leg(&mut self, leg: &LegId, state: LegState) -> Option<Act> {
        self.end_offer(leg, state);
        None
    }

    /// Moves a leg on and drops its offer from the outbox: an offer that is answered or ended is never sent again.
    fn end_offer(&mut self, id: &LegId, state: LegState) -> Option<ProgramId> {
        self.outstanding.retain(|_, effect| !matches!(&effect.act, Act::Offer { leg, .. } if leg == id));
        let leg = self.legs.iter_mut().find(|leg| leg.id == *id)?;
        leg.state = state;
        Some(leg.plan.program.clone())
    }

    /// States the instant of a time point; the earliest statement stands.
    fn first(&mut self, point: TimePoint, at: Timestamp) -> Option<Act> {
        earliest(&mut self.times, point, at);
        None
    }
}

/// The name versions of a sending element are ordered under.
pub(super) fn element_key(received: &RecordReceived) -> String {
    format!("{}/{}", received.identity.agency, received.identity.element)
}

/// True where the sender says that the incident is over.
pub(super) fn ended_by_source(lifecycle: Lifecycle) -> Option<&'static str> {
    match lifecycle {
        Lifecycle::Open => None,
        Lifecycle::Closed => Some("closed-by-source"),
        Lifecycle::Cancelled => Some("cancelled-by-source"),
    }
}

fn earliest(times: &mut BTreeMap<TimePoint, Timestamp>, point: TimePoint, at: Timestamp) {
    let entry = times.entry(point).or_insert(at);
    *entry = (*entry).min(at);
}

fn ordinary_route(why: &str) -> Act {
    Act::TellCad(CadNotice::OrdinaryRoute { why: why.to_owned() })
}

fn backup(service: BackupService, team_requested: bool) -> Act {
    Act::TellCad(CadNotice::Backup { service, team_requested })
}
