//! The composition root: one function builds the adapter; `serve`, `demo` and the tests start the same one.

mod contacts;
mod reload;
mod watchdog;

pub use reload::{FAULTS_SHOWN, Reading, loadable, told};

use crate::access::Access;
use crate::call_processing::{CallProblem, Desk};
use crate::clock::Clock;
use crate::configuration::{Configuration, read_policy_folder as read_policy};
use crate::facts::RepeatKey;
use crate::handoff::{self, Carriers, DestinationState, Outbox, Outcomes, PeerAnswer, Secret};
use crate::http::{self, Door, DoorName};
use crate::incident::{Actor, Command};
use crate::input::BadInput;
use crate::journal::{
    AdapterEvent, AwayJournal, EmbeddedJournal, Journal, JournalError, Pending, PostgresJournal, Settings,
    UnavailableJournal,
};
use crate::network::{Listener, Machine, Network};
use crate::policy::PolicyFiles;
use crate::record::{IncidentId, LegId};
use crate::{pages, telemetry};
use axum::Router;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinSet;

/// Copies from the pass-through that are assessed at once.
const COPIES_AT_ONCE_MAX: usize = 32;

/// How soon what became of an effect is told to a journal again that could not take it; doubled up to the longest pause.
const REPORT_AGAIN_MIN: Duration = Duration::from_millis(250);
const REPORT_AGAIN_MAX: Duration = Duration::from_secs(5);

/// How often what is older than the agency keeps is dropped.
const RETAIN_EVERY: Duration = Duration::from_secs(6 * 3_600);

/// A running adapter.
pub struct Application {
    desk: Arc<Desk>,
    addresses: BTreeMap<&'static str, SocketAddr>,
    stop: watch::Sender<bool>,
    doors: Mutex<JoinSet<()>>,
    reload: Arc<Notify>,
    // Aborted when dropped.
    background: JoinSet<()>,
    // Held until the end.
    watchdog: Option<watchdog::Guard>,
}

impl Application {
    /// Starts the adapter of a configuration.
    ///
    /// # Errors
    /// [`BadInput`] where a door, a sender, a channel or the access list cannot be used. A policy or a journal that
    /// cannot be used is no error: the CAD must get its records all the same, so the adapter starts without, takes no
    /// record it cannot keep, and `/readyz` says why.
    pub async fn start(configuration: &Configuration, clock: Clock) -> Result<Self, BadInput> {
        let mut application = Self::start_with(configuration, read_policy(&configuration.policy.folder), clock).await?;
        let watch = reload::Watch {
            desk: Arc::clone(&application.desk),
            settings: configuration.policy.clone(),
            asked: Arc::clone(&application.reload),
        };
        application.background.spawn(watch.run());
        let guard = watchdog::watch(watchdog::end_the_process).map_err(|fault| bad("the watchdog", &fault))?;
        application.watchdog = Some(guard);
        Ok(application)
    }

    /// As [`Application::start`], with the files of the policy at hand; no folder is watched.
    ///
    /// # Errors
    /// As [`Application::start`].
    pub async fn start_with(
        configuration: &Configuration,
        policy: Result<PolicyFiles, BadInput>,
        clock: Clock,
    ) -> Result<Self, BadInput> {
        if cfg!(feature = "canaries") {
            return Err(BadInput::new(
                "this build holds deliberate bugs for the simulator (feature `canaries`) and serves nobody",
            )
            .help("build it without that feature"));
        }
        let journal = journal_of(&configuration.journal).await;
        Self::start_on(&Machine, configuration, Reading::of(policy), journal, clock).await
    }

