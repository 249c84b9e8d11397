//! What is going to happen in a world, drawn from its seed before it begins: calls, records, presses, faults, cuts.

use crate::chance::Chance;
use bytes::Bytes;
use jiff::Timestamp;

/// The policies a world may run under; places in [`crate::world::Policies`].
pub const AUTOMATIC: usize = 0;
pub const AUTOMATIC_REVISED: usize = 1;
pub const ADVISE: usize = 2;
pub const SHADOW: usize = 3;

/// Facts that bar every unaccompanied program, whatever the policy says.
pub const DANGERS: &[(&str, &str)] = &[
    ("weapon", "present"),
    ("weapon", "used"),
    ("violence", "physical"),
    ("medical", "acute"),
    ("crime", "in-progress"),
    ("self_harm", "attempt"),
];

/// A world before it begins.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub start: Timestamp,
    /// Clocks change in this night, or a day that few years have begins.
    pub odd_night: bool,
    /// The policy in force at first; `None` where there is none.
    pub policy: Option<usize>,
    pub items: Vec<Item>,
    /// Adapters on the one store.
    pub nodes: usize,
    /// The longest time until one hears what another appended.
    pub hears_within_ms: u64,
    /// Percent of messages lost, sent twice, and the longest delay, to and from everybody but the console.
    pub loss: u64,
    pub twice: u64,
    pub delay_ms: u64,
    /// Percent of appends that take a moment.
    pub slow_appends: u64,
}

/// One thing that happens. A failing world is shrunk by leaving items out.
#[derive(Debug, Clone)]
pub enum Item {
    /// The CAD sends a version of a call.
    Record { when: When, record: Record },
    /// Bytes that are no record.
    Poison { at_ms: u64 },
    /// The call-taker presses something.
    Press { call: u64, at_ms: u64, press: Press },
    /// An append, an effect or a reply goes wrong.
    Fault { aim: Aim, fault: Fault },
    /// The process dies at some instant.
    Crash { node: usize, at_ms: u64, down_ms: u64, clock_step_s: i64 },
    /// Nothing passes between one adapter and the store that it shares.
    Partition { node: usize, from_ms: u64, until_ms: u64 },
    /// Nothing passes between the adapter and one peer; for ever where `until_ms` is `u64::MAX`.
    Cut { peer: usize, from_ms: u64, until_ms: u64 },
    /// Another policy is put in force.
    Reload { at_ms: u64, policy: usize },
}

/// When a record is sent.
#[derive(Debug, Clone, Copy)]
pub enum When {
    At(u64),
    /// So many milliseconds after the journal has taken the n-th event of this kind.
    After {
        kind: &'static str,
        nth: u64,
        by_ms: u64,
    },
}

/// One version of one call.
#[derive(Debug, Clone)]
pub struct Record {
    pub bytes: Bytes,
    pub sha256: String,
    /// What the CAD's clock said.
    pub updated_at: Timestamp,
    pub dangers: Vec<(&'static str, &'static str)>,
    pub name: String,
    /// Calls that it says this one belongs with, and how.
    pub ties: Vec<(String, Tie)>,
    pub agency: &'static str,
}

/// How a record ties its call to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    Linked,
    /// The other stands in its place.
    MergedInto,
    /// It stands in the other's place.
    MergedFrom,
    Split,
}

/// What the records of a call say of others.
#[derive(Debug, Default)]
struct Says {
    ties: Vec<(u64, Tie)>,
    /// From which version on; `None` where a record of its own says it.
    from: Option<u64>,
}

/// A call that is named, and of which nothing ever comes.
const NEVER_COMES: u64 = 99;

