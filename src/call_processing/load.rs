//! How many calls each program has in hand, and who could take one more.

use super::live::{Desk, lock};
use super::roster::Roster;
use crate::incident::Incident;
use crate::policy::Availability;
use crate::record::ProgramId;

impl Desk {
    pub(super) fn availability_beside(&self, incident: &Incident) -> Availability {
        let mut load = lock(&self.inner().live).load.clone();
        for program in held_by(incident) {
            load.entry(program).and_modify(|count| *count = count.saturating_sub(1));
        }
        let Roster { surge, unstaffed, deciders_away } = self.roster();
        Availability { load, unstaffed, deciders_away, surge }
    }

    pub(super) fn note_load(&self, before: &[ProgramId], after: &[ProgramId]) {
        let mut live = lock(&self.inner().live);
        for program in after {
            *live.load.entry(program.clone()).or_default() += 1;
        }
        for program in before {
            live.load.entry(program.clone()).and_modify(|count| *count = count.saturating_sub(1));
        }
    }
}

/// The programs that hold or have been offered this incident.
pub(super) fn held_by(incident: &Incident) -> Vec<ProgramId> {
    incident.legs.iter().filter(|leg| leg.state.holds()).map(|leg| leg.plan.program.clone()).collect()
}
