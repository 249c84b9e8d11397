//! One file gathering each room's Settings, and the reading of policy folders. The only room that reads the environment.

use crate::handoff::Secret;
use crate::incident::Bounds;
use crate::input::BadInput;
use crate::policy::PolicyFiles;
use crate::record::CodeSystem;
use crate::telemetry::LogSettings;
use crate::wire::{Layout, SenderProfile};
use crate::{access, handoff, http, journal, pages};
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Bytes in one file of a policy folder, at most.
const POLICY_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The configuration of one adapter: a TOML file whose tables are the rooms' own Settings. Unknown keys are refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Where the policy is.
    pub policy: PolicySettings,
    /// The journal.
    pub journal: journal::Settings,
    /// Where the doors are.
    pub listen: ListenSettings,
    /// Who sends records.
    #[serde(default, rename = "sender")]
    pub senders: Vec<SenderSettings>,
    /// Who may come in.
    #[serde(default)]
    pub access: access::Settings,
    /// The pass-through, the limits of the doors and their TLS.
    #[serde(default)]
    pub http: http::Settings,
    /// The outbox: channels to teams, write-back to the CAD.
    #[serde(default)]
    pub handoff: handoff::Settings,
    /// How soon people must answer.
    #[serde(default)]
    pub answers: Bounds,
    /// The pages.
    #[serde(default)]
    pub pages: pages::Settings,
    /// Repeat contact; left out, nobody is recognised.
    #[serde(default)]
    pub repeat_contact: Option<RepeatContactSettings>,
    /// Logs.
    #[serde(default)]
    pub log: LogSettings,
}

/// Whether a place or a number that was met in the last thirty days is recognised.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepeatContactSettings {
    /// The secret that places and numbers are hashed under, of 32 bytes or more. It stands nowhere else: whoever
    /// destroys it destroys what the hashes in the journal could tell.
    pub key: Secret,
}

/// Where the policy is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySettings {
    /// The policy's folder; relative to the configuration file.
    pub folder: PathBuf,
    /// How often the folder is looked at for a new revision, milliseconds; 0 leaves it to SIGHUP.
    #[serde(default = "watch_ms")]
    pub watch_ms: u64,
    /// How long the folder must hold still before it is read for good, milliseconds.
    #[serde(default = "settle_ms")]
    pub settle_ms: u64,
}

fn watch_ms() -> u64 {
    5_000
}

fn settle_ms() -> u64 {
    500
}

/// Where the doors are: one listener each, so that a flood at one leaves the others alone (invariant I12).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenSettings {
    /// The CAD's side: `/cad/*`, `/v1/calls`.
    pub intake: SocketAddr,
    /// The teams' side: `/v1/legs`.
    pub teams: SocketAddr,
    /// The pages.
    pub pages: SocketAddr,
    /// Health and metrics.
    pub operations: SocketAddr,
}

/// One sender of records.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SenderSettings {
    /// What the `Fourth-Sender` header calls it; `default` is used where there is none.
    pub name: String,
    /// Its agency, where the format carries none.
    pub agency: String,
    /// Its element, where the format carries none.
    pub element: String,
    /// IANA zone of its local times (`America/Vancouver`).
    pub time_zone: String,
    /// Layout file of its delimited text; relative to the configuration file.
    #[serde(default)]
    pub layout: Option<PathBuf>,
    /// Whose call-type codes it sends, where its records do not say: rows of `call_types.csv` may be pinned to them.
    #[serde(default)]
    pub call_types: Option<CodeSystem>,
}

impl Configuration {
    /// Reads a configuration file; relative paths in it are relative to its folder.
    ///
    /// # Errors
    /// [`BadInput`] that names the file, the line and the key.
    pub fn read(file: &Path) -> Result<Self, BadInput> {
        let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
        Self::parse(&text, file)
    }

