//! All peers of one simulated city, started together on free ports, told later where the adapter's doors are.

use crate::cad::{CadDoor, CadServer, CallSource, Notice};
use crate::callers::{SenderFacts, senders};
use crate::city::City;
use crate::client::Client;
use crate::clock::ScaledClock;
use crate::doors::{Doors, KnownDoors};
use crate::faults::{BarePeer, Slowness, slow_peer};
use crate::habits::{Habits, Mind};
use crate::tally::{Counters, Tally, lock};
use crate::team::{Surroundings, TeamPeer};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

/// Time limit of the peers' requests to the adapter, of the machine's time.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// The phone leg's program id, by which [`Peers::line211_url`] is found.
const LINE_211: &str = "line-211";

/// How the teams answer their first offers, one after the other program.
const OPENINGS: [[Mind; 4]; 2] = [
    [Mind::Accept, Mind::Decline, Mind::Accept, Mind::AcceptLate],
    [Mind::Accept, Mind::Ignore, Mind::Accept, Mind::Decline],
];

/// What a city is started with.
#[derive(Debug, Clone)]
pub struct PeersSettings {
    /// The city.
    pub city: City,
    /// The seed: same seed, same calls, same minds.
    pub seed: u64,
    /// The clock, the same as the adapter's.
    pub clock: ScaledClock,
    /// Calls an hour, as a multiple of what the city's evening says.
    pub rate: f64,
    /// The programs and how each behaves. The adapter's policy names the same ids.
    pub programs: Vec<ProgramPeer>,
    /// Key that secrets and tokens are derived from; random bytes wherever others can reach the ports.
    pub key: Vec<u8>,
    /// Share of records that the CAD sends twice.
    pub duplicates: f64,
    /// Address the peers listen on.
    pub bind: IpAddr,
}

impl PeersSettings {
    /// The city's own programs with its own habits, once as dense as its evening, on the loopback address. The teams'
    /// first offers are answered in a set order, so that a short evening shows every outcome.
    #[must_use]
    pub fn of(city: City, seed: u64, clock: ScaledClock) -> Self {
        let program = |(number, program): (usize, &str)| {
            let opening = OPENINGS.get(number % OPENINGS.len()).map(|opening| opening.to_vec()).unwrap_or_default();
            let habits = Habits { opening, ..Habits::of(&city, program) };
            ProgramPeer { program: program.to_owned(), behaviour: Behaviour::Team(Box::new(habits)) }
        };
        let programs = city.teams.iter().map(|team| team.program.as_str()).enumerate().map(program).collect();
        Self {
            city,
            seed,
            clock,
            rate: 1.0,
            programs,
            key: seed.to_be_bytes().to_vec(),
            duplicates: 0.0,
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }
}

/// A program and the peer that stands for it.
#[derive(Debug, Clone)]
pub struct ProgramPeer {
    /// Program id of the adapter's policy.
    pub program: String,
    /// How it behaves.
    pub behaviour: Behaviour,
}

/// How a program's peer behaves.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// As its habits say.
    Team(Box<Habits>),
    /// Slow on the wire.
    Slow(Slowness),
}

/// What the adapter must be configured with to reach a program's peer, and the peer to be let in.
#[derive(Clone, PartialEq, Eq)]
pub struct TeamAccess {
    /// Where its webhook is.
    pub url: String,
    /// The webhook's signing secret: the key of the HMAC is this text's bytes.
    pub secret: String,
    /// Its bearer token.
    pub token: String,
}

impl std::fmt::Debug for TeamAccess {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TeamAccess").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The running peers. Dropping them closes every port and ends every call.
#[derive(Debug)]
pub struct Peers {
    settings: PeersSettings,
    counters: Arc<Counters>,
    doors: KnownDoors,
    cad: CadServer,
    source: Arc<CallSource>,
    teams: BTreeMap<String, TeamAccess>,
    senders: Vec<SenderFacts>,
    calls: Mutex<JoinSet<()>>,
    // Held for their ports.
    _team_peers: Vec<TeamPeer>,
    _slow_peers: Vec<BarePeer>,
}

impl Peers {
    /// Starts the CAD and every program's peer, each on a free port.
    ///
    /// # Errors
    /// Where an address cannot be bound.
    pub async fn start(settings: PeersSettings) -> std::io::Result<Self> {
        let counters = Arc::new(Counters::default());
        let doors = KnownDoors::unknown();
        let around = Surroundings {
            clock: settings.clock,
            client: Client::new(REQUEST_LIMIT),
            doors: doors.clone(),
            counters: Arc::clone(&counters),
            zone: settings.city.zone(),
            seed: settings.seed,
        };
        let any_port = SocketAddr::new(settings.bind, 0);
        let cad = CadServer::start(any_port, Arc::clone(&counters)).await?;
        let (mut teams, mut team_peers, mut slow_peers) = (BTreeMap::new(), Vec::new(), Vec::new());
        for peer in &settings.programs {
            let secret = derive(&settings.key, "webhook", &peer.program);
            let token = derive(&settings.key, "team", &peer.program);
            let url = match &peer.behaviour {
                Behaviour::Team(habits) => {
                    let credentials = (secret.clone(), token.clone());
                    let habits = habits.as_ref().clone();
                    let team = TeamPeer::start(any_port, &peer.program, habits, credentials, around.clone()).await?;
                    let url = team.server.url();
                    team_peers.push(team);
                    url
                }
                Behaviour::Slow(slowness) => {
                    let slow = slow_peer(any_port, *slowness).await?;
                    let url = slow.url();
                    slow_peers.push(slow);
                    url
                }
            };
            teams.insert(peer.program.clone(), TeamAccess { url: format!("{url}/webhook"), secret, token });
        }
        let tokens = (derive(&settings.key, "cad", "cad"), derive(&settings.key, "call-taker", "position-4"));
        let source = CallSource::new(around, settings.city.clone(), Arc::clone(&cad.desk), tokens, settings.duplicates);
        Ok(Self {
            senders: senders(&settings.city),
            settings,
            counters,
            doors,
            cad,
            source: Arc::new(source),
            teams,
            calls: Mutex::default(),
            _team_peers: team_peers,
            _slow_peers: slow_peers,
        })
    }

