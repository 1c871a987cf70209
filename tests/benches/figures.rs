//! What the benchmarks have in common: where they ran, how they show figures, and how these come into the README.

use std::fs;

use anyhow::Context;

/// For example `2 cores of AMD EPYC, linux`.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|info| {
        let line = info.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let cpu = cpu.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("{cores} cores of {cpu}, {}", std::env::consts::OS)
}

/// For example `2026-11-22`.
pub(crate) fn today() -> String {
    jiff::Zoned::now().date().to_string()
}

/// Two or three digits that count.
pub(crate) fn figure(value: f64) -> String {
    match value {
        value if value >= 10.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value if value >= 0.1 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

/// `page` with `text` in the place of what stands between the lines `begin` and `end`.
///
/// # Errors
/// When one of the lines is not there.
pub(crate) fn place_between(page: &str, begin: &str, end: &str, text: &str) -> anyhow::Result<String> {
    let (before, rest) = page.split_once(begin).context("the page has no line that begins the figures")?;
    let (_, after) = rest.split_once(end).context("the page has no line that ends the figures")?;
    Ok(format!("{before}{begin}{text}{end}{after}"))
}
