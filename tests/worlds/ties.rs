//! Calls that belong together by what records say of them, and what must follow: judged by the entries alone.

use crate::ledger::{Account, Stands};
use crate::oracle::Violation;
use crate::plan::{Record, Tie};
use crate::store::Store;
use crate::told::Moment;
use fourth_option::record::IncidentId;
use std::collections::{BTreeMap, BTreeSet};

/// The incidents of a world, as they are found.
pub struct Known<'a> {
    pub calls: &'a BTreeMap<String, IncidentId>,
    pub accounts: &'a BTreeMap<IncidentId, Account>,
    pub store: &'a Store,
    pub now_ms: u64,
    /// How long after its instant something may be done.
    pub within_ms: u64,
    /// There is one adapter.
    pub alone: bool,
}

impl Known<'_> {
    fn account(&self, call: &str) -> Option<&Account> {
        self.accounts.get(self.calls.get(call)?)
    }

    /// Time enough has passed.
    fn is_over(&self, since_ms: u64) -> bool {
        self.now_ms.saturating_sub(since_ms) > self.within_ms
    }
}

/// By whose word one call stands in another's place.
#[derive(Debug)]
struct Merge {
    gone: String,
    into: String,
    by: String,
    since: Moment,
}

/// Who is merged into whom, and which calls belong together, by the records that the journal has.
#[derive(Debug, Default)]
pub struct Ties {
    /// Pairs, directly or by what lies between, and since when.
    together: BTreeMap<(String, String), u64>,
    merges: Vec<Merge>,
    /// Calls that any of them names.
    merged: BTreeSet<String>,
    agencies: BTreeMap<String, &'static str>,
}

impl Ties {
    /// A record is in the journal.
    pub fn said(&mut self, record: &Record, now: Moment) {
        self.agencies.insert(record.name.clone(), record.agency);
        for (other, how) in &record.ties {
            let (ours, theirs) = (self.group(&record.name), self.group(other));
            for (one, other) in ours.iter().flat_map(|one| theirs.iter().map(move |other| (one, other))) {
                let pair = if one < other { (one, other) } else { (other, one) };
                if one != other {
                    self.together.entry((pair.0.clone(), pair.1.clone())).or_insert(now.ms);
                }
            }
            let (gone, into) = match how {
                Tie::MergedInto => (&record.name, other),
                Tie::MergedFrom => (other, &record.name),
                Tie::Linked | Tie::Split => continue,
            };
            let known = |merge: &Merge| merge.gone == *gone && merge.into == *into && merge.by == record.name;
            if !self.merges.iter().any(known) {
                self.merged.extend([gone.clone(), into.clone()]);
                let (gone, into, by) = (gone.clone(), into.clone(), record.name.clone());
                self.merges.push(Merge { gone, into, by, since: now });
            }
        }
    }

    /// A call and all that belong with it, known or not.
    fn group(&self, call: &str) -> BTreeSet<String> {
        let others = self.together.keys().filter_map(|(one, other)| match call {
            call if call == one => Some(other.clone()),
            call if call == other => Some(one.clone()),
            _ => None,
        });
        others.chain([call.to_owned()]).collect()
    }

    /// Merges that count: by the word of its own sender, or of another element of the same agency.
    fn counting(&self) -> impl Iterator<Item = &Merge> {
        self.merges.iter().filter(|merge| {
            let agency = |call: &String| self.agencies.get(call);
            merge.by == merge.gone || (agency(&merge.gone).is_some() && agency(&merge.gone) == agency(&merge.by))
        })
    }

    /// Every call in whose place a call has gone, from one to the next, by the merges that are looked at.
    fn stand_for<'a>(&'a self, call: &'a str, looked_at: impl Fn(&Merge) -> bool) -> BTreeSet<&'a str> {
        self.met(call, |merge, one| (merge.gone == one && looked_at(merge)).then_some(&merge.into))
    }

    /// Every name that a call has by merges, its own too.
    fn names<'a>(&'a self, call: &'a str) -> BTreeSet<&'a str> {
        let mut names = self.met(call, |merge, one| match one {
            one if one == merge.gone => Some(&merge.into),
            one if one == merge.into => Some(&merge.gone),
            _ => None,
        });
        names.insert(call);
        names
    }