/// A key of the call-taker's.
#[derive(Debug, Clone, Copy)]
pub enum Press {
    Accept,
    Ordinary,
    Program(&'static str),
    NoWeapon,
    /// "We have the call again."
    SeesReturn,
}

/// Which append, effect or reply.
#[derive(Debug, Clone, Copy)]
pub enum Aim {
    /// The n-th append.
    Append(u64),
    /// The n-th append that holds an event of this kind.
    Event(&'static str, u64),
    /// The n-th effect handed to the outbox.
    Effect(u64),
    /// The n-th reply.
    Reply(u64),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The process dies: before the write, halfway through it (the store drops such a batch), or after it.
    Die { point: Point, down_ms: u64, clock_step_s: i64 },
    /// The sync fails; whether the batch is there shows after the restart.
    FailedSync { durable: bool, down_ms: u64 },
    /// Full or locked for a while; nothing is written.
    Unavailable { for_ms: u64 },
    /// Written, and answered as if it were not: a commit whose answer was lost.
    AnswerLost,
    /// The append takes this long.
    Slow { by_ms: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    Before,
    Torn,
    After,
}

/// Events worth aiming at.
const KINDS: &[&str] = &[
    "record-received",
    "assessed",
    "chosen",
    "offered",
    "accepted",
    "declined",
    "timed-out",
    "withdrawn",
    "answered-late",
    "team-moved",
    "hazard-reported",
    "stood-back",
    "returned-to-ordinary",
    "cleared",
    "closed",
    "delivered",
    "undeliverable",
    "handed-on",
    "backup-requested",
    "answer-given",
    "duty-opened",
    "duty-overdue",
    "duty-closed",
];

/// Events that a merge is sent across.
const CROSSED: &[&str] = &[
    "record-received",
    "offered",
    "accepted",
    "accepted",
    "timed-out",
    "declined",
    "team-moved",
    "team-moved",
    "team-moved",
    "returned-to-ordinary",
    "closed",
];

/// Ordinary evenings, both nights on which clocks change, a leap day, a year's end; true for what is out of the ordinary.
const STARTS: &[(&str, bool)] = &[
    ("2026-05-15T20:00:00-07:00", false),
    ("2026-03-08T01:59:30-08:00", true),
    ("2026-11-01T01:58:00-07:00", true),
    ("2028-02-28T23:59:00-08:00", true),
    ("2026-12-31T23:59:30-08:00", true),
    ("2026-05-15T02:29:20-07:00", false),
];

impl Plan {
    /// The world of a seed.
    pub fn of(seed: u64) -> Self {
        let mut chance = Chance::of(seed, &[1]);
        let policy = match chance.below(100) {
            0..=69 => Some(AUTOMATIC),
            70..=90 => Some(ADVISE),
            91..=95 => Some(SHADOW),
            _ => None,
        };
        let (start, odd_night) = *chance.pick(STARTS);
        let mut plan = Self {
            seed,
            start: start.parse().unwrap(),
            odd_night,
            policy,
            nodes: if Chance::of(seed, &[9]).percent(15) { 2 } else { 1 },
            hears_within_ms: *Chance::of(seed, &[13]).pick(&[60, 1_500, 20_000]),
            items: Vec::new(),
            loss: *chance.pick(&[0, 0, 0, 5, 30]),
            twice: *chance.pick(&[0, 0, 0, 10, 40]),
            delay_ms: *chance.pick(&[20, 20, 200, 3_000, 20_000]),
            slow_appends: *chance.pick(&[0, 20, 60]),
        };
        let storm = chance.percent(1);
        let mut calls = if storm { chance.between(6, 10) } else { *chance.pick(&[1, 1, 1, 1, 1, 1, 1, 2]) };
        let mut merging = Chance::of(seed, &[18]);
        let merges = merging.percent(8) && !storm && (policy.is_some() || merging.percent(20));
        if merges {
            calls = *merging.pick(&[1, 2, 2, 2, 2, 2, 3]);
            // Who knows of only one of two merges is another adapter than who knows of the other.
            plan.nodes = if merging.percent(30) { 2 } else { plan.nodes };
        }
        for call in 0..calls {
            let begins = if storm { chance.below(500) } else { call * chance.below(40_000) };
            let says = if merges { plan.merges_of(call, calls) } else { plan.links_of(call, storm) };
            plan.draw_call(call, begins, storm, &says);
        }
        plan.draw_faults();
        if plan.nodes > 1 {
            plan.draw_partitions();
        }
        plan
    }

    /// The same world without some of its items.
    pub fn without(mut self, left_out: &[usize]) -> Self {
        let mut place = 0;
        self.items.retain(|_| {
            place += 1;
            !left_out.contains(&(place - 1))
        });
        self
    }

    /// A later call names the first: at once, only in an update, or never.
    fn links_of(&self, call: u64, storm: bool) -> Says {
        let mut chance = Chance::of(self.seed, &[17, call]);
        match call > 0 && !storm && chance.percent(60) {
            true => Says { ties: vec![(0, Tie::Linked)], from: Some(chance.below(2)) },
            false => Says::default(),
        }
    }

    /// Which calls a call is merged into, stands in the place of, or is split from; also one that has not come yet, or never does.
    fn merges_of(&self, call: u64, calls: u64) -> Says {
        if calls > 1 && self.is_circle() {
            return Says { ties: vec![((call + 1) % calls, Tie::MergedInto)], from: None };
        }
        let mut chance = Chance::of(self.seed, &[19, call]);
        let mut says = Says { ties: Vec::new(), from: chance.percent(20).then_some(0) };
        for _ in 0..*chance.pick(&[0, 1, 1, 1, 1, 2]) {
            let known = calls > 1 && !chance.percent(8);
            let other = if known { (call + chance.between(1, calls - 1)) % calls } else { NEVER_COMES };
            let how = *chance.pick(&[Tie::MergedInto, Tie::MergedInto, Tie::MergedInto, Tie::MergedFrom, Tie::Split]);
            if says.ties.iter().all(|(named, _)| *named != other) {
                says.ties.push((other, how));
            }
        }
        says
    }

    /// Calls that are merged into one another, each into the next.
    fn is_circle(&self) -> bool {
        Chance::of(self.seed, &[22]).percent(25)
    }

    /// When a merge is told: across what the adapter or a team does just then, about when another is, or at any time.
    fn merge_is_told(&self, chance: &mut Chance, begins: u64) -> When {
        match if self.is_circle() { 2 } else { chance.below(4) } {
            0 | 1 => {
                let (kind, nth) = (*chance.pick(CROSSED), chance.between(1, 4));
                When::After { kind, nth, by_ms: *chance.pick(&[0, 1, 5, 500]) }
            }
            2 => When::At(Chance::of(self.seed, &[20]).between(1_000, 60_000) + chance.below(400)),
            _ => When::At(begins + chance.below(90_000)),
        }
    }

    fn draw_call(&mut self, call: u64, begins: u64, storm: bool, says: &Says) {
        let mut chance = Chance::of(self.seed, &[2, call]);
        let tier = chance.between(1, 6);
        let unasked = chance.percent(15);
        let test = chance.percent(3);
        let mut of_ties = Chance::of(self.seed, &[21, call]);
        let foreign = says.ties.iter().any(|(_, how)| *how != Tie::Linked) && of_ties.percent(12);
        let agency = if foreign { "other.example" } else { "worlds.example" };
        let start = self.start;
        let text = |version: u64, dangers: &[(&'static str, &'static str)], status: &'static str, tells: bool| {
            let ties = if tells { says.ties.as_slice() } else { &[] };
            let text = Text { call, version, tier, weapon_known: !unasked, dangers, test, status, ties, agency };
            text.record(start, begins)
        };
        let mut draw = |chance: &mut Chance, version: u64, when: When, dangerous: bool, status: &'static str| {
            let dangers = if dangerous { vec![*chance.pick(DANGERS)] } else { Vec::new() };
            let record = text(version, &dangers, status, says.from.is_some_and(|from| version >= from));
            self.items.push(Item::Record { when, record });
        };
        let first_dangerous = chance.percent(if self.policy.is_none() { 30 } else { 8 });
        draw(&mut chance, 0, When::At(begins), first_dangerous, "Active");
        if storm {
            // Four of five records of a storm are repeats of what was sent.
            return;
        }
        let versions = *chance.pick(&[0, 0, 1, 1, 2]);
        for version in 1..=versions {
            let when = if chance.percent(40) {
                let kind = *chance.pick(KINDS);
                When::After { kind, nth: chance.between(1, 2), by_ms: *chance.pick(&[0, 1, 5, 500]) }
            } else {
                When::At(begins + *chance.pick(&[50, 1_500, 8_000, 30_000, 90_000]) + chance.below(3_000))
            };
            let dangerous = chance.percent(45);
            let status = *chance.pick(&["Active", "Active", "Active", "Active", "Cancelled", "Closed"]);
            draw(&mut chance, version, when, dangerous, status);
        }
        if says.from.is_none() && !says.ties.is_empty() {
            // The newest version, or one that comes late.
            let version = if of_ties.percent(80) { versions + 1 } else { 0 };
            let dangers = if of_ties.percent(10) { vec![*of_ties.pick(DANGERS)] } else { Vec::new() };
            let status =
                *of_ties.pick(&["Active", "Active", "Active", "Active", "Active", "Active", "Cancelled", "Closed"]);
            let record = text(version, &dangers, status, true);
            let when = self.merge_is_told(&mut of_ties, begins);
            self.items.push(Item::Record { when, record });
        }
        if unasked && chance.percent(70) {
            let at_ms = begins + chance.between(500, 15_000);
            self.items.push(Item::Press { call, at_ms, press: Press::NoWeapon });
        }
        let presses = if self.policy == Some(ADVISE) || tier == 6 { 80 } else { 15 };
        if chance.percent(presses) {
            let kinds = [
                Press::Accept,
                Press::Accept,
                Press::Accept,
                Press::Accept,
                Press::Ordinary,
                Press::Program("team"),
                Press::Program("line"),
            ];
            let at_ms = begins + chance.between(1_000, 20_000);
            self.items.push(Item::Press { call, at_ms, press: *chance.pick(&kinds) });
        }
        if chance.percent(6) {
            let at_ms = begins + chance.between(5_000, 100_000);
            self.items.push(Item::Press { call, at_ms, press: Press::Ordinary });
        }
        if chance.percent(25) {
            let at_ms = begins + chance.between(20_000, 200_000);
            self.items.push(Item::Press { call, at_ms, press: Press::SeesReturn });
        }
    }

