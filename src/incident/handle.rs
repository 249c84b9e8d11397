//! What a command makes happen: events proposed on a draft of the incident, which the real one then applies.

use super::command::{Hands, JOURNAL_AWAY, MERGED};
use super::event::{Actor, BackupService, DeclineCause, Disposition, Party};
use super::legs::{bar_refusal, barring, point_name};
use super::{Act, AssessmentCause, Command, Duty, DutyState, Event, Incident, Leg, LegState, Owner, Phase, Refusal};
use crate::policy::{Mode, ProgramKind, Route, RouteStep, Status};
use crate::record::{LegId, TimePoint};
use jiff::Timestamp;

impl Incident {
    /// What the command makes happen: the events to append, as one unit. An empty list is a repeat that changes nothing.
    ///
    /// Deadlines that are due at `now` fire first, whether or not a [`Command::Tick`] came before: a deadline due
    /// exactly now has passed. An offer that follows from them is made only after the command itself was taken, so
    /// that nothing is offered on knowledge that the command has just overtaken. With [`Hands::Bound`] nothing is offered
    /// and nothing accepted: what would be offered next is back on the ordinary route, and all that leads there is taken
    /// as ever.
    ///
    /// # Errors
    /// Why it is refused. A refusal may still carry events to append first (a late answer is recorded): see
    /// [`Incident::refusal_events`].
    pub fn handle(&self, command: &Command, now: Timestamp, hands: Hands) -> Result<Vec<Event>, Refusal> {
        let mut draft = Draft { hands, ..Draft::of(self, now) };
        draft.time_out();
        let overdue = draft.events.len();
        draft.run(command)?;
        if draft.events.len() == overdue && *command != Command::Tick {
            return Ok(Vec::new());
        }
        draft.settle();
        Ok(draft.events)
    }

    /// Events to append although the command is refused: a late answer is recorded, once, and the team is told.
    #[must_use]
    pub fn refusal_events(&self, command: &Command, refusal: &Refusal, now: Timestamp, hands: Hands) -> Vec<Event> {
        let (Refusal::NoLongerYours { .. }, Some((leg, answer))) = (refusal, answer_of(command)) else {
            return Vec::new();
        };
        let mut draft = Draft { hands, ..Draft::of(self, now) };
        draft.time_out();
        if !draft.state.leg(leg).is_some_and(|leg| may_be_answered_late(leg.state))
            || draft.state.late.contains(&(leg.clone(), answer.to_owned()))
        {
            return Vec::new();
        }
        draft.push(Event::AnsweredLate { leg: leg.clone(), answer: answer.to_owned() });
        draft.settle();
        draft.events
    }
}

fn answer_of(command: &Command) -> Option<(&LegId, &'static str)> {
    match command {
        Command::AcceptLeg { leg, by: _ } => Some((leg, "accepted")),
        Command::DeclineLeg { leg, cause: _, by: _ } => Some((leg, "declined")),
        Command::Receive { .. }
        | Command::CancelRequest { .. }
        | Command::Answer { .. }
        | Command::AcceptRecommendation { .. }
        | Command::OverrideToOrdinary { .. }
        | Command::OverrideToPrograms { .. }
        | Command::MoveLeg { .. }
        | Command::ClearLeg { .. }
        | Command::ReturnLeg { .. }
        | Command::HandOnLeg { .. }
        | Command::AnswerOnLeg { .. }
        | Command::AcknowledgeRecall { .. }
        | Command::AcknowledgeReturn { .. }
        | Command::CloseDuty { .. }
        | Command::Backup { .. }
        | Command::ReportHazard { .. }
        | Command::EffectDelivered { .. }
        | Command::EffectUndeliverable { .. }
        | Command::Redrive { .. }
        | Command::KeepApart { .. }
        | Command::FollowLinks { .. }
        | Command::Tick => None,
    }
}

