//! Host names to addresses, when the name servers are gone too: the last good addresses, then configured ones (fault 69).

use crate::journal::Pending;
use hyper_util::client::legacy::connect::dns::Name;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::Service;

/// A look-up takes at most this long: a name server that swallows questions must not eat up a try.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);

type Lookup = dyn Fn(String) -> Pending<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

/// Resolves names. Cheap to clone.
#[derive(Clone)]
pub(super) struct Names(Arc<Inner>);

struct Inner {
    lookup: Box<Lookup>,
    timeout: Duration,
    /// At most as many as the configuration names hosts: only its addresses are ever looked up.
    last_good: Mutex<BTreeMap<String, Vec<SocketAddr>>>,
    fallback: BTreeMap<String, Vec<IpAddr>>,
}

impl Names {
    pub(super) fn new(fallback: &BTreeMap<String, Vec<IpAddr>>) -> Self {
        let lookup = |host: String| -> Pending<'static, io::Result<Vec<SocketAddr>>> {
            Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.collect()) })
        };
        Self::with(Box::new(lookup), LOOKUP_TIMEOUT, fallback)
    }

    fn with(lookup: Box<Lookup>, timeout: Duration, fallback: &BTreeMap<String, Vec<IpAddr>>) -> Self {
        Self(Arc::new(Inner { lookup, timeout, last_good: Mutex::default(), fallback: fallback.clone() }))
    }

    /// The addresses of a host, with port 0.
    ///
    /// # Errors
    /// Where nobody resolves the name, nobody ever did, and the configuration has no address for it.
    pub(super) async fn resolve(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        let asked = tokio::time::timeout(self.0.timeout, (self.0.lookup)(host.to_owned())).await;
        let last_good = || self.0.last_good.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = match asked {
            Ok(Ok(addresses)) if !addresses.is_empty() => {
                last_good().insert(host.to_owned(), addresses.clone());
                return Ok(addresses);
            }
            Ok(Ok(_)) => io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
            Ok(Err(error)) => error,
            Err(_) => io::Error::new(io::ErrorKind::TimedOut, "no name server answered"),
        };
        if let Some(known) = last_good().get(host) {
            return Ok(known.clone());
        }
        let configured = self.0.fallback.get(host).filter(|addresses| !addresses.is_empty()).ok_or(fault)?;
        Ok(configured.iter().map(|address| SocketAddr::new(*address, 0)).collect())
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Names")
    }
}

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pending<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let names = self.clone();
        Box::pin(async move { names.resolve(name.as_str()).await.map(Vec::into_iter) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU8, Ordering};

    const HOST: &str = "cad.example.gov";
    static SERVER: AtomicU8 = AtomicU8::new(0);

    /// A name server that answers, refuses, or swallows the question, as `SERVER` says.
    fn lookup() -> Box<Lookup> {
        Box::new(|_| match SERVER.load(Ordering::SeqCst) {
            0 => Box::pin(async { Ok(vec![SocketAddr::from(([192, 0, 2, 1], 0))]) }),
            1 => Box::pin(async { Err(io::Error::other("refused")) }),
            _ => Box::pin(std::future::pending()),
        })
    }

    #[tokio::test]
    async fn without_name_servers_the_last_good_address_stands_then_the_configured_one() {
        let configured: BTreeMap<_, _> = [(HOST.to_owned(), vec![IpAddr::from([198, 51, 100, 7])])].into();
        let names = |configured: &BTreeMap<_, _>| Names::with(lookup(), Duration::from_millis(50), configured);
        let fresh = || names(&configured);
        let first = async |names: &Names| names.resolve(HOST).await.map(|found| found[0].ip());
        let learnt = fresh();
        assert_eq!(first(&learnt).await.unwrap(), IpAddr::from([192, 0, 2, 1]));
        for dead in [1, 2] {
            SERVER.store(dead, Ordering::SeqCst);
            assert_eq!(first(&learnt).await.unwrap(), IpAddr::from([192, 0, 2, 1]), "the last good one");
            assert_eq!(first(&fresh()).await.unwrap(), IpAddr::from([198, 51, 100, 7]), "the configured one");
            let nothing = BTreeMap::new();
            first(&names(&nothing)).await.unwrap_err();
        }
    }
}
