//! Where the adapter's doors are; told to the peers after the adapter has started, and again when it moves.

use tokio::sync::watch;

/// The adapter's addresses as `http://host:port` without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doors {
    /// The intake: `/v1/calls`, `/cad/…`.
    pub intake: String,
    /// The teams' side: `/v1/legs/…`.
    pub teams: String,
}

/// The peers' shared knowledge of the doors.
#[derive(Debug, Clone)]
pub(crate) struct KnownDoors(watch::Sender<Option<Doors>>);

impl KnownDoors {
    /// Not known yet.
    pub(crate) fn unknown() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Tells every peer.
    pub(crate) fn tell(&self, doors: Doors) {
        self.0.send_replace(Some(doors));
    }

    /// The doors, once known.
    pub(crate) async fn wait(&self) -> Doors {
        let mut known = self.0.subscribe();
        loop {
            if let Some(doors) = known.borrow_and_update().clone() {
                return doors;
            }
            // The sender lives in `self`, so a change is the only way out.
            if known.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