    fn draw_faults(&mut self) {
        let mut chance = Chance::of(self.seed, &[3]);
        let faults = *chance.pick(&[0, 1, 1, 1, 2, 2, 3]);
        for _ in 0..faults {
            let aim = match chance.below(10) {
                0..=1 => Aim::Append(chance.between(1, 25)),
                2..=7 => {
                    let kind = *chance.pick(KINDS);
                    Aim::Event(kind, chance.between(1, 2))
                }
                8 => Aim::Effect(chance.between(1, 8)),
                _ => Aim::Reply(chance.between(1, 15)),
            };
            let down_ms = *chance.pick(&[50, 1_000, 10_000, 60_000]);
            let clock_step_s = *chance.pick(&[0, 0, 0, 3_600, -3_600, -900_000]);
            // Who answers late often finds the call closed: what is lost then is lost to a call that nobody holds any more.
            let late = matches!(aim, Aim::Event("answered-late", _)) && chance.percent(60);
            let fault = match if late { 9 } else { chance.below(12) } {
                0..=1 => Fault::Die { point: Point::Before, down_ms, clock_step_s },
                2 => Fault::Die { point: Point::Torn, down_ms, clock_step_s },
                3..=5 => Fault::Die { point: Point::After, down_ms, clock_step_s },
                6 => Fault::FailedSync { durable: chance.percent(50), down_ms },
                7..=8 => Fault::Unavailable { for_ms: *chance.pick(&[1, 2_000, 45_000]) },
                9..=10 => Fault::AnswerLost,
                _ => Fault::Slow { by_ms: *chance.pick(&[100, 5_000, 30_000]) },
            };
            self.items.push(Item::Fault { aim, fault });
        }
        if chance.percent(15) {
            let (at_ms, down_ms) = (chance.between(0, 120_000), *chance.pick(&[50, 5_000, 90_000]));
            let clock_step_s = *chance.pick(&[0, 0, 3_600, -3_600]);
            self.items.push(Item::Crash { node: 0, at_ms, down_ms, clock_step_s });
        }
        if chance.percent(25) {
            let from_ms = chance.between(0, 60_000);
            let until_ms = *chance.pick(&[from_ms + 3_000, from_ms + 50_000, u64::MAX]);
            let peer = usize::try_from(chance.below(crate::peers::PEERS as u64)).unwrap();
            self.items.push(Item::Cut { peer, from_ms, until_ms });
        }
        if chance.percent(if self.policy.is_none() { 60 } else { 8 }) {
            let policy = *chance.pick(&[AUTOMATIC_REVISED, AUTOMATIC_REVISED, ADVISE, SHADOW]);
            let mut at_ms = chance.between(0, if self.policy.is_none() { 15_000 } else { 60_000 });
            if chance.percent(50) {
                at_ms = self.draw_crossing(&mut chance).unwrap_or(at_ms);
            }
            self.items.push(Item::Reload { at_ms, policy });
        }
        if chance.percent(4) {
            self.items.push(Item::Poison { at_ms: chance.between(0, 30_000) });
        }
    }
}

impl Plan {
    /// What happens between adapters and the store that they share, and which of them dies. Their clocks are kept together:
    /// how far they may part is for whoever runs them to see to.
    fn draw_partitions(&mut self) {
        let mut chance = Chance::of(self.seed, &[10]);
        let first = usize::from(chance.percent(50));
        for item in &mut self.items {
            match item {
                Item::Crash { node, clock_step_s, .. } => (*node, *clock_step_s) = (first, 0),
                Item::Fault { fault: Fault::Die { clock_step_s, .. }, .. } => *clock_step_s = 0,
                _ => {}
            }
        }
        if chance.percent(60) {
            let node = usize::from(chance.percent(50));
            let from_ms = chance.between(0, 90_000);
            let until_ms = from_ms + *chance.pick(&[500, 2_500, 10_000, 60_000]);
            self.items.push(Item::Partition { node, from_ms, until_ms });
        }
        if chance.percent(30) {
            let (at_ms, down_ms) = (chance.between(0, 120_000), *chance.pick(&[1_000, 30_000, 600_000]));
            self.items.push(Item::Crash { node: 1 - first, at_ms, down_ms, clock_step_s: 0 });
        }
    }