    /// The CAD that records are passed through to: `ANY /cad/<rest>` of the adapter goes to `<this>/<rest>` or
    /// `<this>/cad/<rest>`, as the adapter likes.
    #[must_use]
    pub fn cad_url(&self) -> String {
        self.cad.server.url()
    }

    /// Where the adapter's notices to the CAD go, as EIDOs.
    #[must_use]
    pub fn cad_write_back_url(&self) -> String {
        format!("{}/write-back", self.cad.server.url())
    }

    /// The programs' webhooks with their secrets and tokens, by program id.
    #[must_use]
    pub fn teams(&self) -> &BTreeMap<String, TeamAccess> {
        &self.teams
    }

    /// The phone line's webhook, where the settings have a program `line-211`.
    #[must_use]
    pub fn line211_url(&self) -> Option<&str> {
        self.teams.get(LINE_211).map(|access| access.url.as_str())
    }

    /// The bearer token that records are sent with, through both doors.
    #[must_use]
    pub fn cad_token(&self) -> &str {
        &self.source.cad_token
    }

    /// The call-takers' bearer token: looking calls up, answers and choices.
    #[must_use]
    pub fn call_taker_token(&self) -> &str {
        &self.source.token
    }

    /// The senders of records, which the adapter must know by name.
    #[must_use]
    pub fn senders(&self) -> &[SenderFacts] {
        &self.senders
    }

    /// Tells every peer where the adapter's doors are; also after it has moved.
    pub fn tell_doors(&self, doors: Doors) {
        self.doors.tell(doors);
    }

    /// Opens or shuts the CAD's own door.
    pub fn set_cad_door(&self, door: CadDoor) {
        self.cad.desk.set_door(door);
    }

    /// Plays calls from now until the instant, then returns the counts. Calls that are still open live on until they
    /// are closed, [`Peers::rest`] is called, or the peers are dropped.
    pub async fn play(&self, doors: Doors, until: Timestamp) -> Tally {
        self.tell_doors(doors);
        let clock = self.settings.clock;
        let evening = self.settings.city.evening_between(clock.now(), until, self.settings.seed, self.settings.rate);
        for call in evening {
            clock.sleep_until(call.arrives).await;
            let mut calls = lock(&self.calls);
            while calls.try_join_next().is_some() {}
            calls.spawn(Arc::clone(&self.source).live(call));
        }
        clock.sleep_until(until).await;
        self.tally()
    }

    /// Ends every call at the CAD where it stands: no more records, answers or choices. Teams go on with what they hold.
    pub fn rest(&self) {
        lock(&self.calls).abort_all();
    }

    /// Calls that the CAD still holds open.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        let mut calls = lock(&self.calls);
        while calls.try_join_next().is_some() {}
        calls.len()
    }

    /// The counts so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.counters.tally()
    }

    /// SHA-256 digests of records that were acknowledged through the pass-through and never reached the CAD: none, or
    /// bytes were lost or changed on the way.
    #[must_use]
    pub fn pass_through_missing(&self) -> Vec<String> {
        self.source.missing()
    }

    /// What the adapter told the CAD about an incident, by the sender's name of it, oldest first.
    #[must_use]
    pub fn notices(&self, source_incident: &str) -> Vec<Notice> {
        self.cad.desk.notices(source_incident)
    }
}

/// A secret for one purpose, as 64 hexadecimal digits.
fn derive(key: &[u8], purpose: &str, name: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(key).ok().map(|mut mac| {
        mac.update(purpose.as_bytes());
        mac.update(b"\0");
        mac.update(name.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    });
    // HMAC takes keys of any length, so there is always a value.
    mac.unwrap_or_default()
}
