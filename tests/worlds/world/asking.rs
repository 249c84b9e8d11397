//! What is asked of the adapter in a world, and what its answers make of whoever asked.

use super::{Happening, News, Outcome, What, World};
use crate::peers::{Ask, Intention, NAMES};
use crate::plan::{Item, Press};
use crate::store::held;
use fourth_option::call_processing::{CallProblem, Choice, Desk};
use fourth_option::incident::{Actor, Command};
use fourth_option::record::{IncidentId, ProgramId};
use std::sync::Arc;

impl World<'_> {
    /// A request reaches the adapter, if there is one.
    pub(super) fn serve(&mut self, request: usize, node: usize) {
        let node = if let What::Reload(_, node) = &self.requests[request].what { *node } else { node };
        let Some(desk) = self.nodes[node].desk.clone() else { return };
        let life = self.nodes[node].life;
        if !held(&self.store).lives(life) {
            return;
        }
        self.oracle.reached();
        let what = self.requests[request].what.clone();
        self.note(|| format!("request {request} arrives at {node}: {what:?}"));
        let tell = self.tell.clone();
        let bytes = match &what {
            What::Record(place) => match &self.plan.items[*place] {
                Item::Record { record, .. } => record.bytes.clone(),
                _ => return,
            },
            _ => bytes::Bytes::from_static(b"{\"$id\": 7, "),
        };
        let policy = match &what {
            What::Reload(place, _) => Some(Arc::clone(&self.policies.0[*place])),
            _ => None,
        };
        tokio::spawn(async move {
            let outcome = match what {
                What::Record(_) | What::Poison => Outcome::Record(Arc::new(desk.receive(bytes, None, "default").await)),
                What::Press(incident, press) => pressed(&desk, &incident, press).await,
                What::Team(_, Intention { ask: Ask::Command(command), leg, .. }) => {
                    Outcome::View(Arc::new(desk.command(&leg.incident(), command).await))
                }
                What::Team(peer, Intention { ask: Ask::Hazard { leg, fact, value }, .. }) => {
                    let by = Actor::Team(NAMES[peer].to_owned());
                    Outcome::View(Arc::new(desk.hazard(&leg, fact, value, by).await))
                }
                What::Team(peer, Intention { ask: Ask::Answer { leg, fact, value }, .. }) => {
                    let by = Actor::Team(NAMES[peer].to_owned());
                    Outcome::View(Arc::new(desk.answer_on_leg(&leg, fact, value, by).await))
                }
                What::Reload(..) => match policy {
                    Some(policy) => Outcome::Done(desk.put_policy(policy).await.is_ok()),
                    None => Outcome::Done(false),
                },
            };
            let _ = tell.send(News::Finished(life, request, Box::new(outcome)));
        });
    }

    /// An answer reaches whoever asked. "Not now" is no answer: it is asked again.
    pub(super) fn hears_answer(&mut self, request: usize, outcome: &Outcome) {
        let again = match outcome {
            Outcome::Record(answer) => matches!(answer.as_ref(), Err(CallProblem::Journal(_))),
            Outcome::View(answer) => matches!(answer.as_ref(), Err(CallProblem::Journal(_))),
            Outcome::Done(done) => !done,
        };
        if again || self.requests[request].answered {
            return;
        }
        self.requests[request].answered = true;
        let What::Team(peer, intention) = self.requests[request].what.clone() else { return };
        let Outcome::View(answer) = outcome else { return };
        let accepts = matches!(intention.ask, Ask::Command(Command::AcceptLeg { .. }));
        if accepts || matches!(answer.as_ref(), Err(CallProblem::Refused(_))) {
            let now_ms = self.now_ms();
            let plans = self.teams[peer].is_answered(self.plan.seed, peer, &intention.leg, answer, now_ms);
            self.intend(peer, plans);
        }
    }

    pub(super) fn intend(&mut self, peer: usize, plans: Vec<Intention>) {
        for intention in plans {
            self.at(intention.at_ms, Happening::Team(peer, Box::new(intention)));
        }
    }
}

async fn pressed(desk: &Desk, incident: &IncidentId, press: Press) -> Outcome {
    let by = Actor::CallTaker("position-1".to_owned());
    let choice = match press {
        Press::Accept => Choice::Accept,
        Press::Ordinary => Choice::Ordinary { reason: Some("known to us".to_owned()) },
        Press::Program(program) => {
            Choice::Program { program: ProgramId::new(program), reason: "known to them".to_owned() }
        }
        Press::SeesReturn => {
            return Outcome::View(Arc::new(desk.command(incident, Command::AcknowledgeReturn { by }).await));
        }
        Press::NoWeapon => {
            return Outcome::Record(Arc::new(desk.answer(incident, "weapon", "none", by).await));
        }
    };
    Outcome::View(Arc::new(desk.choose(incident, choice, by).await))
}