    /// As [`Application::start_with`], on a network, a journal and a policy that the caller has: how the whole adapter is
    /// simulated. EIDO conveyance alone keeps to the machine's sockets.
    ///
    /// # Errors
    /// As [`Application::start`].
    pub async fn start_on<N: Network>(
        network: &N,
        configuration: &Configuration,
        reading: Reading,
        journal: Result<Arc<dyn Journal>, JournalError>,
        clock: Clock,
    ) -> Result<Self, BadInput> {
        let metrics = telemetry::install().map_err(|fault| bad("metrics", &fault))?;
        let access = Arc::new(Access::new(&configuration.access).map_err(|fault| bad("access", &fault))?);
        let (stop, stopping) = watch::channel(false);
        let mut background = JoinSet::new();

        let journal = opened(journal);
        let senders = configuration.sender_profiles()?;
        let desk = match Desk::open(clock.clone(), journal, reading.loaded(), senders.clone()).await {
            Ok(desk) => Ok(desk),
            Err(unreadable) => Desk::open(clock.clone(), opened(Err(unreadable)), reading.loaded(), senders).await,
        };
        let desk = Arc::new(desk.map_err(|fault| bad("the journal", &fault))?);
        let clock = desk.clock().clone();
        if reading.policy(&desk).is_some() {
            desk.note_policy(None);
            telemetry::policy_loaded(clock.now().as_second());
        }
        desk.watch(configuration.answers);
        match &configuration.repeat_contact {
            Some(settings) => desk.recognise_by(repeat_key(&settings.key)?),
            None => {
                tracing::info!("no `[repeat_contact]` key: whether a place or a number called before stays unknown")
            }
        }
        note_start(&desk).await;
        desk.alarm_after_silence(configuration.http.silence_alarm_s);
        let listening = Arc::clone(&desk);
        background.spawn(async move { listening.watch_silence().await });

        let carriers = Carriers::new(&configuration.handoff, network.dial()).map_err(|fault| bad("handoff", &fault))?;
        let reporter = Arc::new(ToDesk { desk: Arc::clone(&desk), handoff: configuration.handoff.clone() });
        let outbox = Outbox::start(configuration.handoff.clone(), clock.clone(), carriers, reporter);
        background.spawn(outbox.clone().prove_contacts());
        let proved = contacts::OfOutbox(outbox.clone());
        let asked = outbox.clone();
        let destinations: http::Destinations = Arc::new(move || asked.destinations().into_iter().map(shown).collect());
        desk.deliver_through(Box::new(move |outgoing| outbox.submit(outgoing)));
        let deadlines = Arc::clone(&desk);
        background.spawn(async move { deadlines.run_deadlines().await });
        let sharing = Arc::clone(&desk);
        background.spawn(async move { sharing.run_sharing().await });
        if let Some(days) = configuration.journal.retention_days {
            background.spawn(retain(Arc::clone(&desk), days));
        }
        let resumed = Arc::clone(&desk);
        background.spawn(async move { resumed.resume().await });

        let mut state = http::State::new(Arc::clone(&desk), Arc::clone(&access), metrics, stopping.clone())
            .with_destinations(destinations)
            .with_contacts(proved.asked());
        if let Some(settings) = &configuration.http.pass_through {
            let proxy = http::Proxy::new(settings.clone(), network.dial());
            let (proxy, copies) = proxy.map_err(|fault| bad("http.pass_through", &fault))?;
            let assessor = Arc::clone(&desk);
            background.spawn(http::assess_copies(copies, COPIES_AT_ONCE_MAX, clock.clone(), move |bytes, sender| {
                let desk = Arc::clone(&assessor);
                async move { desk.receive(bytes, None, &sender).await.map(drop) }
            }));
            state = state.with_proxy(proxy);
        }
        let page_state = {
            let zone = page_zone(configuration, &desk)?;
            pages::PageState::new(Arc::clone(&desk), access, clock, zone, &configuration.pages, stopping.clone())
                .map_err(|fault| bad("pages", &fault))?
                .with_contacts(Arc::new(proved))
        };
        let conveyance_state = state.clone();
        let routers = [
            (
                DoorName::Intake,
                configuration.listen.intake,
                http::intake_router(state_of(&state, configuration, DoorName::Intake)),
            ),
            (
                DoorName::Teams,
                configuration.listen.teams,
                http::teams_router(state_of(&state, configuration, DoorName::Teams)),
            ),
            (DoorName::Pages, configuration.listen.pages, pages_router(page_state, configuration)),
            (DoorName::Operations, configuration.listen.operations, http::operations_router(state)),
        ];
        let mut doors = JoinSet::new();
        let mut addresses = BTreeMap::new();
        for (name, address, router) in routers {
            let door = door(network, configuration, name, address).await?;
            let bound = door.listener.local_addr().map_err(|fault| bad(name.name(), &fault))?;
            addresses.insert(name.name(), bound);
            let stopping = stopping.clone();
            doors.spawn(async move {
                let drained = http::serve(door, router, stopping).await;
                if drained.cut_off > 0 {
                    tracing::warn!(
                        door = name.name(),
                        cut_off = drained.cut_off,
                        "connections were cut off by the drain"
                    );
                }
            });
        }
        if let Some(settings) = &configuration.http.conveyance {
            let state = conveyance_state.with_limits(settings.limits.clone());
            addresses.insert("conveyance", open_conveyance(settings, state, stopping.clone(), &mut doors).await?);
        }
        Ok(Self { desk, addresses, stop, doors: Mutex::new(doors), reload: Arc::default(), background, watchdog: None })
    }

