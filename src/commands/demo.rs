//! `fourth demo`: the adapter on its embedded store with a simulated Kamloops evening around it.

use super::report::render;
use super::{BadInput, Ending, Verdict, in_runtime, table, until_told_to_stop};
use crate::app::Application;
use crate::call_processing::Desk;
use crate::clock::{Clock, random_bytes};
use crate::configuration::{Configuration, scratch_folder};
use crate::incident::Owner;
use crate::measures::{Figures, Interval};
use crate::policy::PolicyFiles;
use fourth_simulators::city::City;
use fourth_simulators::clock::ScaledClock;
use fourth_simulators::{Doors, Peers, PeersSettings, Tally};
use jiff::{SignedDuration, Timestamp};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Entries read from the journal at once.
const PAGE_ENTRIES: usize = 4_096;
/// How often the live table is drawn on a terminal, and how often a line is printed elsewhere.
const DRAWN_EVERY: Duration = Duration::from_secs(1);
const PRINTED_EVERY: Duration = Duration::from_secs(10);
/// How long the outbox may take to carry out what the last calls left, in the machine's time.
const SETTLED_WITHIN: Duration = Duration::from_secs(3);

/// The policy of the demo, embedded so that the command needs no file.
const KAMLOOPS: &[(&str, &[u8])] = &[
    ("policy.toml", include_bytes!("../../schemas/policy/library/kamloops/policy.toml")),
    ("call_types.csv", include_bytes!("../../schemas/policy/library/kamloops/call_types.csv")),
    ("zones.geojson", include_bytes!("../../schemas/policy/library/kamloops/zones.geojson")),
    ("cases.toml", include_bytes!("../../schemas/policy/library/kamloops/cases.toml")),
];

/// The adapter with a simulated city around it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The city.
    #[arg(long, default_value = "kamloops", value_parser = ["kamloops"])]
    city: String,
    /// Ends after so many minutes of the machine's time; without it, at Ctrl-C.
    #[arg(long, value_name = "N")]
    minutes: Option<f64>,
    /// Simulated minutes in one minute.
    #[arg(long, value_name = "X", default_value_t = 30.0, value_parser = speed)]
    speed: f64,
    /// Where the pages are.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8413")]
    listen: SocketAddr,
    /// Calls as a multiple of an ordinary evening's.
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = speed)]
    rate: f64,
    /// The same seed plays the same evening.
    #[arg(long, default_value_t = 4)]
    seed: u64,
    /// Where the journal is kept; a new folder of its own without it.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && (0.01..=10_000.0).contains(&speed) => Ok(speed),
        Ok(_) | Err(_) => Err("a number from 0.01 to 10000".to_owned()),
    }
}

/// Plays until the minutes are over or Ctrl-C, then prints the summary.
///
/// # Errors
/// [`BadInput`] where a port or the journal cannot be had.
pub fn run(args: &Args, out: &mut dyn Write) -> Ending {
    writeln!(
        out,
        "fourth demo: a simulated {} evening around the real adapter, {} times as fast as life",
        args.city, args.speed
    )?;
    out.flush()?;
    in_runtime(play(args, out))
}

async fn play(args: &Args, out: &mut dyn Write) -> Ending {
    let city = City::named(&args.city).map_err(|fault| BadInput::new(fault.to_string()))?;
    let evening = city.evening.from.to_zoned(city.zone()).map_err(|fault| BadInput::new(fault.to_string()))?;
    let clock = Clock::starting_at(evening.timestamp(), args.speed);
    let scaled = ScaledClock::starting_at(clock.now(), args.speed);
    let key = random_bytes::<32>().map_err(|fault| BadInput::new(fault.to_string()))?;
    let settings = PeersSettings { rate: args.rate, key: key.to_vec(), ..PeersSettings::of(city, args.seed, scaled) };
    let peers =
        Peers::start(settings).await.map_err(|fault| BadInput::new(format!("the peers cannot start: {fault}")))?;
    let folder =
        scratch_folder("fourth-demo").map_err(|fault| BadInput::new(format!("no folder for the journal: {fault}")))?;
    let journal = args.journal.clone().unwrap_or_else(|| folder.join("journal.db"));
    let configuration = configure(&peers, args.listen, &journal, &folder)?;
    let application = Application::start_with(&configuration, Ok(kamloops()), clock.clone()).await?;
    let doors = application.addresses().clone();
    let door = |name: &str| doors.get(name).map(|address| format!("http://{address}")).unwrap_or_default();
    let pages = door("pages");
    let rows = vec![
        vec!["call-taker".to_owned(), format!("{pages}/")],
        vec!["community team".to_owned(), format!("{pages}/team")],
        vec!["evaluator".to_owned(), format!("{pages}/evaluation")],
        vec!["metrics".to_owned(), format!("{}/metrics", door("operations"))],
        vec!["journal".to_owned(), journal.display().to_string()],
    ];
    writeln!(out, "{}\n", table(&["page", "address"], &rows))?;
    out.flush()?;

    let until =
        args.minutes.map(|minutes| after(clock.now(), Duration::from_secs_f64(minutes.max(0.0) * 60.0 * args.speed)));
    let mut figures = Figures::default();
    tokio::select! {
        _ = peers.play(Doors { intake: door("intake"), teams: door("teams") }, until.unwrap_or(Timestamp::MAX)) => {}
        () = until_told_to_stop() => {}
        fault = show(application.desk(), &peers, &mut figures, out) => return fault,
    }
    peers.rest();
    application.stop_doors().await;
    settle(application.desk()).await;
    application.stop().await;
    summarise(&application, &peers, &mut figures, &journal, out).await
}