/// True for legs that ended otherwise than by the team's own completed response.
fn may_be_answered_late(state: LegState) -> bool {
    match state {
        LegState::Declined | LegState::TimedOut | LegState::Unreachable | LegState::Withdrawn | LegState::StoodBack => {
            true
        }
        LegState::Offered
        | LegState::Agreed
        | LegState::Accepted
        | LegState::EnRoute
        | LegState::OnScene
        | LegState::WithPerson
        | LegState::Accompanying
        | LegState::Returned
        | LegState::HandedOn
        | LegState::Cleared => false,
    }
}

/// A copy of the incident on which events are tried, so that each is proposed on the state the ones before it leave.
pub(super) struct Draft {
    pub(super) state: Incident,
    pub(super) events: Vec<Event>,
    pub(super) now: Timestamp,
    pub(super) hands: Hands,
}

impl Draft {
    fn of(incident: &Incident, now: Timestamp) -> Self {
        Self { state: incident.clone(), events: Vec::new(), now, hands: Hands::Free }
    }

    pub(super) fn push(&mut self, event: Event) {
        let withdrawn = if let Event::Withdrawn { leg, why: _ } = &event { self.state.leg(leg) } else { None };
        let was = withdrawn.map(|leg| leg.state);
        // The effects are made again, alike, when the appended event is applied to the real incident.
        drop(self.state.on(&event, self.now));
        let opened = self.state.opens(&event, was, self.now);
        self.events.push(event);
        for duty in opened {
            self.push(duty);
        }
    }

    fn time_out(&mut self) {
        let due = |leg: &&Leg| leg.state == LegState::Offered && leg.deadline <= self.now;
        let due: Vec<LegId> = self.state.open_legs().filter(due).map(|leg| leg.id.clone()).collect();
        for leg in due {
            self.push(Event::TimedOut { leg });
        }
        self.part_tandems();
        let overdue = |duty: &&Duty| duty.state == DutyState::Open && duty.due <= self.now;
        for duty in self.state.duties.iter().filter(overdue).cloned().collect::<Vec<_>>() {
            self.push(Event::DutyOverdue { duty: duty.id, kind: duty.kind, program: duty.program });
        }
    }

    /// A tandem is whole or nothing: where one half will not come, the other is told that it need not.
    fn part_tandems(&mut self) {
        let alone = |leg: &&Leg| {
            !leg.plan.together.is_empty() && self.state.partner(&leg.id).is_none_or(|partner| !partner.state.holds())
        };
        let alone: Vec<(LegId, String)> = self
            .state
            .open_legs()
            .filter(alone)
            .map(|leg| (leg.id.clone(), self.state.partner(&leg.id).map_or("gone", |partner| partner.state.name())))
            .map(|(leg, why)| (leg, format!("partner-{why}")))
            .collect();
        for (leg, why) in alone {
            self.push(Event::Withdrawn { leg, why });
        }
    }

    /// Where the last open leg of a step has ended, the next step is offered or the call comes back.
    fn settle(&mut self) {
        self.part_tandems();
        let none_left = self.state.open_legs().next().is_none() && !canary!(NextLegNeverOffered);
        if self.state.phase == Phase::Offered && none_left {
            self.offer_next();
        }
        let ended = |duty: &Duty| Some((duty.id.clone(), duty.kind, self.state.ended_by_itself(duty)?));
        for (duty, kind, outcome) in self.state.duties_owed().filter_map(ended).collect::<Vec<_>>() {
            self.push(Event::DutyClosed { duty, kind, outcome, by: Actor::Policy });
        }
    }

