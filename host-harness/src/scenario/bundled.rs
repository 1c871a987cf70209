//! The scenario that the binary carries, so that there is something to see before there is anything to configure.

use include_dir::{Dir, include_dir};

/// The files of the bundled scenario. `build.rs` names the folder too, and watches it.
pub(super) static FILES: Dir<'static> =
    include_dir!("$CARGO_MANIFEST_DIR/../tests/scenarios/a_pagerduty_incident_marks_checkout_until_it_is_resolved");

/// What it is called where the folder's name would stand.
pub(super) const NAME: &str = "a_pagerduty_incident_marks_checkout_until_it_is_resolved";
