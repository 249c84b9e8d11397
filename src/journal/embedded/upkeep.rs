//! What the writer does beside appending: a person forgotten, a period sealed, sealed periods dropped.

use super::file::{fault, unavailable};
use super::writer::{End, WriterThread};
use super::{records, rows, seals, standing};
use crate::journal::stored::whole;
use crate::journal::{AdapterEvent, Batch, Entry, JournalError, Seal, Stored, Subject, digests_of, fold};
use crate::record::IncidentId;
use jiff::Timestamp;
use rusqlite::Connection;

/// Entries dropped in one commit.
const DROPPED_AT_ONCE: usize = 2_000;

impl WriterThread {
    /// Destroys the key and the records of an incident at rest.
    pub(super) fn forget(&mut self, incident: &IncidentId, at: Timestamp) -> Result<Entry, JournalError> {
        let entries = rows::entries_of(&self.connection, incident)?;
        if entries.is_empty() {
            return Err(unavailable(format!("it has no incident `{incident}`")));
        }
        if !fold(incident, &entries).rests() {
            return Err(unavailable(format!(
                "incident `{incident}` is open, and its record is needed; close it first"
            )));
        }
        let forgotten = AdapterEvent::PersonForgotten { incident: incident.clone() };
        let appended = self.append_alone(at, vec![forgotten], |connection, _| {
            records::destroy_older(connection, &digests_of(&entries))?;
            records::destroy(connection, incident)
        })?;
        // The log may still hold what was destroyed: it is folded into the file and emptied.
        self.fold_log("TRUNCATE");
        appended.into_iter().next().ok_or_else(|| unavailable("nothing was appended"))
    }

    /// Seals what happened before an instant and is not sealed yet.
    pub(super) fn seal(&mut self, before: Timestamp, at: Timestamp) -> Result<Option<Seal>, JournalError> {
        let begins = seals::beginning(&self.connection)?.sequence();
        let sealed = seals::all(&self.connection)?.pop().map_or(begins, |(seal, _)| seal.through);
        let Some((through, ended_at)) = seals::last_before(&self.connection, sealed, self.sequence(), before)? else {
            return Ok(None);
        };
        let end = rows::chain_at(&self.connection, through)?;
        let entries = through.saturating_sub(sealed);
        let seal = Seal { through, hash: end.hash_hex(), entries, ended_at };
        let event = AdapterEvent::PeriodSealed(seal.clone());
        self.append_alone(at, vec![event], |connection, _| seals::write(connection, &seal, end.hash()))?;
        Ok(Some(seal))
    }

    /// Notes that a sealed period is dropped, and answers where the chain begins now. Its entries are taken away after that.
    pub(super) fn begin_drop(&mut self, through: u64, at: Timestamp) -> Result<u64, JournalError> {
        let sealed = seals::all(&self.connection)?;
        let Some((_, dropped)) = sealed.iter().find(|(seal, _)| seal.through == through) else {
            return Err(unavailable(format!("no seal ends at entry {through}")));
        };
        if !dropped {
            self.nobody_needs(through)?;
            let mut events = vec![AdapterEvent::PeriodDropped { through }];
            // The roster in force is a word that must outlive its period.
            let roster = rows::entries_of_kind_before(&self.connection, "roster-set", u64::MAX, 1)?.pop();
            if let Some(Entry { sequence, stored: Stored::Adapter(roster), .. }) = roster
                && sequence <= through
            {
                events.push(roster);
            }
            self.append_alone(at, events, |connection, _| seals::drop_through(connection, through))?;
        }
        Ok(seals::beginning(&self.connection)?.sequence())
    }

    /// That no incident with an entry up to here is open.
    fn nobody_needs(&self, through: u64) -> Result<(), JournalError> {
        for (incident, _) in standing::unsettled(&self.connection)? {
            let first: i64 = self
                .connection
                .prepare_cached("SELECT coalesce(min(sequence), 0) FROM entry WHERE incident = ?1")
                .and_then(|mut select| select.query_row([incident.as_str()], |row| row.get(0)))
                .map_err(|error| fault(&error, 0))?;
            if first <= whole(through)? {
                return Err(unavailable(format!(
                    "incident `{incident}` began in the period and is open; close it first"
                )));
            }
        }
        Ok(())
    }

    /// Takes some of the oldest entries up to here away, with what is kept of incidents that have none left; answers how
    /// many. Appends come between two of these.
    pub(super) fn take_away(&mut self, through: u64) -> Result<u64, JournalError> {
        let (entries, incidents) = rows::oldest(&self.connection, through, DROPPED_AT_ONCE)?;
        let Some(last) = entries.last() else {
            self.fold_log("TRUNCATE");
            return Ok(0);
        };
        let (last, taken) = (*last, entries.len());
        self.within_commit(|connection, end| {
            for (incident, digests) in &incidents {
                records::destroy_older(connection, digests)?;
                if !rows::has_after(connection, incident, last)? {
                    records::destroy(connection, incident)?;
                    standing::forget(connection, incident, &mut end.sum)?;
                }
            }
            connection
                .prepare_cached("DELETE FROM entry WHERE sequence <= ?1")
                .and_then(|mut delete| delete.execute([whole(last).unwrap_or(0)]))
                .map_err(|error| fault(&error, last))
                .map(drop)
        })?;
        Ok(u64::try_from(taken).unwrap_or(u64::MAX))
    }

    /// Appends events of the adapter with what belongs to them beside, as one commit.
    fn append_alone(
        &mut self,
        at: Timestamp,
        events: Vec<AdapterEvent>,
        beside: impl FnOnce(&Connection, &mut End) -> Result<(), JournalError>,
    ) -> Result<Vec<Entry>, JournalError> {
        let events = events.into_iter().map(Stored::Adapter).collect();
        let batch = Batch::new(Subject::Adapter, 0, at, events);
        let replies = self.commit(vec![rows::Prepared::new(batch)?], beside);
        let replies = replies.inspect_err(|error| self.failed(error))?;
        replies.into_iter().next().unwrap_or_else(|| Err(unavailable("nothing was appended")))
    }
}
