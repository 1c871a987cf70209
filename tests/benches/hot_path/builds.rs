//! The builds that are compared, compiled once.

use std::rc::Rc;

use faultline::guest::{Cache, EMBEDDED, GuestBuild, Limits};

use crate::core_host::CoreBuild;

/// The component and the core module; the annotator itself needs no compiling here.
pub(crate) struct Builds {
    pub(crate) component: GuestBuild,
    pub(crate) core: CoreBuild,
    /// The core module, with every instruction counted.
    pub(crate) metered: CoreBuild,
}

/// A build, as one of the table's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    Native,
    Core,
    Component,
}

// === impl Builds ===

impl Builds {
    pub(crate) fn compile() -> anyhow::Result<Rc<Self>> {
        let limits = Limits::default();
        Ok(Rc::new(Self {
            core: CoreBuild::new(limits.memory_bytes)?,
            metered: CoreBuild::metered(limits.memory_bytes)?,
            component: GuestBuild::new(EMBEDDED, limits, Cache::Off)?,
        }))
    }
}

// === impl Build ===

impl Build {
    pub(crate) const ALL: [Self; 3] = [Self::Native, Self::Core, Self::Component];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Core => "core",
            Self::Component => "component",
        }
    }
}
