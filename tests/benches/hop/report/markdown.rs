//! The run as text: for the terminal, as a block of the README, and as a page.

use std::fmt::Write;

use super::{Added, Cost, Quantiles, Report, Row, Soak, Storm, Throughput};
use crate::figures::figure;

/// One part in so many of the Collector's memory is the most that is wanted.
const MEMORY_WANTED: f64 = 2.0;
/// The most that the hop may add to the latency that 99 of 100 requests do not exceed.
const ADDED_MILLIS_WANTED: f64 = 5.0;
/// The same for the acknowledgement of a webhook.
const ACKNOWLEDGED_MILLIS_WANTED: f64 = 250.0;

/// What the memory of a long run grows by.
const OF_WEBHOOKS: &str = "\
It grows with webhooks and not with telemetry, after which memory is what it was before: an entry has 1.1 to 1.4 kB in each of \
the instances (four here, one of which decides) and in the server, 6.5 kB in all after 10,000 webhooks, until the horizon forgets it \
three days later. The plugin holds at most 200,000 entries and 192 MiB of them.";

// === impl Report ===

impl Report {
    /// What was measured this time, but for the rows, which are shown as they come.
    pub(crate) fn text(&self) -> String {
        let sentences = self.sentences();
        format!("\n{}{}\n", sentences.iter().map(|sentence| format!("{sentence}\n")).collect::<String>(), self.machine)
    }

    /// The block of the README.
    pub(super) fn excerpt(&self) -> String {
        let mut text = String::new();
        if let Some(throughput) = &self.throughput {
            text.push_str(&throughput.table());
            text.push('\n');
        }
        for sentence in self.sentences() {
            let _ = writeln!(text, "- {sentence}");
        }
        if text.is_empty() {
            return "Not measured yet.\n".to_owned();
        }
        let _ = writeln!(text, "\n{}.", self.machine);
        text
    }

    /// All that was measured.
    pub(super) fn page(&self) -> String {
        let mut text = format!(
            "# The hop, measured\n\nMade by `BLESS=1 cargo bench --bench hop`, and the same with `-- --webhooks` and \
             `-- --soak 10`. {}.\n\nA load and a sink that decode nothing send and take requests of generated spans; the program \
             between them is the server, or a stock OpenTelemetry Collector with the receiver and the exporter of that protocol, \
             and where spans are marked its `attributes` processor with four inserts. Queue and retries of the Collector are off: \
             like us it answers a sender when the next hop has answered. CPU is that of the program alone, in the kernel and \
             outside, read when the sink has got every span, and every round checks that none is missing and all are marked \
             that should be.\n",
            self.machine
        );
        if let Some(throughput) = &self.throughput {
            let Throughput { date, rounds, round_seconds, rows } = throughput;
            let _ = writeln!(
                text,
                "\n## CPU and memory\n\n{date}; medians of {rounds} rounds of {round_seconds} s each, in turn; 2 connections with 4 \
                 requests under way on each (8 connections of HTTP).\n\n{}\n### Each program\n\n| | bytes a request | program | CPU-s \
                 / M spans | least – most | spans / s | memory | most |\n|---|---|---|---|---|---|---|---|",
                throughput.table()
            );
            for row in rows {
                let _ = write!(text, "{}", row.programs());
            }
        }
        if let Some(added) = &self.latency {
            let _ =
                write!(text, "\n## Latency\n\n{}; {} spans a request.\n\n{}", added.date, added.spans, added.table());
        }
        if let Some(storm) = &self.webhooks {
            let _ = writeln!(text, "\n## Webhooks\n\n{}; {}", storm.date, storm.sentence());
        }
        if let Some(soak) = &self.soak {
            let _ = writeln!(text, "\n## A long run\n\n{}; {}\n\n{OF_WEBHOOKS}", soak.date, soak.sentence());
        }
        text
    }

    fn sentences(&self) -> Vec<String> {
        let parts = [
            self.latency.as_ref().map(Added::sentence),
            self.webhooks.as_ref().map(Storm::sentence),
            self.soak.as_ref().map(Soak::sentence),
        ];
        parts.into_iter().flatten().collect()
    }
}

// === impl Throughput ===

impl Throughput {
    fn table(&self) -> String {
        let mut text = "| | CPU of the Collector | ours | part of it | wanted | memory, part of it | wanted |\n\
                        |---|---|---|---|---|---|---|\n"
            .to_owned();
        for row in &self.rows {
            let collector = row.collector.as_ref().map(|cost| cost.cpu_seconds_per_million);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | 1/{MEMORY_WANTED} |",
                row.title,
                collector.map_or("–".to_owned(), figure),
                figure(row.faultline.cpu_seconds_per_million),
                judged(row.fraction(), row.wanted),
                row.wanted.map_or("–".to_owned(), |wanted| format!("1/{wanted}")),
                judged(row.memory_fraction(), Some(MEMORY_WANTED)),
            );
        }
        text.push_str("\nCPU in seconds for a million spans.\n");
        text
    }
}

// === impl Row ===

