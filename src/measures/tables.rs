//! The figures as tables: one rendering for the report, the demo and the pages.

use super::intervals::Interval;
use super::outcomes::Figures;
use super::table::Table;
use crate::incident::{DeclineCause, DutyKind, Party};
use std::collections::BTreeMap;

impl Figures {
    /// Every table, in story order. A table without rows is a thing that did not happen.
    #[must_use]
    pub fn tables(&self) -> Vec<Table> {
        vec![
            self.calls(),
            self.safeguards_lifted(),
            self.refusals(),
            self.by_status(),
            self.reasons(),
            self.by_rule(),
            self.choices(),
            self.offers(),
            self.by_program(),
            self.comings_back(),
            self.backups_asked(),
            self.dispositions(),
            self.owed(),
            self.durations(),
        ]
    }

    fn calls(&self) -> Table {
        let totals = &self.totals;
        counts(
            "Calls",
            &[
                ("records kept", totals.records),
                ("of these, kept and not applied (overtaken, or after the close)", totals.records_not_applied),
                ("records refused", totals.refused),
                ("incidents", totals.incidents),
                ("incidents offered to a team", totals.incidents_offered),
                ("incidents accepted by a team", totals.incidents_accepted),
                ("incidents not offered, reason not recorded", self.unexplained()),
                ("incidents closed", totals.closed),
                ("decisions, re-assessments included", totals.assessments),
                ("questions answered", totals.answers),
                ("hazards reported by teams", totals.hazards),
            ],
        )
    }

    fn safeguards_lifted(&self) -> Table {
        let mut table = Table::new("Safeguards lifted by waiver", &["safeguard", "signed by", "why"]);
        for waiver in &self.waived {
            let on = waiver.signed_on.as_deref().map_or_else(String::new, |on| format!(", {on}"));
            table.row([waiver.safeguard.clone(), format!("{}{on}", waiver.signed_by), waiver.because.clone()]);
        }
        table
    }

    fn refusals(&self) -> Table {
        let mut table = Table::new("Records refused", &["problem", "count"]);
        fill(&mut table, &self.refused);
        table
    }

    fn by_status(&self) -> Table {
        let mut table = Table::new("Incidents by status of the last decision", &["status", "count", "of all"]);
        for (status, count) in &self.statuses {
            table.row([(*status).to_owned(), count.to_string(), share(*count, self.totals.incidents)]);
        }
        table
    }

    fn reasons(&self) -> Table {
        let mut table = Table::new("Why incidents were not offered", &["status", "reason", "count"]);
        for ((status, reason), count) in &self.not_offered {
            table.row([(*status).to_owned(), reason.clone(), count.to_string()]);
        }
        table
    }

    fn by_rule(&self) -> Table {
        let mut table = Table::new("Incidents by rule of the last decision", &["rule", "count"]);
        fill(&mut table, &self.rules);
        table
    }

    fn choices(&self) -> Table {
        let totals = &self.totals;
        counts(
            "Choices",
            &[
                ("programs, as recommended", totals.chosen_as_recommended),
                ("programs, by the policy itself", totals.chosen_by_policy),
                ("programs, against the recommendation", totals.overrides_to_programs),
                ("ordinary route, as recommended", totals.ordinary_as_recommended),
                ("ordinary route, against the recommendation", totals.overrides_to_ordinary),
            ],
        )
    }

    fn offers(&self) -> Table {
        let totals = &self.totals;
        let mut table = counts(
            "Offers",
            &[("offered", totals.offers), ("accepted", totals.acceptances), ("declined", totals.declines)],
        );
        for (cause, count) in &self.declines {
            table.row([format!("declined: {}", DeclineCause::name(*cause)), count.to_string()]);
        }
        table.row(["timed out".to_owned(), totals.time_outs.to_string()]);
        table.row(["unreachable".to_owned(), totals.unreachable.to_string()]);
        table.row(["withdrawn".to_owned(), totals.withdrawals.to_string()]);
        for (why, count) in &self.withdrawals {
            table.row([format!("withdrawn: {why}"), count.to_string()]);
        }
        table.row(["accepted too late".to_owned(), totals.late_acceptances.to_string()]);
        table.row(["declined too late".to_owned(), totals.late_declines.to_string()]);
        table.row(["notices not delivered".to_owned(), totals.undelivered_notices.to_string()]);
        table
    }

