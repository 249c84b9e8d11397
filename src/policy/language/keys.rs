//! Every key of `policy.toml` and `cases.toml`, with the shape of its value. LANGUAGE.md says what they mean.

use super::shape::{Key, Shape, may, need};

const DATES: Shape = Shape::Form(r"^\s*(\d{4}-\d\d-\d\d)?\s*\.\.\s*(\d{4}-\d\d-\d\d)?\s*$", "2026-05-01..2026-12-31");
const TIME: Shape = Shape::Form(r"^\s*\d\d:\d\d\s*$", "08:00");
const DAYS: Shape = Shape::Form(
    r"^\s*(Mon|Tue|Wed|Thu|Fri|Sat|Sun|holidays)((\s*\.\.\s*|\s*,\s*)(Mon|Tue|Wed|Thu|Fri|Sat|Sun|holidays))*\s*$",
    "Mon..Fri, holidays",
);
const SPAN: Shape = Shape::Form(r"^\s*\d+[hd](\s*\.\.\s*\d+[hd])?\s*$", "24h..72h");
const DATE: Shape = Shape::Form(r"^\s*\d{4}-\d\d-\d\d\s*$", "2026-07-01");
const NAME: Shape = Shape::Form(r"^\s*[a-z0-9][a-z0-9._-]*\s*$", "psr");

/// `policy.toml`.
pub(in crate::policy) const POLICY: &[Key] = &[
    need("policy", Shape::Table(HEADER), "which policy this is"),
    may("calendar", Shape::Table(CALENDAR), "holidays"),
    may("priorities", Shape::Named(&Shape::Integer(0, 10)), "the agency's priority words as 0…10, 10 the most urgent"),
    may("zone", Shape::Named(&Shape::Table(ZONE)), "zones by list of beats, or made of other zones"),
    may("fact", Shape::Named(&Shape::Table(FACT)), "facts of the agency's own"),
    may("decider", Shape::Named(&Shape::Table(DECIDER)), "posts without which some programs take nothing"),
    may("program", Shape::Named(&Shape::Table(PROGRAM)), "who may be asked to take a call"),
    may("release", Shape::Named(&Shape::Table(RELEASE)), "which fields a destination may see"),
    may("question", Shape::Named(&Shape::Table(QUESTION)), "the question that asks for a fact, in the policy's words"),
    may("exclusion", Shape::List(&Shape::Row(EXCLUSION)), "calls that must never be taken, whatever any rule says"),
    may("rule", Shape::List(&Shape::Row(RULE)), "calls that may be taken, and whom to try in which order"),
    may("safeguard", Shape::List(&Shape::Table(SAFEGUARD)), "what is proved for all calls before the policy loads"),
    may("waiver", Shape::List(&Shape::Table(WAIVER)), "a built-in safeguard lifted; every page and report shows it"),
];

const HEADER: &[Key] = &[
    need("id", NAME, "the policy's name"),
    need("title", Shape::Text, "its title, for people"),
    need("revision", Shape::Text, "which revision this is"),
    need("time_zone", Shape::Form(r"^[A-Za-z]", "America/Vancouver"), "IANA time zone of every hour and date"),
    need(
        "mode",
        Shape::Word(MODES),
        "shadow: record only; advise: a call-taker chooses; automatic: rows so marked are offered",
    ),
    may("cite", Shape::Text, "where the rules were published"),
];

/// What the product does with a decision.
pub(super) const MODES: &[&str] = &["shadow", "advise", "automatic"];

const CALENDAR: &[Key] = &[may("holidays", Shape::List(&DATE), "days on which `holidays` in hours speaks")];

const ZONE: &[Key] = &[
    may("title", Shape::Text, "for people"),
    may("beats", Shape::List(&Shape::Text), "the agency's beats or districts"),
    may("zones", Shape::List(&NAME), "the zones that it is made of"),
];

const FACT: &[Key] = &[
    need("values", Shape::List(&NAME), "its values, `unknown` aside"),
    may("ordered", Shape::Flag, "whether their order means anything"),
    may("risk", Shape::Flag, "ordered by danger: raised and never lowered by records"),
];

const DECIDER: &[Key] = &[
    may("title", Shape::Text, "for people"),
    need("hours", Shape::List(&Shape::Table(HOURS)), "when the post is on duty"),
];