    fn run(&mut self, command: &Command) -> Result<(), Refusal> {
        match command {
            Command::Receive { received, units, facts, decision } => self.receive(received, units, facts, decision),
            Command::CancelRequest { asked } => self.cancel_request(asked)?,
            Command::Answer { fact, value, by, facts, decision } => {
                self.must_be_open()?;
                self.push(Event::AnswerGiven { fact: fact.clone(), value: value.clone(), by: by.clone() });
                self.assess(AssessmentCause::Answer, facts, decision);
                self.offer_automatically();
            }
            Command::AcceptRecommendation { by } => self.accept_recommendation(by)?,
            Command::OverrideToOrdinary { by, reason } => self.choose_ordinary(by, reason.as_deref())?,
            Command::OverrideToPrograms { by, reason, steps } => self.choose_programs(by, reason, steps)?,
            Command::AcceptLeg { leg, by } => self.accept(leg, by)?,
            Command::DeclineLeg { leg, cause, by } => self.decline(leg, *cause, by)?,
            Command::MoveLeg { leg, status, by } => self.move_leg(leg, *status, by)?,
            Command::ClearLeg { leg, disposition, party, by } => self.clear(leg, *disposition, *party, by)?,
            Command::ReturnLeg { leg, why, by: _ } => self.give_back(leg, why)?,
            Command::HandOnLeg { leg, by } => self.hand_on(leg, by)?,
            Command::AnswerOnLeg { leg, fact, value, by, facts, decision } => {
                self.may_answer(leg)?;
                self.push(Event::AnswerGiven { fact: fact.clone(), value: value.clone(), by: by.clone() });
                self.assess(AssessmentCause::Answer, facts, decision);
            }
            Command::AcknowledgeRecall { leg, by } => self.acknowledge_recall(leg, by)?,
            Command::AcknowledgeReturn { by } => self.acknowledge_return(by)?,
            Command::CloseDuty { duty, outcome, by } => self.close_duty(duty, *outcome, by)?,
            Command::Backup { leg, service, team_requested, by } => {
                self.backup(leg.as_ref(), *service, *team_requested, by);
            }
            Command::ReportHazard { leg, fact, value, by, facts, decision } => {
                self.must_be_open()?;
                self.state.leg(leg).ok_or(Refusal::NoSuchLeg)?;
                let (leg, fact, value) = (leg.clone(), fact.clone(), value.clone());
                self.push(Event::HazardReported { leg, fact, value, by: by.clone() });
                if canary!(HazardRecallsNothing) {
                    return Ok(());
                }
                self.assess(AssessmentCause::Hazard, facts, decision);
            }
            Command::EffectDelivered { key } => {
                if self.state.outstanding.contains_key(key) {
                    self.push(Event::Delivered { key: key.clone() });
                }
            }
            Command::EffectUndeliverable { key, why } => {
                if let Some(effect) = self.state.outstanding.get(key).cloned() {
                    self.push(Event::Undeliverable { key: key.clone(), why: why.clone() });
                    self.not_told_to_proceed(&effect.act);
                }
            }
            Command::Redrive { key, by } => self.redrive(key, by)?,
            Command::KeepApart { incident, after, first_hash, entries, facts, decision } => {
                if self.state.kept_apart.contains(first_hash) {
                    return Ok(());
                }
                let (incident, first_hash, entries) = (incident.clone(), first_hash.clone(), entries.clone());
                self.push(Event::KeptApart { incident, after: *after, first_hash, entries });
                if self.state.is_open() && (self.state.facts != *facts || self.state.is_news_of_danger(facts, decision))
                {
                    self.assess(AssessmentCause::Hazard, facts, decision);
                }
            }
            Command::FollowLinks { facts, decision, merged } => self.follow_links(facts, decision, *merged),
            Command::Tick => {}
        }
        Ok(())
    }

    fn must_be_open(&self) -> Result<(), Refusal> {
        if self.state.is_open() { Ok(()) } else { Err(Refusal::Closed) }
    }

    /// The choice between routes is open only while no team is being asked or has the call.
    fn must_be_free(&self) -> Result<(), Refusal> {
        match self.state.phase {
            Phase::Closed => Err(Refusal::Closed),
            Phase::Offered => Err(nothing_to_choose("already-offered")),
            Phase::WithTeam => Err(nothing_to_choose("with-team")),
            Phase::Assessed | Phase::Ordinary => Ok(()),
        }
    }

    fn hands_must_be_free(&self) -> Result<(), Refusal> {
        match self.hands {
            Hands::Free if self.state.is_merged() => Err(nothing_to_choose(MERGED)),
            Hands::Free => Ok(()),
            Hands::Bound => Err(nothing_to_choose(JOURNAL_AWAY)),
        }
    }

