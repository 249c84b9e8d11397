//! `fourth serve`: the adapter beside a CAD, until it is told to stop.

use super::{BadInput, Ending, Verdict, table};
use crate::app::Application;
use crate::clock::Clock;
use crate::configuration::{Configuration, read_policy_folder};
use crate::policy::Policy;
use crate::telemetry::set_up_logs;
use std::io::Write;
use std::path::PathBuf;

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

/// Runs until SIGTERM or Ctrl-C, then lets requests in flight finish.
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
        let doors = application.addresses();
        let rows: Vec<_> =
            doors.iter().map(|(name, address)| vec![(*name).to_owned(), format!("http://{address}")]).collect();
        writeln!(out, "{}", table(&["door", "address"], &rows))?;
        writeln!(out, "ready")?;
        out.flush()?;
        super::until_told_to_stop().await;
        application.stop().await;
        Ok(Verdict::Good)
    })
}

fn check(configuration: &Configuration, out: &mut dyn Write) -> Ending {
    let mut rows = configuration.summary();
    let policy = read_policy_folder(&configuration.policy.folder)?;
    let verdict = match Policy::compile(&policy) {
        Ok(policy) => {
            let identity = policy.identity();
            rows.push(("policy".to_owned(), format!("{} revision {}, proved", identity.id, identity.revision)));
            rows.push(("mode".to_owned(), format!("{:?}", policy.mode()).to_lowercase()));
            Verdict::Good
        }
        Err(faults) => {
            rows.push(("policy".to_owned(), format!("{faults}: every call would take the ordinary route")));
            Verdict::NotSo
        }
    };
    let rows: Vec<_> = rows.into_iter().map(|(what, how)| vec![what, how]).collect();
    writeln!(out, "{}", table(&["what", "would be"], &rows))?;
    Ok(verdict)
}
