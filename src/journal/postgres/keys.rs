//! Records under their incidents' keys: the keys that the writer knows, and what it asks the database for.
//!
//! The database has the last word on a key: a commit with a record under another one is refused whole, and its keys are asked
//! for again. So of two that make a key for one incident neither is lost, and none that was destroyed comes back.

use super::common::Common;
use super::rows::{Prepared, field};
use super::session::{Session, Trouble};
use crate::journal::{Content, Entry, IncidentKey, JournalError, MasterKey};
use crate::record::IncidentId;
use std::collections::BTreeMap;
use tokio_postgres::Statement;

pub(super) const SELECT_KEYS: &str = include_str!("../../../schemas/journal/postgres/select_keys.sql");
const INSERT_KEY: &str = include_str!("../../../schemas/journal/postgres/insert_key.sql");

/// Keys kept in memory, at most: more than a busy agency has open incidents.
const KEPT_MAX: usize = 4_096;

/// The keys of incidents that records were written for lately.
#[derive(Default)]
pub(super) struct Keys {
    /// `None` for one that the key file does not open.
    known: BTreeMap<IncidentId, Option<Known>>,
    /// The database refused one: it is asked for those of new incidents too.
    doubted: bool,
}

struct Known {
    key: IncidentKey,
    wrapped: Vec<u8>,
    /// Made here, and not known to be in the database.
    is_new: bool,
}

/// A record as it is stored.
pub(super) struct Locked {
    pub(super) bytes: Vec<u8>,
    pub(super) wrapped: Vec<u8>,
    pub(super) is_new: bool,
}

/// What becomes of a batch's record: nothing where it has none or no key file is configured.
pub(super) type Lock = Result<Option<Locked>, JournalError>;

impl Keys {
    /// Asks the database for the keys of incidents that went on elsewhere, or before this adapter started.
    pub(super) async fn ask(
        &mut self,
        common: &Common,
        (session, select): (&Session, &Statement),
        batches: &[Prepared],
    ) -> Result<(), Trouble> {
        let Some(master) = &common.master else { return Ok(()) };
        if self.known.len() >= KEPT_MAX {
            self.known.clear();
        }
        let may_have_one = |batch: &&Prepared| self.doubted || batch.continues();
        let asked = batches.iter().filter(may_have_one).filter_map(Prepared::record).map(|(incident, _)| incident);
        let asked: Vec<&str> =
            asked.filter(|incident| !self.known.contains_key(incident)).map(IncidentId::as_str).collect();
        if asked.is_empty() {
            return Ok(());
        }
        for row in session.read(select, &[&common.settings.agency, &asked]).await? {
            let read = || Ok::<_, JournalError>((IncidentId::new(field::<&str>(&row, 0)?), field::<&[u8]>(&row, 1)?));
            let (incident, wrapped) = read().map_err(|_| Trouble::Unknown("an answer that is not ours"))?;
            let key = master.unwrap(&incident, wrapped);
            self.known.insert(incident, key.map(|key| Known { key, wrapped: wrapped.to_vec(), is_new: false }));
        }
        self.doubted = false;
        Ok(())
    }

    /// The records of the batches as they are stored, each under its incident's key.
    pub(super) fn lock(&mut self, master: Option<&MasterKey>, batches: &[Prepared]) -> Vec<Lock> {
        let locked = |batch: &Prepared| match (master, batch.record()) {
            (Some(master), Some((incident, content))) => self.locked(master, incident, content).map(Some),
            (_, _) => Ok(None),
        };
        batches.iter().map(locked).collect()
    }

    fn locked(
        &mut self,
        master: &MasterKey,
        incident: &IncidentId,
        Content { sha256, bytes }: &Content,
    ) -> Result<Locked, JournalError> {
        if !self.known.contains_key(incident) {
            let (key, wrapped) = master.new_key(incident)?;
            self.known.insert(incident.clone(), Some(Known { key, wrapped, is_new: true }));
        }
        let Some(Some(Known { key, wrapped, is_new })) = self.known.get(incident) else {
            return Err(other_key_file(incident));
        };
        Ok(Locked { bytes: key.lock(incident, sha256, bytes)?, wrapped: wrapped.clone(), is_new: *is_new })
    }

    /// What became of the batches: a key that was made for one that was refused is not kept.
    pub(super) fn settled(&mut self, batches: &[Prepared], outcomes: &[Result<Vec<Entry>, JournalError>]) {
        for (batch, outcome) in batches.iter().zip(outcomes) {
            let Some((incident, _)) = batch.record() else { continue };
            match (self.known.get_mut(incident), outcome) {
                (Some(Some(known)), Ok(_)) => known.is_new = false,
                (Some(None | Some(Known { is_new: true, .. })), Err(_)) => drop(self.known.remove(incident)),
                (Some(_) | None, _) => {}
            }
        }
    }

    /// The database knows better: everything is asked for again.
    pub(super) fn doubt(&mut self) {
        self.known.clear();
        self.doubted = true;
    }
}

/// The error of a key that the configured key file does not open.
pub(super) fn other_key_file(incident: &IncidentId) -> JournalError {
    JournalError::Unavailable(format!("the key of `{incident}` is under another key file than the configured one"))
}

/// That the configured key file is the one in use here: another one, or none, would lose every open call's record. The first
/// adapter with a key file says which it is.
pub(super) async fn check_key_file(common: &Common, session: &Session) -> Result<(), JournalError> {
    let (agency, nobody) = (&common.settings.agency, IncidentId::new(""));
    let select = session.prepare(SELECT_KEYS).await?;
    let known = async || {
        let rows = session.read(&select, &[agency, &[nobody.as_str()].as_slice()]).await?;
        rows.first().map(|row| field::<&[u8]>(row, 1).map(<[u8]>::to_vec)).transpose()
    };
    let mut wrapped = known().await?;
    if let (None, Some(master)) = (&wrapped, &common.master) {
        let (_, new) = master.new_key(&nobody)?;
        let insert = session.prepare(INSERT_KEY).await?;
        session.commit(&insert, &[agency, &nobody.as_str(), &new]).await?;
        wrapped = known().await?;
    }
    // Not `Unavailable`: a database that is away is waited for, and this one is not ours to use.
    let refused = |why: &str| Err(JournalError::Corrupt { sequence: 0, why: why.to_owned() });
    match (wrapped, &common.master) {
        (Some(wrapped), Some(master)) if master.unwrap(&nobody, &wrapped).is_none() => {
            refused("the keys in the database are under another key file than the configured one")
        }
        (Some(_), None) => refused("its records are under a key file, and none is configured: set `journal.key_file`"),
        (Some(_), Some(_)) | (None, _) => Ok(()),
    }
}
