//! What the process tests share: a policy and a configuration in a temporary folder, and the served adapter as a process.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[allow(dead_code, reason = "the library's tests and a bench use the rest of it")]
pub mod postgres;

pub use postgres::port::free_port;

/// The token of the test's one identity, which may do everything.
pub const TOKEN: &str = "a-token-for-the-test-only";

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where the public samples lie; only tests that are ignored without them ask.
pub fn shared() -> PathBuf {
    std::env::var("FOURTH_SHARED").map_or_else(|_| root().join("../shared"), PathBuf::from)
}

/// Waits for a condition, looking often; panics with `what` when the time is over.
pub async fn eventually<T>(what: &str, within: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < within, "{what}: not within {within:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A folder with everything that one adapter needs.
pub struct Place {
    /// Removed when the test ends.
    pub folder: tempfile::TempDir,
    /// Ports of intake, teams, pages and operations, kept over restarts.
    pub ports: [u16; 4],
}

impl Place {
    /// A place with the Kamloops policy changed by `change_policy`, and `more` configuration appended. The cases go with
    /// the policy as it was written only.
    pub fn new(change_policy: impl Fn(String) -> String, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("policy");
        fs::create_dir(&policy).unwrap();
        for entry in fs::read_dir(root().join("schemas/policy/library/kamloops")).unwrap().map(Result::unwrap) {
            let name = entry.file_name();
            let bytes = fs::read(entry.path()).unwrap();
            let bytes = if name == "policy.toml" {
                change_policy(String::from_utf8(bytes).unwrap()).into_bytes()
            } else {
                bytes
            };
            fs::write(policy.join(name), bytes).unwrap();
        }
        let written = fs::read_to_string(root().join("schemas/policy/library/kamloops/policy.toml")).unwrap();
        if change_policy(written.clone()) != written {
            fs::remove_file(policy.join("cases.toml")).unwrap();
        }
        let place = Self { folder, ports: [free_port(), free_port(), free_port(), free_port()] };
        let [intake, teams, pages, operations] = place.ports;
        let token = sha256_hex(TOKEN);
        let configuration = format!(
            r#"
[policy]
folder = "policy"

[journal]
path = "journal.db"

[listen]
intake = "127.0.0.1:{intake}"
teams = "127.0.0.1:{teams}"
pages = "127.0.0.1:{pages}"
operations = "127.0.0.1:{operations}"

[[sender]]
name = "default"
agency = "kamloops.example"
element = "cad.kamloops.example"
time_zone = "America/Vancouver"

[access]
open_on_loopback = true

[[access.identity]]
name = "test"
role = ["cad", "call-taker", "evaluator", "operator"]
token_sha256 = "{token}"
{more}
"#
        );
        fs::write(place.configuration(), configuration).unwrap();
        place
    }

    /// The journal in a shared database in place of a file of its own.
    pub fn sharing(self, url: &str, adapter: &str) -> Self {
        let before = fs::read_to_string(self.configuration()).unwrap();
        let shared =
            format!("[journal.postgres]\nurl = \"{url}\"\nagency = \"kamloops.example\"\nadapter = \"{adapter}\"");
        fs::write(self.configuration(), before.replace("path = \"journal.db\"", &shared)).unwrap();
        self
    }

    /// The configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("fourth.toml")
    }

    /// The journal file.
    pub fn journal(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    /// The address of a door by its place in `ports`.
    pub fn url(&self, door: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[door])
    }
}

fn sha256_hex(text: &str) -> String {
    fourth_option::access::hash_token(text)
}

/// A served adapter.
pub struct Served(Child);

impl Served {
    /// Starts `fourth serve` and waits until it says that it is ready.
    pub fn start(place: &Place) -> Self {
        Self::start_with(place, &[])
    }

    /// As [`Served::start`], another build of the program.
    pub fn start_program(program: &str, place: &Place) -> Self {
        Self::spawn(program, place, &[])
    }

    /// As [`Served::start`], with more in its environment.
    pub fn start_with(place: &Place, environment: &[(&str, &str)]) -> Self {
        Self::spawn(env!("CARGO_BIN_EXE_fourth"), place, environment)
    }