    /// Reads the text of a configuration; relative paths in it are relative to the folder of `file`.
    ///
    /// # Errors
    /// As [`Configuration::read`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, BadInput> {
        let mut configuration: Self = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map_or(1, |span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
            BadInput::new(format!("`{}` line {line}: {}", file.display(), error.message()))
                .help("schemas/fourth.toml is a whole configuration with every key explained")
        })?;
        let base = file.parent().unwrap_or(Path::new("."));
        let from_base = |path: &mut PathBuf| *path = base.join(&*path);
        from_base(&mut configuration.policy.folder);
        if !configuration.journal.path.as_os_str().is_empty() {
            from_base(&mut configuration.journal.path);
        }
        if let Some(postgres) = &mut configuration.journal.postgres {
            for file in [&mut postgres.password_file, &mut postgres.ca_file].into_iter().flatten() {
                from_base(file);
            }
        }
        let beside = [&mut configuration.journal.key_file, &mut configuration.journal.checkpoint_file];
        beside.into_iter().flatten().for_each(from_base);
        let journal::Settings { postgres, key_file, .. } = &mut configuration.journal;
        postgres.iter_mut().for_each(|postgres| postgres.key_file.clone_from(key_file));
        for layout in configuration.senders.iter_mut().filter_map(|sender| sender.layout.as_mut()) {
            from_base(layout);
        }
        let Self { http, handoff, .. } = &mut configuration;
        http.tls.values_mut().flat_map(|tls| [&mut tls.certificate, &mut tls.key]).for_each(from_base);
        http.pass_through.iter_mut().filter_map(|cad| cad.cad_authority.as_mut()).for_each(from_base);
        if let Some(door) = &mut http.conveyance {
            [&mut door.certificate, &mut door.key, &mut door.client_authorities].into_iter().for_each(from_base);
        }
        handoff.ca_file.as_mut().into_iter().for_each(from_base);
        if let Some(us) = &mut handoff.conveyance {
            [&mut us.certificate_file, &mut us.key_file].into_iter().for_each(from_base);
        }
        configuration.check()?;
        Ok(configuration)
    }

    /// What the parts must be to each other.
    fn check(&self) -> Result<(), BadInput> {
        if self.senders.is_empty() {
            return Err(
                BadInput::new("the configuration has no `[[sender]]`").help("name at least the CAD, as `default`")
            );
        }
        match (&self.journal.postgres, self.journal.path.as_os_str().is_empty()) {
            (None, true) => {
                return Err(BadInput::new("`[journal]` has neither `path` nor `[journal.postgres]`")
                    .help("`path = \"fourth.db\"` keeps the journal in one file beside this configuration"));
            }
            (Some(postgres), _) => {
                if self.journal.checkpoint_file.is_some() {
                    return Err(BadInput::new("`journal.checkpoint_file` is of the journal in a file")
                        .help("leave it out: adapters remember where the shared chain ends, and refuse a server that is behind"));
                }
                postgres.check().map_err(|fault| BadInput::new(format!("`[journal.postgres]`: {fault}")))?;
            }
            (None, false) => {}
        }
        let exposed = |address: &SocketAddr| !address.ip().is_loopback();
        let doors = [self.listen.intake, self.listen.teams, self.listen.pages, self.listen.operations];
        if doors.iter().any(exposed) && self.access.open_on_loopback {
            return Err(BadInput::new("`access.open_on_loopback` is set and a door listens beyond this machine")
                .help("give every peer an `[[access.identity]]` and leave `open_on_loopback` out"));
        }
        Ok(())
    }

    /// The senders as the decoders need them.
    ///
    /// # Errors
    /// [`BadInput`] where a zone is unknown, a layout cannot be read, or two senders share a name.
    pub fn sender_profiles(&self) -> Result<BTreeMap<String, SenderProfile>, BadInput> {
        let mut profiles = BTreeMap::new();
        for sender in &self.senders {
            let time_zone = TimeZone::get(&sender.time_zone).map_err(|_| {
                BadInput::new(format!("sender `{}`: no time zone is named `{}`", sender.name, sender.time_zone))
                    .help("use an IANA name such as `America/Vancouver`")
            })?;
            let layout = sender.layout.as_deref().map(read_layout).transpose()?;
            let profile = SenderProfile {
                agency: sender.agency.clone(),
                element: sender.element.clone(),
                time_zone,
                layout,
                call_types: sender.call_types.clone(),
            };
            if profiles.insert(sender.name.clone(), profile).is_some() {
                return Err(BadInput::new(format!("two senders are named `{}`", sender.name)));
            }
        }
        Ok(profiles)
    }

    /// The configuration in a few lines, without secrets.
    #[must_use]
    pub fn summary(&self) -> Vec<(String, String)> {
        let line = |what: &str, how: String| (what.to_owned(), how);
        let reload = match self.policy.watch_ms {
            0 => "at SIGHUP".to_owned(),
            watch_ms => format!("every {watch_ms} ms where the folder has changed, and at SIGHUP"),
        };
        let repeat = match &self.repeat_contact {
            Some(_) => "recognised for 30 days by keyed hashes",
            None => "not recognised: `repeat_place` and `repeat_person` stay unknown",
        };
        let contacts = match self.handoff.contact_test_every_h.hours() {
            0 => "NOT tested: a wrong address shows when a call needs it".to_owned(),
            hours => format!("each tested every {hours} h, and soon after the start"),
        };
        let mut lines = vec![
            line("intake", format!("http://{}", self.listen.intake)),
            line("teams", format!("http://{}", self.listen.teams)),
            line("pages", format!("http://{}", self.listen.pages)),
            line("operations", format!("http://{}", self.listen.operations)),
            line(
                "journal",
                self.journal.postgres.as_ref().map_or_else(
                    || self.journal.path.display().to_string(),
                    |shared| format!("{} of agency {}, shared, as {}", shared.url, shared.agency, shared.adapter),
                ),
            ),
            line("policy folder", self.policy.folder.display().to_string()),
            line("policy reload", reload),
            line("repeat contact", repeat.to_owned()),
            line("contacts", contacts),
        ];
        lines.extend(self.journal.postgres.iter().map(|shared| {
            let how = match self.journal.path.as_os_str().is_empty() {
                true => "records are answered 503, and stay on the ordinary route".to_owned(),
                false => format!("kept in `{}.1` after {} ms", self.journal.path.display(), shared.away_after_ms),
            };
            line("while the database is away", how)
        }));
        lines.extend(
            self.senders.iter().map(|sender| line("sender", format!("{} in {}", sender.name, sender.time_zone))),
        );
        lines
    }
}