const PROGRAM: &[Key] = &[
    may("title", Shape::Text, "for people"),
    need("kind", Shape::Word(KIND_NAMES), "how it responds; community, phone and liaison are unaccompanied"),
    may("crew", Shape::List(&Shape::Table(CREW)), "who comes, by phase; phases must not overlap"),
    need("hours", Shape::List(&Shape::Table(HOURS)), "when it takes calls; several entries add up"),
    may(
        "area",
        Shape::Either(&ZONES, &Shape::List(&Shape::Table(AREA))),
        "zones, or zones by date (the entries in effect add up); left out: everywhere",
    ),
    may(
        "capacity",
        Shape::Either(&Shape::Integer(0, 10_000), &Shape::List(&Shape::Table(CAPACITY))),
        "calls at a time, or calls by date (phases must not overlap); left out: no limit known",
    ),
    may("units_of", NAME, "works with this program's units: one capacity holds for both"),
    may("surge_capacity", Shape::Integer(0, 10_000), "the same in surge mode"),
    may("decider", NAME, "takes calls only while this post is on duty"),
    may("refers_to", NAME, "the program to which what it declines is referred"),
    may("queue", Shape::List(&Shape::Row(QUEUE)), "the order of its queue, first to last"),
    may("required", Shape::List(&Shape::Text), "facts that must be known"),
    need("legs", Shape::List(&Shape::Table(LEG)), "how it is asked, in order"),
    may("release", NAME, "a [release.<name>]; `minimum` is built in"),
    may("call_back_within_min", Shape::Integer(1, 100_000), "minutes within which it must call the reporter back"),
    may("cite", Shape::Text, "source"),
];

/// How a program responds.
pub(super) const KIND_NAMES: &[&str] = &["community", "co-response", "phone", "liaison", "police-community"];

const CREW: &[Key] = &[
    need("members", Shape::List(&Shape::Text), "who comes"),
    may("officer", Shape::Flag, "whether an officer is among them; left out: by the program's kind"),
    may("effective", DATES, "dates of the phase, both included"),
];

const ZONES: Shape = Shape::Form(r"\S", "north-shore, south-shore");

const AREA: &[Key] =
    &[need("zones", ZONES, "zones"), may("effective", DATES, "dates on which they belong to it, both included")];

const CAPACITY: &[Key] = &[
    need("calls", Shape::Integer(0, 10_000), "calls at a time"),
    may("effective", DATES, "dates of the phase, both included"),
];

const HOURS: &[Key] = &[
    need("days", DAYS, "days on which the shift begins"),
    need("from", TIME, "begins"),
    need("to", TIME, "ends; not after `from`: on the next day"),
    may("effective", DATES, "dates on which it may begin"),
    may("except_holidays", Shape::Flag, "does not begin on holidays"),
    may("surge", Shape::Flag, "only in surge mode (true) or only outside it (false)"),
];

pub(super) const QUEUE: &[Key] = &[need("because", Shape::Text, "why such calls stand here")];

const LEG: &[Key] = &[
    need("channel", Shape::Text, "a channel of the configuration, as `webhook`"),
    need("accept_deadline_s", Shape::Integer(1, 86_400), "seconds in which to accept"),
    may("attempts", Shape::Integer(1, 20), "how often the offer is tried before it counts as unreachable"),
];

const RELEASE: &[Key] = &[need("fields", Shape::List(&Shape::Word(RELEASED_NAMES)), "what the destination may see")];

/// Fields that may be released.
pub(super) const RELEASED_NAMES: &[&str] =
    &["nature", "address", "point", "callback", "caller-name", "age", "facts", "narrative"];

const QUESTION: &[Key] = &[may("en", Shape::Text, "in English"), may("fr", Shape::Text, "in French")];

/// An exclusion; the names of facts beside these are its cells.
pub(super) const EXCLUSION: &[Key] = &[
    need("id", NAME, "the row's name, in the decision and in every report"),
    need("because", Shape::Text, "why, as a sentence that a call-taker can read aloud"),
    may("cite", Shape::Text, "source"),
    may("effective", DATES, "dates on which it counts, both included"),
    may("surge", Shape::Flag, "counts only in surge mode (true) or only outside it (false)"),
    may("send", NAME, "`ordinary`, or a co-response or police-community program"),
    may(
        "bars",
        Shape::List(&Shape::Text),
        "bars only these: programs, kinds, `unaccompanied`; the others of a chain may take the call",
    ),
];

