//! The notice to the CAD: an EIDO that carries what this adapter knows and the CAD does not, and nothing else.

use super::settings::CadSettings;
use crate::incident::{BackupService, CadNotice, DutyKind};
use crate::record::{AgencyId, CallRecord, DispositionNote, Note, ProgramId, SourceId, TimePoint, UnitStatus};
use crate::wire::{Emitter, encode_eido};
use jiff::Timestamp;

/// Media type of an EIDO (NENA-STA-021.1b-2022).
pub(super) const CONTENT_TYPE: &str = "application/emergency.eido+json; version=\"1\"";
/// Header naming the notice, so that a receiver can sort without reading the EIDO.
pub(super) const NOTICE_HEADER: &str = "fourth-notice";

/// What kind of unit a community team is, in the CAD's eyes.
const TEAM_UNIT_TYPE: &str = "CrisisInterventionUnit";

/// The EIDO for a notice.
///
/// It names the CAD's own incident and says what was done with it. Persons, places, call-backs, the narrative and
/// cautions of the record are left out: the CAD has its own, and what is not sent cannot leak (I14).
pub(super) fn body(record: &CallRecord, notice: &CadNotice, cad: &CadSettings, now: Timestamp) -> Vec<u8> {
    let emitter = Emitter {
        agency: AgencyId::new(&cad.agency),
        element: SourceId::new(&cad.element),
        agency_type: cad.agency_type.clone(),
    };
    encode_eido(&update(record, notice, now), &emitter, now)
}

fn update(record: &CallRecord, notice: &CadNotice, now: Timestamp) -> CallRecord {
    let mut update = CallRecord::new(record.identity.clone(), record.format);
    update.times = record.times.clone();
    update.nature = record.nature.clone();
    update.lifecycle = record.lifecycle;
    update.test = record.test;
    let team = |program: &str, status| UnitStatus {
        unit: program.to_owned(),
        unit_type: Some(TEAM_UNIT_TYPE.to_owned()),
        status,
        at: Some(now),
    };
    match notice {
        CadNotice::TeamAccepted { program } => update.units.push(team(program.as_str(), TimePoint::Accepted)),
        CadNotice::TeamMoved { program, status } => update.units.push(team(program.as_str(), *status)),
        CadNotice::Cleared { program, disposition, apco_code, party: _ } => {
            update.units.push(team(program.as_str(), TimePoint::Cleared));
            update
                .dispositions
                .push(DispositionNote { common_code: Some(apco_code.clone()), text: Some(disposition.clone()) });
        }
        CadNotice::HandedOn { .. }
        | CadNotice::OrdinaryRoute { .. }
        | CadNotice::Backup { .. }
        | CadNotice::Overdue { .. } => (),
    }
    update.notes.push(Note { at: Some(now), text: words(notice) });
    update
}

/// The notice in words, for a CAD that shows notes and little else.
fn words(notice: &CadNotice) -> String {
    match notice {
        CadNotice::TeamAccepted { program } => format!("FOURTH: {program} has accepted this call and responds"),
        CadNotice::TeamMoved { program, status } => format!("FOURTH: {program} is {}", point(*status)),
        CadNotice::HandedOn { program } => {
            format!("FOURTH: {program} hands this call on; it is the PSAP's while the next team is asked")
        }
        CadNotice::OrdinaryRoute { why } => {
            format!("FOURTH: ordinary route, send police, fire or EMS as usual ({why})")
        }
        CadNotice::Backup { service, team_requested } => {
            let service = match service {
                BackupService::Police => "POLICE",
                BackupService::Ems => "EMS",
                BackupService::Fire => "FIRE",
            };
            let by = if *team_requested { "the team on scene" } else { "an operator" };
            format!("FOURTH: BACK-UP NEEDED NOW: {service}, asked for by {by}")
        }
        CadNotice::Cleared { program, disposition, apco_code: _, party } => {
            let party = party.as_deref().map(|party| format!(": {party}")).unwrap_or_default();
            format!("FOURTH: {program} is done ({disposition}{party}); the incident can be closed")
        }
        CadNotice::Overdue { duty, program } => {
            let who = program.as_ref().map_or("the centre", ProgramId::as_str);
            format!("FOURTH: ALARM: {}", alarm(*duty, who))
        }
    }
}