/// A new folder for things that need not be kept, under the machine's own place for such.
///
/// # Errors
/// Where it cannot be made.
pub fn scratch_folder(name: &str) -> std::io::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Reads a layout of delimited text.
///
/// # Errors
/// [`BadInput`] that names the file and the place.
pub fn read_layout(file: &Path) -> Result<Layout, BadInput> {
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
    Layout::parse(&text).map_err(|error| BadInput::new(format!("`{}`: {error}", file.display())))
}

/// Reads the files of a policy folder into memory (files only, one level).
///
/// # Errors
/// Where the folder or a file cannot be read, or a file is larger than 64 MiB.
pub fn read_policy_folder(folder: &Path) -> Result<PolicyFiles, BadInput> {
    let mut files = PolicyFiles { folder: folder.display().to_string(), ..PolicyFiles::default() };
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        let entry = entry.map_err(|error| unreadable(folder, &error))?;
        let path = entry.path();
        let metadata = std::fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
        if !metadata.is_file() {
            continue;
        }
        if metadata.len() > POLICY_FILE_BYTES_MAX {
            return Err(unreadable(&path, &"it is larger than 64 MiB"));
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        files.files.insert(name, std::fs::read(&path).map_err(|error| unreadable(&path, &error))?);
    }
    Ok(files)
}