/// A rule; the names of facts beside these are its cells.
pub(super) const RULE: &[Key] = &[
    need("id", NAME, "the row's name, in the decision and in every report"),
    need("because", Shape::Text, "why, as a sentence that a call-taker can read aloud"),
    may("cite", Shape::Text, "source"),
    may("effective", DATES, "dates on which it counts, both included"),
    may("surge", Shape::Flag, "counts only in surge mode (true) or only outside it (false)"),
    need("send", Shape::List(&Shape::Either(&NAME, &Shape::Table(STEP))), "programs, tried in this order"),
    may("rank", Shape::Integer(-1000, 1000), "the highest decides; default 0"),
    may("shadow", Shape::Flag, "evaluated and recorded, offered to nobody"),
    may("automatic", Shape::Flag, "may be offered without a key in mode `automatic`"),
    may("ask", Shape::List(&Shape::Text), "facts that must be known before the row is legal"),
    may("follow_up", Shape::List(&Shape::Either(&SPAN, &Shape::Table(FOLLOW_UP))), "follow-ups owed after contact"),
];

const STEP: &[Key] = &[
    may("broadcast", Shape::List(&NAME), "offered to all at once; the first to accept has the call"),
    may("tandem", Shape::List(&NAME), "two programs that must both accept; the first leads"),
];

const FOLLOW_UP: &[Key] =
    &[need("within", SPAN, "hours or days after contact"), may("by", NAME, "the program that owes it")];

const SAFEGUARD: &[Key] = &[
    need("id", NAME, "its name"),
    may("never", Shape::Table(PROMISE), "never sent so"),
    may("always", Shape::Table(PROMISE), "always sent so"),
];

const PROMISE: &[Key] = &[
    need("send", Shape::Text, "never: kinds, programs, `unaccompanied`, `any`; always: `ordinary`, `any`"),
    may("when", Shape::Row(&[]), "the calls that it speaks of; left out: every call"),
];

const WAIVER: &[Key] = &[
    need("safeguard", NAME, "the built-in safeguard that is lifted"),
    need("signed_by", Shape::Text, "who signed"),
    need("because", Shape::Text, "why"),
    may("signed_on", Shape::Text, "when"),
    may("fact", NAME, "of `built-in.monotone`: the risk fact"),
    may("rules", Shape::List(&NAME), "of `built-in.monotone`: the rules that a higher value of it may open"),
];

/// `cases.toml`.
pub(in crate::policy) const CASES: &[Key] =
    &[may("case", Shape::List(&Shape::Table(CASE)), "examples with the expected answer")];

const CASE: &[Key] = &[
    need("id", Shape::Text, "its name"),
    need("at", Shape::LocalTime, "local time in the policy's zone"),
    may("facts", Shape::Values, "what is known; a fact left out is unknown"),
    may("vendor", Shape::Text, "whose call types the call carries"),
    may("version", Shape::Text, "in which version"),
    may("load", Shape::Named(&Shape::Integer(0, 100_000)), "calls that a program holds now"),
    may("unstaffed", Shape::List(&NAME), "programs without a crew, and deciders that are away"),
    may("surge", Shape::Flag, "surge mode is on"),
    need("expect", Shape::Table(EXPECT), "the expected answer"),
    may("because", Shape::Text, "why this example stands here"),
];

const EXPECT: &[Key] = &[
    need("status", Shape::Word(STATUSES), "the status"),
    may("route", NAME, "`ordinary`, or the program that comes first"),
    may("rule", NAME, "the rule that decides"),
    may("because", NAME, "row, `no-rule`, `missing-field`, or the reason of `not-assessed`"),
    may("exclusions", Shape::List(&NAME), "all that hold, in any order"),
    may("opens", Shape::LocalTime, "the earliest opening"),
    may("questions", Shape::List(&Shape::Text), "facts that are asked, among others"),
    may("options", Shape::Named(&Shape::Word(OPTION_CODES)), "program = why it can or cannot take the call"),
];

/// The closed set of statuses.
const STATUSES: &[&str] = &[
    "not-assessed",
    "ineligible",
    "needs-answer",
    "eligible-out-of-hours",
    "eligible-out-of-area",
    "eligible-no-unit",
    "eligible",
    "shadow-eligible",
];

/// The closed set of an option's codes.
const OPTION_CODES: &[&str] = &[
    "can-take",
    "out-of-hours",
    "out-of-area",
    "no-unit",
    "no-decider",
    "excluded",
    "no-rule",
    "needs-answer",
    "missing-field",
    "officer-needed",
];
