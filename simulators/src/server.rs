//! A small HTTP/1.1 server for the simulated peers: bounded bodies, a header deadline, everything ends when it is dropped.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

/// Bytes of a request body that are read, at most: twice what the product accepts, so that a pass-through is never cut here.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Seconds a client has for its request line and headers.
const HEADER_READ_S: u64 = 30;

/// A request, read whole.
#[derive(Debug)]
pub struct Received {
    /// Method.
    pub method: Method,
    /// Path without the query.
    pub path: String,
    /// Query, as it stands in the address; empty where there is none.
    pub query: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Received {
    /// A header's text, where present and plain.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What a peer replies.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// JSON body.
    pub body: String,
}

impl Reply {
    /// A JSON reply.
    #[must_use]
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self { status, body: value.to_string() }
    }
}

/// A running server; dropping it closes the port and every connection.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: AbortHandle,
}

impl Server {
    /// Listens on the address (port 0: any) and answers every request with the handler, each connection on its own task.
    ///
    /// # Errors
    /// Where the address cannot be bound.
    pub async fn start<H, F>(address: SocketAddr, handler: H) -> std::io::Result<Self>
    where
        H: Fn(Received) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, Arc::new(handler))).abort_handle();
        Ok(Self { address, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://host:port`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept<H, F>(listener: TcpListener, handler: Arc<H>)
where
    H: Fn(Received) -> F + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    // The set ends with this task, and every connection with the set.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: wait for some to come free rather than spin.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let handler = Arc::clone(&handler);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&handler), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(HEADER_READ_S))
                .serve_connection(TokioIo::new(stream), service);
            // A connection that breaks is the other side's business; it is seen there.
            let _ = connection.await;
        });
    }
}

async fn answer<H, F>(handler: Arc<H>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible>
where
    H: Fn(Received) -> F,
    F: Future<Output = Reply>,
{
    let (parts, body) = request.into_parts();
    let reply = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => {
            let path = parts.uri.path().to_owned();
            let query = parts.uri.query().unwrap_or_default().to_owned();
            let received =
                Received { method: parts.method, path, query, headers: parts.headers, body: body.to_bytes() };
            handler(received).await
        }
        Err(_) => Reply::json(413, &serde_json::json!({ "title": "the body broke off or is too long" })),
    };
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;

    #[tokio::test]
    async fn a_peer_answers_on_a_free_port_and_is_gone_when_dropped() {
        let echo = |received: Received| async move {
            Reply { status: 202, body: format!("{} {}", received.path, received.body.len()) }
        };
        let server = Server::start(([127, 0, 0, 1], 0).into(), echo).await.unwrap();
        let client = Client::new(Duration::from_secs(2));
        let url = format!("{}/cad/records?x=1", server.url());
        let answer = client.send(Method::POST, &url, &[], "abc").await.unwrap();
        assert_eq!((answer.status, answer.body.as_ref()), (202, b"/cad/records 3".as_slice()));
        drop(server);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(client.send(Method::POST, &url, &[], "abc").await.is_err());
    }
}
