//! The style sheet and the script: part of the program, served under an address that changes with their content.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The style sheet.
pub const STYLE: &str = include_str!("style.css");
/// The script; every action works without it.
pub const SCRIPT: &str = include_str!("page.js");

static STYLE_ADDRESS: LazyLock<String> = LazyLock::new(|| address("style.css", STYLE));
static SCRIPT_ADDRESS: LazyLock<String> = LazyLock::new(|| address("page.js", SCRIPT));

fn address(name: &str, content: &str) -> String {
    let digest = hex::encode(Sha256::digest(content.as_bytes()));
    format!("/assets/{name}?v={}", digest.get(..12).unwrap_or_default())
}

/// Where the style sheet is.
#[must_use]
pub fn style_address() -> &'static str {
    &STYLE_ADDRESS
}

/// Where the script is.
#[must_use]
pub fn script_address() -> &'static str {
    &SCRIPT_ADDRESS
}

/// The routes. No caller data: may be cached, and is new under a new address.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    const FOREVER: &str = "public, max-age=31536000, immutable";
    let file = |kind: &'static str, content: &'static str| {
        get(async move || ([(CONTENT_TYPE, kind), (CACHE_CONTROL, FOREVER)], content).into_response())
    };
    Router::new()
        .route("/assets/style.css", file("text/css; charset=utf-8", STYLE))
        .route("/assets/page.js", file("text/javascript; charset=utf-8", SCRIPT))
}