    /// Reads the policy's folder again soon, whether or not it is due (SIGHUP).
    pub fn reload_policy(&self) {
        self.reload.notify_one();
    }

    /// The live incidents.
    #[must_use]
    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Where the doors are, by name (`intake`, `operations`, `pages`, `teams`).
    #[must_use]
    pub fn addresses(&self) -> &BTreeMap<&'static str, SocketAddr> {
        &self.addresses
    }

    /// Stops taking requests and lets those in hand finish.
    pub async fn stop_doors(&self) {
        let _ = self.stop.send(true);
        let mut doors = self.doors.lock().await;
        while doors.join_next().await.is_some() {}
    }

    /// Stops in order: the doors, then the desk, then a last word in the journal, after which nothing is written.
    pub async fn stop(&self) {
        self.stop_doors().await;
        self.desk.close().await;
        if let Err(error) = self.desk.record_of_adapter(AdapterEvent::Stopped).await {
            tracing::warn!(%error, "the stop could not be journaled");
        }
        if let Err(error) = self.desk.journal().wind_down().await {
            tracing::warn!(%error, "the journal's log could not be folded into its file");
        }
    }
}

/// What became of effects goes back to the desk, which journals it.
struct ToDesk {
    desk: Arc<Desk>,
    handoff: handoff::Settings,
}