    fn accept_recommendation(&mut self, by: &Actor) -> Result<(), Refusal> {
        self.must_be_free()?;
        if self.state.settled {
            return Err(nothing_to_choose("already-chosen"));
        }
        let decision = self.state.decision.as_ref().ok_or_else(|| nothing_to_choose("not-assessed"))?;
        if self.state.mode == Mode::Shadow {
            return Err(nothing_to_choose("shadow"));
        }
        match &decision.status {
            Status::Eligible if self.state.test => Err(nothing_to_choose("test")),
            Status::Eligible => {
                self.hands_must_be_free()?;
                let steps = decision.steps.clone();
                self.must_be_offerable(&steps)?;
                self.choose(steps, by.clone(), None);
                Ok(())
            }
            Status::NotAssessed { .. }
            | Status::Ineligible { .. }
            | Status::NeedsAnswer
            | Status::EligibleOutOfHours
            | Status::EligibleOutOfArea
            | Status::EligibleNoUnit
            | Status::ShadowEligible => {
                self.push(Event::OrdinaryChosen { by: by.clone(), override_reason: None });
                Ok(())
            }
        }
    }

    fn must_be_offerable(&self, steps: &[RouteStep]) -> Result<(), Refusal> {
        if self.first_offerable(steps).is_some() {
            return Ok(());
        }
        let barred = steps.iter().flat_map(|step| &step.legs).find_map(|plan| {
            let exclusion = barring(self.state.decision.as_ref()?, plan)?;
            Some(bar_refusal(exclusion, plan))
        });
        Err(barred.unwrap_or_else(|| nothing_to_choose("no-program")))
    }

    fn choose_ordinary(&mut self, by: &Actor, reason: Option<&str>) -> Result<(), Refusal> {
        self.must_be_open()?;
        let taken_back = matches!(self.state.phase, Phase::Offered | Phase::WithTeam);
        if self.state.settled && !taken_back {
            self.has_seen_the_return(by);
            return Ok(());
        }
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        let recommended =
            self.state.decision.as_ref().is_some_and(|decision| matches!(decision.route, Route::Program(_)));
        if recommended && reason.is_none() {
            return Err(Refusal::ReasonRequired);
        }
        let override_reason = reason.filter(|_| recommended || taken_back).map(str::to_owned);
        self.push(Event::OrdinaryChosen { by: by.clone(), override_reason });
        if taken_back {
            self.take_back("overridden", "overridden");
        }
        Ok(())
    }

    fn choose_programs(&mut self, by: &Actor, reason: &str, steps: &[RouteStep]) -> Result<(), Refusal> {
        self.must_be_free()?;
        self.hands_must_be_free()?;
        let reason = reason.trim();
        let decision = self.state.decision.as_ref().ok_or_else(|| nothing_to_choose("not-assessed"))?;
        if self.state.mode == Mode::Shadow {
            return Err(nothing_to_choose("shadow"));
        }
        if self.state.test {
            return Err(nothing_to_choose("test"));
        }
        match decision.status {
            Status::NotAssessed { .. } => return Err(nothing_to_choose("not-assessed")),
            Status::ShadowEligible => return Err(nothing_to_choose("shadow")),
            Status::Ineligible { .. }
            | Status::NeedsAnswer
            | Status::EligibleOutOfHours
            | Status::EligibleOutOfArea
            | Status::EligibleNoUnit
            | Status::Eligible => {}
        }
        for plan in steps.iter().flat_map(|step| &step.legs) {
            if let Some(exclusion) = barring(decision, plan) {
                return Err(bar_refusal(exclusion, plan));
            }
        }
        self.must_be_offerable(steps)?;
        if reason.is_empty() {
            return Err(Refusal::ReasonRequired);
        }
        self.has_seen_the_return(by);
        self.choose(steps.to_vec(), by.clone(), Some(reason.to_owned()));
        Ok(())
    }

