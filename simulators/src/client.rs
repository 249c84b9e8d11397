//! An HTTP/1.1 client with kept-alive connections, a time limit on every request and a bound on every answer.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::time::Duration;

/// Bytes of an answer that are read, at most.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The client. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    time_limit: Duration,
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// True for 2xx.
    #[must_use]
    pub fn good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON; null where it is not JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address or a header cannot be written as HTTP.
    #[error("the request cannot be built: {0}")]
    Request(#[from] hyper::http::Error),
    /// No connection, or it broke.
    #[error("no connection: {0}")]
    Connection(#[from] hyper_util::client::legacy::Error),
    /// The answer broke off or is longer than the bound.
    #[error("the answer broke off or is too long")]
    Body,
    /// The time limit passed.
    #[error("no answer within {0:?}")]
    TimeLimit(Duration),
}

impl Client {
    /// A client whose requests take at most `time_limit` of the machine's time each.
    #[must_use]
    pub fn new(time_limit: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(time_limit));
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .build(connector);
        Self { pool, time_limit }
    }

    /// Sends one request and reads the whole answer.
    ///
    /// # Errors
    /// [`ClientError`]; the request may or may not have been carried out.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, ClientError> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into()))?;
        let exchange = async {
            let response = self.pool.request(request).await?;
            let status = response.status().as_u16();
            let body =
                Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|_| ClientError::Body)?;
            Ok(Answer { status, body: body.to_bytes() })
        };
        match tokio::time::timeout(self.time_limit, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::TimeLimit(self.time_limit)),
        }
    }

    /// `GET` with a bearer token.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn get(&self, url: &str, token: &str) -> Result<Answer, ClientError> {
        self.send(Method::GET, url, &[("authorization", &bearer(token))], Bytes::new()).await
    }

    /// `POST` of a JSON value with a bearer token.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn post_json(&self, url: &str, token: &str, value: &serde_json::Value) -> Result<Answer, ClientError> {
        let headers = [("authorization", bearer(token)), ("content-type", "application/json".to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.send(Method::POST, url, &headers, value.to_string()).await
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}
