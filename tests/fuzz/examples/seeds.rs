//! Writes the seeds anew: batches of the generator, and what the scenarios hold, as small as it comes.
//!
//! `cargo run --manifest-path tests/fuzz/Cargo.toml --example seeds` prints how many bytes there are. Seeds of findings, whose
//! names begin with `found_`, are left alone.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use faultline_annotator::{
    Annotator,
    state::Extent,
    time::{MINUTE, Nanos},
};
use faultline_fuzz::webhooks;
use faultline_test_support::{
    Generator, Signal,
    opentelemetry_proto::tonic::collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    prost::Message,
};
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
/// Target, name, content.
type Seeds = BTreeMap<(&'static str, String), Vec<u8>>;

/// What the name of a seed says that it came from a finding.
const FOUND: &str = "found_";
/// Larger ones make every try slower and show nothing more.
const SEED_BYTES_MAX: usize = 3000;
/// A file of a scenario that holds a webhook is one that has this key, of this source; the first that fits.
const SOURCES: [(&str, u8); 6] =
    [("deployment_status", 3), ("monitor", 8), ("events", 9), ("event", 0), ("alerts", 1), ("action", 2)];
/// What a webhook of GitHub begins with that is a form, and its source.
const FORM: (&str, u8) = ("payload=", 3);
const RECEIVED: Nanos = 1_772_359_200_000_000_000 + 10 * MINUTE;

fn main() -> Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = Seeds::new();
    generated(&mut seeds);
    for scenario in folders(&package.join("../scenarios"))? {
        from_scenario(&mut seeds, &scenario)?;
    }
    seeds.insert(("entries", "records".to_owned()), (0..=255).map(|byte: u8| byte.wrapping_mul(7) | 1).collect());
    let bytes: usize = seeds.values().map(Vec::len).sum();
    write(&package.join("seeds"), &seeds)?;
    println!("{} seeds, {bytes} bytes", seeds.len());
    Ok(())
}

/// A batch for each way through the rewriter, and one of several resources.
fn generated(seeds: &mut Seeds) {
    for (target, number, signal) in
        [("traces", 0, Signal::Traces), ("metrics", 1, Signal::Metrics), ("logs", 2, Signal::Logs)]
    {
        for variant in 0..8_u8 {
            let environment = (variant % 2 == 0).then(|| "production".to_owned());
            let items = if signal == Signal::Metrics { 5 } else { 2 };
            let services = vec!["checkout".to_owned(), "cart".to_owned()];
            let generator = Generator { seed: variant.into(), items, environment, services, ..Generator::default() };
            let batch = generator.bytes(signal);
            seeds.insert((target, format!("generated_{variant}")), [&[variant], &batch[..]].concat());
            if variant < 4 {
                seeds.insert(("sinks", format!("{target}_{variant}")), [&[variant, number], &batch[..]].concat());
            }
        }
    }
}

fn from_scenario(seeds: &mut Seeds, scenario: &Path) -> Result<()> {
    let name = name(scenario);
    let mut bodies: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    for file in files(scenario)? {
        let text = fs::read_to_string(&file)?;
        if self::name(&file) == "config.yaml" {
            let config: Value = serde_saphyr::from_str(&text)?;
            seeds.insert(("configuration", name.clone()), config.to_string().into_bytes());
        }
        if text.starts_with(FORM.0) {
            bodies.entry(FORM.1).or_default().push(text.clone());
        }
        let Ok(Value::Object(document)) = serde_json::from_str(&text) else { continue };
        if let Some((target, batch)) = telemetry(&text, &document)? {
            let seed = [&[0], &batch[..]].concat();
            if seed.len() < SEED_BYTES_MAX / 3 {
                seeds.entry((target, name.clone())).or_insert(seed);
            }
        } else if let Some((_, source)) = SOURCES.iter().find(|(key, _)| document.contains_key(*key)) {
            bodies.entry(*source).or_default().push(Value::Object(document).to_string());
        }
    }
    for (source, bodies) in bodies {
        let seed = [&[source], bodies.join("\n---\n").as_bytes()].concat();
        if seed.len() < SEED_BYTES_MAX {
            seeds.insert(("entries", format!("{name}_{source}")), entries(source, &bodies));
            seeds.insert(("webhooks", format!("{name}_{source}")), seed);
        }
    }
    Ok(())
}

/// The target of a file that holds telemetry, and the batch.
fn telemetry(text: &str, document: &serde_json::Map<String, Value>) -> Result<Option<(&'static str, Vec<u8>)>> {
    Ok(if document.contains_key("resourceSpans") {
        Some(("traces", serde_json::from_str::<ExportTraceServiceRequest>(text)?.encode_to_vec()))
    } else if document.contains_key("resourceMetrics") {
        Some(("metrics", serde_json::from_str::<ExportMetricsServiceRequest>(text)?.encode_to_vec()))
    } else if document.contains_key("resourceLogs") {
        Some(("logs", serde_json::from_str::<ExportLogsServiceRequest>(text)?.encode_to_vec()))
    } else {
        None
    })
}

/// What a plugin that received these bodies holds, as lines.
fn entries(source: u8, bodies: &[String]) -> Vec<u8> {
    let fuzzed: Value = serde_json::from_str(webhooks::CONFIG).expect("the configuration is JSON");
    let mut config = serde_json::json!({"sources": {"alertmanager": {"kind": "alertmanager", "tokens": ["token"]},
        "manual": {"kind": "manual", "tokens": ["token"]}, "pagerduty": {"kind": "pagerduty", "secrets": ["secret"]}}});
    for name in ["github", "generic", "batch"] {
        config["sources"][name] = fuzzed["sources"][name].clone();
    }
    let mut annotator = Annotator::default();
    annotator.configure(&config.to_string(), "seeds").expect("the configuration is right");
    for (body, minute) in bodies.iter().zip(0..) {
        let now = RECEIVED + minute * MINUTE;
        let (source, webhook) = webhooks::signed(source, body.as_bytes());
        let receipt = annotator.receive(source, &webhook, now);
        annotator.merge(&receipt.entries, now).expect("its own entries");
    }
    let lines =
        annotator.state(Extent::All).into_iter().map(|entry| [entry.key.as_bytes(), b" ", &entry.bytes].concat());
    [vec![0], lines.collect::<Vec<_>>().join(&b'\n')].concat()
}

fn write(folder: &Path, seeds: &Seeds) -> Result<()> {
    for target in folders(folder).unwrap_or_default() {
        for old in files(&target)?.iter().filter(|old| !name(old).starts_with(FOUND)) {
            fs::remove_file(old)?;
        }
    }
    for ((target, name), seed) in seeds {
        fs::create_dir_all(folder.join(target))?;
        fs::write(folder.join(target).join(name), seed)?;
    }
    Ok(())
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries_of(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries_of(folder)?.into_iter().filter(|path| path.is_file()).collect())
}

fn entries_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort_unstable();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
