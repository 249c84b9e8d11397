//! Instants that between them show every state in which policies can be: rows in effect, and who is on duty.
//!
//! Hours repeat by the week, but for dates on which something changes, holidays and the change of clocks; so the days around
//! each of these and three plain weeks hold every state. Between one beginning or end of a shift and the next nothing changes.

use super::Compiled;
use super::hours::Shift;
use super::ordered::Scene;
use super::route::Duty;
use super::row_set::RowSet;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use std::collections::BTreeSet;

/// Days looked at before and after a date on which something changes: every weekday twice, so that a holiday hides none.
const DAYS_AROUND: i64 = 16;
/// Changes of the clocks looked at.
const CLOCK_CHANGES: usize = 2;

/// A state: by policy the rows in effect and what each program is up to.
type State = Vec<(RowSet, Vec<Duty>)>;

/// By state, the scene of each policy at the first instant that shows it. Rosters are full and nobody is busy.
pub(super) fn states(policies: &[&Compiled]) -> Vec<Vec<Scene>> {
    let mut seen: Vec<State> = Vec::new();
    let mut found = Vec::new();
    let surges: &[bool] = if policies.iter().any(|policy| knows_surge(policy)) { &[false, true] } else { &[false] };
    for (at, surge) in instants(policies).into_iter().flat_map(|at| surges.iter().map(move |surge| (at, *surge))) {
        let scenes: Vec<Scene> = policies.iter().map(|policy| Scene::of(policy, at, surge)).collect();
        let state: State = scenes
            .iter()
            .map(|scene| {
                // The date on which a shift began matters only by the crew that it brings.
                let duties = scene.duties.iter().map(|duty| Duty { shift_date: Date::ZERO, ..*duty });
                (scene.effective, duties.collect())
            })
            .collect();
        if !seen.contains(&state) {
            seen.push(state);
            found.push(scenes);
        }
    }
    found
}

/// True where surge mode changes which rows or hours count.
fn knows_surge(policy: &Compiled) -> bool {
    policy.table.rows.iter().any(|row| row.surge.is_some()) || shifts(policy).any(|shift| shift.surge.is_some())
}

/// Hours of programs and of those who decide for them.
fn shifts(policy: &Compiled) -> impl Iterator<Item = &Shift> {
    let programs = policy.programs.iter().flat_map(|program| &program.shifts);
    programs.chain(policy.deciders.iter().flat_map(|decider| &decider.shifts))
}

/// Every beginning and end of a shift, and every midnight, on the days that matter.
fn instants(policies: &[&Compiled]) -> BTreeSet<Timestamp> {
    let mut instants = BTreeSet::new();
    for policy in policies {
        for date in days(policies) {
            let midnight = policy.time_zone.to_timestamp(date.at(0, 0, 0, 0));
            instants.extend(midnight);
            for shift in shifts(policy) {
                if shift.begins_on(date, &policy.holidays)
                    && let Some((start, end)) = shift.span(date, &policy.time_zone)
                {
                    instants.extend([start, end]);
                }
            }
        }
    }
    instants
}

fn days(policies: &[&Compiled]) -> BTreeSet<Date> {
    let mut cuts: BTreeSet<Date> = BTreeSet::new();
    for policy in policies {
        let rows = policy.table.rows.iter().map(|row| row.effective);
        let crews = policy.programs.iter().flat_map(|program| &program.crew).map(|crew| crew.effective);
        let areas = policy.programs.iter().flat_map(|program| program.area.iter().flatten()).map(|area| area.effective);
        let places = policy.programs.iter().flat_map(|program| &program.capacity).map(|phase| phase.effective);
        for effective in rows.chain(crews).chain(areas).chain(places).chain(shifts(policy).map(|shift| shift.effective))
        {
            cuts.extend(effective.from);
            cuts.extend(effective.to.and_then(|to| to.tomorrow().ok()));
        }
    }
    let first = cuts.first().copied().unwrap_or(jiff::civil::date(2026, 1, 1));
    cuts.insert(first);
    let mut days = BTreeSet::new();
    let mut around = |date: Date, span: i64| {
        days.extend((-span..=span).filter_map(|offset| date.checked_add(offset.days()).ok()));
    };
    for policy in policies {
        policy.holidays.iter().for_each(|holiday| around(*holiday, 1));
        if let Ok(from) = policy.time_zone.to_timestamp(first.at(0, 0, 0, 0)) {
            let changes = policy.time_zone.following(from).take(CLOCK_CHANGES);
            changes.for_each(|change| around(policy.time_zone.to_datetime(change.timestamp()).date(), 1));
        }
    }
    cuts.iter().for_each(|cut| around(*cut, DAYS_AROUND));
    days
}
