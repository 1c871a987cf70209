//! What to measure, and how long.

use std::time::Duration;

/// The command line. What cargo adds itself is left out.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    /// Parts of names; a case with one of them in its name is measured, all where there is none.
    parts: Vec<String>,
    pub(crate) effort: Effort,
    pub(crate) webhooks: bool,
    pub(crate) soak_minutes: Option<u64>,
}

/// How long things are measured.
#[derive(Clone, Debug)]
pub(crate) struct Effort {
    pub(crate) is_quick: bool,
    /// Of the programs in turn, beside one before them that is not counted.
    pub(crate) rounds: usize,
    /// How long a program is under load in each round. Linux counts CPU time in hundredths of a second.
    pub(crate) round: Duration,
    pub(crate) latency_rounds: usize,
    pub(crate) latency_round: Duration,
    pub(crate) webhooks: u64,
    pub(crate) webhook_seconds: f64,
}

// === impl Arguments ===

impl Arguments {
    pub(crate) fn of_this_program() -> anyhow::Result<Self> {
        let mut found = Self { parts: Vec::new(), effort: Effort::whole(), webhooks: false, soak_minutes: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // From cargo.
                "--bench" => {}
                "--quick" => found.effort = Effort::quick(),
                "--webhooks" => found.webhooks = true,
                "--soak" => {
                    let minutes = arguments.next().and_then(|minutes| minutes.parse().ok());
                    let minutes = minutes.filter(|minutes| *minutes > 0);
                    found.soak_minutes =
                        Some(minutes.ok_or_else(|| anyhow::anyhow!("--soak needs minutes, at least 1"))?);
                }
                flag if flag.starts_with('-') => {
                    anyhow::bail!("unknown: {flag}; there are --quick, --webhooks and --soak MINUTES")
                }
                part => found.parts.push(part.to_owned()),
            }
        }
        Ok(found)
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|part| name.contains(part))
    }

    /// Whether some of what belongs together was left out.
    pub(crate) fn is_partial(&self) -> bool {
        !self.parts.is_empty()
    }
}

// === impl Effort ===

impl Effort {
    fn whole() -> Self {
        Self {
            is_quick: false,
            rounds: 9,
            round: Duration::from_secs(3),
            latency_rounds: 3,
            latency_round: Duration::from_secs(20),
            webhooks: 10_000,
            webhook_seconds: 60.0,
        }
    }

    /// Enough to see whether something became twice as slow.
    fn quick() -> Self {
        Self {
            is_quick: true,
            rounds: 2,
            round: Duration::from_secs(1),
            latency_rounds: 1,
            latency_round: Duration::from_secs(5),
            webhooks: 1000,
            webhook_seconds: 6.0,
        }
    }
}