    fn accept(&mut self, id: &LegId, by: &Actor) -> Result<(), Refusal> {
        let leg = self.state.leg(id).ok_or(Refusal::NoSuchLeg)?;
        if leg.state.owns() || matches!(leg.state, LegState::Agreed | LegState::Accompanying) {
            return Ok(());
        }
        let late = canary!(LateAcceptanceHonoured) && leg.state == LegState::TimedOut;
        let second =
            canary!(SecondAcceptanceWins) && self.state.recalled.get(id).is_some_and(|why| why == "taken-by-other");
        if leg.state != LegState::Offered && !late && !second {
            return Err(Refusal::NoLongerYours { why: self.state.ended_why(leg) });
        }
        if self.hands == Hands::Bound {
            return Err(Refusal::NoLongerYours { why: JOURNAL_AWAY.to_owned() });
        }
        self.push(Event::Accepted { leg: id.clone(), by: by.clone() });
        // The first half of a tandem takes nothing from anybody.
        if self.state.owning_leg().is_some() {
            self.withdraw_open("taken-by-other");
        }
        Ok(())
    }

    /// The team beside the owner goes, or will not come. Before the owner has arrived the tandem is no tandem, and the
    /// call comes back; a team on scene sees more than the policy and keeps it.
    fn part(&mut self, id: &LegId) {
        let arrived = self.state.owning_leg().is_some_and(|lead| lead.state.has_arrived());
        if arrived {
            self.push(Event::Withdrawn { leg: id.clone(), why: "left".to_owned() });
            return;
        }
        if let Some(lead) = self.state.owning_leg().map(|lead| lead.id.clone()) {
            self.push(Event::StoodBack { leg: lead, why: "partner-left".to_owned() });
        }
        self.return_to_ordinary("partner-left", Some(id.clone()));
    }

    /// Half a tandem that could not be told to go is a team without its partner.
    fn not_told_to_proceed(&mut self, act: &Act) {
        let Act::Proceed { leg, .. } = act else { return };
        let holds = self.state.leg(leg).is_some_and(|leg| leg.state.holds());
        if holds && self.state.owning_leg().is_some_and(|lead| !lead.state.has_arrived()) {
            self.take_back("tandem-not-told", "tandem-not-told");
        }
    }

    fn hand_on(&mut self, id: &LegId, by: &Actor) -> Result<(), Refusal> {
        if self.state.leg(id).is_some_and(|leg| leg.state == LegState::HandedOn) {
            return Ok(());
        }
        let leg = self.state.owned(id, "handed-on")?;
        if leg.plan.kind != ProgramKind::Phone {
            // Who stands before the person does not pass on what it cannot do: it gives the call back.
            let (stands, asked) = (leg.state.name().to_owned(), "handed-on".to_owned());
            return Err(Refusal::OutOfOrder { stands, asked });
        }
        self.push(Event::HandedOn { leg: id.clone(), by: by.clone() });
        Ok(())
    }

    fn decline(&mut self, id: &LegId, cause: DeclineCause, by: &Actor) -> Result<(), Refusal> {
        let leg = self.state.leg(id).ok_or(Refusal::NoSuchLeg)?;
        if leg.state == LegState::Declined {
            return Ok(());
        }
        if leg.state.owns() {
            // A team that says no after its yes will not go: leaving the call with it would lose the call.
            self.return_to_ordinary("declined-after-acceptance", Some(id.clone()));
            return Ok(());
        }
        if leg.state == LegState::Accompanying {
            self.part(id);
            return Ok(());
        }
        if !matches!(leg.state, LegState::Offered | LegState::Agreed) {
            return Err(Refusal::NoLongerYours { why: self.state.ended_why(leg) });
        }
        self.push(Event::Declined { leg: id.clone(), cause, by: by.clone() });
        if cause == DeclineCause::Unsafe && !canary!(UnsafeOfferedOn) {
            // What one team judges unsafe is not offered to the next: doubt goes to the ordinary route.
            self.withdraw_open("declined-unsafe");
            self.return_to_ordinary("declined-unsafe", Some(id.clone()));
        }
        Ok(())
    }

