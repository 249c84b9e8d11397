//! Contacts are proved here: a test of each on a schedule, beside what messages prove by themselves (fault 31).
//!
//! A test is never a call: it names none and carries nothing of one. It takes no place of a message, opens and closes no
//! breaker, and changes no route: an unproved contact is an alarm for people, and calls keep their deadlines.

use super::{Inner, OutboxHandle, held};
use crate::clock::Clock;
use crate::handoff::contacts::{Book, Contact, ContactState, Way};
use crate::handoff::messages::{CAD, Post, cad_headers, json_headers, key_header};
use crate::handoff::notice::{self, TEST_SUBJECT, TEST_TEXT};
use crate::handoff::retry::Answer;
use crate::handoff::settings::{Address, Settings};
use crate::handoff::webhook;
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

/// Tests that run at once.
const AT_ONCE_MAX: usize = 4;

/// What is known of the contacts, and the word that a person waits.
pub(super) struct Contacts {
    book: Mutex<Book>,
    asked: Notify,
}

impl Contacts {
    pub(super) fn of(settings: &Settings, clock: &Clock) -> Self {
        let book = Book::open(settings.contact_test_every_h, Contact::all(settings), clock.now(), || clock.jitter());
        Self { book: Mutex::new(book), asked: Notify::new() }
    }

    /// True where the last test of the CAD's first address failed: the second is then asked with it.
    pub(super) fn first_cad_fails(&self) -> bool {
        held(&self.book).fails(CAD)
    }
}

impl OutboxHandle {
    /// Tests every contact when it is due, for ever; none where the configuration turns tests off.
    pub async fn prove_contacts(self) {
        let inner = self.0;
        let period = inner.settings.contact_test_every_h;
        if period.hours() == 0 {
            tracing::warn!(
                "contacts are NOT tested (`handoff.contact_test_every_h` is 0): a wrong one shows when a call needs it"
            );
            return;
        }
        let places = Arc::new(Semaphore::new(AT_ONCE_MAX));
        // Aborted with this task.
        let mut tests = JoinSet::new();
        loop {
            while tests.try_join_next().is_some() {}
            let due = held(&inner.contacts.book).take_due(inner.clock.now(), |destination| inner.is_busy(destination));
            for (place, contact) in due {
                let (inner, places) = (Arc::clone(&inner), Arc::clone(&places));
                tests.spawn(async move {
                    let Ok(_place) = places.acquire_owned().await else { return };
                    // A task of its own: whatever goes wrong inside is a failed test of this contact and of no other.
                    let tester = Arc::clone(&inner);
                    let test = inner.runtime.spawn(async move { tester.prove(&contact).await });
                    let result = test.await.unwrap_or_else(|_| Err("internal-fault".to_owned()));
                    held(&inner.contacts.book).tested(place, result, inner.clock.now(), inner.clock.jitter());
                    inner.tell_contacts();
                });
            }
            inner.tell_contacts();
            tokio::select! {
                () = inner.clock.sleep(period.look()) => {}
                () = inner.contacts.asked.notified() => {}
            }
        }
    }

    /// Every contact as it is known now; `None` where contacts are not tested.
    #[must_use]
    pub fn contacts(&self) -> Option<Vec<ContactState>> {
        held(&self.0.contacts.book).shown(self.0.clock.now())
    }

    /// Has one contact, or every one, tested now. False where none is of this name.
    pub fn test_contacts(&self, name: Option<&str>) -> bool {
        let found = held(&self.0.contacts.book).ask(name, self.0.clock.now());
        self.0.contacts.asked.notify_one();
        found
    }
}

impl Inner {
    /// A message was taken, of the CAD's by the one of its addresses.
    pub(super) fn taken_by(&self, destination: &str, at: Option<&Address>) {
        held(&self.contacts.book).delivered(destination, at, self.clock.now(), self.clock.jitter());
        self.tell_contacts();
    }

    fn is_busy(&self, destination: &str) -> bool {
        let queue = held(&self.queues).get(destination).cloned();
        queue.is_some_and(|queue| held(&queue.lanes).waiting > 0)
    }

    /// Tells the log what has become an alarm, and what is one no longer.
    fn tell_contacts(&self) {
        let turns = held(&self.contacts.book).turns(self.clock.now());
        for turn in turns {
            let contact = turn.name.as_str();
            match turn.why {
                Some(why) => tracing::error!(contact, why, "a contact is not proved: mend it before a call needs it"),
                None => tracing::info!(contact, "a contact is proved again"),
            }
        }
    }

    /// One test: proved, or why not, kebab-case.
    async fn prove(&self, contact: &Contact) -> Result<(), String> {
        let test = self.test(contact);
        let limit = self.real(self.settings.try_timeout());
        match tokio::time::timeout(limit, test).await.unwrap_or(Answer::later(super::NO_ANSWER_IN_TIME, false)) {
            Answer::Taken => Ok(()),
            Answer::Later { why, .. } | Answer::Refused(why) => Err(why),
        }
    }

    async fn test(&self, contact: &Contact) -> Answer {
        let refused = |why: &str| Answer::Refused(why.to_owned());
        let now = self.clock.now();
        // A name of its own for each test; where the system has no randomness, the instant.
        let name = self.clock.random_bytes::<16>().map_or_else(|_| now.as_nanosecond().to_string(), hex::encode);
        let key = format!("contact-test.{name}");
        let mut headers = match key_header(&key) {
            Ok(headers) => headers,
            Err(why) => return refused(why),
        };
        match &contact.way {
            Way::Webhook { program, url, secret } => {
                let Ok(body) = webhook::contact_test(contact.kind, program.as_deref(), now) else {
                    return refused("no-message");
                };
                let body = Bytes::from(body);
                headers.extend(json_headers());
                let post = Post { url: url.clone(), second_url: None, headers, secret: Some(secret.clone()) };
                self.carriers.http.post(url, post.signed_headers(&body, now), body).await
            }
            // Nothing may come to be in a CAD by a test, so that it gets no message at all.
            Way::Cad(address) => {
                let Some(cad) = &self.settings.cad else { return refused("no-cad") };
                match cad_headers(cad) {
                    Ok(own) => headers.extend(own),
                    Err(why) => return refused(why),
                }
                let post = Post { url: address.clone(), second_url: None, headers, secret: cad.secret.clone() };
                self.carriers.http.probe(address, post.signed_headers(&[], now)).await
            }
            Way::Eido => match self.peers.get(&contact.name) {
                Some(peer) => peer.probe().await,
                None => refused("no-such-channel"),
            },
            Way::Mail(to) => {
                self.carriers.mail(&key, std::slice::from_ref(to), TEST_SUBJECT, TEST_TEXT.as_bytes()).await
            }
            Way::Sms(number) => {
                let Some(gateway) = &self.settings.sms else { return refused("no-gateway") };
                match notice::sms(gateway, number.text(), TEST_TEXT) {
                    Ok((own, body)) => {
                        headers.extend(own);
                        self.carriers.http.post(&gateway.url, headers, body).await
                    }
                    Err(why) => refused(why),
                }
            }
        }
    }
}
