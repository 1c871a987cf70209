//! Finds an incident by what people call it.

use crate::incident::Key;
use crate::state::View;

/// Candidates listed when a name fits several.
const CANDIDATES_MAX: usize = 10;

/// The incident that `name` means, among `views`: its id with its source, its id there, or its display reference.
///
/// # Errors
/// There is none, or there are several: these are listed.
pub(crate) fn find(name: &str, views: impl Iterator<Item = View>) -> Result<Key, String> {
    let mut candidates = Vec::new();
    for view in views {
        if view.key.to_string() == name {
            return Ok(view.key);
        }
        let display = view.snapshot.display.as_deref();
        // `#42` and `42` are one reference: `#` begins a comment in a shell.
        let displayed = display.is_some_and(|display| display == name || display.strip_prefix('#') == Some(name));
        if view.key.id == name || displayed {
            candidates.push((view.key.clone(), view.state_name(), view.snapshot.title.unwrap_or_default()));
        }
    }
    match candidates.as_slice() {
        [] => Err(format!("no incident is called `{}`", crate::text::clean(name, 128))),
        [(key, ..)] => Ok(key.clone()),
        several => {
            let listed: Vec<String> = several
                .iter()
                .take(CANDIDATES_MAX)
                .map(|(key, state, title)| format!("`{key}` ({state}) {title}").trim_end().to_owned())
                .collect();
            let more = several.len().saturating_sub(CANDIDATES_MAX);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            Err(format!("`{}` is ambiguous: {}{more}", crate::text::clean(name, 128), listed.join("; ")))
        }
    }
}
