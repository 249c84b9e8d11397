//! Which rules answers could still reach, against every completion of what is not known.

use super::slow::{TIMES, call, policy_text};
use super::*;
use crate::policy::compile::Coded;
use crate::policy::language::{Bars, RowKind, read};
use crate::policy::row_set::{RowSet, WORDS};
use proptest::prelude::*;

/// Completions of one call, at most: calls with more are passed over.
const COMPLETIONS_MAX: usize = 3_000;

/// Every call that answers to the open facts could make of this one, some of them left open.
fn completions(compiled: &Compiled, call: &Coded, open: u64) -> Option<Vec<Coded>> {
    let mut all = vec![*call];
    for (place, column) in compiled.table.columns.iter().enumerate().filter(|(place, _)| open & (1 << place) != 0) {
        if all.len() * (column.classes.len() + 1) > COMPLETIONS_MAX {
            return None;
        }
        let answered = |one: &Coded| {
            let changed = column.classes.iter().map(|code| compiled.table.changed(one, place, *code));
            std::iter::once(*one).chain(changed).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(answered).collect();
    }
    Some(all)
}

/// Whether a row that holds leaves a program no call.
fn bars(kind: &RowKind, program: usize, accompanied: bool) -> bool {
    match kind {
        RowKind::Exclusion(Bars::All) => true,
        RowKind::Exclusion(Bars::Some(barred)) => barred.names(program) || (barred.unaccompanied && !accompanied),
        RowKind::Exclusion(Bars::AllBut(_)) | RowKind::Rule { .. } => false,
    }
}

#[test]
fn answers_reach_what_some_completion_reaches() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(150));
    let (tried, reached) = (std::cell::Cell::new(0_u32), std::cell::Cell::new(0_u32));
    let policies_and_calls = (policy_text(), prop::collection::vec(call(), 12));
    runner
        .run(&policies_and_calls, |(text, calls)| {
            let with_text = files(&format!("{text}\n[zone.city]\nzones = [\"east\", \"west\"]\n"));
            let compiled = Compiled::build(read(&with_text).unwrap(), String::new()).unwrap();
            let table = &compiled.table;
            for (facts, time, _) in calls {
                let available = Availability::default();
                let moment = compiled.moment(at(TIMES[time]), &available).with_duties();
                let call = table.code(&facts);
                let open = table.open(&call);
                // A call may be in several zones at once, which no one answer says.
                let zone_open = table.zone_column.is_some_and(|place| open & (1 << place) != 0);
                let Some(all) = completions(&compiled, &call, open).filter(|_| !zone_open) else { continue };
                let mut expected = RowSet::EMPTY;
                for one in &all {
                    let held: RowSet = table.matching::<WORDS>(one).and(moment.effective);
                    for rule in held.and(&table.rules).without(&table.shadow).iter() {
                        let goes = compiled.sends_to(rule).any(|program| {
                            let accompanied = moment.duty(program).unwrap().accompanied;
                            !held.iter().any(|row| bars(&table.rows[row].kind, program, accompanied))
                        });
                        if goes {
                            expected.insert(rule);
                        }
                    }
                }
                tried.set(tried.get() + 1);
                reached.set(reached.get() + u32::from(!expected.is_empty()));
                let found = compiled.reachable(&call, &moment);
                prop_assert_eq!(found, expected, "{:?} at {} {}", facts, TIMES[time], text);
            }
            Ok(())
        })
        .unwrap();
    let (tried, reached) = (tried.get(), reached.get());
    assert!(reached > 100 && tried - reached > 100, "{tried} calls, of {reached} a rule could be reached");
}
