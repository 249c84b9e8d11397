//! The team's page: what is offered to a program, what is its own, and one press for each step to clearance.

mod card;
mod released;

use super::layout::{self, Icon, Page, icon};
use super::visitor::{Entrant, Press, TeamWork, Visitor};
use super::{PageState, of_kebab, owed, see, trail, wire_name};
use crate::call_processing::{CallProblem, IncidentView};
use crate::incident::{Actor, BackupService, Command, DeclineCause, Disposition, Duty, Leg, LegState};
use crate::record::{DutyId, LegId, ProgramId, TimePoint};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use card::HAZARDS;
pub use card::RETURN_REASONS;
use jiff::Timestamp;
use maud::{Markup, html};
pub use released::reference;
use released::{TeamCall, released};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Legs drawn at most, the most urgent first.
const LEGS_MAX: usize = 40;

/// The routes.
pub fn routes() -> Router<PageState> {
    Router::new()
        .route("/team", get(look))
        .route("/team/legs/{leg}/accept", post(accept))
        .route("/team/legs/{leg}/decline", post(decline))
        .route("/team/legs/{leg}/move", post(move_on))
        .route("/team/legs/{leg}/clear", post(clear))
        .route("/team/legs/{leg}/return", post(hand_back))
        .route("/team/legs/{leg}/hand-on", post(hand_on))
        .route("/team/legs/{leg}/backup", post(backup))
        .route("/team/legs/{leg}/hazard", post(hazard))
        .route("/team/duties/{duty}", post(close_duty))
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    program: Option<String>,
    said: Option<String>,
    fragment: Option<String>,
}

/// One leg with what its team may see of the call.
pub struct Shown {
    leg: Leg,
    call: TeamCall,
    alarms: Markup,
}

impl Shown {
    /// One leg as its team may see it, with the alarms of its call.
    #[must_use]
    pub fn of(view: &IncidentView, leg: &Leg, alarms: &Markup) -> Self {
        Self { leg: leg.clone(), call: released(view, leg), alarms: alarms.clone() }
    }
}

async fn look(State(state): State<PageState>, entrant: Entrant<TeamWork>, Query(asked): Query<Asked>) -> Response {
    let visitor = entrant.0;
    let now = state.doors.clock.now();
    let calls = state.desk.open_incidents();
    let programs = choosable(&visitor, &calls);
    let chosen = asked.program.as_deref().and_then(wire_name).map(ProgramId::new);
    let mine = match (chosen, visitor.plays_every_team()) {
        (Some(program), _) if programs.contains_key(&program) => vec![program],
        (_, true) => most_urgent_program(&calls).or_else(|| programs.keys().next().cloned()).into_iter().collect(),
        (_, false) => visitor.programs(),
    };
    let mut shown = Vec::new();
    for (view, leg) in legs_of(&calls, &mine).into_iter().take(LEGS_MAX) {
        // After a restart the record is read again from the content store.
        let view = state.desk.view(&view.incident.id).await.unwrap_or_else(|_| view.clone());
        // The words of a call's trail hold no personal data; the fields of its record go through the release list.
        let entries = match rank(leg.state) {
            Rank::Offered | Rank::Lost => Vec::new(),
            Rank::StoodBack | Rank::Owned => {
                state.desk.journal().read_incident(&view.incident.id).await.unwrap_or_default()
            }
        };
        let alarms = trail::alarms(&visitor.words, &entries);
        shown.push(Shown::of(&view, leg, &alarms));
    }
    let owed: Vec<Duty> = state.desk.owed().into_iter().filter(|duty| is_of(duty, &mine)).collect();
    let board = Board { legs: &shown, owed: &owed };
    let selected = mine.first().filter(|_| visitor.plays_every_team());
    match asked.fragment.as_deref() {
        Some("legs") => see(&legs(&visitor, &board, now)),
        Some(_) => StatusCode::NOT_FOUND.into_response(),
        None => {
            let switch = if visitor.plays_every_team() {
                program_switch(&visitor, &programs, selected)
            } else {
                html! {}
            };
            let query = selected.map(|program| format!("program={program}")).unwrap_or_default();
            see(&page(&visitor, &board, asked.said.as_deref(), &switch, query, now, state.doors.clock.speed()))
        }
    }
}

