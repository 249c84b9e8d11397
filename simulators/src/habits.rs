//! How a team tends to behave: shares, times and causes, from the city's data or named by a misbehaviour.

use crate::chance;
use crate::city::{City, TeamHabits, Teller};
use crate::line211;
use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::BTreeMap;

/// Of the offers a team lets time out, the share it then accepts too late.
const LATE_OF_TIMED_OUT: f64 = 0.4;
/// Share of accepted calls that a team hands back.
const HAND_BACK: f64 = 0.03;
/// Crews of a community team in the demo's evening, which is denser than life.
const CREWS: usize = 4;

/// How a team tends to behave. Probabilities in 0 … 1; what accept, decline, late and unreachable leave is silence.
#[derive(Debug, Clone)]
pub struct Habits {
    /// Accepts in time.
    pub accept: f64,
    /// Declines with a cause.
    pub decline: f64,
    /// Accepts after the deadline, to be told that it is no longer its call.
    pub late: f64,
    /// Cannot be reached: every try of the offer is answered 503.
    pub unreachable: f64,
    /// From the offer to the answer.
    pub answer_s: Spread,
    /// From acceptance to en route.
    pub turnout_s: Spread,
    /// From en route to on scene.
    pub travel_s: Spread,
    /// From on scene to cleared; for a phone line, the talk.
    pub on_scene_s: Spread,
    /// Causes of declines by weight.
    pub decline_causes: Vec<(String, f64)>,
    /// Dispositions by weight.
    pub dispositions: Vec<(String, f64)>,
    /// Of accepted calls: asks for back-up on scene.
    pub back_up: f64,
    /// Of accepted calls: hands the call back.
    pub hand_back: f64,
    /// Hazards it may meet on scene.
    pub hazards: Vec<Hazard>,
    /// Two members press accept at the same moment.
    pub double_accept: bool,
    /// Works by phone and sends nobody.
    pub by_phone: bool,
    /// Crews (or phone workers) on duty; a call holds one until it is cleared.
    pub crews: usize,
    /// When the crews work, in the city's zone; always where empty.
    pub shifts: Vec<Shift>,
    /// What the team makes of its first offers, in order, before the shares above decide: so that a short demo shows
    /// every outcome.
    pub opening: Vec<Mind>,
}

/// What a team makes of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mind {
    /// Accept in time, where a crew is on shift and free.
    Accept,
    /// Accept too late.
    AcceptLate,
    /// Decline.
    Decline,
    /// Nobody answers the webhook.
    Unreachable,
    /// Say nothing.
    Ignore,
}

/// A hazard met on scene.
#[derive(Debug, Clone)]
pub struct Hazard {
    /// Of accepted calls.
    pub share: f64,
    /// The fact.
    pub fact: String,
    /// Its value.
    pub value: String,
    /// Seconds after arrival.
    pub after_s: [f64; 2],
}

/// Seconds: least, median, most. Half of the draws lie below the median; few lie near the most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread(pub [f64; 3]);

impl Spread {
    /// Draws.
    pub fn draw(&self, rng: &mut StdRng) -> f64 {
        let Self([least, median, most]) = *self;
        let at: f64 = rng.random();
        if at < 0.5 {
            // Dense near the median, as waiting times are.
            least + (median - least) * (2.0 * at).sqrt()
        } else {
            median + (most - median) * (2.0 * at - 1.0).powi(3)
        }
    }
}

impl Habits {
    /// The habits the city's data gives the program; for a program it does not know, those of a usual community team.
    #[must_use]
    pub fn of(city: &City, program: &str) -> Self {
        match city.team(program) {
            Some(team) => Self::from_data(team, city),
            None => Self::usual(),
        }
    }

    /// A community team that mostly accepts, and now and then does everything else that teams do.
    #[must_use]
    pub fn usual() -> Self {
        let weights = |list: &[(&str, f64)]| list.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect();
        Self {
            accept: 0.82,
            decline: 0.09,
            late: 0.02,
            unreachable: 0.02,
            answer_s: Spread([4.0, 25.0, 100.0]),
            turnout_s: Spread([20.0, 90.0, 300.0]),
            travel_s: Spread([120.0, 540.0, 1800.0]),
            on_scene_s: Spread([240.0, 1200.0, 5400.0]),
            decline_causes: weights(&[("busy", 5.0), ("too-far", 2.0), ("unsafe", 2.0), ("out-of-mandate", 1.0)]),
            dispositions: weights(&[
                ("supported", 46.0),
                ("referred", 18.0),
                ("gone-on-arrival", 12.0),
                ("refused", 10.0),
                ("transported", 8.0),
                ("could-not-locate", 6.0),
            ]),
            back_up: 0.03,
            hand_back: HAND_BACK,
            hazards: Vec::new(),
            double_accept: false,
            by_phone: false,
            crews: CREWS,
            shifts: Vec::new(),
            opening: Vec::new(),
        }
    }

    /// The mind about the n-th offer, n counted from 1.
    pub(crate) fn mind(&self, n: u64, rng: &mut StdRng) -> Mind {
        let opening = usize::try_from(n).ok().and_then(|n| self.opening.get(n.checked_sub(1)?));
        if let Some(mind) = opening {
            return *mind;
        }
        let minds = [
            (Mind::Accept, self.accept),
            (Mind::Decline, self.decline),
            (Mind::AcceptLate, self.late),
            (Mind::Unreachable, self.unreachable),
            (Mind::Ignore, 1.0 - self.accept - self.decline - self.late - self.unreachable),
        ];
        chance::weighted(rng, &minds, |mind| mind.1).map_or(Mind::Ignore, |mind| mind.0)
    }

