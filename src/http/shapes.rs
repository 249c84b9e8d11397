//! The shapes of requests and answers as data, for the description of the doors.

/// What a member holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Text.
    Text,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// An instant, RFC 3339.
    Instant,
    /// An object of this shape.
    Shape(&'static str),
    /// A list of objects of this shape.
    ListOf(&'static str),
    /// A list of texts.
    Texts,
    /// Any JSON, described in words.
    Any,
}

/// One member of a shape.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// Always there.
    pub required: bool,
    /// May be null.
    pub nullable: bool,
    /// What it says.
    pub about: &'static str,
}

/// One shape.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Members besides those listed may appear.
    pub open: bool,
    /// Its members.
    pub members: &'static [Member],
}

const fn always(name: &'static str, holds: Holds, about: &'static str) -> Member {
    Member { name, holds, required: true, nullable: false, about }
}

const fn or_null(name: &'static str, holds: Holds, about: &'static str) -> Member {
    Member { name, holds, required: true, nullable: true, about }
}

const fn maybe(name: &'static str, holds: Holds, about: &'static str) -> Member {
    Member { name, holds, required: false, nullable: false, about }
}

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
const PHASES: &[&str] = &["assessed", "ordinary", "offered", "with-team", "closed"];
const LEG_STATES: &[&str] = &[
    "offered",
    "agreed",
    "accepted",
    "en-route",
    "on-scene",
    "with-person",
    "accompanying",
    "declined",
    "timed-out",
    "unreachable",
    "withdrawn",
    "stood-back",
    "returned",
    "handed-on",
    "cleared",
];
const DISPOSITIONS: &[&str] = &[
    "treated",
    "supported",
    "resolved-by-phone",
    "refused",
    "could-not-locate",
    "gone-on-arrival",
    "other-responder-first",
    "cancelled",
    "transported",
    "transferred",
    "referred",
];
const DECLINE_CAUSES: &[&str] =
    &["busy", "unsafe", "out-of-mandate", "too-far", "end-of-shift", "other-arrangement", "other"];

const PARTIES: &[&str] = &[
    "team",
    "ems",
    "police",
    "fire",
    "other-team",
    "family",
    "ride",
    "hospital",
    "crisis-centre",
    "crisis-line",
    "information-line",
    "health-care",
    "housing",
    "social-services",
    "other",
];
const DUTIES: &[&str] = &["en-route", "recall", "return", "call-back", "follow-up"];
const DUTY_OUTCOMES: &[&str] =
    &["acknowledged", "told-by-voice", "reached", "not-reached", "refused", "passed-on", "not-needed", "met", "lapsed"];

