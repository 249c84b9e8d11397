//! The one table of the doors' operations: routes are built from it, and `schemas/openapi.yaml` is generated from it.

use super::listener::DoorName;
use super::problem::{KINDS, PROBLEM_MEDIA_TYPE};
use super::shapes::{Holds, Member, SHAPES, Shape};
use crate::access::Action;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What answers an operation; one handler function each, in `http/mod.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Handler {
    SendCall,
    FindCall,
    ShowCall,
    Answer,
    Choose,
    Update,
    AcknowledgeReturn,
    CloseDuty,
    Owed,
    Events,
    ShowLeg,
    AcceptLeg,
    DeclineLeg,
    MoveLeg,
    Backup,
    Hazard,
    AnswerOnLeg,
    AcknowledgeRecall,
    OwnDuties,
    CloseOwnDuty,
    PassThrough,
    Alive,
    Ready,
    Metrics,
    Undelivered,
    Redrive,
    Unmapped,
    ShowRoster,
    SetRoster,
    Description,
}

/// What a request's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// No body.
    None,
    /// A call record in any accepted format.
    Record,
    /// A JSON object of this shape.
    Shape(&'static str),
    /// Whatever the CAD takes.
    Anything,
}

/// What an answer's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// A JSON object of this shape.
    Shape(&'static str),
    /// Server-sent events whose data are of this shape.
    Events(&'static str),
    /// Text of this media type.
    Text(&'static str),
    /// Whatever the CAD gives.
    Anything,
}

/// One operation of a door.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// Which door.
    pub door: DoorName,
    /// Its methods, lower case.
    pub methods: &'static [&'static str],
    /// Its path as the router has it.
    pub path: &'static str,
    /// What answers it.
    pub handler: Handler,
    /// What the identity must be allowed; `None` is open to everybody.
    pub action: Option<Action>,
    /// What it does.
    pub summary: &'static str,
    /// Parameters in query and headers: where, name, needed, about.
    pub parameters: &'static [(&'static str, &'static str, bool, &'static str)],
    /// The request's body.
    pub takes: Takes,
    /// The answer's body.
    pub gives: Gives,
    /// Problem statuses besides 401, 403 and 503 of every guarded operation.
    pub problems: &'static [u16],
}

const SENDER_PARAMETER: (&str, &str, bool, &str) =
    ("header", "Fourth-Sender", false, "Name of the configured sender; `default` without it");
const ANY: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch"];

const fn call(handler: Handler, method: &'static [&'static str], path: &'static str, action: Action) -> Operation {
    Operation {
        door: DoorName::Intake,
        methods: method,
        path,
        handler,
        action: Some(action),
        summary: "",
        parameters: &[],
        takes: Takes::None,
        gives: Gives::Shape("State"),
        problems: &[],
    }
}

const fn leg(handler: Handler, path: &'static str, summary: &'static str, takes: &'static str) -> Operation {
    Operation {
        door: DoorName::Teams,
        methods: &["post"],
        path,
        handler,
        action: Some(Action::ActAsTeam),
        summary,
        parameters: &[],
        takes: Takes::Shape(takes),
        gives: Gives::Shape("Leg"),
        problems: &[400, 404, 408, 409, 413, 415, 422, 500],
    }
}

const fn open(handler: Handler, path: &'static str, summary: &'static str, gives: Gives) -> Operation {
    Operation {
        door: DoorName::Operations,
        methods: &["get"],
        path,
        handler,
        action: None,
        summary,
        parameters: &[],
        takes: Takes::None,
        gives,
        problems: &[],
    }
}

/// Every operation of every door for machines.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        summary: "A call record in any accepted format; answers the decision. Idempotent by the record's identity and version",
        parameters: &[SENDER_PARAMETER],
        takes: Takes::Record,
        gives: Gives::Shape("Answer"),
        problems: &[400, 408, 409, 413, 415, 422, 500],
        ..call(Handler::SendCall, &["post"], "/v1/calls", Action::SendRecord)
    },
    Operation {
        summary: "The adapter's name of the incident that a sender calls by its own",
        parameters: &[("query", "call", true, "The sender's name of the incident")],
        gives: Gives::Shape("Found"),
        problems: &[400, 404],
        ..call(Handler::FindCall, &["get"], "/v1/calls", Action::ReadState)
    },
    Operation {
        summary: "Where an incident stands",
        problems: &[404, 500],
        ..call(Handler::ShowCall, &["get"], "/v1/calls/{incident}", Action::ReadState)
    },
    Operation {
        summary: "A call-taker's answer to a question; the call is assessed again",
        takes: Takes::Shape("GivenFact"),
        gives: Gives::Shape("Answer"),
        problems: &[400, 404, 408, 409, 413, 415, 422, 500],
        ..call(Handler::Answer, &["post"], "/v1/calls/{incident}/answers", Action::AnswerQuestion)
    },
    Operation {
        summary: "A call-taker's choice: the recommendation, the ordinary route, or a program, with a reason",
        takes: Takes::Shape("GivenChoice"),
        problems: &[400, 404, 408, 409, 413, 415, 422, 500],
        ..call(Handler::Choose, &["post"], "/v1/calls/{incident}/choice", Action::Choose)
    },
    Operation {
        summary: "A later record of this incident; one of another incident is taken for that one and answered 409",
        parameters: &[SENDER_PARAMETER],
        takes: Takes::Record,
        gives: Gives::Shape("Answer"),
        problems: &[400, 404, 408, 409, 413, 415, 422, 500],
        ..call(Handler::Update, &["post"], "/v1/calls/{incident}/updates", Action::SendRecord)
    },
    Operation {
        summary: "A person at the centre has the call that came back to the ordinary route: the clock stops",
        takes: Takes::Shape("Nothing"),
        problems: &[400, 404, 408, 409, 413, 415, 422, 500],
        ..call(Handler::AcknowledgeReturn, &["post"], "/v1/calls/{incident}/acknowledge", Action::Choose)
    },
    Operation {
        summary: "The centre's word on something owed: told by voice, done, or not",
        takes: Takes::Shape("GivenOutcome"),
        problems: &[400, 404, 408, 409, 413, 415, 422, 500],
        ..call(Handler::CloseDuty, &["post"], "/v1/calls/{incident}/duties/{duty}", Action::Choose)
    },
    Operation {
        summary: "Everything owed on all incidents, closed ones too: what is overdue first",
        gives: Gives::Shape("Owed"),
        problems: &[],
        ..call(Handler::Owed, &["get"], "/v1/owed", Action::ReadState)
    },
    Operation {
        summary: "Everything that happens, as server-sent events; resumes after `Last-Event-ID`",
        parameters: &[(
            "header",
            "Last-Event-ID",
            false,
            "Sequence of the last event had; without it, only what is new",
        )],
        gives: Gives::Events("Event"),
        problems: &[400, 500],
        ..call(Handler::Events, &["get"], "/v1/events", Action::ReadState)
    },
    Operation {
        summary: "Passed through to the configured CAD, byte for byte; a copy of a POST or PUT is assessed beside it",
        parameters: &[
            SENDER_PARAMETER,
            ("header", "Fourth-Authorization", false, "The token for the adapter, where `Authorization` is the CAD's"),
        ],
        takes: Takes::Anything,
        gives: Gives::Anything,
        problems: &[400, 404, 500, 502, 504],
        ..call(Handler::PassThrough, ANY, "/cad/{*rest}", Action::PassThrough)
    },
    Operation {
        methods: &["get"],
        takes: Takes::None,
        problems: &[404, 500],
        ..leg(Handler::ShowLeg, "/v1/legs/{leg}", "Where a leg of this team's program stands", "Nothing")
    },
    leg(Handler::AcceptLeg, "/v1/legs/{leg}/accept", "The team accepts: it owns the call", "Nothing"),
    leg(Handler::DeclineLeg, "/v1/legs/{leg}/decline", "The team declines", "GivenDecline"),
    leg(Handler::MoveLeg, "/v1/legs/{leg}/status", "The team moves, clears, or returns the call", "GivenStatus"),
    leg(Handler::Backup, "/v1/legs/{leg}/backup", "The team needs back-up; never refused", "GivenBackup"),
    leg(Handler::Hazard, "/v1/legs/{leg}/hazard", "The team reports a hazard; it can only raise", "GivenFact"),
    leg(
        Handler::AnswerOnLeg,
        "/v1/legs/{leg}/answers",
        "A phone team that has the call answers a question; the call is assessed again",
        "GivenFact",
    ),
    leg(Handler::AcknowledgeRecall, "/v1/legs/{leg}/acknowledge", "A recalled team has heard it", "Nothing"),
    Operation {
        methods: &["get"],
        takes: Takes::None,
        gives: Gives::Shape("Owed"),
        problems: &[],
        ..leg(
            Handler::OwnDuties,
            "/v1/duties",
            "What this team's programs owe: call-backs, follow-ups, recalls",
            "Nothing",
        )
    },
    Operation {
        gives: Gives::Shape("Duty"),
        ..leg(
            Handler::CloseOwnDuty,
            "/v1/duties/{duty}",
            "How something that this team's program owes has ended",
            "GivenOutcome",
        )
    },
    open(Handler::Alive, "/healthz", "The process answers", Gives::Shape("Alive")),
    Operation {
        problems: &[503],
        ..open(Handler::Ready, "/readyz", "A record would be taken now", Gives::Shape("Readiness"))
    },
    Operation {
        action: Some(Action::SeeOperations),
        ..open(Handler::Metrics, "/metrics", "Metrics for Prometheus", Gives::Text("text/plain"))
    },
    Operation {
        action: Some(Action::SeeOperations),
        ..open(Handler::ShowRoster, "/v1/roster", "Who is away and whether surge mode is on", Gives::Shape("Roster"))
    },
    Operation {
        methods: &["put"],
        action: Some(Action::SetRoster),
        takes: Takes::Shape("Roster"),
        problems: &[400, 408, 413, 415, 422],
        ..open(
            Handler::SetRoster,
            "/v1/roster",
            "Who is away and whether surge mode is on, whole",
            Gives::Shape("Roster"),
        )
    },
    Operation {
        action: Some(Action::SeeOperations),
        ..open(
            Handler::Undelivered,
            "/v1/undelivered",
            "Messages that were given up, and how each destination is",
            Gives::Shape("Undelivered"),
        )
    },
    Operation {
        methods: &["post"],
        action: Some(Action::Redrive),
        takes: Takes::Shape("Nothing"),
        problems: &[400, 404, 408, 409, 413, 415, 422, 500],
        ..open(
            Handler::Redrive,
            "/v1/undelivered/{key}/redrive",
            "A recall or a notice that was given up is sent again under its key; never an offer",
            Gives::Shape("SentAgain"),
        )
    },
    Operation {
        action: Some(Action::SeeOperations),
        ..open(
            Handler::Unmapped,
            "/v1/call-types/unmapped",
            "Call types that the policy's table said nothing of since the start, the most frequent first",
            Gives::Shape("UnmappedCallTypes"),
        )
    },
    open(Handler::Description, "/v1/openapi.yaml", "This description", Gives::Text("application/yaml")),
];

/// The whole description as YAML, OpenAPI 3.1.
#[must_use]
pub fn document() -> String {
    let mut paths: BTreeMap<String, Vec<&Operation>> = BTreeMap::new();
    for operation in OPERATIONS {
        paths.entry(operation.path.replace("{*", "{")).or_default().push(operation);
    }
    let mut yaml = Yaml::default();
    yaml.line(0, "# Generated from src/http/openapi.rs; `cargo test --lib openapi -- --ignored` writes it again.");
    yaml.line(0, "openapi: 3.1.0");
    yaml.line(0, "info:");
    yaml.text(1, "title", "Fourth: the adapter's doors for machines");
    yaml.text(1, "version", "1");
    yaml.text(1, "description", "Errors are RFC 9457 problem documents. A 2xx means: durable.");
    yaml.line(0, "security:");
    yaml.line(1, "- bearer: []");
    yaml.line(0, "paths:");
    for (path, operations) in &paths {
        yaml.line(1, &format!("{path}:"));
        yaml.path_parameters(path);
        for operation in operations {
            for method in operation.methods {
                yaml.operation(method, operation);
            }
        }
    }
    yaml.line(0, "components:");
    yaml.line(1, "securitySchemes:");
    yaml.line(2, "bearer:");
    yaml.text(3, "type", "http");
    yaml.text(3, "scheme", "bearer");
    yaml.line(1, "schemas:");
    for shape in SHAPES {
        yaml.shape(shape);
    }
    yaml.0
}

/// Just as much YAML as the description needs: every text is a JSON string, which YAML reads as it stands.
#[derive(Default)]
struct Yaml(String);

impl Yaml {
    fn line(&mut self, depth: usize, text: &str) {
        let _infallible = writeln!(self.0, "{:indent$}{text}", "", indent = depth * 2);
    }

    fn text(&mut self, depth: usize, key: &str, text: &str) {
        self.line(depth, &format!("{key}: {}", quoted(text)));
    }

    fn path_parameters(&mut self, path: &str) {
        let names: Vec<&str> = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        if names.is_empty() {
            return;
        }
        self.line(2, "parameters:");
        for name in names {
            self.parameter(3, "path", name, true, "Part of the path");
        }
    }

    fn parameter(&mut self, depth: usize, place: &str, name: &str, needed: bool, about: &str) {
        self.line(depth, &format!("- in: {place}"));
        self.text(depth + 1, "name", name);
        self.line(depth + 1, &format!("required: {needed}"));
        self.text(depth + 1, "description", about);
        self.line(depth + 1, "schema: {type: string}");
    }

    fn operation(&mut self, method: &str, operation: &Operation) {
        self.line(2, &format!("{method}:"));
        self.text(3, "summary", operation.summary);
        let suffix = if operation.methods.len() > 1 { format!("-{method}") } else { String::new() };
        self.text(3, "operationId", &format!("{:?}{suffix}", operation.handler));
        self.line(3, &format!("tags: [{}]", operation.door.name()));
        if operation.action.is_none() {
            self.line(3, "security: []");
        }
        if !operation.parameters.is_empty() {
            self.line(3, "parameters:");
            for (place, name, needed, about) in operation.parameters {
                self.parameter(4, place, name, *needed, about);
            }
        }
        self.request(operation.takes);
        self.line(3, "responses:");
        self.answer(operation.gives);
        let mut problems: Vec<u16> = operation.problems.to_vec();
        problems.push(503);
        if operation.action.is_some() {
            problems.extend([401, 403]);
        }
        problems.sort_unstable();
        problems.dedup();
        for status in problems {
            self.problem(status, operation);
        }
    }

    fn request(&mut self, takes: Takes) {
        let kinds: &[&str] = match takes {
            Takes::None => return,
            Takes::Record => &["application/json", "application/eido+json", "application/xml", "text/csv"],
            Takes::Shape(_) => &["application/json"],
            Takes::Anything => &["*/*"],
        };
        self.line(3, "requestBody:");
        self.line(4, &format!("required: {}", !matches!(takes, Takes::Anything | Takes::Shape("Nothing"))));
        self.line(4, "content:");
        for kind in kinds {
            self.content(5, kind, if let Takes::Shape(shape) = takes { Some(shape) } else { None });
        }
    }

    fn content(&mut self, depth: usize, kind: &str, shape: Option<&str>) {
        self.line(depth, &format!("{}:", quoted(kind)));
        match shape {
            Some(shape) => {
                self.line(
                    depth + 1,
                    &format!("schema: {{$ref: {}}}", quoted(&format!("#/components/schemas/{shape}"))),
                );
            }
            None => self.line(depth + 1, "schema: {}"),
        }
    }

    fn answer(&mut self, gives: Gives) {
        let (status, about, kind, shape) = match gives {
            Gives::Shape(shape) => ("\"200\"", "Done", "application/json", Some(shape)),
            Gives::Events(shape) => ("\"200\"", "A stream; the data of each event", "text/event-stream", Some(shape)),
            Gives::Text(kind) => ("\"200\"", "Text", kind, None),
            Gives::Anything => ("default", "What the CAD answers", "*/*", None),
        };
        self.line(4, &format!("{status}:"));
        self.text(5, "description", about);
        self.line(5, "content:");
        self.content(6, kind, shape);
    }

    fn problem(&mut self, status: u16, operation: &Operation) {
        let not_ready = status == 503 && operation.handler == Handler::Ready;
        let names: Vec<&str> = KINDS.iter().filter(|kind| kind.status == status).map(|kind| kind.name).collect();
        self.line(4, &format!("\"{status}\":"));
        self.text(5, "description", &if not_ready { "Not ready".to_owned() } else { names.join(", ") });
        self.line(5, "content:");
        if not_ready {
            self.content(6, "application/json", Some("Readiness"));
        }
        self.content(6, PROBLEM_MEDIA_TYPE, Some("Problem"));
    }

    fn shape(&mut self, shape: &Shape) {
        self.line(2, &format!("{}:", shape.name));
        self.line(3, "type: object");
        self.text(3, "description", shape.about);
        self.line(3, &format!("additionalProperties: {}", shape.open));
        let required: Vec<&str> =
            shape.members.iter().filter(|member| member.required).map(|member| member.name).collect();
        if !required.is_empty() {
            self.line(3, &format!("required: [{}]", required.join(", ")));
        }
        if !shape.members.is_empty() {
            self.line(3, "properties:");
        }
        for member in shape.members {
            self.member(member);
        }
    }

    fn member(&mut self, member: &Member) {
        self.line(4, &format!("{}:", member.name));
        self.text(5, "description", member.about);
        let kind =
            |name: &str| if member.nullable { format!("type: [{name}, \"null\"]") } else { format!("type: {name}") };
        let reference = |shape: &str| format!("$ref: {}", quoted(&format!("#/components/schemas/{shape}")));
        match member.holds {
            Holds::Text => self.line(5, &kind("string")),
            Holds::Integer => self.line(5, &kind("integer")),
            Holds::Boolean => self.line(5, &kind("boolean")),
            Holds::Instant => {
                self.line(5, &kind("string"));
                self.line(5, "format: date-time");
            }
            Holds::OneOf(words) => {
                let null = if member.nullable { ", null" } else { "" };
                self.line(5, &kind("string"));
                self.line(5, &format!("enum: [{}{null}]", words.join(", ")));
            }
            Holds::Texts => {
                self.line(5, &kind("array"));
                self.line(5, "items: {type: string}");
            }
            Holds::ListOf(shape) => {
                self.line(5, &kind("array"));
                self.line(5, &format!("items: {{{}}}", reference(shape)));
            }
            Holds::Shape(shape) if member.nullable => {
                self.line(5, &format!("oneOf: [{{{}}}, {{type: \"null\"}}]", reference(shape)));
            }
            Holds::Shape(shape) => self.line(5, &reference(shape)),
            Holds::Any => {}
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
