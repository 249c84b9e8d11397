//! What follows from a record and from every new decision: recall, stand-back, automatic offers, the source's closing.
//!
//! Three words weigh what is new against a chosen program:
//! - **danger**: an exclusion that holds on known facts and does not send to the program. It recalls offers and
//!   teams at any time, and asks police for a team that has already arrived.
//! - **doubt**: an exclusion that holds only for want of an answer, or a status that has become `not-assessed`,
//!   `ineligible` or `needs-answer` since the choice. It recalls offers, and teams that have not arrived; a team on
//!   scene sees more than the record.
//! - **availability** (hours, area, units, shadow): never recalls what was chosen.

use super::command::{Hands, JOURNAL_AWAY, MERGED};
use super::event::{Actor, Asked, AssessmentCause, BackupService, RecordReceived};
use super::handle::Draft;
use super::legs::{barring, bars};
use super::transition::{element_key, ended_by_source};
use super::{Event, Incident, Leg, LegState, Phase, Refusal};
use crate::facts::Facts;
use crate::policy::{Decision, LegPlan, Mode, RouteStep, Status};
use crate::record::{AgencyId, LegId, Lifecycle, UnitStatus};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is new against a chosen program: `row` names it, for the team.
enum Against {
    Danger { row: String },
    Doubt { row: String },
}

impl Draft {
    pub(super) fn receive(
        &mut self,
        received: &RecordReceived,
        units: &[UnitStatus],
        facts: &Facts,
        decision: &Arc<Decision>,
    ) {
        let seen = self.state.seen.contains(&received.identity.content_sha256) && !canary!(RepeatTakenForNew);
        if seen {
            // The record is known; that somebody asks for service with it may be news, and must be found again.
            if received.asked.as_ref().is_some_and(|asked| !self.state.is_asked(asked)) {
                self.push(Event::RecordReceived(RecordReceived { applied: false, ..received.clone() }));
            }
            return;
        }
        let stale = self.state.is_overtaken(received);
        let applied = self.state.is_open() && !stale;
        self.push(Event::RecordReceived(RecordReceived { applied, ..received.clone() }));
        if !self.state.is_open() {
            return;
        }
        if stale {
            // A stale record is stored and not applied, but the danger it tells of is not unlearnt (I5, I8).
            if self.state.is_news_of_danger(facts, decision) && !canary!(StaleDangerDropped) {
                self.assess(AssessmentCause::Record, facts, decision);
            }
            // Nor that its call is another incident's.
            self.give_up_merged();
            return;
        }
        self.see_units(received, units);
        let with_team = self.state.phase == Phase::WithTeam;
        self.assess(AssessmentCause::Record, facts, decision);
        self.give_up_merged();
        let recalled = with_team && self.state.phase != Phase::WithTeam;
        match ended_by_source(received.lifecycle) {
            Some(why) => self.end_by_source(received.lifecycle, why, recalled),
            None => self.offer_automatically(),
        }
    }

    /// The dangers of the incidents tied to this one hold for it too; where another of them has its call, it ends.
    pub(super) fn follow_links(&mut self, facts: &Facts, decision: &Arc<Decision>, merged: bool) {
        if self.state.is_open() && self.state.facts != *facts {
            self.assess(AssessmentCause::Linked, facts, decision);
        }
        if merged {
            self.end_by_source(Lifecycle::Cancelled, MERGED, false);
        }
    }

    /// By its sender's word its call is another incident's: nobody is to go for this one as well, unless they are there.
    fn give_up_merged(&mut self) {
        if canary!(MergedCallKeepsItsTeam) {
            return;
        }
        let arrived = self.state.owning_leg().is_some_and(|leg| leg.state.has_arrived());
        if self.state.is_merged() && matches!(self.state.phase, Phase::Offered | Phase::WithTeam) && !arrived {
            self.take_back(MERGED, MERGED);
        }
    }

    fn see_units(&mut self, received: &RecordReceived, units: &[UnitStatus]) {
        for unit in units {
            if !self.state.units_seen.contains(&(unit.unit.clone(), unit.status)) {
                // EIDO states no time with a unit's status: then it is the version in which it was first seen.
                let at = unit.at.or(received.identity.updated_at).unwrap_or(self.now);
                self.push(Event::UnitSeen { unit: unit.unit.clone(), status: unit.status, at });
            }
        }
    }

    /// A new decision, and the recall of whatever it is against.
    pub(super) fn assess(&mut self, cause: AssessmentCause, facts: &Facts, decision: &Arc<Decision>) {
        self.push(Event::Assessed { decision: Arc::clone(decision), facts: facts.clone(), cause });
        if canary!(ExclusionSkippedOnUpdate) && cause == AssessmentCause::Record {
            return;
        }
        match self.state.phase {
            Phase::Offered => match self.state.against_offers(decision) {
                Some(Against::Danger { row }) => self.take_back(&row, "hazard"),
                Some(Against::Doubt { row }) => self.take_back(&row, "doubt"),
                None => {}
            },
            Phase::WithTeam => self.recall_team(decision),
            Phase::Assessed | Phase::Ordinary | Phase::Closed => {}
        }
    }

