//! `fourth serve`: the adapter beside a CAD, until it is told to stop.

use super::{BadInput, Ending, Verdict, table};
use crate::access::Access;
use crate::app::{Application, FAULTS_SHOWN, loadable, told as told_fault};
use crate::clock::Clock;
use crate::configuration::{Configuration, read_policy_folder};
use crate::policy::Candidate;
use crate::telemetry::set_up_logs;
use crate::wire::SenderProfile;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// The adapter beside a CAD.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Read the configuration and the policy, say what would be done, and end.
    #[arg(long)]
    pub check: bool,
}

/// Runs until SIGTERM or Ctrl-C, then lets requests in flight finish. SIGHUP reads the policy's folder again.
///
/// # Errors
/// [`BadInput`] where the configuration cannot be used. A policy that cannot be used does not keep the adapter from
/// starting: every call then takes the ordinary route and `/readyz` says why.
pub fn run(args: &Args, out: &mut dyn Write) -> Ending {
    let configuration = Configuration::read(&args.config)?;
    if args.check {
        return check(&configuration, out);
    }
    set_up_logs(&configuration.log).map_err(|fault| BadInput::new(fault.to_string()))?;
    super::in_runtime(async {
        let application = Application::start(&configuration, Clock::system()).await?;
        // Before anybody is told that we are ready: until then a hang-up ends the process.
        let hang_ups = signal(SignalKind::hangup());
        let doors = application.addresses();
        let rows: Vec<_> =
            doors.iter().map(|(name, address)| vec![(*name).to_owned(), format!("http://{address}")]).collect();
        writeln!(out, "{}", table(&["door", "address"], &rows))?;
        writeln!(out, "ready")?;
        out.flush()?;
        let reloads = async {
            if let Ok(mut hang_ups) = hang_ups {
                while hang_ups.recv().await.is_some() {
                    application.reload_policy();
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! { () = super::until_told_to_stop() => {} () = reloads => {} }
        application.stop().await;
        Ok(Verdict::Good)
    })
}

fn check(configuration: &Configuration, out: &mut dyn Write) -> Ending {
    // A sender or an access list that cannot be used would keep the adapter from starting.
    let senders = configuration.sender_profiles()?;
    Access::new(&configuration.access).map_err(|fault| BadInput::new(format!("`access`: {fault}")))?;
    let mut rows = configuration.summary();
    let files = read_policy_folder(&configuration.policy.folder)?;
    let (faults, told) = match Candidate::read(&files) {
        Ok(candidate) => {
            let told = about(&candidate, &senders);
            (loadable(&files).err(), told)
        }
        Err(faults) => (Some(faults), Vec::new()),
    };
    rows.extend(told);
    match &faults {
        None => rows.push(line("verdict", "proved: it would be in force".to_owned())),
        Some(faults) => {
            rows.push(line("verdict", "refused: every call would take the ordinary route".to_owned()));
            let listed = faults.0.iter().take(FAULTS_SHOWN);
            rows.extend(listed.map(|fault| line("fault", told_fault(fault))));
            if faults.0.len() > FAULTS_SHOWN {
                rows.push(line("faults", format!("{} in all; `fourth check` lists them", faults.0.len())));
            }
        }
    }
    let rows: Vec<_> = rows.into_iter().map(|(what, how)| vec![what, how]).collect();
    writeln!(out, "{}", table(&["what", "would be"], &rows))?;
    Ok(if faults.is_none() { Verdict::Good } else { Verdict::NotSo })
}

fn line(what: &str, how: String) -> (String, String) {
    (what.to_owned(), how)
}

/// What a policy would bring, in the order in which a manager asks.
fn about(candidate: &Candidate, senders: &BTreeMap<String, SenderProfile>) -> Vec<(String, String)> {
    let identity = candidate.identity();
    let (rules, exclusions) = candidate.row_counts();
    let cases = candidate.run_cases();
    let passing = cases.results.iter().filter(|case| case.passes()).count();
    let mut lines = vec![
        line("policy", format!("{} revision {}: {}", identity.id, identity.revision, candidate.title())),
        line("digest", identity.digest.clone()),
        line("mode", format!("{:?}", candidate.mode()).to_lowercase()),
        line("rows", format!("{rules} rules, {exclusions} exclusions")),
    ];
    let programs = candidate.programs();
    lines.extend(programs.iter().map(|program| line("program", format!("{}: {}", program.id, program.title))));
    lines.extend(candidate.waivers().iter().map(|waiver| {
        line("waiver", format!("{} lifted by {}: {}", waiver.safeguard, waiver.signed_by, waiver.because))
    }));
    lines.push(line(
        "cases",
        format!(
            "{passing} of {} as expected, {:.0} % of rows covered",
            cases.results.len(),
            // Downwards: not all is not all.
            cases.coverage_percent().floor()
        ),
    ));
    lines.extend(candidate.findings().into_iter().map(|finding| line("to know", finding.text)));
    for (pin, rows) in candidate.call_type_pins() {
        let declared: Vec<&str> = senders
            .iter()
            .filter(|(_, sender)| sender.call_types.as_ref().is_some_and(|system| pin.is_declared_by(system)))
            .map(|(name, _)| name.as_str())
            .collect();
        let by = match declared.as_slice() {
            [] => "no sender declares it: they speak only of records that do".to_owned(),
            names => format!("declared by {}", names.join(", ")),
        };
        lines.push(line("call types", format!("{rows} rows for {pin}: {by}")));
    }
    lines
}
