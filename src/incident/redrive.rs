//! What may be carried out once more after it was given up: whatever is still true, and never an offer.

use super::event::Actor;
use super::handle::Draft;
use super::{Act, CadNotice, DutyState, Event, Incident, Owner, Refusal};
use crate::record::ProgramId;

impl Draft {
    /// An operator's word to try again. A repeat while the effect is under way changes nothing.
    pub(super) fn redrive(&mut self, key: &str, by: &Actor) -> Result<(), Refusal> {
        if self.state.outstanding.contains_key(key) {
            return Ok(());
        }
        let given_up = self.state.undelivered.get(key);
        let act = &given_up.ok_or(Refusal::NotRedriven { why: "not-given-up" })?.effect.act;
        if let Some(why) = self.state.not_redriven(act) {
            return Err(Refusal::NotRedriven { why });
        }
        self.push(Event::Redriven { key: key.to_owned(), by: by.clone() });
        Ok(())
    }
}

impl Incident {
    /// Why an effect may not be carried out again; `None` where it may. Recalls always may. A notice that is no longer
    /// true would undo in the CAD what a later one said.
    #[must_use]
    pub fn not_redriven(&self, act: &Act) -> Option<&'static str> {
        let has_it = |program: &ProgramId| self.owning_leg().is_some_and(|leg| leg.plan.program == *program);
        let still_so = match act {
            // The offer's leg has ended, and so has the order to go that a tandem waited for.
            Act::Offer { .. } | Act::Proceed { .. } => return Some("offer-over"),
            Act::Withdraw { .. } | Act::StandBack { .. } => true,
            Act::TellCad(notice) => match notice {
                CadNotice::TeamAccepted { program } | CadNotice::TeamMoved { program, .. } => has_it(program),
                CadNotice::HandedOn { .. } | CadNotice::OrdinaryRoute { .. } => self.owner == Owner::Psap,
                CadNotice::Overdue { duty, program } => self
                    .duties
                    .iter()
                    .any(|owed| owed.state == DutyState::Overdue && owed.kind == *duty && owed.program == *program),
                CadNotice::Backup { .. } | CadNotice::Cleared { .. } => true,
            },
        };
        (!still_so).then_some("overtaken")
    }
}