impl Row {
    /// One line, for the terminal.
    pub(crate) fn text(&self) -> String {
        let Self { name, bytes, faultline, collector, .. } = self;
        let mut text = format!("{name:<16} {bytes:>7} B  faultline {}", faultline.text());
        if let Some(collector) = collector {
            let _ = write!(text, "   Collector {}", collector.text());
        }
        if let (Some(cpu), Some(memory)) = (self.fraction(), self.memory_fraction()) {
            let wanted = self.wanted.map_or(String::new(), |wanted| format!(" (wanted 1/{wanted})"));
            let _ = write!(text, "   CPU 1/{cpu:.1}{wanted}, memory 1/{memory:.1} (wanted 1/{MEMORY_WANTED})");
        }
        text
    }

    fn programs(&self) -> String {
        let line = |program: &str, cost: &Cost| {
            let Cost { cpu_seconds_per_million, cpu_least, cpu_most, spans_per_second, resident_bytes, peak_bytes } =
                cost;
            format!(
                "| {} | {} | {program} | {cpu_seconds_per_million:.3} | {cpu_least:.3} – {cpu_most:.3} | {spans_per_second:.0} \
                 | {} | {} |\n",
                self.title,
                self.bytes,
                megabytes(*resident_bytes),
                megabytes(*peak_bytes)
            )
        };
        let collector = self.collector.as_ref().map(|cost| line("Collector", cost)).unwrap_or_default();
        line("faultline", &self.faultline) + &collector
    }
}

// === impl Cost ===

impl Cost {
    fn text(&self) -> String {
        format!(
            "{:.3} CPU-s/M ({:.3} – {:.3}), {:.0} k spans/s, {}",
            self.cpu_seconds_per_million,
            self.cpu_least,
            self.cpu_most,
            self.spans_per_second / 1000.0,
            megabytes(self.resident_bytes)
        )
    }
}

// === impl Added ===

impl Added {
    fn sentence(&self) -> String {
        let added = self.added(&self.faultline);
        let collector = self.collector.as_ref().map(|collector| self.added(collector));
        let collector = collector.map_or(String::new(), |added| format!("; the Collector {} ms", figure(added)));
        format!(
            "At {} spans a second the hop adds {} ms to the latency that 99 of 100 requests stay below{} (wanted {}){collector}.",
            self.spans_per_second,
            figure(added),
            missed(added <= ADDED_MILLIS_WANTED),
            format_args!("{ADDED_MILLIS_WANTED} ms"),
        )
    }

    fn table(&self) -> String {
        let mut text = format!(
            "{} spans a second at a constant rate; from the time when a request was due until it was answered, in milliseconds.\n\n\
             | | requests | half | 99 of 100 | longest | added to 99 of 100 |\n|---|---|---|---|---|---|\n",
            self.spans_per_second
        );
        let rows = [
            ("direct", Some(&self.direct)),
            ("faultline", Some(&self.faultline)),
            ("Collector", self.collector.as_ref()),
        ];
        for (name, quantiles) in rows {
            if let Some(quantiles) = quantiles {
                let Quantiles { requests, p50_millis, p99_millis, longest_millis } = quantiles;
                let added = self.added(quantiles);
                let _ = writeln!(
                    text,
                    "| {name} | {requests} | {p50_millis:.2} | {p99_millis:.2} | {longest_millis:.2} | {added:.2} |"
                );
            }
        }
        text
    }

    fn added(&self, to: &Quantiles) -> f64 {
        to.p99_millis - self.direct.p99_millis
    }
}

// === impl Storm ===

impl Storm {
    fn sentence(&self) -> String {
        let Self { webhooks, seconds, acknowledged, lost, latency, cpu_seconds, answers, date: _ } = self;
        let refused = if acknowledged == webhooks {
            String::new()
        } else {
            let answers: Vec<String> = answers.iter().map(|(code, count)| format!("{code}: {count}")).collect();
            format!(" ({})", answers.join(", "))
        };
        format!(
            "{webhooks} webhooks in {seconds:.0} s: {acknowledged} acknowledged{refused}, {lost} of these lost{}; acknowledged in {} ms, 99 \
             of 100 in {} ms{} (wanted {ACKNOWLEDGED_MILLIS_WANTED} ms), the longest in {} ms; {cpu_seconds:.1} s of CPU.",
            missed(*lost == 0),
            figure(latency.p50_millis),
            figure(latency.p99_millis),
            missed(latency.p99_millis <= ACKNOWLEDGED_MILLIS_WANTED),
            figure(latency.longest_millis),
        )
    }
}

// === impl Soak ===

impl Soak {
    fn sentence(&self) -> String {
        let Self {
            minutes,
            spans_in,
            spans_out,
            spans_marked,
            webhooks,
            webhooks_acknowledged,
            first_bytes,
            last_bytes,
            bytes_per_hour,
            date: _,
        } = self;
        format!(
            "{minutes} minutes with {spans_in} spans in, {spans_out} out{}, {spans_marked} of them marked, and {webhooks} webhooks, \
             {webhooks_acknowledged} of them acknowledged: memory grew by {:.1} MB an hour (from {} to {}).",
            missed(spans_in == spans_out),
            bytes_per_hour / 1e6,
            megabytes(*first_bytes),
            megabytes(*last_bytes)
        )
    }
}

/// As a fraction, and whether it is small enough.
fn judged(fraction: Option<f64>, wanted: Option<f64>) -> String {
    let Some(fraction) = fraction else { return "–".to_owned() };
    format!("1/{}{}", figure(fraction), missed(wanted.is_none_or(|wanted| fraction >= wanted)))
}

fn missed(is_reached: bool) -> &'static str {
    if is_reached { "" } else { " **(missed)**" }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}
