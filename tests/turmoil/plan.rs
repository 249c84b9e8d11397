//! What will happen in a world, drawn from its seed before it begins.

use crate::chance::Chance;
use crate::records::{DANGERS, Draft, Record, Shape};
use jiff::{SignedDuration, Timestamp};

/// When everything that is not for ever is mended.
pub const HEALED_MS: u64 = 30_000;

/// Who stands outside the adapter: the centre's desk, the CAD, and the teams.
pub const TEAMS: [&str; 4] = ["team", "east", "line", "officer"];

/// The kinds of events at which faults and records are aimed.
pub const KINDS: &[&str] = &[
    "record-received",
    "assessed",
    "offered",
    "accepted",
    "declined",
    "timed-out",
    "withdrawn",
    "stood-back",
    "returned-to-ordinary",
    "delivered",
    "team-moved",
    "cleared",
    "duty-opened",
];

/// An instant of the world, or so long after the n-th event of a kind was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    At(u64),
    After { kind: &'static str, nth: u64, by_ms: u64 },
}

/// What happens.
#[derive(Debug, Clone)]
pub enum Item {
    /// The desk sends a record until it is acknowledged.
    Record { record: Record, by: Way },
    /// The desk sends bytes that are no record.
    Poison,
    /// Something passes through to the CAD, whatever else is the matter; the CAD must answer it.
    Passes,
    /// The call-taker presses something on a call.
    Press { call: u64, press: Press },
    /// A connection that says nothing, or half of something.
    Loiter,
    /// A link loses everything, for so long or for ever.
    Cut { a: &'static str, b: &'static str, both_ways: bool, for_ms: Option<u64> },
    /// A link keeps everything back for so long, and then lets it go at once.
    Hold { a: &'static str, b: &'static str, for_ms: u64 },
    /// A host dies and comes back.
    Crash { host: &'static str, down_ms: u64, power: bool, clock_step_s: i64 },
    /// How a host answers from here on, for so long.
    Manner { host: &'static str, manner: Manner, for_ms: u64 },
    /// The store takes nothing, or answers nothing, for so long.
    StoreShut { for_ms: u64 },
}

/// By which way a record comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `POST /v1/calls`.
    Direct,
    /// `POST /v1/calls`, a few bytes at a time.
    Dripping,
    /// The pass-through: what the CAD answers is all that the sender learns.
    PassThrough,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Press {
    Accept,
    Ordinary,
    Answer,
    Acknowledge,
}

/// How a host answers what is sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Well,
    /// After so long, as if it were busy.
    Slow(u64),
    /// 503, to come back in so many seconds.
    Busy(u64),
    /// 500.
    Broken,
    /// 422.
    Refuses,
    /// Takes the bytes and says nothing.
    Swallows,
    /// Closes the connection.
    HangsUp,
}

/// A fault of the store and where it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    Append(u64),
    Event(&'static str, u64),
    /// The n-th write of an answer: the process dies between the commit and the answer.
    Reply(u64),
    /// The n-th write of a message of the outbox: sent, and nobody knows.
    Sent(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Die { point: Point, down_ms: u64, power: bool, clock_step_s: i64 },
    FailedSync { durable: bool, down_ms: u64 },
    Refuse { for_ms: u64 },
    AnswerLost,
    Slow { by_ms: u64 },
}

/// Where in a write the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    Before,
    /// Some of the batch's bytes are on the disk, and recovery drops them.
    Torn,
    After,
}

/// One world.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub start: Timestamp,
    pub tls: bool,
    /// A message takes from … to … milliseconds.
    pub latency_ms: (u64, u64),
    /// Messages of a thousand that are lost, until the world heals.
    pub lost_of_1000: u64,
    /// Appends of a hundred that take a few milliseconds.
    pub slow_appends: u64,
    pub items: Vec<(When, Item)>,
    pub faults: Vec<(Aim, Fault)>,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut chance = Chance::of(seed, &[1]);
        let civil = "2026-03-02T08:00:00Z".parse::<Timestamp>().unwrap();
        let mut plan = Self {
            seed,
            start: civil + SignedDuration::from_secs(i64::try_from(chance.below(300 * 86_400)).unwrap()),
            tls: seed % 10 == 3,
            latency_ms: *chance.pick(&[(0, 5), (1, 40), (1, 40), (20, 200), (100, 900)]),
            lost_of_1000: *chance.pick(&[0, 0, 0, 0, 5, 20]),
            slow_appends: *chance.pick(&[0, 20, 60]),
            items: Vec::new(),
            faults: Vec::new(),
        };
        let storm = chance.percent(2);
        let calls = if storm { 10 } else { *chance.pick(&[1, 1, 2, 2, 3]) };
        for call in 0..calls {
            let begins = if storm { chance.below(300) } else { 100 + call * chance.below(8_000) };
            plan.draw_call(call, begins, storm);
        }
        plan.draw_passing();
        plan.draw_network();
        plan.draw_store();
        plan
    }

    /// The same world without some of its items and faults, by place: items first.
    pub fn without(mut self, left_out: &[usize]) -> Self {
        let mut place = 0;
        let mut kept = || {
            place += 1;
            !left_out.contains(&(place - 1))
        };
        self.items.retain(|_| kept());
        self.faults.retain(|_| kept());
        self
    }

    pub fn parts(&self) -> usize {
        self.items.len() + self.faults.len()
    }

    fn add(&mut self, when: When, item: Item) {
        self.items.push((when, item));
    }

    fn draw_call(&mut self, call: u64, begins: u64, storm: bool) {
        let mut chance = Chance::of(self.seed, &[2, call]);
        let shape = *chance.pick(&[Shape::Eido, Shape::Eido, Shape::Eido, Shape::Delimited, Shape::Export]);
        let tier = chance.between(1, 5);
        let unasked = chance.percent(12);
        let mut draft = Draft {
            seed: self.seed,
            call,
            version: 0,
            shape,
            tier,
            weapon_known: !unasked,
            danger: None,
            status: "Active",
        };
        draft.danger = chance.percent(8).then(|| *chance.pick(DANGERS));
        let way = |chance: &mut Chance| {
            *chance.pick(&[Way::Direct, Way::Direct, Way::Direct, Way::Dripping, Way::PassThrough])
        };
        let by = way(&mut chance);
        self.add(When::At(begins), Item::Record { record: draft.record(self.start, begins), by });
        if storm || chance.percent(20) {
            // The same once more, by another connection.
            self.add(
                When::At(begins + chance.below(400)),
                Item::Record { record: draft.record(self.start, begins), by: Way::Direct },
            );
        }
        for version in 1..=if storm { 0 } else { *chance.pick(&[0, 1, 1, 2]) } {
            let when = if chance.percent(50) {
                let kind = *chance.pick(KINDS);
                When::After { kind, nth: chance.between(1, 2), by_ms: *chance.pick(&[0, 1, 20, 500]) }
            } else {
                When::At(begins + *chance.pick(&[50, 1_500, 6_000, 15_000]) + chance.below(2_000))
            };
            draft.version = version;
            draft.danger = chance.percent(50).then(|| *chance.pick(DANGERS));
            draft.status = *chance.pick(&["Active", "Active", "Active", "Active", "Active", "Cancelled", "Closed"]);
            let by = way(&mut chance);
            self.add(when, Item::Record { record: draft.record(self.start, begins), by });
        }
        let mut press = |plan: &mut Self, percent: u64, within_ms: (u64, u64), press: Press| {
            if chance.percent(percent) {
                plan.add(When::At(begins + chance.between(within_ms.0, within_ms.1)), Item::Press { call, press });
            }
        };
        press(self, if unasked { 70 } else { 5 }, (500, 6_000), Press::Answer);
        press(self, if tier == 5 { 80 } else { 10 }, (1_000, 8_000), Press::Accept);
        press(self, 6, (2_000, 20_000), Press::Ordinary);
        press(self, 60, (12_000, 28_000), Press::Acknowledge);
    }

    fn draw_passing(&mut self) {
        let mut chance = Chance::of(self.seed, &[3]);
        for _ in 0..*chance.pick(&[1, 2, 3]) {
            let when = if chance.percent(50) {
                When::After { kind: chance.pick::<&str>(KINDS), nth: 1, by_ms: *chance.pick(&[0, 5, 1_000]) }
            } else {
                When::At(chance.below(20_000))
            };
            self.add(when, Item::Passes);
        }
        if chance.percent(8) {
            self.add(When::At(chance.below(15_000)), Item::Poison);
        }
        if chance.percent(15) {
            self.add(When::At(chance.below(10_000)), Item::Loiter);
        }
    }

    fn when(chance: &mut Chance, kinds: &'static [&'static str]) -> When {
        if chance.percent(60) {
            When::After {
                kind: chance.pick::<&str>(kinds),
                nth: chance.between(1, 2),
                by_ms: *chance.pick(&[0, 0, 20, 800]),
            }
        } else {
            When::At(chance.below(18_000))
        }
    }

    fn draw_network(&mut self) {
        const OUTWARD: &[&str] =
            &["offered", "accepted", "withdrawn", "stood-back", "returned-to-ordinary", "record-received"];
        const PEERS: [&str; 7] = ["desk", "cad", "team", "team", "east", "line", "officer"];
        let mut chance = Chance::of(self.seed, &[4]);
        if chance.percent(45) {
            let peer = *chance.pick(&PEERS);
            // The desk is never gone for good: a centre that cannot reach the adapter goes on without it, and nothing is left to judge.
            let for_ms =
                if peer != "desk" && chance.percent(30) { None } else { Some(*chance.pick(&[400, 3_000, 12_000])) };
            let (a, b) = if chance.percent(50) { ("adapter", peer) } else { (peer, "adapter") };
            self.add(Self::when(&mut chance, OUTWARD), Item::Cut { a, b, both_ways: chance.percent(60), for_ms });
        }
        if chance.percent(25) {
            let item =
                Item::Hold { a: "adapter", b: chance.pick::<&str>(&PEERS), for_ms: *chance.pick(&[300, 2_500, 9_000]) };
            self.add(Self::when(&mut chance, OUTWARD), item);
        }
        if chance.percent(40) {
            let host = *chance.pick(&["cad", "team", "team", "east", "line", "officer"]);
            let manners = [
                Manner::Slow(700),
                Manner::Slow(1_950),
                Manner::Slow(6_000),
                Manner::Busy(1),
                Manner::Busy(60),
                Manner::Broken,
                Manner::Refuses,
                Manner::Swallows,
                Manner::HangsUp,
            ];
            let item =
                Item::Manner { host, manner: *chance.pick(&manners), for_ms: *chance.pick(&[1_500, 8_000, 25_000]) };
            self.add(When::At(chance.below(9_000)), item);
        }
        if chance.percent(15) {
            let host = *chance.pick(&["cad", "team", "line", "east"]);
            let down_ms = *chance.pick(&[200, 4_000, 15_000]);
            let item = Item::Crash { host, down_ms, power: chance.percent(50), clock_step_s: 0 };
            self.add(Self::when(&mut chance, OUTWARD), item);
        }
    }

    fn draw_store(&mut self) {
        let mut chance = Chance::of(self.seed, &[5]);
        for _ in 0..*chance.pick(&[0, 1, 1, 1, 2, 2]) {
            let aim = match chance.below(10) {
                0 => Aim::Append(chance.between(1, 20)),
                1..=6 => Aim::Event(chance.pick::<&str>(KINDS), chance.between(1, 2)),
                7..=8 => Aim::Reply(chance.between(1, 8)),
                _ => Aim::Sent(chance.between(1, 6)),
            };
            let down_ms = *chance.pick(&[60, 1_000, 5_000, 14_000]);
            let power = chance.percent(50);
            let clock_step_s = *chance.pick(&[0, 0, 0, 3_600, -3_600]);
            let die = |point| Fault::Die { point, down_ms, power, clock_step_s };
            let fault = match (aim, chance.below(12)) {
                (Aim::Reply(_) | Aim::Sent(_), _) => die(Point::After),
                (_, 0..=1) => die(Point::Before),
                (_, 2) => die(Point::Torn),
                (_, 3..=5) => die(Point::After),
                (_, 6) => Fault::FailedSync { durable: chance.percent(50), down_ms },
                (_, 7..=8) => Fault::Refuse { for_ms: *chance.pick(&[1, 1_500, 10_000]) },
                (_, 9..=10) => Fault::AnswerLost,
                _ => Fault::Slow { by_ms: *chance.pick(&[100, 3_000, 9_000]) },
            };
            self.faults.push((aim, fault));
        }
        if chance.percent(20) {
            let when = Self::when(&mut chance, KINDS);
            self.add(when, Item::StoreShut { for_ms: *chance.pick(&[800, 6_000, 15_000]) });
        }
        if chance.percent(12) {
            let item = Item::Crash {
                host: "adapter",
                down_ms: *chance.pick(&[60, 3_000, 12_000]),
                power: chance.percent(50),
                clock_step_s: *chance.pick(&[0, 0, 3_600, -3_600]),
            };
            self.add(When::At(chance.below(22_000)), item);
        }
    }
}