fn unreadable(path: &Path, error: &dyn Display) -> BadInput {
    BadInput::new(format!("`{}` cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../schemas/fourth.toml");

    #[test]
    fn the_sample_is_a_whole_configuration() {
        let configuration = Configuration::parse(SAMPLE, Path::new("/etc/fourth/fourth.toml")).unwrap();
        assert_eq!(configuration.journal.path, Path::new("/etc/fourth/fourth.db"), "paths are from the file's folder");
        assert!(access::Access::new(&configuration.access).is_ok());
        assert!(configuration.sender_profiles().unwrap().contains_key("default"));
    }

    #[test]
    fn every_file_that_a_configuration_names_is_looked_for_beside_it() {
        let text = SAMPLE.replace("# ca_file = ", "ca_file = ")
            + "[http.tls.intake]\ncertificate = \"door.pem\"\nkey = \"door.key\"\n\
               [http.pass_through]\ncad_base_url = \"https://cad.example\"\ncad_authority = \"cad.pem\"\n";
        let Configuration { http, handoff, .. } =
            Configuration::parse(&text, Path::new("/etc/fourth/fourth.toml")).unwrap();
        let (tls, door) = (&http.tls[&http::DoorName::Intake], http.conveyance.unwrap());
        let (us, cad) = (handoff.conveyance.unwrap(), http.pass_through.unwrap().cad_authority.unwrap());
        let files = [&tls.certificate, &tls.key, &door.certificate, &door.key, &door.client_authorities, &cad];
        let more = [&us.certificate_file, &us.key_file, handoff.ca_file.as_ref().unwrap()];
        for file in files.into_iter().chain(more) {
            assert_eq!(file.parent(), Some(Path::new("/etc/fourth")), "{}", file.display());
        }
    }

    #[test]
    fn every_commented_key_of_the_sample_is_a_real_key() {
        let uncommented: String = SAMPLE
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(key)
                    if key.split('=').next().is_some_and(|key| !key.trim().contains(' ') && line.contains('=')) =>
                {
                    key
                }
                Some(_) | None => line,
            })
            .map(|line| {
                line.replace("\"https://…\"", "\"https://team.example\"")
                    .replace("bearer = \"…\"", "bearer = \"0123456789abcdef\"")
                    + "\n"
            })
            .collect();
        let parsed = Configuration::parse(&uncommented, Path::new("fourth.toml"));
        assert!(parsed.is_ok(), "{}\n{uncommented}", parsed.unwrap_err());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_no_secret() {
        let text = SAMPLE.replace("[pages]", "[pages]\nsurprise = 1");
        let line = text.lines().position(|line| line == "surprise = 1").unwrap() + 1;
        let fault = Configuration::parse(&text, Path::new("fourth.toml")).unwrap_err().to_string();
        assert!(fault.contains(&format!("line {line}")) && fault.contains("surprise"), "{fault}");
        assert!(!fault.contains("sixteen bytes"), "{fault}");
    }

    #[test]
    fn how_often_contacts_are_tested_is_bounded_and_none_at_all_is_said_in_words() {
        let every = |hours: &str| {
            let text = SAMPLE.replace("# contact_test_every_h = 24 ", &format!("contact_test_every_h = {hours} "));
            assert_ne!(text, SAMPLE);
            Configuration::parse(&text, Path::new("fourth.toml"))
        };
        let said = |hours| {
            let lines = every(hours).unwrap().summary();
            lines.into_iter().find(|(what, _)| what == "contacts").unwrap().1
        };
        assert!(said("6").starts_with("each tested every 6 h"));
        assert!(said("0").starts_with("NOT tested"));
        let fault = every("169").unwrap_err().to_string();
        assert!(fault.contains("168 hours apart at most; 0 turns them off") && fault.contains("line "), "{fault}");
    }

    #[test]
    fn the_journal_is_a_file_or_a_shared_database() {
        let shared = "[journal]\n[journal.postgres]\nurl = \"postgres://fourth:canary-password@localhost/journal\"\n\
            agency = \"psap.example\"\nadapter = \"east\"\npassword_file = \"pw\"";
        let with = |journal: &str| {
            let text = SAMPLE.replace("[journal]\npath = \"fourth.db\" ", &format!("{journal}\n#"));
            assert_ne!(text, SAMPLE);
            Configuration::parse(&text, Path::new("/etc/fourth/fourth.toml"))
        };
        let configuration = with(shared).unwrap();
        let postgres = configuration.journal.postgres.clone().unwrap();
        assert_eq!(postgres.password_file.as_deref(), Some(Path::new("/etc/fourth/pw")));
        let beside = with(&shared.replace("[journal]\n", "[journal]\npath = \"away.db\"\nkey_file = \"k\"\n")).unwrap();
        assert_eq!(
            beside.journal.path,
            Path::new("/etc/fourth/away.db"),
            "where it is journaled while the database is away"
        );
        let keyed = with(&shared.replace("[journal]\n", "[journal]\nkey_file = \"k\"\nretention_days = 9\n")).unwrap();
        for journal in [&beside.journal, &keyed.journal] {
            let one_key = Some(Path::new("/etc/fourth/k"));
            assert_eq!(journal.key_file.as_deref(), one_key, "of the local files");
            assert_eq!(journal.postgres.as_ref().unwrap().key_file.as_deref(), one_key, "and of the shared journal");
        }
        let printed = format!("{:?} {configuration:?}", configuration.summary());
        assert!(printed.contains("localhost:5432/journal") && !printed.contains("canary-password"), "{printed}");
        for (journal, word) in [
            ("[journal]", "neither"),
            (
                &*shared.replace("[journal]\n", "[journal]\npath = \"a.db\"\ncheckpoint_file = \"c\"\n"),
                "checkpoint_file",
            ),
            (&*format!("{shared}\naway_after_ms = 10"), "away_after_ms"),
            (&*shared.replace("localhost", "db.example"), "sslmode=require"),
            (&*shared.replace("postgres://", "postgres:/"), "no PostgreSQL address"),
            (&*shared.replace("postgres://", "host="), "sslmode=require"),
            (&*format!("{shared}\nkey_file = \"k\""), "key_file"),
            (&*shared.replace("agency = ", "surprise = "), "surprise"),
        ] {
            let fault = with(journal).unwrap_err().to_string();
            assert!(fault.contains(word) && !fault.contains("canary-password"), "{fault}");
        }
    }

    #[test]
    fn an_open_loopback_with_an_exposed_door_is_refused() {
        let text = SAMPLE.replace("open_on_loopback = false", "open_on_loopback = true");
        assert!(Configuration::parse(&text, Path::new("fourth.toml")).is_ok());
        let exposed = text.replace("127.0.0.1:8413", "0.0.0.0:8413");
        assert!(
            Configuration::parse(&exposed, Path::new("fourth.toml")).unwrap_err().message.contains("open_on_loopback")
        );
        let nobody = SAMPLE.replace("[[sender]]", "[[nobody]]");
        assert!(Configuration::parse(&nobody, Path::new("fourth.toml")).is_err());
    }
}