/// What is overdue, and what to do about it.
fn alarm(duty: DutyKind, who: &str) -> String {
    match duty {
        DutyKind::EnRoute => format!("{who} has accepted and is not on its way; call it, or send as usual"),
        DutyKind::Recall => format!("{who} has not acknowledged that it was recalled; call it by voice now"),
        DutyKind::Return => {
            "nobody has acknowledged that this call is back on the ordinary route; send as usual".into()
        }
        DutyKind::CallBack => format!("{who} has not called the reporter back in time"),
        DutyKind::FollowUp => format!("{who} has not followed up in time"),
    }
}

fn point(status: TimePoint) -> &'static str {
    match status {
        TimePoint::EnRoute => "en route",
        TimePoint::OnScene => "on scene",
        TimePoint::WithPerson => "with the person",
        TimePoint::Cleared => "clear",
        _ => "assigned",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Caution, Format, Location, Person, RecordIdentity};

    fn record() -> CallRecord {
        let identity = RecordIdentity {
            agency: AgencyId::new("psap.example.gov"),
            element: SourceId::new("cad"),
            incident: "2026-0042".to_owned(),
            updated_at: None,
            content_sha256: "0".repeat(64),
        };
        let mut record = CallRecord::new(identity, Format::EidoJson);
        record.nature.call_type = Some("WELCK".to_owned());
        record.persons.push(Person { name: Some("canary-name".to_owned()), ..Person::default() });
        record.callbacks.push("canary-phone".to_owned());
        record.notes.push(Note { at: None, text: "canary-note".to_owned() });
        record.locations.push(Location { street: Some("canary-street".to_owned()), ..Location::default() });
        record.cautions.push(Caution { kind: "canary-caution".to_owned(), severity: None });
        record
    }

    fn cad() -> CadSettings {
        toml::from_str("url = \"http://127.0.0.1:1/eido\"").unwrap()
    }

    fn notices() -> Vec<CadNotice> {
        let program = ProgramId::new("psr");
        let disposition = "supported".to_owned();
        vec![
            CadNotice::TeamAccepted { program: program.clone() },
            CadNotice::TeamMoved { program: program.clone(), status: TimePoint::OnScene },
            CadNotice::OrdinaryRoute { why: "no-team-accepted".to_owned() },
            CadNotice::Backup { service: BackupService::Police, team_requested: true },
            CadNotice::Overdue { duty: DutyKind::Recall, program: Some(program.clone()) },
            CadNotice::Overdue { duty: DutyKind::Return, program: None },
            CadNotice::Cleared { program, disposition, apco_code: "15".to_owned(), party: None },
        ]
    }

    #[test]
    fn every_notice_names_the_incident_and_leaks_nothing() {
        for notice in notices() {
            let bytes = body(&record(), &notice, &cad(), Timestamp::UNIX_EPOCH);
            let text = String::from_utf8(bytes).unwrap();
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
            assert!(text.contains("2026-0042"), "{text}");
            assert!(text.contains("FOURTH: "), "{text}");
            assert!(!text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn a_clearance_carries_unit_and_disposition() {
        let notice = notices().pop().unwrap();
        let update = update(&record(), &notice, Timestamp::UNIX_EPOCH);
        assert_eq!((update.units[0].unit.as_str(), update.units[0].status), ("psr", TimePoint::Cleared));
        assert_eq!(update.dispositions[0].common_code.as_deref(), Some("15"));
    }

    #[test]
    fn a_backup_is_said_in_words_that_cannot_be_missed() {
        let notice = CadNotice::Backup { service: BackupService::Ems, team_requested: false };
        assert_eq!(words(&notice), "FOURTH: BACK-UP NEEDED NOW: EMS, asked for by an operator");
        assert_eq!(notice.name(), "backup");
    }
}
