//! `faultline annotate`: one batch through the plugin.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::shared::{ConfigArguments, PluginArguments, read_input, time};
use crate::cli::{Ending, Hint};
use crate::host::{Host, Processed};
use crate::journal::Journal;
use crate::plugin::{Outcome, Webhook};
use crate::signature;
use crate::telemetry::{Batch, Encoding, SignalName};
use crate::time::{Nanos, now};

const AFTER_HELP: &str = "\
Examples:
  faultline annotate --signal traces --state state.json spans.binpb > marked.binpb
  faultline annotate --signal logs --webhook pagerduty-eu=trigger.json logs.json
  cat spans.json | faultline annotate --signal traces --state state.json --out marked.json

Protobuf leaves byte for byte as it came, but for what was added. JSON is read and written anew when something is added;
fields that OTLP does not know are lost then.

Exit status:
  0  the batch was written, marked or as it came
  1  it was refused or the plugin failed: the batch was written as it came, and stderr says why; or the command failed
  2  the command line is wrong";

/// Mark one OTLP export request with the incidents of a state, or of webhooks.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// What the batch holds: traces, metrics or logs.
    #[arg(long)]
    pub signal: SignalName,
    /// How the batch is written [default: guessed from its first byte].
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// A webhook to receive first, signed with the secret of its source; may be given several times. Not kept.
    #[arg(long = "webhook", value_name = "SOURCE=FILE", value_parser = webhook)]
    pub webhooks: Vec<(String, PathBuf)>,
    /// When the batch is processed, RFC 3339 [default: now]. Items are judged by their own times.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<Nanos>,
    /// Where to write [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Configuration and state.
    #[command(flatten)]
    pub config: ConfigArguments,
    /// Which plugin.
    #[command(flatten)]
    pub plugin: PluginArguments,
    /// The batch; `-` is standard input.
    #[arg(default_value = "-")]
    pub file: PathBuf,
}

/// How a batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// An export request as it goes over the wire.
    Protobuf,
    /// OTLP/JSON.
    Json,
}

/// Marks the batch.
///
/// # Errors
/// When configuration, state, a webhook or the batch cannot be read, or the output cannot be written.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Ending> {
    let config = arguments.config.read()?;
    let at = arguments.at.unwrap_or_else(now);
    let build = arguments.plugin.build()?;
    // Only read, even with webhooks: these go to a copy in memory.
    let mut host = arguments.config.open(&build, &config, false, at)?.detached()?;
    for (source, path) in &arguments.webhooks {
        let body = read_input(path)?;
        let headers = signature::sign(config.root(), source, None, &body)?;
        receive(&mut host, source, headers, body, at).with_context(|| format!("webhook {}", path.display()))?;
    }

    let input = read_input(&arguments.file)?;
    let encoding = match arguments.format {
        Some(Format::Protobuf) => Encoding::Protobuf,
        Some(Format::Json) => Encoding::Json,
        None => Encoding::guess(&input),
    };
    let annotated = annotate(&mut host, arguments, &input, encoding, at);
    // Whatever went wrong, telemetry passes.
    let output = annotated.as_ref().ok().and_then(Option::as_deref).unwrap_or(&input);
    match &arguments.out {
        Some(path) => fs::write(path, output).with_context(|| format!("cannot write {}", path.display()))?,
        None => out.write_all(output)?,
    }
    out.flush()?;
    match annotated {
        Ok(_) => Ok(Ending::Fine),
        Err(error) => Err(Hint::error(format!("{error:#}"), "the batch was written as it came")),
    }
}

/// The batch with its marks, in the encoding that it came in; `None` when it has none to get.
fn annotate<J: Journal>(
    host: &mut Host<'_, J>,
    arguments: &Arguments,
    input: &[u8],
    encoding: Encoding,
    at: Nanos,
) -> anyhow::Result<Option<Vec<u8>>> {
    let SignalName(signal) = arguments.signal;
    let converted;
    let protobuf = match encoding {
        Encoding::Protobuf => input,
        Encoding::Json => {
            let batch = Batch::from_json(signal, input)
                .with_context(|| format!("{} is not OTLP/JSON of {}", arguments.file.display(), arguments.signal))?;
            converted = batch.encode();
            &converted
        }
    };
    let processed = host.process(signal, protobuf, at)?;
    if let Some(trouble) = processed.trouble() {
        bail!(trouble);
    }
    let Processed::Answered(Outcome::Replaced(bytes)) = processed else { return Ok(None) };
    match encoding {
        Encoding::Protobuf => Ok(Some(bytes)),
        Encoding::Json => Ok(Some(with_line_break(Batch::decode(signal, &bytes)?.to_json()?))),
    }
}

fn receive<J: Journal>(
    host: &mut Host<'_, J>,
    source: &str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    at: Nanos,
) -> anyhow::Result<()> {
    let webhook = Webhook {
        method: "POST".to_owned(),
        url: format!("/webhooks/{source}"),
        headers: headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect(),
        body,
    };
    let received = host.receive(source, &webhook, at)?;
    if received.status >= 300 {
        bail!("its sender would get {}: {}", received.status, received.failure.unwrap_or(received.body));
    }
    Ok(())
}

fn with_line_break(mut text: Vec<u8>) -> Vec<u8> {
    text.push(b'\n');
    text
}

fn webhook(text: &str) -> Result<(String, PathBuf), String> {
    let (source, path) = text.split_once('=').ok_or_else(|| format!("{text:?} is not SOURCE=FILE"))?;
    Ok((source.to_owned(), PathBuf::from(path)))
}