    fn met<'a>(
        &'a self,
        call: &'a str,
        goes_on: impl for<'m> Fn(&'m Merge, &str) -> Option<&'m String>,
    ) -> BTreeSet<&'a str> {
        let (mut met, mut next) = (BTreeSet::new(), vec![call]);
        while let Some(one) = next.pop() {
            let further = self.counting().filter_map(|merge| goes_on(merge, one));
            next.extend(further.map(String::as_str).filter(|other| met.insert(*other)));
        }
        met
    }

    /// Since when nothing hinders whoever holds any of the calls that belong with one; `None` while something does.
    fn free_since(&self, call: &str, known: &Known<'_>) -> Option<u64> {
        let group = self.group(call);
        let ids = group.iter().filter_map(|call| known.calls.get(call));
        ids.map(|id| known.store.free_since(id).map(|(_, since_ms)| since_ms))
            .try_fold(0, |most, since_ms| Some(most.max(since_ms?)))
    }

    /// What must be done within the bound, while nothing hinders it; answers how often it was judged.
    pub fn in_time(&self, known: &Known<'_>) -> Result<u64, Violation> {
        let mut judged = 0;
        for ((one, other), tied_ms) in &self.together {
            let (Some(ours), Some(theirs)) = (known.account(one), known.account(other)) else { continue };
            judged += 1;
            if ours.exposed().is_none() && theirs.exposed().is_none() {
                continue;
            }
            // Whoever holds the one learns it, whoever holds the other is to have it done.
            let Some(free_since_ms) = self.free_since(one, known) else { continue };
            let due = |since_ms: u64| known.is_over(since_ms.max(free_since_ms));
            ours.check_linked(theirs, *tied_ms, due)?;
            theirs.check_linked(ours, *tied_ms, due)?;
        }
        for call in &self.merged {
            self.is_in_one_place(call, known)?;
            judged += 1;
        }
        Ok(judged)
    }

    /// A call that was merged into another open one ends, and nobody is sent to it where a team is with it under another
    /// name. A team that is there by this name stays.
    fn is_in_one_place(&self, call: &str, known: &Known<'_>) -> Result<(), Violation> {
        let Some(account) = known.account(call).filter(|account| !account.closed) else { return Ok(()) };
        let Some(vacant_ms) = account.vacant_since else { return Ok(()) };
        let names = self.names(call);
        let others = names.iter().filter(|name| **name != call).filter_map(|name| known.account(name));
        let there_ms = others.filter_map(|other| other.there_since).min();
        let second = there_ms.zip(account.exposed());
        let stands = |into: &&str| {
            let open = known.account(into).is_some_and(|into| !into.closed);
            open && !self.stand_for(into, |_| true).contains(call)
        };
        let ends = self.stand_for(call, |_| true).iter().any(stands);
        if !ends && second.is_none() {
            return Ok(());
        }
        let Some(free_since_ms) = self.free_since(call, known) else { return Ok(()) };
        let said = self.counting().filter(|merge| names.contains(merge.gone.as_str())).map(|merge| merge.since.ms);
        let begun = names.iter().filter_map(|name| known.account(name)).map(|account| account.begun.ms);
        let since_ms = said.chain(begun).max().unwrap_or(0).max(vacant_ms).max(free_since_ms);
        if ends && known.is_over(since_ms) {
            return Err(Violation::new("I2", "a call that was merged into another open one does not end"));
        }
        if let Some((there_ms, leg)) = second
            && known.is_over(since_ms.max(there_ms))
        {
            let (program, stands) = (&leg.plan.program, leg.stands);
            return Err(Violation::new("I2", format!("{program} is {stands:?} for a call that another team is with")));
        }
        Ok(())
    }

    /// A call has just ended as merged into another.
    pub fn ended(&self, call: &str, known: &Known<'_>) -> Result<(), Violation> {
        let free_since_ms = self.free_since(call, known);
        let due = |since_ms: u64| free_since_ms.is_some_and(|free_ms| known.is_over(since_ms.max(free_ms)));
        // Open, or closed while this one was about to end.
        let stood = |into: &&str| {
            let Some(account) = known.account(into).filter(|_| *into != call) else { return false };
            account.ended.is_none_or(|ended| {
                let in_time = self.stand_for(call, |merge| merge.since.batch < ended.batch).contains(into);
                in_time && ended.batch > account.begun.batch && !due(ended.ms)
            })
        };
        let all = self.stand_for(call, |_| true);
        let stood: Vec<&str> = all.iter().copied().filter(stood).collect();
        if stood.is_empty() {
            return Err(Violation::new("I1", "a call ends as merged, and no other that was open stands in its place"));
        }
        if all.iter().all(|into| known.account(into).is_none_or(|account| account.merged_away)) {
            return Err(Violation::new("I1", "calls that were merged into one another have all ended"));
        }
        // Said before whoever ended it looked: nothing has hindered anybody since, and the other adapter has heard of it.
        let said = |merge: &Merge| {
            let begun = [&merge.gone, &merge.into].map(|call| known.account(call).map(|account| account.begun.ms));
            let [Some(one_ms), Some(other_ms)] = begun else { return false };
            let since_ms = merge.since.ms.max(one_ms).max(other_ms);
            let heard = known.alone || known.is_over(since_ms);
            heard && free_since_ms.is_some_and(|free_ms| free_ms < since_ms)
        };
        if stood.iter().all(|into| self.stand_for(into, said).contains(call)) {
            return Err(Violation::new("I2", "of two calls that are said to stand in each other's place one ends"));
        }
        Ok(())
    }
}

/// A team that has the call and is there.
pub fn is_there(account: &Account) -> bool {
    account.legs.values().any(|leg| leg.stands == Stands::Owns && leg.arrived)
}