    fn spawn(program: &str, place: &Place, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(program)
            .args(["serve", "--config"])
            .arg(place.configuration())
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines {
            if line.unwrap().starts_with("ready") {
                return Self(child);
            }
        }
        panic!("the adapter ended before it was ready: {:?}", child.wait());
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// SIGHUP: the policy's folder is read again.
    pub fn hang_up(&self) {
        assert!(Command::new("kill").args(["-HUP", &self.0.id().to_string()]).status().unwrap().success());
    }

    /// SIGTERM; gives the exit status.
    pub fn terminate(mut self) -> std::process::ExitStatus {
        assert!(Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap().success());
        self.0.wait().unwrap()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the command; gives its exit status and what it printed.
pub fn fourth(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_fourth")).args(arguments).current_dir(root()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// An EIDO of a call in North Kamloops: welfare check outdoors, screened, or whatever `facts` state.
pub fn eido(incident: &str, updated_at: &str, common_type: &str, facts: &[(&str, &str)]) -> String {
    let facts: serde_json::Map<String, serde_json::Value> =
        facts.iter().map(|(fact, value)| ((*fact).to_owned(), (*value).into())).collect();
    let prologue = |id: &str| {
        serde_json::json!({
            "$id": id, "lastUpdateTimeStamp": updated_at, "updatedByAgencyReference": {"$ref": "kamloops.example"}
        })
    };
    let with = |mut base: serde_json::Value, more: serde_json::Value| {
        base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        base
    };
    let place = "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:gp='urn:ietf:params:xml:ns:pidf:geopriv10' \
        xmlns:gml='http://www.opengis.net/gml' entity='pres:call@kamloops.example'><tuple id='t'><status><gp:geopriv>\
        <gp:location-info><gml:Point srsName='urn:ogc:def:crs:EPSG::4326'><gml:pos>50.6980 -120.3700</gml:pos></gml:Point>\
        <ca:civicAddress xmlns:ca='urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr'><ca:country>CA</ca:country>\
        <ca:A1>BC</ca:A1><ca:A3>Kamloops</ca:A3><ca:RD>Canary-Street</ca:RD><ca:HNO>4711</ca:HNO></ca:civicAddress>\
        </gp:location-info></gp:geopriv></status></tuple></presence>";
    let record = with(
        prologue(incident),
        serde_json::json!({
            "eidoVersion": "1.0",
            "issuingElementIdentification": "cad.kamloops.example",
            "x_fourth_facts": facts,
            "incidentComponent": with(prologue("inc"), serde_json::json!({
                "incidentTypeCommonRegistryText": common_type, "locationReference": [{"$ref": "loc"}],
                "notesReference": [{"$ref": "note"}], "personReference": [{"$ref": "per"}],
            })),
            "agencyComponent": [with(prologue("kamloops.example"), serde_json::json!({
                "agencyRoleDescriptionRegistryText": ["CallReceiving"], "agencyType": ["psap"],
            }))],
            "locationComponent": [with(prologue("loc"), serde_json::json!({
                "locationTypeDescriptionRegistryText": "CurrentIncident", "locationByValue": place,
            }))],
            "notesComponent": [with(prologue("note"), serde_json::json!({
                "notesActionComments": "Canary-Narrative of the caller.",
            }))],
            "personComponent": [with(prologue("per"), serde_json::json!({
                "personIncidentRoleRegistryText": ["Caller"],
                "ncPersonComponent": {"PersonName": {"PersonFullName": "Canary-Name"}},
            }))],
        }),
    );
    record.to_string()
}

/// Facts on which the Kamloops policy sends an outreach team.
pub const SAFE: &[(&str, &str)] = &[
    ("weapon", "none"),
    ("violence", "none"),
    ("self_harm", "none"),
    ("medical", "none"),
    ("crime", "none"),
    ("setting", "outdoors"),
    ("housing", "unsheltered"),
    ("doubt", "no"),
    ("consent", "given"),
    ("age", "40"),
    ("callback", "available"),
    ("caller", "third-party"),
];