impl ToDesk {
    async fn report(&self, incident: IncidentId, command: Command) {
        let mut pause = REPORT_AGAIN_MIN;
        loop {
            let problem = match self.desk.command(&incident, command.clone()).await {
                Ok(_) => return,
                Err(problem) => problem,
            };
            tracing::warn!(%problem, %incident, "the outcome of an effect could not be journaled");
            match problem {
                // Nobody else will say it: a recall that reached nobody must not wait for a restart to be told to the CAD.
                CallProblem::Journal(
                    JournalError::Unavailable(_) | JournalError::InDoubt(_) | JournalError::Conflict { .. },
                ) => {}
                // The effect stays outstanding and is carried out again after a restart; its key keeps it from acting twice.
                _ => return,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(REPORT_AGAIN_MAX);
        }
    }
}

impl ToDesk {
    /// A desk answers for the legs that were offered to it, and for no other.
    async fn answer(&self, destination: String, leg: LegId, answer: PeerAnswer, code: u16) {
        let incident = leg.incident();
        let view = match self.desk.view(&incident).await {
            Ok(view) => view,
            Err(problem) => return tracing::warn!(%problem, destination, "an answer of a peer names no leg of ours"),
        };
        let asked = view.incident.leg(&leg).map(|leg| (leg.plan.channel.as_str(), &leg.plan.program));
        if !asked.is_some_and(|(channel, program)| self.handoff.goes_to(channel, program, &destination)) {
            return tracing::warn!(destination, "an answer of a peer names a leg that was not offered there");
        }
        // What was taken back has ended over there as it was asked to: that is no answer to the offer.
        if code == crate::wire::REQUEST_TERMINATED && view.incident.leg(&leg).is_some_and(|leg| !leg.state.holds()) {
            return;
        }
        // No person signs in over there: the destination and the code it answered with stand for who.
        let by = Actor::Team(format!("{destination}:{code}"));
        let command = match answer {
            PeerAnswer::RecallHeard => Command::AcknowledgeRecall { leg, by },
            PeerAnswer::Accepted => Command::AcceptLeg { leg, by },
            PeerAnswer::Declined(cause) => Command::DeclineLeg { leg, cause, by },
        };
        match self.desk.command(&incident, command).await {
            Ok(_) | Err(CallProblem::Refused(_)) => {}
            Err(problem) => tracing::error!(%problem, %incident, "an answer of a peer could not be journaled"),
        }
    }
}

impl Outcomes for ToDesk {
    fn answered(&self, destination: &str, leg: &LegId, answer: PeerAnswer, code: u16) -> Pending<'_, ()> {
        Box::pin(self.answer(destination.to_owned(), leg.clone(), answer, code))
    }

    fn delivered(&self, incident: &IncidentId, key: &str) -> Pending<'_, ()> {
        telemetry::effect_counted("delivered");
        Box::pin(self.report(incident.clone(), Command::EffectDelivered { key: key.to_owned() }))
    }

    fn undeliverable(&self, incident: &IncidentId, key: &str, why: &str) -> Pending<'_, ()> {
        telemetry::effect_counted("undeliverable");
        Box::pin(
            self.report(incident.clone(), Command::EffectUndeliverable { key: key.to_owned(), why: why.to_owned() }),
        )
    }
}

/// The journal, or one that takes nothing: records still pass through to the CAD.
fn opened(journal: Result<Arc<dyn Journal>, JournalError>) -> Arc<dyn Journal> {
    journal.unwrap_or_else(|error| {
        tracing::error!(%error, "no journal: records pass through to the CAD and none is taken");
        Arc::new(UnavailableJournal::because(error))
    })
}

async fn journal_of(settings: &Settings) -> Result<Arc<dyn Journal>, JournalError> {
    match &settings.postgres {
        Some(shared) if settings.path.as_os_str().is_empty() => {
            PostgresJournal::open(shared).await.map(|journal| Arc::new(journal) as Arc<dyn Journal>)
        }
        Some(shared) => AwayJournal::open(shared, settings).await.map(|journal| Arc::new(journal) as Arc<dyn Journal>),
        None => EmbeddedJournal::open(settings).map(|journal| Arc::new(journal) as Arc<dyn Journal>),
    }
}

fn shown(destination: DestinationState) -> http::Destination {
    let DestinationState { name, waiting, breaker, down_since } = destination;
    http::Destination { name, waiting, breaker: breaker.name(), down_since }
}

/// Seals and drops what is older than the agency keeps, now and every few hours.
async fn retain(desk: Arc<Desk>, days: u32) {
    let (journal, clock) = (desk.journal(), desk.clock());
    loop {
        let now = clock.now();
        let oldest = now - jiff::SignedDuration::from_hours(24 * i64::from(days));
        let dropped = async {
            journal.seal(oldest, now).await?;
            let old = journal.seals().await?.into_iter().rfind(|seal| seal.ended_at < oldest);
            match old {
                Some(seal) => journal.drop_sealed(seal.through, now).await,
                None => Ok(0),
            }
        };
        match dropped.await {
            Ok(0) => {}
            Ok(entries) => tracing::info!(entries, days, "entries older than the agency keeps were dropped"),
            Err(error) => tracing::warn!(%error, "what is older than the agency keeps could not be dropped"),
        }
        clock.sleep(RETAIN_EVERY).await;
    }
}

