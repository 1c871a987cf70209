//! The admin listener of a running server, as a client.

use std::env;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use tokio::runtime;

use crate::cli::Hint;
use crate::serve::client;
use crate::serve::config::{ClientTls, Endpoint, FilePath};
use crate::serve::otlp::Pieces;

/// Which server to ask, and how to be let in.
#[derive(Args, Clone, Debug)]
pub struct HubArguments {
    /// Ask the admin listener of this server [default: $FAULTLINE_HUB].
    #[arg(long, value_name = "URL")]
    pub hub: Option<String>,
    /// A file with the token of the admin listener [default: $FAULTLINE_TOKEN is the token].
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<std::path::PathBuf>,
    /// PEM: authorities to be trusted in the place of the system's.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<std::path::PathBuf>,
}

/// A server that can be asked.
pub(super) struct Hub {
    endpoint: Endpoint,
    token: String,
    tls: ClientTls,
}

/// More than 10,000 incidents come to.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

// === impl HubArguments ===

impl HubArguments {
    /// The server, if one is named.
    ///
    /// # Errors
    /// When its URL is none, or there is no token.
    pub(super) fn hub(&self) -> anyhow::Result<Option<Hub>> {
        let Some(url) = self.hub.clone().or_else(|| env::var("FAULTLINE_HUB").ok().filter(|url| !url.is_empty()))
        else {
            return Ok(None);
        };
        let endpoint = url.parse().map(Endpoint).ok().filter(Endpoint::is_given);
        let endpoint = endpoint.with_context(|| format!("{url:?} is not a URL like http://127.0.0.1:4320"))?;
        let token = match &self.token_file {
            Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
            None => env::var("FAULTLINE_TOKEN").unwrap_or_default(),
        };
        let token = token.trim().to_owned();
        if token.is_empty() {
            return Err(Hint::error(
                "there is no token for the admin listener",
                "set FAULTLINE_TOKEN, or name a file with --token-file: one of `serve.admin.tokens`",
            ));
        }
        let tls = ClientTls { ca: self.ca.clone().map(FilePath), ..ClientTls::default() };
        Ok(Some(Hub { endpoint, token, tls }))
    }

    /// The server, which must be named.
    ///
    /// # Errors
    /// Those of [`Self::hub`], and when none is named.
    pub(super) fn required(&self) -> anyhow::Result<Hub> {
        self.hub()?.ok_or_else(|| {
            Hint::error(
                "no server was named",
                "--hub http://127.0.0.1:4320, or set FAULTLINE_HUB: the address of `serve.admin.listen`",
            )
        })
    }
}

// === impl Hub ===

impl Hub {
    /// `GET`.
    ///
    /// # Errors
    /// When the server cannot be reached, or answers otherwise than with success.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, None)
    }

    /// `POST` of a JSON document.
    ///
    /// # Errors
    /// Those of [`Self::get`].
    pub(super) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::POST, path, Some(body))
    }

    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let uri = self.endpoint.join(path);
        let what = format!("{method} {uri}");
        let mut token = HeaderValue::from_str(&format!("Bearer {}", self.token))
            .map_err(|_| anyhow!("the token cannot be sent in a header"))?;
        token.set_sensitive(true);
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::USER_AGENT, client::USER_AGENT)
            .header(header::AUTHORIZATION, token)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Pieces::none, |body| Pieces::one(body.to_string().into())))?;
        let exchange = async {
            let client = client::new(&self.tls, false)?;
            let response =
                client.request(request).await.map_err(|error| anyhow!("{what}: {}", client::reason(&error)))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            anyhow::Ok((status, body.map_err(|error| anyhow!("{what}: {error}"))?.to_bytes()))
        };
        let (status, body) = runtime::Builder::new_current_thread().enable_all().build()?.block_on(exchange)?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if !status.is_success() {
            let message = answer.get("message").and_then(Value::as_str).unwrap_or_default();
            if status == StatusCode::UNAUTHORIZED {
                return Err(Hint::error(
                    format!("{what} answered {status}"),
                    "is the token one of `serve.admin.tokens`?",
                ));
            }
            bail!("{what} answered {status}: {message}");
        }
        Ok(answer)
    }
}