    fn move_leg(&mut self, id: &LegId, status: TimePoint, by: &Actor) -> Result<(), Refusal> {
        let leg = self.state.leg(id).ok_or(Refusal::NoSuchLeg)?;
        let reported = self.state.moved.contains(&(id.clone(), status));
        if reported && (leg.state.holds() || leg.state == LegState::Cleared) {
            return Ok(());
        }
        if leg.state == LegState::Accompanying && LegState::of_status(status).is_some() {
            self.push(Event::TeamMoved { leg: id.clone(), status, by: by.clone() });
            return Ok(());
        }
        let leg = self.state.owned(id, point_name(status))?;
        let asked = LegState::of_status(status).and_then(LegState::progress);
        if asked <= leg.state.progress() {
            let (stands, asked) = (leg.state.name().to_owned(), point_name(status).to_owned());
            return Err(Refusal::OutOfOrder { stands, asked });
        }
        self.push(Event::TeamMoved { leg: id.clone(), status, by: by.clone() });
        Ok(())
    }

    fn clear(&mut self, id: &LegId, disposition: Disposition, party: Option<Party>, by: &Actor) -> Result<(), Refusal> {
        if self.state.leg(id).is_some_and(|leg| leg.state == LegState::Cleared) {
            return Ok(());
        }
        if self.state.leg(id).is_some_and(|leg| leg.state == LegState::Accompanying) {
            self.part(id);
            return Ok(());
        }
        self.state.owned(id, "cleared")?;
        // A clearance is not lost for want of a word: who does not belong to the disposition is left out.
        let party = party.filter(|party| disposition.parties().contains(party));
        self.push(Event::Cleared { leg: id.clone(), disposition, party, by: by.clone() });
        self.push(Event::Closed { why: "cleared".to_owned() });
        Ok(())
    }

    fn give_back(&mut self, id: &LegId, why: &str) -> Result<(), Refusal> {
        if self.state.leg(id).is_some_and(|leg| leg.state == LegState::Returned) {
            return Ok(());
        }
        if self.state.leg(id).is_some_and(|leg| leg.state == LegState::Accompanying) {
            self.part(id);
            return Ok(());
        }
        self.state.owned(id, "returned")?;
        self.return_to_ordinary(&returned_why(why), Some(id.clone()));
        Ok(())
    }

    fn backup(&mut self, leg: Option<&LegId>, service: BackupService, team_requested: bool, by: &Actor) {
        let leg = leg.filter(|leg| self.state.leg(leg).is_some()).cloned();
        self.push(Event::BackupRequested { leg, service, team_requested, by: by.clone() });
    }

    /// Takes the call back from whoever is asked or has it. `row` is what the owning team is told.
    pub(super) fn take_back(&mut self, row: &str, why: &str) {
        self.withdraw_open(why);
        let owner = match &self.state.owner {
            Owner::Team(leg) => Some(leg.clone()),
            Owner::Psap => None,
        };
        if let Some(leg) = &owner {
            self.push(Event::StoodBack { leg: leg.clone(), why: row.to_owned() });
        }
        self.return_to_ordinary(why, owner);
    }

    pub(super) fn withdraw_open(&mut self, why: &str) {
        let open: Vec<LegId> = self.state.open_legs().map(|leg| leg.id.clone()).collect();
        for leg in open {
            self.push(Event::Withdrawn { leg, why: why.to_owned() });
        }
    }

    pub(super) fn return_to_ordinary(&mut self, why: &str, leg: Option<LegId>) {
        let beside = self.state.accompanying_leg().map(|beside| beside.id.clone());
        if let Some(beside) = beside.filter(|beside| Some(beside) != leg.as_ref()) {
            self.push(Event::StoodBack { leg: beside, why: why.to_owned() });
        }
        self.push(Event::ReturnedToOrdinary { why: why.to_owned(), leg });
    }
}

fn nothing_to_choose(why: &str) -> Refusal {
    Refusal::NothingToChoose { why: why.to_owned() }
}

/// `team-returned`, or `team-returned.<why>` where the team gave a kebab-case reason. Free text could hold personal
/// data and is not kept.
fn returned_why(why: &str) -> String {
    let kebab = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if why.is_empty() || why == "team-returned" || why.len() > 64 || !why.bytes().all(kebab) {
        "team-returned".to_owned()
    } else {
        format!("team-returned.{why}")
    }
}
