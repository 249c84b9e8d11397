//! A real Chromium, driven through chromedriver over the WebDriver protocol: started on a free port, ended with the test.

use axum::http::{Request, Response, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use thirtyfour::error::{WebDriverError, WebDriverResult};
use thirtyfour::prelude::*;
use thirtyfour::session::http::{Body, HttpClient};

/// How long anything may take to appear. A page answers in milliseconds; the bound is for a busy machine.
pub const BOUND: Duration = Duration::from_secs(20);

/// A browser with one window.
pub struct Browser {
    /// What drives it.
    pub driver: WebDriver,
    http: Http,
    chromedriver: String,
    process: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts chromedriver on a free port, and through it a Chromium that asks the network for nothing of its own.
    pub async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed (`apt-get install chromium chromium-driver`)");
        let chromedriver = format!("http://127.0.0.1:{port}");
        let http = Http::new();
        let profile = tempfile::tempdir().unwrap();
        let began = Instant::now();
        while http.ask("GET", &format!("{chromedriver}/status"), None).await.is_none() {
            assert!(began.elapsed() < BOUND, "chromedriver did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut wanted = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--window-size=1280,900",
        ] {
            wanted.add_arg(argument).unwrap();
        }
        wanted.add_arg(&format!("--user-data-dir={}", profile.path().display())).unwrap();
        wanted.set("goog:loggingPrefs", json!({ "browser": "ALL" })).unwrap();
        let driver = WebDriver::builder(chromedriver.clone(), wanted).client(http.clone()).connect().await.unwrap();
        Self { driver, http, chromedriver, process, _profile: profile }
    }

    /// Opens a page.
    pub async fn open(&self, address: &str) {
        self.driver.goto(address).await.unwrap();
    }

    /// Waits until an element is there.
    pub async fn there(&self, selector: &str) -> WebElement {
        let began = Instant::now();
        loop {
            if let Ok(element) = self.driver.find(By::Css(selector)).await {
                return element;
            }
            assert!(began.elapsed() < BOUND, "`{selector}` did not appear\n{}", self.seen().await);
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits until no such element is there.
    pub async fn gone(&self, selector: &str) {
        let began = Instant::now();
        while self.is_there(selector).await {
            assert!(began.elapsed() < BOUND, "`{selector}` did not go\n{}", self.seen().await);
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// True where an element is there now.
    pub async fn is_there(&self, selector: &str) -> bool {
        self.driver.find(By::Css(selector)).await.is_ok()
    }

    /// The attribute of an element, if both are there now. An element that a refresh has just replaced counts as absent.
    pub async fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        self.driver.find(By::Css(selector)).await.ok()?.attr(name).await.ok()?
    }

    /// Clicks an element once it is there; asks for it again where a refresh replaced it under the pointer.
    pub async fn click(&self, selector: &str) {
        let began = Instant::now();
        while let Err(fault) = self.there(selector).await.click().await {
            assert!(began.elapsed() < BOUND, "`{selector}` could not be clicked: {fault}");
        }
    }

    /// Presses one key, once the page takes keys.
    pub async fn press(&self, key: &str) {
        self.there("html[data-keys=ready]").await;
        self.driver.action_chain().send_keys(key).perform().await.unwrap();
    }

    /// Runs script in the page.
    pub async fn run(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.unwrap().json().clone()
    }

    /// Shows pages as to a reader who has set their machine dark, or light.
    pub async fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let command = json!({ "cmd": "Emulation.setEmulatedMedia", "params": { "features": features } });
        self.command("goog/cdp/execute", &command).await;
    }

    /// Keeps a picture of the window.
    pub async fn picture(&self, folder: &Path, name: &str) {
        std::fs::create_dir_all(folder).unwrap();
        let bytes = self.driver.screenshot_as_png().await.unwrap();
        assert!(bytes.len() > 10_000, "the picture `{name}` is blank");
        std::fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
    }

    /// What the browser complained of: script errors, refused resources, violations of the content security policy.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.command("se/log", &json!({ "type": "browser" })).await;
        let entries = log["value"].as_array().cloned().unwrap_or_default();
        let bad = entries.iter().filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        bad.map(|entry| entry["message"].to_string()).collect()
    }

    async fn command(&self, path: &str, body: &Value) -> Value {
        let address = format!("{}/session/{}/{path}", self.chromedriver, self.driver.session_id());
        self.http.ask("POST", &address, Some(body)).await.unwrap_or_else(|| panic!("chromedriver refused `{path}`"))
    }

    async fn seen(&self) -> String {
        let text = self.driver.execute("return document.body.innerText", Vec::new()).await;
        text.map(|text| text.json().as_str().unwrap_or_default().to_owned()).unwrap_or_default()
    }

    /// Ends the browser.
    pub async fn end(mut self) {
        let quit = self.driver.clone().quit().await;
        let _ended = (self.process.kill(), self.process.wait());
        quit.unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ended = (self.process.kill(), self.process.wait());
    }
}

/// The HTTP client that the product already has, as WebDriver's.
#[derive(Clone)]
pub struct Http(Client<HttpConnector, Full<Bytes>>);

impl Http {
    /// A client of its own.
    pub fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Asks with JSON; `None` where nobody answers or the answer is no success.
    pub async fn ask(&self, method: &str, address: &str, body: Option<&Value>) -> Option<Value> {
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(address)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(bytes))
            .unwrap();
        let response = self.0.request(request).await.ok()?;
        let status = response.status();
        let bytes = response.into_body().collect().await.ok()?.to_bytes();
        status.is_success().then(|| serde_json::from_slice(&bytes).ok())?
    }

    async fn carry(&self, request: Request<Bytes>) -> WebDriverResult<Response<Bytes>> {
        let lost = |fault: String| WebDriverError::FatalError(fault);
        let response = self.0.request(request.map(Full::new)).await.map_err(|fault| lost(fault.to_string()))?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.map_err(|fault| lost(fault.to_string()))?.to_bytes();
        Ok(Response::from_parts(parts, bytes))
    }
}

impl HttpClient for Http {
    fn send<'life0, 'life1, 'async_trait>(
        &'life0 self,
        request: Request<Body<'life1>>,
    ) -> Pin<Box<dyn Future<Output = WebDriverResult<Response<Bytes>>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        let request = request.map(|body| match body {
            Body::Empty => Bytes::new(),
            Body::Json(json) => Bytes::from(json.to_string()),
        });
        Box::pin(self.carry(request))
    }

    fn new<'life0, 'async_trait>(
        &'life0 self,
    ) -> Pin<Box<dyn Future<Output = Arc<dyn HttpClient>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async { Arc::new(Self::new()) as Arc<dyn HttpClient> })
    }
}
