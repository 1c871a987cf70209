//! What is timed on a batch.

mod prost;

use std::hint::black_box;

use faultline::plugin::{Build as _, Edits, Outcome, Plugin};
use faultline::selective::{Marked, Selective};
use faultline_annotator::otlp::applied;

use crate::builds::{Build, Builds};
use crate::case::{Case, NOW};
use crate::native::Native;
use prost::Prost;

/// One way to handle a batch.
pub(crate) trait Subject {
    /// Handles one batch.
    fn run(&mut self, batch: &[u8]);
}

/// A subject's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// Copies the batch: the least that any change costs, and the unit of the table.
    Memcpy,
    /// Decodes, adds what the plugin would add, encodes.
    Prost,
    /// The plugin.
    Plugin(Build, Way),
}

/// How a host uses the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The batch in, another batch out.
    Process,
    /// The batch in, edits out, which the host makes in memory that is kept.
    Edits,
    /// The batch in, attributes by the positions of items out, with which nothing is done here.
    Marks,
    /// As `Edits`, for the resources alone that `interest` says.
    Interest,
}

/// Copies into memory that is kept.
#[derive(Default)]
struct Memcpy {
    buffer: Vec<u8>,
}

struct Process {
    plugin: Box<dyn Plugin>,
    case: Case,
}

struct MakeEdits {
    plugin: Box<dyn Plugin>,
    case: Case,
    output: Vec<u8>,
}

struct Marks {
    plugin: Box<dyn Plugin>,
    case: Case,
}

struct Interest {
    plugin: Selective<Box<dyn Plugin>>,
    case: Case,
    output: Vec<u8>,
}

// === impl Name ===

impl Name {
    /// All, in the order in which they run.
    pub(crate) fn all() -> Vec<Self> {
        let plugins = Build::ALL.into_iter().flat_map(|build| Way::ALL.map(|way| Self::Plugin(build, way)));
        [Self::Memcpy, Self::Prost].into_iter().chain(plugins).collect()
    }

    /// The subject, and the way if it is a plugin.
    pub(crate) fn labels(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Memcpy => ("memcpy", None),
            Self::Prost => ("prost", None),
            Self::Plugin(build, way) => (build.name(), Some(way.name())),
        }
    }

    /// Ready to handle the batches of `case`.
    pub(crate) fn subject(self, builds: &Builds, case: &Case) -> anyhow::Result<Box<dyn Subject>> {
        Ok(match self {
            Self::Memcpy => Box::new(Memcpy::default()),
            Self::Prost => Box::new(Prost { signal: case.signal, situation: case.situation }),
            Self::Plugin(build, way) => {
                let mut plugin = build.plugin(builds)?;
                case.set_up(plugin.as_mut());
                let case = case.clone();
                match way {
                    Way::Process => Box::new(Process { plugin, case }),
                    Way::Edits => Box::new(MakeEdits { plugin, case, output: Vec::new() }),
                    Way::Marks => Box::new(Marks { plugin, case }),
                    Way::Interest => Box::new(Interest { plugin: Selective::new(plugin), case, output: Vec::new() }),
                }
            }
        })
    }
}

impl Build {
    fn plugin(self, builds: &Builds) -> anyhow::Result<Box<dyn Plugin>> {
        match self {
            Self::Native => Native.instantiate(),
            Self::Core => builds.core.instantiate(),
            Self::Component => builds.component.instantiate(),
        }
    }
}

// === impl Way ===

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::Process, Self::Edits, Self::Marks, Self::Interest];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Edits => "edits",
            Self::Marks => "marks",
            Self::Interest => "interest",
        }
    }
}

// === impl Memcpy ===

impl Subject for Memcpy {
    fn run(&mut self, batch: &[u8]) {
        self.buffer.clear();
        self.buffer.extend_from_slice(black_box(batch));
        black_box(&self.buffer);
    }
}

// === impl Process ===

impl Subject for Process {
    fn run(&mut self, batch: &[u8]) {
        let outcome = self.plugin.process(self.case.signal, black_box(batch), NOW).expect("no trap");
        assert_eq!(matches!(outcome, Outcome::Replaced(_)), self.case.situation.changes());
        black_box(outcome);
    }
}

// === impl MakeEdits ===

impl Subject for MakeEdits {
    fn run(&mut self, batch: &[u8]) {
        let answer = self.plugin.edits(self.case.signal, black_box(batch), NOW).expect("no trap");
        let Edits { edits, inserts } = answer.expect("readable");
        assert_eq!(!edits.is_empty(), self.case.situation.changes());
        if !edits.is_empty() {
            applied::apply(batch, &edits, &inserts, applied::RESULT_BYTES_MAX, &mut self.output)
                .expect("the edits fit their batch");
            black_box(&self.output);
        }
    }
}

// === impl Marks ===

impl Subject for Marks {
    fn run(&mut self, batch: &[u8]) {
        let marks = self.plugin.marks(self.case.signal, black_box(batch), NOW).expect("no trap").expect("readable");
        assert_eq!(!marks.items.is_empty(), self.case.situation.changes());
        black_box(marks);
    }
}

// === impl Interest ===

impl Subject for Interest {
    fn run(&mut self, batch: &[u8]) {
        let marked = self.plugin.mark(self.case.signal, black_box(batch), NOW, &mut self.output).expect("no trap");
        assert_eq!(marked == Marked::Replaced, self.case.situation.changes());
        black_box(&self.output);
    }
}