    fn by_program(&self) -> Table {
        let headers = [
            "program",
            "offered",
            "accepted",
            "declined",
            "timed out",
            "unreachable",
            "withdrawn",
            "stood back",
            "returned",
            "handed on",
            "cleared",
        ];
        let mut table = Table::new("Programs", &headers);
        for (program, figures) in &self.programs {
            table.row([
                program.to_string(),
                figures.offered.to_string(),
                figures.accepted.to_string(),
                figures.declined.to_string(),
                figures.timed_out.to_string(),
                figures.unreachable.to_string(),
                figures.withdrawn.to_string(),
                figures.stood_back.to_string(),
                figures.returned.to_string(),
                figures.handed_on.to_string(),
                figures.cleared.to_string(),
            ]);
        }
        table
    }

    fn comings_back(&self) -> Table {
        let mut table = Table::new("Returns, stand-backs and closings", &["what", "why", "count"]);
        for (what, whys) in [
            ("returned to the ordinary route", &self.returns),
            ("team stood back", &self.stand_backs),
            ("closed", &self.closings),
        ] {
            for (why, count) in whys {
                table.row([what.to_owned(), why.clone(), count.to_string()]);
            }
        }
        table
    }

    fn backups_asked(&self) -> Table {
        let mut table = Table::new("Back-up", &["service", "asked by", "count"]);
        for ((service, by), count) in &self.backups {
            table.row([service.name().to_owned(), (*by).to_owned(), count.to_string()]);
        }
        table
    }

    fn dispositions(&self) -> Table {
        let headers = ["disposition", "APCO 1.111.2-2018", "by or to", "count"];
        let mut table = Table::new("Dispositions", &headers);
        for ((disposition, party), count) in &self.clears {
            let named = if disposition.parties().is_empty() { "-" } else { party.map_or("not said", Party::name) };
            table.row([
                disposition.name().to_owned(),
                disposition.apco_code().to_owned(),
                named.to_owned(),
                count.to_string(),
            ]);
        }
        table
    }

    fn owed(&self) -> Table {
        let title = "Call-backs, follow-ups and acknowledgements";
        let mut table = Table::new(title, &["what", "became owed", "overdue", "owed still", "ended", "count"]);
        for kind in DutyKind::ALL {
            let Some(figures) = self.duties.get(&kind) else { continue };
            let row = |ended: &str, count: u64| {
                let counts = [figures.opened, figures.overdue, figures.owed_still()].map(|count| count.to_string());
                let [opened, overdue, still] = counts;
                [kind.name().to_owned(), opened, overdue, still, ended.to_owned(), count.to_string()]
            };
            if figures.closed.is_empty() {
                table.row(row("-", 0));
            }
            for (outcome, count) in &figures.closed {
                table.row(row(outcome.name(), *count));
            }
        }
        table
    }

    fn durations(&self) -> Table {
        let headers = ["interval", "from - to", "n", "p50 s", "p90 s", "p95 s", "missing", "impossible"];
        let mut table = Table::new("Intervals, nearest rank", &headers);
        for interval in Interval::ALL {
            let summary = self.interval(interval);
            table.row([
                interval.name().to_owned(),
                interval.definition().to_owned(),
                summary.n.to_string(),
                seconds(summary.p50),
                seconds(summary.p90),
                seconds(summary.p95),
                summary.missing.to_string(),
                summary.impossible.to_string(),
            ]);
        }
        table
    }
}

fn counts(title: &str, rows: &[(&str, u64)]) -> Table {
    let mut table = Table::new(title, &["what", "count"]);
    for (what, count) in rows {
        table.row([(*what).to_owned(), count.to_string()]);
    }
    table
}

fn fill(table: &mut Table, counts: &BTreeMap<String, u64>) {
    for (what, count) in counts {
        table.row([what.clone(), count.to_string()]);
    }
}

/// Milliseconds as seconds with one decimal, rounded half up; `-` without a value.
fn seconds(milliseconds: Option<i64>) -> String {
    milliseconds.map_or_else(
        || "-".to_owned(),
        |milliseconds| {
            let tenths = milliseconds.saturating_add(50) / 100;
            format!("{}.{}", tenths / 10, tenths % 10)
        },
    )
}

/// A share in whole per cent, rounded half up; `-` of nothing.
fn share(count: u64, of: u64) -> String {
    count
        .saturating_mul(200)
        .saturating_add(of)
        .checked_div(of.saturating_mul(2))
        .map_or_else(|| "-".to_owned(), |per_cent| format!("{per_cent} %"))
}
