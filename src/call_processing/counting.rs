//! What durable events mean for the metrics.

use crate::incident::Event;
use crate::telemetry;
use std::time::Duration;

/// Counts what durable events mean for the metrics.
pub(super) fn count(events: &[Event], decide_ns: u64) {
    for event in events {
        match event {
            Event::Assessed { decision, .. } => {
                telemetry::call_decided(decision.status.name(), Duration::from_nanos(decide_ns));
            }
            Event::Offered { .. } => telemetry::leg_counted("offered"),
            Event::Accepted { .. } => telemetry::leg_counted("accepted"),
            Event::Declined { .. } => telemetry::leg_counted("declined"),
            Event::TimedOut { .. } => telemetry::leg_counted("timed-out"),
            Event::Withdrawn { .. } => telemetry::leg_counted("withdrawn"),
            Event::StoodBack { .. } => telemetry::leg_counted("stood-back"),
            Event::Cleared { .. } => telemetry::leg_counted("cleared"),
            Event::ReturnedToOrdinary { .. } => telemetry::leg_counted("returned"),
            Event::HandedOn { .. } => telemetry::leg_counted("handed-on"),
            Event::DutyOpened { kind, .. } => telemetry::duty_counted(kind.name(), "opened"),
            Event::DutyOverdue { kind, .. } => telemetry::duty_counted(kind.name(), "overdue"),
            Event::DutyClosed { kind, outcome, .. } => telemetry::duty_counted(kind.name(), outcome.name()),
            Event::RecordReceived(_)
            | Event::AnswerGiven { .. }
            | Event::Chosen { .. }
            | Event::OrdinaryChosen { .. }
            | Event::Delivered { .. }
            | Event::Undeliverable { .. }
            | Event::Redriven { .. }
            | Event::AnsweredLate { .. }
            | Event::TeamMoved { .. }
            | Event::BackupRequested { .. }
            | Event::HazardReported { .. }
            | Event::UnitSeen { .. }
            | Event::KeptApart { .. }
            | Event::Closed { .. } => {}
        }
    }
}