    fn recall_team(&mut self, decision: &Decision) {
        let Some(leg) = self.state.owning_leg().cloned() else { return };
        // Of a tandem, what is against either half is against both.
        let beside = self.state.accompanying_leg().and_then(|beside| self.state.against(decision, beside));
        let against = match (self.state.against(decision, &leg), beside) {
            (danger @ Some(Against::Danger { .. }), _) | (danger, None) => danger,
            (_, beside) => beside,
        };
        match against {
            Some(Against::Danger { row }) => {
                self.take_back(&row, "hazard");
                // The ordinary route brings police to the call; a team that is there already needs them for itself.
                if leg.state.has_arrived() {
                    self.push(Event::BackupRequested {
                        leg: Some(leg.id),
                        service: BackupService::Police,
                        team_requested: false,
                        by: Actor::Policy,
                    });
                }
            }
            Some(Against::Doubt { row }) if !leg.state.has_arrived() => self.take_back(&row, "doubt"),
            Some(Against::Doubt { .. }) | None => {}
        }
    }

    /// The sender says that the incident is over.
    ///
    /// Its word ends a call that it owns. A team that has the call keeps it until it clears (a CAD that hands a call
    /// over commonly closes its own incident), unless the call is cancelled before the team has arrived. A call that
    /// was recalled from its team by the very same record stays open: nobody else may be going.
    fn end_by_source(&mut self, lifecycle: Lifecycle, why: &str, recalled: bool) {
        match self.state.phase {
            Phase::WithTeam => {
                let Some(leg) = self.state.owning_leg() else { return };
                if lifecycle != Lifecycle::Cancelled || leg.state.has_arrived() {
                    return;
                }
                let beside = self.state.accompanying_leg().map(|leg| leg.id.clone());
                for leg in beside.into_iter().chain([leg.id.clone()]).filter(|_| !canary!(CancelForgetsTheTeam)) {
                    self.push(Event::StoodBack { leg, why: why.to_owned() });
                }
            }
            Phase::Offered => self.withdraw_open(why),
            Phase::Assessed | Phase::Ordinary if recalled => return,
            Phase::Assessed | Phase::Ordinary => {}
            Phase::Closed => return,
        }
        self.push(Event::Closed { why: why.to_owned() });
    }

    /// Whoever asked for service takes it back: what a record of its agency that says `cancelled` would do. The request
    /// stands where a team has arrived, which keeps the call until it clears, and where another agency has spoken of the
    /// call too: one agency's word does not end a call that is not its alone.
    pub(super) fn cancel_request(&mut self, asked: &Asked) -> Result<(), Refusal> {
        let not_taken_back = |why| Err(Refusal::NotTakenBack { why });
        let Some((_, agency)) = self.state.asked.iter().find(|(known, _)| known == asked) else {
            return not_taken_back("not-asked");
        };
        if !self.state.is_open() {
            return Ok(());
        }
        if !self.state.is_of_one_agency(agency) {
            return not_taken_back("another-agency");
        }
        if self.state.owning_leg().is_some_and(|leg| leg.state.has_arrived()) {
            return not_taken_back("team-arrived");
        }
        if let Some(why) = ended_by_source(Lifecycle::Cancelled) {
            self.end_by_source(Lifecycle::Cancelled, why, false);
        }
        Ok(())
    }

    /// Offers without a call-taker's key where mode, row and call allow it, and only before any choice was made.
    pub(super) fn offer_automatically(&mut self) {
        let state = &self.state;
        let Some(decision) = &state.decision else { return };
        let free = self.hands == Hands::Free
            && matches!(state.phase, Phase::Assessed | Phase::Ordinary)
            && !state.settled
            && !state.is_merged()
            && (!state.test || canary!(TestCallOffered));
        let allowed = (state.mode == Mode::Automatic || canary!(ShadowOffers))
            && decision.automatic
            && decision.status == Status::Eligible;
        if free && allowed && self.first_offerable(&decision.steps).is_some() {
            let steps = decision.steps.clone();
            self.choose(steps, Actor::Policy, None);
        }
    }

    pub(super) fn choose(&mut self, steps: Vec<RouteStep>, by: Actor, override_reason: Option<String>) {
        self.push(Event::Chosen { steps, by, override_reason });
        self.offer_next();
    }

    /// Offers every permitted leg of the next step that has one; where none is left, the call comes back.
    pub(super) fn offer_next(&mut self) {
        if self.hands == Hands::Bound {
            return self.return_to_ordinary(JOURNAL_AWAY, None);
        }
        if self.state.is_merged() && !canary!(MergedCallKeepsItsTeam) {
            return self.return_to_ordinary(MERGED, None);
        }
        let Some(plans) = self.first_offerable(&self.state.steps_left) else {
            return self.return_to_ordinary("no-team-accepted", None);
        };
        for plan in plans {
            let leg = self.state.next_leg_id();
            let deadline = deadline_of(&plan, self.now);
            self.push(Event::Offered { leg, plan, deadline });
        }
    }

