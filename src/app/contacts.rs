//! What the outbox knows of its contacts, as the operations door and the operator's page are told it.

use crate::handoff::{ContactState, OutboxHandle};
use crate::{http, pages};
use std::sync::Arc;

/// The contacts of an outbox.
pub struct OfOutbox(pub OutboxHandle);

impl OfOutbox {
    /// How the operations door asks.
    pub fn asked(&self) -> http::Contacts {
        let outbox = self.0.clone();
        Arc::new(move || Some(outbox.contacts()?.into_iter().map(at_the_door).collect()))
    }
}

fn at_the_door(ContactState { name, kind, proved_at, unproved }: ContactState) -> http::Contact {
    http::Contact { name, kind, proved_at, unproved }
}

impl pages::Contacts for OfOutbox {
    fn shown(&self) -> Option<Vec<pages::Contact>> {
        let shown =
            |ContactState { name, kind, proved_at, unproved }| pages::Contact { name, kind, proved_at, unproved };
        Some(self.0.contacts()?.into_iter().map(shown).collect())
    }

    fn test(&self, name: Option<&str>) -> bool {
        self.0.test_contacts(name)
    }
}