/// What one look at the page shows.
#[derive(Clone, Copy)]
pub struct Board<'a> {
    /// Legs, the most urgent first.
    pub legs: &'a [Shown],
    /// What the programs owe, overdue first.
    pub owed: &'a [Duty],
}

/// True for what these programs owe and may answer for.
fn is_of(duty: &Duty, programs: &[ProgramId]) -> bool {
    duty.kind.is_a_teams() && duty.program.as_ref().is_some_and(|owes| programs.contains(owes))
}

/// The whole page.
#[must_use]
pub fn page(
    visitor: &Visitor,
    board: &Board<'_>,
    said: Option<&str>,
    switch: &Markup,
    query: String,
    now: Timestamp,
    speed: f64,
) -> Markup {
    layout::page(&Page {
        visitor,
        title: "title.team",
        path: "/team",
        query,
        now,
        speed,
        chips: html! {},
        body: html! {
            div.team {
                (layout::notice(&visitor.words, said))
                (switch)
                (legs(visitor, board, now))
            }
        },
    })
}

fn legs(visitor: &Visitor, board: &Board<'_>, now: Timestamp) -> Markup {
    let words = &visitor.words;
    let shown = board.legs;
    let offers = shown.iter().filter(|one| one.leg.state == LegState::Offered).count();
    let stood_back = shown.iter().filter(|one| one.leg.state == LegState::StoodBack).count();
    let announce = if stood_back > 0 {
        words.t("team.stand-back").to_owned()
    } else {
        words.with("team.announce", &[("n", &offers.to_string())])
    };
    let (lost, live): (Vec<_>, Vec<_>) = shown.iter().partition(|one| rank(one.leg.state) == Rank::Lost);
    html! {
        div #legs data-fragment="legs" data-now=(now.as_millisecond()) data-waiting=(offers + stood_back) data-announce=(announce) {
            h1 { (words.t("team.title")) }
            (owed::owed(visitor, &board.owed.iter().collect::<Vec<_>>(), "/team/duties", now))
            @if live.is_empty() {
                div.card.empty { p { (icon(Icon::Tick)) (words.t("team.empty")) } }
            }
            @for one in live { (card::card(visitor, &one.leg, &one.call, &one.alarms, now)) }
            @if !lost.is_empty() {
                h2 { (words.t("team.lost")) }
                ul.lost {
                    @for one in lost {
                        li {
                            span.leg.{ "leg-" (trail::kebab(&one.leg.state)) } { (words.code("leg", &trail::kebab(&one.leg.state))) }
                            " " (words.t("team.reference")) " " code { (one.call.reference) } " · " time datetime=(one.leg.offered_at) { (words.clock_time(one.leg.offered_at)) }
                            " · " strong { (words.t("team.do-not-go")) }
                        }
                    }
                }
            }
        }
    }
}

fn program_switch(visitor: &Visitor, programs: &BTreeMap<ProgramId, String>, selected: Option<&ProgramId>) -> Markup {
    let words = &visitor.words;
    html! {
        form.inline.switch method="get" action="/team" {
            label for="program" { (words.t("team.program")) }
            select #program name="program" {
                @for (program, title) in programs { option value=(program) selected[Some(program) == selected] { (title) } }
            }
            button type="submit" { (words.t("team.show")) }
        }
    }
}

/// How urgent a leg is to its team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    StoodBack,
    Offered,
    Owned,
    Lost,
}

fn rank(state: LegState) -> Rank {
    match state {
        LegState::StoodBack => Rank::StoodBack,
        LegState::Offered => Rank::Offered,
        state if state.holds() => Rank::Owned,
        _ => Rank::Lost,
    }
}

/// The legs of these programs in open calls: stand-backs first, then offers by deadline, then their own, then what is lost.
fn legs_of<'a>(calls: &'a [IncidentView], programs: &[ProgramId]) -> Vec<(&'a IncidentView, &'a Leg)> {
    let mut legs: Vec<_> = calls
        .iter()
        .flat_map(|view| view.incident.legs.iter().map(move |leg| (view, leg)))
        .filter(|(_, leg)| programs.contains(&leg.plan.program) && leg.state != LegState::Cleared)
        .collect();
    legs.sort_by_key(|(_, leg)| (rank(leg.state), leg.deadline));
    legs
}