/// Every shape.
pub const SHAPES: &[Shape] = &[
    Shape {
        name: "Answer",
        about: "The decision on a record. A 200 with it means: durable.",
        open: false,
        members: &[
            maybe("call", Holds::Text, "The sender's own name of the incident"),
            always("incident", Holds::Text, "The adapter's name of the incident"),
            always("repeat", Holds::Boolean, "This very record had been received before; nothing was changed"),
            or_null("format", Holds::OneOf(&["eido-json", "cad-export-xml", "delimited"]), "The format recognised"),
            always("repairs", Holds::ListOf("Repair"), "What the decoder mended"),
            always("unknown_fields", Holds::Texts, "Paths of unknown fields, kept in the raw bytes"),
            always(
                "facts",
                Holds::Any,
                "By name of the fact: its `value`, its `source`, and `heard`: the narrative's cues, as terms of the lexicon",
            ),
            always("status", Holds::OneOf(STATUSES), "One status from the closed set"),
            or_null("because", Holds::Text, "The row of an `ineligible`, the reason of a `not-assessed`"),
            always("route", Holds::Text, "`ordinary`, or the program that comes first"),
            or_null("rule", Holds::Text, "The rule that decides or would decide"),
            always("exclusions", Holds::Any, "Every exclusion that counts, with why and for want of which facts"),
            always("reasons", Holds::Any, "Why, the most decisive first; never empty"),
            always("options", Holds::Any, "Every program considered, and why it can or cannot take this call now"),
            always("questions", Holds::Any, "Unknown facts whose answer would change the route"),
            or_null("nearest_flip", Holds::Any, "The smallest change of facts that would change the route"),
            always("steps", Holds::Any, "The legs of the route in the order they are tried"),
            always("automatic", Holds::Boolean, "May be offered without a call-taker's key"),
            always(
                "follow_up",
                Holds::Any,
                "Follow-ups owed: hours after contact from which and within which, and by whom",
            ),
            always("gaps", Holds::Any, "What could not be learnt"),
            always("policy", Holds::Shape("Policy"), "The exact policy that decided"),
            always("decide_ns", Holds::Integer, "Nanoseconds spent deciding"),
            always("state", Holds::Shape("Standing"), "Where the incident stands"),
        ],
    },
    Shape {
        name: "Policy",
        about: "Which policy.",
        open: false,
        members: &[
            always("name", Holds::Text, "Its id"),
            always("revision", Holds::Text, "Its revision"),
            always("digest", Holds::Text, "SHA-256 over its folder"),
        ],
    },
    Shape {
        name: "Repair",
        about: "One thing a decoder mended.",
        open: false,
        members: &[
            always("path", Holds::Text, "Where, in the format's own terms"),
            always("kind", Holds::Text, "What was done, a kebab-case word"),
        ],
    },
    Shape {
        name: "Standing",
        about: "Where an incident stands, in short.",
        open: false,
        members: &[
            always("version", Holds::Integer, "Events so far"),
            always("phase", Holds::OneOf(PHASES), "Its phase"),
            always("owner", Holds::Any, "`psap`, or an object with the `team`'s leg"),
            always("legs", Holds::ListOf("Leg"), "Its legs in the order offered"),
        ],
    },
    Shape {
        name: "State",
        about: "Where an incident stands. No personal data.",
        open: false,
        members: &[
            always("incident", Holds::Text, "The adapter's name of the incident"),
            always("version", Holds::Integer, "Events so far"),
            always("phase", Holds::OneOf(PHASES), "Its phase"),
            always("owner", Holds::Any, "`psap`, or an object with the `team`'s leg"),
            always("mode", Holds::OneOf(&["shadow", "advise", "automatic"]), "What is done with a decision"),
            always("test", Holds::Boolean, "Marked as a test: never offered to a team"),
            or_null("status", Holds::OneOf(STATUSES), "The last decision's status"),
            or_null("because", Holds::Text, "The row of an `ineligible`, the reason of a `not-assessed`"),
            or_null("route", Holds::Text, "The last decision's route"),
            or_null("rule", Holds::Text, "The rule that decided"),
            or_null("exclusions", Holds::Texts, "Ids of the exclusions that count"),
            or_null("reasons", Holds::Any, "Why, the most decisive first"),
            or_null("options", Holds::Any, "Every program considered, and why it can or cannot take this call"),
            or_null("questions", Holds::Any, "Unknown facts whose answer would change the route"),
            or_null("policy", Holds::Shape("Policy"), "The policy that decided"),
            always("legs", Holds::ListOf("Leg"), "Its legs in the order offered"),
            always("times", Holds::Any, "First instant of each time point"),
            always("duties", Holds::ListOf("Duty"), "What somebody owes or has owed, in the order opened"),
            always("undelivered", Holds::Integer, "Effects not yet delivered or given up"),
        ],
    },
    Shape {
        name: "Leg",
        about: "One leg of a hand-over.",
        open: false,
        members: &[
            always("leg", Holds::Text, "Its name"),
            always("program", Holds::Text, "The program asked"),
            always(
                "kind",
                Holds::OneOf(&["community", "co-response", "phone", "liaison", "police-community"]),
                "How the program responds",
            ),
            always("state", Holds::OneOf(LEG_STATES), "Where it stands"),
            always("open", Holds::Boolean, "It can still be accepted or declined"),
            always("offered_at", Holds::Instant, "When it was offered"),
            always("deadline", Holds::Instant, "The accept deadline"),
            maybe("phase", Holds::OneOf(PHASES), "Where the incident stands (teams' door)"),
            maybe("yours", Holds::Boolean, "This leg's team owns the call (teams' door)"),
        ],
    },
    Shape {
        name: "Duty",
        about: "Something that somebody owes by an instant. No personal data.",
        open: false,
        members: &[
            always("duty", Holds::Text, "Its name"),
            always("incident", Holds::Text, "The adapter's name of the incident"),
            always("kind", Holds::OneOf(DUTIES), "What is owed"),
            or_null("program", Holds::Text, "The program that owes it; null: the centre"),
            or_null("leg", Holds::Text, "The leg it came from"),
            always("from", Holds::Instant, "From when it may be done"),
            always("due", Holds::Instant, "By when it is owed"),
            always("state", Holds::OneOf(&["open", "overdue", "closed"]), "Where it stands"),
            or_null("outcome", Holds::OneOf(DUTY_OUTCOMES), "How it ended"),
            always("outcomes", Holds::Texts, "What a person may say of it"),
        ],
    },
    Shape {
        name: "Owed",
        about: "What is owed, overdue first, then by deadline.",
        open: false,
        members: &[always("owed", Holds::ListOf("Duty"), "What has not ended")],
    },
    Shape {
        name: "GivenOutcome",
        about: "How something owed has ended.",
        open: false,
        members: &[always("outcome", Holds::OneOf(DUTY_OUTCOMES), "One of the duty's `outcomes`")],
    },
    Shape {
        name: "Found",
        about: "An incident found by its sender's name.",
        open: false,
        members: &[always("incident", Holds::Text, "The adapter's name of the incident")],
    },
    Shape {
        name: "Event",
        about: "The data of one server-sent event; its id is the sequence. No personal data.",
        open: true,
        members: &[
            always("sequence", Holds::Integer, "Position in the journal"),
            always("at", Holds::Instant, "When it happened"),
            maybe("incident", Holds::Text, "The incident, unless it is about the adapter itself"),
            always("version", Holds::Integer, "Version of the incident after it"),
            always("event", Holds::Text, "What happened"),
            maybe("status", Holds::OneOf(STATUSES), "The decision's status, where it is an assessment"),
            maybe("leg", Holds::Text, "The leg, where one is concerned"),
            maybe("why", Holds::Text, "A kebab-case reason"),
        ],
    },
    Shape {
        name: "GivenFact",
        about: "An answer to a question, or a hazard.",
        open: false,
        members: &[
            always("fact", Holds::Text, "A fact of the vocabulary"),
            always("value", Holds::Text, "A value of its domain"),
        ],
    },
    Shape {
        name: "GivenChoice",
        about: "A call-taker's choice.",
        open: false,
        members: &[
            always(
                "choice",
                Holds::OneOf(&["accept", "ordinary", "program"]),
                "The recommendation, the ordinary route, or a program",
            ),
            maybe("program", Holds::Text, "Which program"),
            maybe("reason", Holds::Text, "Needed where it departs from the recommendation; 500 characters at most"),
        ],
    },
    Shape { name: "Nothing", about: "No members; the body may be left out.", open: false, members: &[] },
    Shape {
        name: "GivenDecline",
        about: "Why a team declines.",
        open: false,
        members: &[always("cause", Holds::OneOf(DECLINE_CAUSES), "The cause")],
    },
    Shape {
        name: "GivenStatus",
        about: "What the owning team does now.",
        open: false,
        members: &[
            always(
                "status",
                Holds::OneOf(&["en-route", "on-scene", "with-person", "cleared", "returned", "handed-on"]),
                "`returned` hands the call back to the centre, `handed-on` a phone team's on to the next team",
            ),
            maybe("disposition", Holds::OneOf(DISPOSITIONS), "What came of it, with `cleared` only"),
            maybe(
                "party",
                Holds::OneOf(PARTIES),
                "By whom transported, to whom transferred or referred, with those dispositions only",
            ),
            maybe("why", Holds::Text, "A kebab-case reason, with `returned` only"),
        ],
    },
    Shape {
        name: "GivenBackup",
        about: "Which back-up is needed.",
        open: false,
        members: &[always("service", Holds::OneOf(&["police", "ems", "fire"]), "The service")],
    },
    Shape {
        name: "Readiness",
        about: "Whether a record would be taken now.",
        open: true,
        members: &[
            always("ready", Holds::Boolean, "It would"),
            always(
                "journal",
                Holds::Any,
                "`ready`, and `away_since`: since when its database is away, so that records are kept here and no call changes hands",
            ),
            always(
                "policy",
                Holds::Any,
                "`ready`, `revision`, `digest`, and `refused`: what lies in its folder and may not be loaded, with its faults",
            ),
            always("outbox", Holds::Any, "`ready`, `undelivered` and `undelivered_max`"),
            always(
                "contacts",
                Holds::Any,
                "`tested`, and `unproved`: how many are not known to work; no part of `ready`",
            ),
            always("stopping", Holds::Boolean, "The adapter was asked to stop"),
        ],
    },
    Shape {
        name: "Roster",
        about: "Who is away and whether surge mode is on. Not kept over a restart.",
        open: false,
        members: &[
            maybe("surge", Holds::Boolean, "Surge mode is on; false without it"),
            maybe("unstaffed", Holds::Any, "Programs without a crew, by name"),
            maybe("deciders_away", Holds::Any, "Deciders that are away, by name"),
        ],
    },
    Shape {
        name: "Undelivered",
        about: "Messages that were given up, and how each destination is. No personal data.",
        open: false,
        members: &[
            always("letters", Holds::ListOf("DeadLetter"), "Given up and not sent again, the oldest first"),
            always("letters_not_listed", Holds::Integer, "Older ones, which the journal alone still has"),
            always("waiting", Holds::Integer, "Messages not yet delivered or given up"),
            always("destinations", Holds::ListOf("Destination"), "Those that something was sent to since the start"),
            always(
                "contacts",
                Holds::ListOf("Contact"),
                "Whether each is known to work; none where they are not tested",
            ),
        ],
    },
    Shape {
        name: "DeadLetter",
        about: "One message that was given up.",
        open: false,
        members: &[
            always("key", Holds::Text, "Its idempotency key"),
            always("incident", Holds::Text, "The adapter's name of the incident"),
            always("what", Holds::OneOf(&["offer", "withdraw", "stand-back", "proceed", "cad"]), "What it was"),
            always("why", Holds::Text, "Why it was given up, kebab-case"),
            always("at", Holds::Instant, "When"),
        ],
    },
    Shape {
        name: "Destination",
        about: "How one destination is.",
        open: false,
        members: &[
            always("name", Holds::Text, "Its name in the configuration"),
            always("waiting", Holds::Integer, "Messages waiting or being tried"),
            always(
                "breaker",
                Holds::OneOf(&["closed", "open", "half-open"]),
                "While not closed, new offers pass it by",
            ),
            or_null("down_since", Holds::Instant, "Since when it has been down"),
        ],
    },
    Shape {
        name: "Contact",
        about: "Whether a destination is known to work, by its tests and by what it took.",
        open: false,
        members: &[
            always("name", Holds::Text, "Its name in the configuration"),
            always(
                "kind",
                Holds::OneOf(&["cad", "webhook", "warm-transfer", "eido", "email", "sms"]),
                "What kind of destination",
            ),
            or_null("proved_at", Holds::Instant, "When it was last proved, if it was since the start"),
            or_null("unproved", Holds::Text, "Why it counts as unproved, kebab-case: an alarm"),
        ],
    },
    Shape {
        name: "SentAgain",
        about: "The message is under way again.",
        open: false,
        members: &[
            always("key", Holds::Text, "Its idempotency key"),
            always("incident", Holds::Text, "The adapter's name of the incident"),
            always("sent_again", Holds::Boolean, "True"),
        ],
    },
    Shape {
        name: "UnmappedCallTypes",
        about: "Call types that the policy's table said nothing of.",
        open: false,
        members: &[
            always("codes", Holds::ListOf("UnmappedCallType"), "The most frequent first"),
            always("records_not_listed", Holds::Integer, "Records whose code is not listed: too many, or no code"),
        ],
    },
    Shape {
        name: "UnmappedCallType",
        about: "One such call type.",
        open: false,
        members: &[
            always("code", Holds::Text, "As the agency wrote it"),
            always("why", Holds::OneOf(&["call-type-not-in-table", "call-type-version-mismatch"]), "Why"),
            always("records", Holds::Integer, "Records that carried it"),
        ],
    },
    Shape {
        name: "Alive",
        about: "The process answers.",
        open: false,
        members: &[always("alive", Holds::Boolean, "True")],
    },
    Shape {
        name: "Problem",
        about: "A problem document (RFC 9457). No personal data.",
        open: false,
        members: &[
            always("type", Holds::Text, "`urn:fourth:problem:` and a kebab-case name"),
            always("title", Holds::Text, "The same words for every occurrence"),
            always("status", Holds::Integer, "The HTTP status"),
            always("detail", Holds::Text, "What is wrong with this request"),
            maybe("place", Holds::Text, "The place in the input"),
            maybe("next", Holds::Text, "What to do next"),
            maybe("reason", Holds::Text, "A row id or a kebab-case code"),
            maybe("nearest", Holds::Text, "The nearest valid word"),
            maybe("valid", Holds::Texts, "The valid words"),
        ],
    },
];

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::Value;

    /// Asserts that a value as it is sent is of a shape: every required member is there, and no other.
    pub(crate) fn assert_fits(value: &Value, name: &str) {
        let shape = SHAPES.iter().find(|shape| shape.name == name).unwrap();
        let object = value.as_object().unwrap_or_else(|| panic!("{name} is not an object: {value}"));
        for member in shape.members {
            match object.get(member.name) {
                None => assert!(!member.required, "{name} has no `{}`: {value}", member.name),
                Some(Value::Null) => assert!(member.nullable, "{name}.{} is null", member.name),
                Some(held) => assert!(holds(held, member.holds), "{name}.{} is {held}", member.name),
            }
        }
        for sent in object.keys() {
            assert!(shape.open || shape.members.iter().any(|member| member.name == sent), "{name} sends `{sent}`");
        }
    }

    fn holds(value: &Value, what: Holds) -> bool {
        match what {
            Holds::Text => value.is_string(),
            Holds::OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            Holds::Integer => value.is_u64(),
            Holds::Boolean => value.is_boolean(),
            Holds::Instant => value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
            Holds::Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            Holds::Shape(name) => {
                assert_fits(value, name);
                true
            }
            Holds::ListOf(name) => {
                value.as_array().unwrap().iter().for_each(|item| assert_fits(item, name));
                true
            }
            Holds::Any => true,
        }
    }

    #[test]
    fn words_of_the_shapes_are_those_the_product_reads() {
        for word in DISPOSITIONS {
            serde_json::from_value::<crate::incident::Disposition>(Value::from(*word)).unwrap();
        }
        for word in DECLINE_CAUSES {
            serde_json::from_value::<crate::incident::DeclineCause>(Value::from(*word)).unwrap();
        }
        let words = |all: &[&'static str]| all.to_vec();
        assert_eq!(words(PARTIES), crate::incident::Party::ALL.map(crate::incident::Party::name));
        assert_eq!(words(DUTIES), crate::incident::DutyKind::ALL.map(crate::incident::DutyKind::name));
        assert_eq!(words(DUTY_OUTCOMES), crate::incident::DutyOutcome::ALL.map(crate::incident::DutyOutcome::name));
        for word in LEG_STATES {
            serde_json::from_value::<crate::incident::LegState>(Value::from(*word)).unwrap();
        }
        for word in PHASES {
            serde_json::from_value::<crate::incident::Phase>(Value::from(*word)).unwrap();
        }
    }

    #[test]
    fn names_are_distinct_and_references_lead_somewhere() {
        let mut names = std::collections::BTreeSet::new();
        for shape in SHAPES {
            assert!(names.insert(shape.name));
        }
        for member in SHAPES.iter().flat_map(|shape| shape.members) {
            if let Holds::Shape(name) | Holds::ListOf(name) = member.holds {
                assert!(names.contains(name), "{name}");
            }
        }
    }

    #[test]
    fn a_problem_is_of_its_shape() {
        let problem = crate::http::Problem::new(crate::http::problem::NOT_FOUND, "x").at("y").next("z");
        let response = axum::response::IntoResponse::into_response(problem);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let bytes = runtime.block_on(axum::body::to_bytes(response.into_body(), 10_000)).unwrap();
        assert_fits(&serde_json::from_slice(&bytes).unwrap(), "Problem");
    }
}
