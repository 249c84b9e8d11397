//! What the desk remembers beside the open incidents: places and numbers met before, and the calls decided last.

use super::live::{Desk, Situation, lock};
use crate::facts::{Facts, RepeatKey, Traced};
use crate::incident::Event;
use crate::policy::{Availability, Gap, Policy};
use crate::record::{CallRecord, IncidentId};
use jiff::Timestamp;

/// Calls by which a new policy is weighed against the one in force, at most.
pub(super) const RECENT_MAX: usize = 1_000;

/// The last decision on one call: what it was made on.
pub(super) struct RecentCall {
    incident: IncidentId,
    facts: Facts,
    gaps: Vec<Gap>,
    at: Timestamp,
}

impl Desk {
    /// Lets repeat contact be recognised under this key. Without it the facts stay unknown; what an earlier run with the
    /// same key left in the journal is remembered.
    pub fn recognise_by(&self, key: RepeatKey) {
        let _ = self.inner().repeat_key.set(key);
    }

    /// The traces of a record that has just come.
    pub(super) fn traced(&self, record: &CallRecord) -> Option<Traced> {
        self.inner().repeat_key.get()?.trace(record, self.clock().now())
    }

    /// Facts with what is remembered of the record's place and number.
    pub(super) fn recalled(
        &self,
        situation: &Situation<'_>,
        facts: Facts,
        traced: Option<&Traced>,
        incident: &IncidentId,
    ) -> Facts {
        match (situation.policy, traced) {
            (Some(policy), Some(traced)) => {
                let repeats = lock(&self.inner().contacts).repeats(traced, incident, situation.now);
                policy.recalled(&facts, repeats)
            }
            (None, _) | (_, None) => facts,
        }
    }

    /// How many of the recent calls a policy would send to a program, with every program free, and how many calls that is of.
    #[must_use]
    pub fn recent_calls_diverted(&self, policy: &Policy) -> (usize, usize) {
        let free = Availability::default();
        let recent = lock(&self.inner().recent);
        let sent = |call: &&RecentCall| policy.route_only(&call.facts, &call.gaps, call.at, &free).program.is_some();
        (recent.iter().filter(sent).count(), recent.len())
    }

    /// Remembers what a durable event tells of places, numbers, requests, decisions and messages that were given up, now or while the journal is read again.
    pub(super) fn remember(&self, incident: &IncidentId, event: &Event, at: Timestamp) {
        lock(&self.inner().dead_letters).note(incident, event, at);
        match event {
            Event::RecordReceived(received) => {
                if let Some(asked) = &received.asked {
                    lock(&self.inner().requests).note(asked, incident);
                }
                if let Some(traces) = &received.contact {
                    lock(&self.inner().contacts).note(traces, &received.identity.agency, incident, at);
                }
            }
            Event::Assessed { decision, facts, .. } => {
                let mut recent = lock(&self.inner().recent);
                recent.retain(|call| call.incident != *incident);
                if recent.len() >= RECENT_MAX {
                    recent.pop_front();
                }
                let (incident, facts, gaps) = (incident.clone(), facts.clone(), decision.gaps.clone());
                recent.push_back(RecentCall { incident, facts, gaps, at });
            }
            _ => {}
        }
    }
}