fn repeat_key(secret: &Secret) -> Result<RepeatKey, BadInput> {
    RepeatKey::new(secret.text()).ok_or_else(|| {
        BadInput::new("`repeat_contact.key` has fewer than 32 bytes").help("`openssl rand -base64 32` makes one")
    })
}

async fn note_start(desk: &Desk) {
    let policy = desk.policy();
    let identity = policy.as_ref().map(|policy| policy.identity());
    let started = AdapterEvent::Started {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        policy_digest: identity.map(|identity| identity.digest.clone()).unwrap_or_default(),
        waived: policy.as_ref().map(|policy| policy.waivers()).unwrap_or_default(),
    };
    if let Err(error) = desk.record_of_adapter(started).await {
        tracing::warn!(%error, "the start could not be journaled");
    }
}

fn state_of(state: &http::State, configuration: &Configuration, door: DoorName) -> http::State {
    state.clone().with_limits(configuration.http.limits_of(door))
}

fn pages_router(state: pages::PageState, configuration: &Configuration) -> Router {
    // The pages' headers go on what the layers answer too.
    pages::headers::secured(http::guard(
        pages::router(state),
        DoorName::Pages,
        &configuration.http.limits_of(DoorName::Pages),
    ))
}

/// The zone in which the pages show times: the configured one, or the policy's.
fn page_zone(configuration: &Configuration, desk: &Desk) -> Result<jiff::tz::TimeZone, BadInput> {
    match &configuration.pages.time_zone {
        Some(name) => jiff::tz::TimeZone::get(name).map_err(|_| {
            BadInput::new(format!("`pages.time_zone`: no time zone is named `{name}`"))
                .help("use an IANA name such as `America/Vancouver`")
        }),
        None => Ok(desk.policy().map_or(jiff::tz::TimeZone::UTC, |policy| policy.time_zone().clone())),
    }
}

/// Opens the door for EIDO conveyance; says where it is.
async fn open_conveyance(
    settings: &http::ConveyanceSettings,
    state: http::State,
    stopping: watch::Receiver<bool>,
    doors: &mut JoinSet<()>,
) -> Result<SocketAddr, BadInput> {
    let fault = |fault: &dyn Display| bad("http.conveyance", fault);
    let door = http::ConveyanceDoor::bind(settings).await.map_err(|error| fault(&error))?;
    let address = door.address().map_err(|error| fault(&error))?;
    doors.spawn(async move {
        let drained = door.serve(state, stopping).await;
        if drained.cut_off > 0 {
            tracing::warn!(cut_off = drained.cut_off, "connections for EIDO conveyance were cut off by the drain");
        }
    });
    Ok(address)
}

async fn door<N: Network>(
    network: &N,
    configuration: &Configuration,
    name: DoorName,
    address: SocketAddr,
) -> Result<Door<N::Listener>, BadInput> {
    let limits = configuration.http.limits_of(name);
    limits.check().map_err(|fault| bad(&format!("http.limits.{}", name.name()), &fault))?;
    let tls =
        configuration.http.tls_of(name).map(http::acceptor).transpose().map_err(|fault| bad(name.name(), &fault))?;
    let listener = network.bind(address).await.map_err(|fault| {
        BadInput::new(format!("`listen.{}`: {address} cannot be had: {fault}", name.name()))
            .help("another process may have it; choose another port, or 0 for any free one")
    })?;
    Ok(Door { name, listener, tls, limits })
}

fn bad(what: &str, fault: &dyn Display) -> BadInput {
    BadInput::new(format!("`{what}`: {fault}"))
}