    /// The legs of the first step that may be offered on the last decision.
    pub(super) fn first_offerable(&self, steps: &[RouteStep]) -> Option<Vec<LegPlan>> {
        let decision = self.state.decision.as_ref()?;
        steps.iter().find_map(|step| {
            let may = |plan: &&LegPlan| barring(decision, plan).is_none() && self.state.is_referred(plan);
            let plans: Vec<_> = step.legs.iter().filter(may).cloned().collect();
            // Half a tandem is not offered.
            let whole = plans.iter().all(|plan| plan.together.is_empty() || plans.len() == plan.together.len());
            (!plans.is_empty() && whole).then_some(plans)
        })
    }
}

impl Incident {
    fn is_asked(&self, asked: &Asked) -> bool {
        self.asked.iter().any(|(known, _)| known == asked)
    }

    /// True where every record that counted, and every request, is this agency's.
    pub(super) fn is_of_one_agency(&self, agency: &AgencyId) -> bool {
        let its = |element: &String| element.strip_prefix(agency.as_str()).is_some_and(|rest| rest.starts_with('/'));
        let last = self.identity.as_ref().is_none_or(|identity| identity.agency == *agency);
        last && self.applied.keys().all(its) && self.asked.iter().all(|(_, of)| of == agency)
    }

    /// True where the same element has already been applied in a newer version, by the element's own clock.
    ///
    /// A record without a version time cannot be placed and counts as new.
    fn is_overtaken(&self, received: &RecordReceived) -> bool {
        match (received.identity.updated_at, self.applied.get(&element_key(received))) {
            (Some(updated_at), Some(applied)) => updated_at < *applied && !canary!(StaleRecordApplied),
            (Some(_) | None, None) | (None, Some(_)) => false,
        }
    }

    /// True where the decision has an exclusion on known facts that the last decision had not. Without a policy nothing
    /// tells danger from the rest: then whatever is new is kept for the policy that comes.
    pub(super) fn is_news_of_danger(&self, facts: &Facts, decision: &Decision) -> bool {
        if decision.policy.digest.is_empty() {
            return *facts != self.facts;
        }
        let known: BTreeSet<&str> = self
            .decision
            .iter()
            .flat_map(|last| &last.exclusions)
            .filter(|exclusion| exclusion.for_want_of.is_empty())
            .map(|exclusion| exclusion.id.as_str())
            .collect();
        decision
            .exclusions
            .iter()
            .any(|exclusion| exclusion.for_want_of.is_empty() && !known.contains(exclusion.id.as_str()))
    }

    /// True but for a referral whose program has not declined the last time it was asked.
    fn is_referred(&self, plan: &LegPlan) -> bool {
        let Some(by) = &plan.referred_by else { return true };
        self.legs.iter().rev().find(|leg| leg.plan.program == *by).is_some_and(|leg| leg.state == LegState::Declined)
    }

    /// What is new against any leg on offer; danger before doubt.
    fn against_offers(&self, decision: &Decision) -> Option<Against> {
        let mut doubt = self.doubtful_status(decision);
        for leg in self.open_legs() {
            match self.against(decision, leg) {
                Some(danger @ Against::Danger { .. }) => return Some(danger),
                Some(found @ Against::Doubt { .. }) => doubt = Some(found),
                None => {}
            }
        }
        doubt
    }

    /// What is new against one leg. Whatever bars it is new, for nothing barred is ever offered.
    fn against(&self, decision: &Decision, leg: &Leg) -> Option<Against> {
        let first = barring(decision, &leg.plan);
        let danger =
            decision.exclusions.iter().find(|exclusion| bars(exclusion, &leg.plan) && exclusion.for_want_of.is_empty());
        match (danger, first) {
            (Some(danger), _) => Some(Against::Danger { row: danger.id.clone() }),
            (None, Some(doubt)) => Some(Against::Doubt { row: doubt.id.clone() }),
            (None, None) => self.doubtful_status(decision),
        }
    }

    /// A status of doubt that is not the one on which the programs were chosen.
    fn doubtful_status(&self, decision: &Decision) -> Option<Against> {
        let name = decision.status.name();
        let unchanged = self.chosen_on.as_ref().is_some_and(|then| then.name() == name);
        match &decision.status {
            Status::NotAssessed { .. } | Status::Ineligible { .. } | Status::NeedsAnswer if !unchanged => {
                Some(Against::Doubt { row: name.to_owned() })
            }
            Status::NotAssessed { .. }
            | Status::Ineligible { .. }
            | Status::NeedsAnswer
            | Status::EligibleOutOfHours
            | Status::EligibleOutOfArea
            | Status::EligibleNoUnit
            | Status::Eligible
            | Status::ShadowEligible => None,
        }
    }

    fn next_leg_id(&self) -> LegId {
        LegId::of(&self.id, u32::try_from(self.legs.len()).unwrap_or(u32::MAX).saturating_add(1))
    }
}

fn deadline_of(plan: &LegPlan, now: Timestamp) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(i64::from(plan.accept_deadline_s))).unwrap_or(Timestamp::MAX)
}
