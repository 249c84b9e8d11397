//! Records as senders of three formats write them, with words in them that must not come out anywhere else.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

/// What bars every unaccompanied team, by fact and value.
pub const DANGERS: &[(&str, &str)] = &[
    ("weapon", "present"),
    ("weapon", "used"),
    ("violence", "physical"),
    ("medical", "acute"),
    ("crime", "in-progress"),
    ("self_harm", "attempt"),
];

/// Begins every word of a caller's; nothing that holds it may be in a log, an answer or a message that releases no such field.
pub const CANARY: &str = "Canary-";

/// The layout of the delimited sender.
pub const LAYOUT: &str = r#"
delimiter = ","
quote = "\""
header = true
time_formats = ["%Y-%m-%dT%H:%M:%S"]
column = [
    { name = "No", field = "incident" },
    { name = "Received", field = "received" },
    { name = "Caller", field = "caller-name" },
    { name = "Remarks", field = "note" },
    { name = "Type", field = "call-type" },
    { name = "Status", field = "lifecycle", values = { "Active" = "open", "Closed" = "closed", "Cancelled" = "cancelled" } },
    { name = "tier", fact = "tier", values = { "1" = "1", "2" = "2", "3" = "3", "4" = "4", "5" = "5" } },
    { name = "weapon", fact = "weapon", values = { "none" = "none", "present" = "present", "used" = "used" } },
    { name = "violence", fact = "violence", values = { "none" = "none", "physical" = "physical" } },
    { name = "medical", fact = "medical", values = { "none" = "none", "acute" = "acute" } },
    { name = "crime", fact = "crime", values = { "none" = "none", "in-progress" = "in-progress" } },
    { name = "self_harm", fact = "self_harm", values = { "none" = "none", "attempt" = "attempt" } },
]
"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Eido,
    Delimited,
    Export,
}

/// A record as it is sent.
#[derive(Debug, Clone)]
pub struct Record {
    pub call: u64,
    pub bytes: Bytes,
    pub sha256: String,
    pub media_type: &'static str,
    pub sender: &'static str,
    /// How the sender calls the incident.
    pub name: String,
    pub dangers: Vec<(&'static str, &'static str)>,
}

/// What a version of a call says.
#[derive(Debug, Clone, Copy)]
pub struct Draft {
    pub seed: u64,
    pub call: u64,
    pub version: u64,
    pub shape: Shape,
    pub tier: u64,
    pub weapon_known: bool,
    pub danger: Option<(&'static str, &'static str)>,
    pub status: &'static str,
}

const FACTS: [&str; 5] = ["weapon", "violence", "medical", "crime", "self_harm"];

impl Draft {
    pub fn record(&self, start: Timestamp, begins_ms: u64) -> Record {
        let whole_s = begins_ms / 1_000 + 1;
        let began = start + SignedDuration::from_secs(i64::try_from(whole_s).unwrap());
        let (text, media_type, sender, name) = match self.shape {
            Shape::Eido => (self.eido(began), "application/emergency.eido+json", "default", self.eido_name()),
            Shape::Delimited => (self.delimited(began), "text/csv", "delimited", self.plain_name()),
            Shape::Export => (self.export(began), "application/xml", "default", self.plain_name()),
        };
        let bytes = Bytes::from(text);
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let dangers = if self.shape == Shape::Export { Vec::new() } else { self.danger.into_iter().collect() };
        Record { call: self.call, bytes, sha256, media_type, sender, name, dangers }
    }

    fn eido_name(&self) -> String {
        format!("urn:emergency:uid:incidentid:c{}-{}:turmoil.example", self.call, self.seed)
    }

    fn plain_name(&self) -> String {
        format!("K-{}-{}", self.call, self.seed)
    }

    fn value(&self, fact: &str) -> &'static str {
        match self.danger {
            Some((dangerous, value)) if dangerous == fact => value,
            _ if fact == "weapon" && !self.weapon_known => "",
            _ => "none",
        }
    }

    fn updated(&self, began: Timestamp) -> Timestamp {
        // The sender's own clock: a version a second, whatever the network does.
        began + SignedDuration::from_secs(i64::try_from(self.version).unwrap())
    }

    fn eido(&self, began: Timestamp) -> String {
        let facts: String = FACTS
            .iter()
            .filter(|fact| !self.value(fact).is_empty())
            .map(|fact| format!(r#","{fact}":"{}""#, self.value(fact)))
            .collect();
        let head = |id: &str| {
            format!(
                r#""$id":"{id}","lastUpdateTimeStamp":"{}","updatedByAgencyReference":{{"$ref":"turmoil.example"}}"#,
                self.updated(began)
            )
        };
        let (call, version) = (self.call, self.version);
        format!(
            concat!(
                r#"{{{head},"eidoVersion":"1.0","issuingElementIdentification":"cad.turmoil.example","x_fourth_facts":{{"tier":"{tier}"{facts}}},"#,
                r#""incidentComponent":{{{incident},"incidentTypeCommonRegistryText":"WELFARE","incidentStatusCommonRegistryText":["{status}"],"#,
                r#""notesReference":[{{"$ref":"note"}}],"personReference":[{{"$ref":"per"}}]}},"#,
                r#""callComponent":[{{{said},"callStartTimestamp":"{began}"}}],"#,
                r#""notesComponent":[{{{note},"notesActionComments":"Canary-Words {call}-{version}"}}],"#,
                r#""personComponent":[{{{person},"personIncidentRoleRegistryText":["Caller"],"#,
                r#""ncPersonComponent":{{"PersonName":{{"PersonFullName":"Canary-Name-{call}"}}}}}}]}}"#
            ),
            head = head(&self.eido_name()),
            tier = self.tier,
            facts = facts,
            incident = head("inc"),
            status = self.status,
            said = head("call"),
            began = began,
            note = head("note"),
            person = head("per"),
            call = call,
            version = version,
        )
    }

    fn delimited(&self, began: Timestamp) -> String {
        let facts = FACTS.map(|fact| self.value(fact)).join(",");
        let (call, version, status, tier) = (self.call, self.version, self.status, self.tier);
        format!(
            "No,Received,Caller,Remarks,Type,Status,tier,{}\n{},{},Canary-Name-{call},Canary-Words {call}-{version},WELCK,{status},{tier},{facts}\n",
            FACTS.join(","),
            self.plain_name(),
            began.strftime("%Y-%m-%dT%H:%M:%S"),
        )
    }

    fn export(&self, began: Timestamp) -> String {
        let (call, version) = (self.call, self.version);
        let closed = self.status == "Closed";
        let cancelled = self.status == "Cancelled";
        format!(
            concat!(
                "<CallExport><CallId>{call}</CallId><CallNumber>{name}</CallNumber><CreateDateTime>{began}</CreateDateTime>",
                "<NatureOfCall>WELCK</NatureOfCall><CallerName>Canary-Name-{call}</CallerName>",
                "<ClosedFlag>{closed}</ClosedFlag><CanceledFlag>{cancelled}</CanceledFlag>",
                "<Narratives><Narrative><CreateDateTime>{began}</CreateDateTime><Text>Canary-Words {call}-{version}</Text></Narrative></Narratives>",
                "</CallExport>"
            ),
            call = call,
            name = self.plain_name(),
            began = began.strftime("%Y-%m-%dT%H:%M:%S"),
            closed = closed,
            cancelled = cancelled,
            version = version,
        )
    }
}