/// Draws the live table until the output is gone.
async fn show(desk: &Desk, peers: &Peers, figures: &mut Figures, out: &mut dyn Write) -> Ending {
    let terminal = std::io::stdout().is_terminal();
    let mut drawn_lines = 0;
    loop {
        tokio::time::sleep(if terminal { DRAWN_EVERY } else { PRINTED_EVERY }).await;
        catch_up(desk, figures).await;
        let tally = peers.tally();
        if terminal {
            let text = live_table(desk, figures, &tally);
            if drawn_lines > 0 {
                // Up to the first line of the last drawing, and clear from there.
                write!(out, "\x1b[{drawn_lines}A\x1b[J")?;
            }
            drawn_lines = text.lines().count();
            writeln!(out, "{text}")?;
        } else {
            writeln!(out, "{}", live_line(desk, figures))?;
        }
        out.flush()?;
    }
}

/// Reads what the journal has gained.
async fn catch_up(desk: &Desk, figures: &mut Figures) {
    while let Ok(entries) = desk.journal().read_after(figures.sequence(), PAGE_ENTRIES).await {
        if entries.is_empty() {
            return;
        }
        for entry in &entries {
            figures.absorb(entry);
        }
    }
}

fn live_table(desk: &Desk, figures: &Figures, tally: &Tally) -> String {
    let totals = figures.totals();
    let count =
        |what: &str, count: u64| vec![what.to_owned(), count.to_string(), String::new(), String::new(), String::new()];
    let mut rows = vec![
        count("calls", totals.incidents),
        count("decisions", totals.assessments),
        count("offers", totals.offers),
        count("accepted", totals.acceptances),
        count("declined", totals.declines),
        count("timed out", totals.time_outs),
        count("returned to the ordinary route", totals.returns),
        count("cleared by a team", totals.clears),
        count("records passed through to the CAD", tally.passed_through),
    ];
    for interval in [Interval::Assess, Interval::HandOver, Interval::Turnout, Interval::Travel, Interval::TeamResponse]
    {
        let summary = figures.interval(interval);
        let seconds =
            |value: Option<i64>| value.map_or_else(|| "–".to_owned(), |ms| format!("{:.1} s", ms as f64 / 1_000.0));
        let n = summary.n.to_string();
        rows.push(vec![interval.name().to_owned(), String::new(), n, seconds(summary.p50), seconds(summary.p95)]);
    }
    let local = desk.policy().map_or_else(
        || desk.clock().now().to_string(),
        |policy| desk.clock().now().to_zoned(policy.time_zone().clone()).strftime("%A %H:%M").to_string(),
    );
    table(&[local.as_str(), "count", "n", "p50", "p95"], &rows).to_string()
}

fn live_line(desk: &Desk, figures: &Figures) -> String {
    let totals = figures.totals();
    let mut line = String::new();
    let _ = write!(
        line,
        "calls {:>5}  offers {:>5}  accepted {:>5}  declined {:>4}  timed out {:>4}  returned {:>4}  cleared {:>4}  open {:>4}",
        totals.incidents,
        totals.offers,
        totals.acceptances,
        totals.declines,
        totals.time_outs,
        totals.returns,
        totals.clears,
        desk.open_incidents().len(),
    );
    line
}