    fn from_data(team: &TeamHabits, city: &City) -> Self {
        let share = |name: &str| team.answer.get(name).copied().unwrap_or(0.0);
        let weights = |map: &BTreeMap<String, f64>| map.iter().map(|(name, weight)| (name.clone(), *weight)).collect();
        let by_team = city.escalations.iter().filter(|one| one.by == Teller::Team);
        let hazards = by_team.map(|one| Hazard {
            share: one.share,
            fact: one.fact.clone(),
            value: one.value.clone(),
            after_s: one.after_s,
        });
        // A program that neither turns out nor travels works by phone.
        let by_phone = team.turnout_s == [0.0; 3] && team.travel_s == [0.0; 3];
        let decline_causes: Vec<(String, f64)> = weights(&team.decline_causes);
        let habits = Self {
            accept: share("accepted"),
            decline: share("declined"),
            late: share("timed-out") * LATE_OF_TIMED_OUT,
            unreachable: share("unreachable"),
            answer_s: Spread(team.answer_s),
            turnout_s: Spread(team.turnout_s),
            travel_s: Spread(team.travel_s),
            on_scene_s: Spread(team.on_scene_s),
            decline_causes: decline_causes.into_iter().map(|(cause, weight)| (wire_cause(&cause), weight)).collect(),
            dispositions: weights(&team.dispositions),
            back_up: team.backup_share,
            hazards: hazards.collect(),
            ..Self::usual()
        };
        if by_phone { line211::at_a_desk(habits) } else { habits }
    }
}

/// The adapter takes decline causes from a closed set; the city's data says them in a team's own words.
fn wire_cause(cause: &str) -> String {
    let known = match cause {
        "busy-with-another-person" | "no-worker-free" | "queue-full" => "busy",
        "known-risk-to-staff" => "unsafe",
        "outside-mandate" => "out-of-mandate",
        "busy" | "unsafe" | "out-of-mandate" | "too-far" | "end-of-shift" | "other-arrangement" => cause,
        _ => "other",
    };
    known.to_owned()
}

/// A shift: on these days from one minute of the day to another; past midnight where it ends before it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// Days the shift begins on.
    pub days: Vec<Weekday>,
    /// Minute of the day it begins, 0 … 1439.
    pub from_minute: u16,
    /// Minute of the day it ends, up to 1440.
    pub to_minute: u16,
}

impl Shift {
    /// True where the shift is on at the instant, by the zone's wall clock.
    #[must_use]
    pub fn covers(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let local = at.to_zoned(zone.clone());
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or(0);
        let today = self.days.contains(&local.weekday());
        let yesterday = self.days.contains(&local.weekday().previous());
        if self.from_minute <= self.to_minute {
            today && (self.from_minute..self.to_minute).contains(&minute)
        } else {
            (today && minute >= self.from_minute) || (yesterday && minute < self.to_minute)
        }
    }
}

/// A choice among named weights.
pub(crate) fn named(rng: &mut StdRng, choices: &[(String, f64)]) -> Option<String> {
    chance::weighted(rng, choices, |choice| choice.1).map(|choice| choice.0.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_draws_lie_below_the_median_and_none_outside() {
        let spread = Spread([20.0, 90.0, 300.0]);
        let mut rng = chance::stream(1, "spread", 0);
        let draws: Vec<f64> = (0..4_000).map(|_| spread.draw(&mut rng)).collect();
        assert!(draws.iter().all(|draw| (20.0..=300.0).contains(draw)));
        let below = draws.iter().filter(|draw| **draw < 90.0).count();
        assert!((1_880..2_120).contains(&below), "{below}");
    }

    #[test]
    fn the_city_gives_every_program_shares_causes_and_dispositions_the_adapter_knows() {
        let city = City::kamloops().unwrap();
        let causes = ["busy", "unsafe", "out-of-mandate", "too-far", "end-of-shift", "other-arrangement"];
        for team in &city.teams {
            let habits = Habits::of(&city, &team.program);
            let shares = habits.accept + habits.decline + habits.late + habits.unreachable;
            assert!(shares > 0.8 && shares <= 1.0, "{}: {shares}", team.program);
            assert!(
                habits.decline_causes.iter().all(|(cause, _)| causes.contains(&cause.as_str())),
                "{}",
                team.program
            );
            assert!(!habits.dispositions.is_empty());
        }
        assert!(Habits::of(&city, "line-211").by_phone);
        assert!(!Habits::of(&city, "cso-north").by_phone);
    }

    #[test]
    fn an_opening_is_kept_to_and_then_the_shares_decide() {
        let opening = vec![Mind::Accept, Mind::Decline, Mind::AcceptLate];
        let habits = Habits { accept: 0.0, decline: 0.0, late: 0.0, unreachable: 1.0, opening, ..Habits::usual() };
        let mut rng = chance::stream(1, "minds", 0);
        let minds: Vec<Mind> = (1..=5).map(|n| habits.mind(n, &mut rng)).collect();
        let shares = [Mind::Unreachable, Mind::Unreachable];
        assert_eq!(minds, [vec![Mind::Accept, Mind::Decline, Mind::AcceptLate], shares.to_vec()].concat());
    }

    #[test]
    fn a_shift_past_midnight_covers_both_sides_of_it() {
        let zone = TimeZone::get("America/Vancouver").unwrap();
        let night = Shift { days: vec![Weekday::Friday], from_minute: 22 * 60, to_minute: 2 * 60 };
        let covers = |text: &str| night.covers(text.parse().unwrap(), &zone);
        assert!(covers("2026-06-05T22:30:00-07:00"));
        assert!(covers("2026-06-06T01:59:00-07:00"));
        assert!(!covers("2026-06-06T02:00:00-07:00"));
        assert!(!covers("2026-06-05T01:00:00-07:00"));
    }
}