/// The program that must answer first: where a demonstration opens.
fn most_urgent_program(calls: &[IncidentView]) -> Option<ProgramId> {
    let legs = calls.iter().flat_map(|view| &view.incident.legs).filter(|leg| rank(leg.state) != Rank::Lost);
    let legs = legs.filter(|leg| leg.state != LegState::Cleared);
    legs.min_by_key(|leg| (rank(leg.state), leg.deadline)).map(|leg| leg.plan.program.clone())
}

/// Programs whose part this visitor may take: their own, or in a demonstration any that the open calls name.
fn choosable(visitor: &Visitor, calls: &[IncidentView]) -> BTreeMap<ProgramId, String> {
    let mut programs: BTreeMap<_, _> =
        visitor.programs().into_iter().map(|program| (program.clone(), program.as_str().to_owned())).collect();
    for view in calls {
        let options = view.incident.decision.iter().flat_map(|decision| &decision.options);
        let named = options.map(|option| (&option.program, &*option.title));
        let asked = view.incident.legs.iter().map(|leg| (&leg.plan.program, leg.plan.title.as_str()));
        for (program, title) in named.chain(asked) {
            if visitor.identity.may_touch_leg_of(program) {
                programs.insert(program.clone(), title.to_owned());
            }
        }
    }
    programs
}

/// The leg of an address, if it is one of this visitor's programs'. Another team's leg is as good as none.
async fn own_leg(state: &PageState, visitor: &Visitor, name: &str) -> Result<Leg, Box<Response>> {
    let refuse = |status, code| Err(Box::new(layout::problem(&visitor.words, status, code, "/team")));
    let Some(id) = wire_name(name).map(LegId::new) else { return refuse(StatusCode::NOT_FOUND, "no-leg") };
    let view = match state.desk.view(&id.incident()).await {
        Ok(view) => view,
        Err(CallProblem::NoSuchIncident) => return refuse(StatusCode::NOT_FOUND, "no-leg"),
        Err(_) => return refuse(StatusCode::SERVICE_UNAVAILABLE, "not-recorded"),
    };
    let mine = |leg: &&Leg| leg.id == id && visitor.identity.may_touch_leg_of(&leg.plan.program);
    match view.incident.legs.iter().find(mine) {
        Some(leg) => Ok(leg.clone()),
        None => refuse(StatusCode::NOT_FOUND, "no-leg"),
    }
}

/// Runs one command on the visitor's own leg and goes back to the page.
async fn run(
    state: &PageState,
    press: &Press<TeamWork>,
    name: &str,
    said: &'static str,
    command: impl FnOnce(LegId, Actor) -> Option<Command>,
) -> Response {
    let leg = match own_leg(state, &press.visitor, name).await {
        Ok(leg) => leg,
        Err(page) => return *page,
    };
    let by = Actor::Team(press.visitor.identity.name.clone());
    let Some(command) = command(leg.id.clone(), by) else { return after(&press.visitor, &leg, Ok("refused")) };
    let done = state.desk.command(&leg.id.incident(), command).await;
    after(&press.visitor, &leg, done.map(|_| said))
}

fn after(visitor: &Visitor, leg: &Leg, done: Result<&'static str, CallProblem>) -> Response {
    let program = if visitor.plays_every_team() { format!("?program={}", leg.plan.program) } else { String::new() };
    super::after(visitor, &format!("/team{program}"), &format!("#leg-{}", leg.id), done)
}

async fn accept(State(state): State<PageState>, Path(name): Path<String>, press: Press<TeamWork>) -> Response {
    let alone = own_leg(&state, &press.visitor, &name).await.is_ok_and(|leg| leg.plan.together.is_empty());
    let said = if alone { "team-accepted" } else { "team-agreed" };
    run(&state, &press, &name, said, |leg, by| Some(Command::AcceptLeg { leg, by })).await
}