/// Waits until the outbox has nothing left to do, within a bound.
async fn settle(desk: &Desk) {
    let settled = async {
        while !desk.undelivered().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let _ = tokio::time::timeout(SETTLED_WITHIN, settled).await;
}

async fn summarise(
    application: &Application,
    peers: &Peers,
    figures: &mut Figures,
    journal: &Path,
    out: &mut dyn Write,
) -> Ending {
    let desk = application.desk();
    catch_up(desk, figures).await;
    writeln!(out, "\nSummary\n")?;
    render(&figures.tables(), false, out)?;
    let open = desk.open_incidents();
    let owned_by = |who: fn(&Owner) -> bool| open.iter().filter(|view| who(&view.incident.owner)).count();
    let (with_psap, with_team) =
        (owned_by(|owner| *owner == Owner::Psap), owned_by(|owner| matches!(owner, Owner::Team(_))));
    let missing = peers.pass_through_missing().len();
    let rows = vec![
        vec!["open calls owned by the PSAP".to_owned(), with_psap.to_string()],
        vec!["open calls owned by a team".to_owned(), with_team.to_string()],
        vec!["open calls without an owner".to_owned(), (open.len() - with_psap - with_team).to_string()],
        vec!["records acknowledged by the pass-through that the CAD never got".to_owned(), missing.to_string()],
    ];
    writeln!(out, "{}", table(&["at the end", "count"], &rows))?;
    writeln!(out, "\nThe same counts from the journal alone:\n  fourth report --journal {}", journal.display())?;
    Ok(if missing == 0 { Verdict::Good } else { Verdict::NotSo })
}

/// The configuration that joins the adapter to the peers.
fn configure(peers: &Peers, pages: SocketAddr, journal: &Path, folder: &Path) -> Result<Configuration, BadInput> {
    let mut text = format!(
        "[policy]\nfolder = \"embedded\"\n[journal]\npath = {}\n[listen]\nintake = \"127.0.0.1:0\"\nteams = \"127.0.0.1:0\"\n\
         pages = \"{pages}\"\noperations = \"127.0.0.1:0\"\n[http.pass_through]\ncad_base_url = \"{}\"\n\
         [handoff.cad]\nurl = \"{}\"\nagency = \"fourth.kamloops.example\"\nelement = \"adapter.fourth.kamloops.example\"\n\
         [repeat_contact]\nkey = \"a key that protects nobody: the city is simulated\"\n\
         [access]\nopen_on_loopback = true\n",
        quoted(&journal.display().to_string()),
        peers.cad_url(),
        peers.cad_write_back_url(),
    );
    let identity = |text: &mut String, name: &str, role: &str, program: &str, token: &str| {
        let digest = crate::access::hash_token(token);
        let _ = writeln!(
            text,
            "[[access.identity]]\nname = \"{name}\"\nrole = {role}\n{program}token_sha256 = \"{digest}\""
        );
    };
    identity(&mut text, "cad", "\"cad\"", "", peers.cad_token());
    identity(&mut text, "position-4", "\"call-taker\"", "", peers.call_taker_token());
    for (program, access) in peers.teams() {
        identity(
            &mut text,
            &format!("team-{program}"),
            "\"team\"",
            &format!("program = \"{program}\"\n"),
            &access.token,
        );
    }
    for (channel, kind) in [("webhook", "webhook"), ("warm-transfer", "warm-transfer")] {
        let _ = writeln!(text, "[handoff.channel.{channel}]\nkind = \"{kind}\"");
        for (program, access) in peers.teams() {
            let _ = writeln!(
                text,
                "[handoff.channel.{channel}.program.{program}]\nurl = \"{}\"\nsecret = \"{}\"",
                access.url, access.secret
            );
        }
    }
    for sender in peers.senders() {
        let _ = writeln!(
            text,
            "[[sender]]\nname = \"{}\"\nagency = \"{}\"\nelement = \"{}\"\ntime_zone = \"{}\"",
            sender.name, sender.agency, sender.name, sender.time_zone
        );
        if let Some(layout) = sender.layout {
            let file = folder.join(format!("{}.toml", sender.name));
            std::fs::write(&file, layout).map_err(|fault| BadInput::new(format!("`{}`: {fault}", file.display())))?;
            let _ = writeln!(text, "layout = {}", quoted(&file.display().to_string()));
        }
    }
    Configuration::parse(&text, Path::new("the demo's own configuration"))
}

/// Text as a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn kamloops() -> PolicyFiles {
    let files = KAMLOOPS.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
    PolicyFiles { folder: "kamloops (embedded)".to_owned(), files }
}

fn after(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}