    /// A reload that cannot be journaled at once, just before a record: when it is tried.
    fn draw_crossing(&mut self, chance: &mut Chance) -> Option<u64> {
        let sent: Vec<u64> = self
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Record { when: When::At(at_ms), .. } => Some(*at_ms),
                _ => None,
            })
            .collect();
        let at_ms = *sent.get(usize::try_from(chance.below(sent.len() as u64)).unwrap())?;
        let fault = *chance.pick(&[
            Fault::Slow { by_ms: 5_000 },
            Fault::Unavailable { for_ms: 1 },
            Fault::AnswerLost,
            Fault::Die { point: Point::Before, down_ms: 50, clock_step_s: 0 },
        ]);
        self.items.push(Item::Fault { aim: Aim::Event("policy-loaded", 1), fault });
        Some(at_ms.saturating_sub(chance.below(10)))
    }
}

/// What a version of a call says.
struct Text<'a> {
    call: u64,
    version: u64,
    tier: u64,
    weapon_known: bool,
    dangers: &'a [(&'static str, &'static str)],
    test: bool,
    status: &'static str,
    ties: &'a [(u64, Tie)],
    agency: &'static str,
}

impl Text<'_> {
    fn record(&self, start: Timestamp, begins_ms: u64) -> Record {
        let began = start + jiff::SignedDuration::from_millis(i64::try_from(begins_ms).unwrap());
        // The CAD's own clock: a version a second, whatever the network does.
        let updated_at = began + jiff::SignedDuration::from_secs(i64::try_from(self.version).unwrap());
        let name_of = |call: u64| format!("urn:emergency:uid:incidentid:c{call}:worlds.example");
        let name = name_of(self.call);
        let ties: Vec<(String, Tie)> = self.ties.iter().map(|(other, how)| (name_of(*other), *how)).collect();
        let component = |component: &str, of: fn(Tie) -> Option<&'static str>| {
            let said = ties.iter().filter_map(|(other, how)| {
                let code = of(*how)?;
                Some(format!(r#"{{"$id":"l","incidentTrackingIdentifier":"{other}",{code}}}"#))
            });
            let said = said.collect::<Vec<_>>().join(",");
            if said.is_empty() { said } else { format!(r#","{component}":[{said}]"#) }
        };
        let link = component("linkComponent", |how| (how == Tie::Linked).then_some(r#""linkDirectionCode":"RELATED""#));
        let merge = component("mergeComponent", |how| match how {
            Tie::Linked => None,
            Tie::MergedInto => Some(r#""incidentMergeDirectionCode":"REPLACED""#),
            Tie::MergedFrom => Some(r#""incidentMergeDirectionCode":"REPLACING""#),
            Tie::Split => Some(r#""incidentMergeDirectionCode":"SPLIT""#),
        });
        let mut facts = format!(r#""tier":"{}""#, self.tier);
        for fact in ["violence", "medical", "crime", "self_harm"] {
            facts += &format!(r#","{fact}":"{}""#, self.value(fact, "none"));
        }
        if self.weapon_known || self.dangers.iter().any(|(fact, _)| *fact == "weapon") {
            facts += &format!(r#","weapon":"{}""#, self.value("weapon", "none"));
        }
        let common = if self.test { "NCRTESTF" } else { "WELFARE" };
        let text = format!(
            concat!(
                r#"{{"$id":"{name}","lastUpdateTimeStamp":"{updated}","updatedByAgencyReference":{{"$ref":"{agency}"}},"#,
                r#""eidoVersion":"1.0","issuingElementIdentification":"cad.worlds.example","x_fourth_facts":{{{facts}}},"#,
                r#""incidentComponent":{{"$id":"i","lastUpdateTimeStamp":"{updated}","incidentTypeCommonRegistryText":"{common}","#,
                r#""incidentStatusCommonRegistryText":["{status}"]}},"callComponent":[{{"$id":"c","callStartTimestamp":"{began}"}}]{link}{merge}}}"#
            ),
            link = link,
            merge = merge,
            agency = self.agency,
            name = name,
            updated = updated_at,
            facts = facts,
            common = common,
            status = self.status,
            began = began,
        );
        let bytes = Bytes::from(text);
        let sha256 = crate::sha256_hex(&bytes);
        Record { bytes, sha256, updated_at, dangers: self.dangers.to_vec(), name, ties, agency: self.agency }
    }

    fn value<'v>(&self, fact: &str, otherwise: &'v str) -> &'v str {
        self.dangers.iter().find(|(name, _)| *name == fact).map_or(otherwise, |(_, value)| value)
    }
}