async fn decline(State(state): State<PageState>, Path(name): Path<String>, press: Press<TeamWork>) -> Response {
    // A decline without a readable cause is still a decline: the next leg must not wait for a menu.
    let cause = press.fields.text("cause").and_then(of_kebab).unwrap_or(DeclineCause::Other);
    run(&state, &press, &name, "team-declined", |leg, by| Some(Command::DeclineLeg { leg, cause, by })).await
}

async fn move_on(State(state): State<PageState>, Path(name): Path<String>, press: Press<TeamWork>) -> Response {
    let status = press.fields.text("status").and_then(of_kebab::<TimePoint>);
    let moves = [TimePoint::EnRoute, TimePoint::OnScene, TimePoint::WithPerson];
    let status = status.filter(|status| moves.contains(status));
    run(&state, &press, &name, "team-moved", |leg, by| Some(Command::MoveLeg { leg, status: status?, by })).await
}

async fn clear(State(state): State<PageState>, Path(name): Path<String>, press: Press<TeamWork>) -> Response {
    let disposition = press.fields.text("disposition").and_then(of_kebab::<Disposition>);
    let party = press.fields.text("party").and_then(of_kebab);
    let command = |leg, by| Some(Command::ClearLeg { leg, disposition: disposition?, party, by });
    run(&state, &press, &name, "team-cleared", command).await
}

async fn hand_back(State(state): State<PageState>, Path(name): Path<String>, press: Press<TeamWork>) -> Response {
    let why = press.fields.text("why").filter(|why| RETURN_REASONS.contains(why)).unwrap_or("other").to_owned();
    run(&state, &press, &name, "team-returned", |leg, by| Some(Command::ReturnLeg { leg, why, by })).await
}

async fn hand_on(State(state): State<PageState>, Path(name): Path<String>, press: Press<TeamWork>) -> Response {
    run(&state, &press, &name, "team-handed-on", |leg, by| Some(Command::HandOnLeg { leg, by })).await
}

/// Back-up is never refused: a press that names no service asks for police.
async fn backup(State(state): State<PageState>, Path(name): Path<String>, press: Press<TeamWork>) -> Response {
    let service = press.fields.text("service").and_then(of_kebab).unwrap_or(BackupService::Police);
    let command = |leg, by| Some(Command::Backup { leg: Some(leg), service, team_requested: true, by });
    run(&state, &press, &name, "team-backup", command).await
}

async fn hazard(State(state): State<PageState>, Path(name): Path<String>, press: Press<TeamWork>) -> Response {
    let leg = match own_leg(&state, &press.visitor, &name).await {
        Ok(leg) => leg,
        Err(page) => return *page,
    };
    let told = press.fields.text("hazard").and_then(|told| told.split_once('.'));
    let Some((fact, value)) = told.filter(|told| HAZARDS.contains(told)) else {
        return after(&press.visitor, &leg, Ok("refused"));
    };
    let by = Actor::Team(press.visitor.identity.name.clone());
    let done = state.desk.hazard(&leg.id, fact, value, by).await;
    after(&press.visitor, &leg, done.map(|_| "team-hazard"))
}

/// What another program owes is as good as nothing.
async fn close_duty(State(state): State<PageState>, Path(name): Path<String>, press: Press<TeamWork>) -> Response {
    let visitor = &press.visitor;
    let none = || layout::problem(&visitor.words, StatusCode::NOT_FOUND, "no-leg", "/team");
    let Some(id) = wire_name(&name).map(DutyId::new) else { return none() };
    let owed = state.desk.owed();
    let program = owed.iter().find(|duty| duty.id == id).and_then(|duty| duty.program.as_ref());
    let Some(program) = program.filter(|program| visitor.identity.may_touch_leg_of(program)) else { return none() };
    let page = if visitor.plays_every_team() { format!("/team?program={program}") } else { "/team".to_owned() };
    let Some(outcome) = press.fields.text("outcome").and_then(of_kebab) else {
        return super::after(visitor, &page, "", Ok("refused"));
    };
    let by = Actor::Team(visitor.identity.name.clone());
    let done = state.desk.command(&id.incident(), Command::CloseDuty { duty: id, outcome, by }).await;
    super::after(visitor, &page, "", done.map(|_| "owed-no-more"))
}

#[cfg(test)]
mod tests;
