//! What a batch costs inside the guest: memory, and instructions. Both are the same in every run.

use faultline::plugin::{Edits, Outcome, Plugin};

use crate::builds::Builds;
use crate::case::{Case, NOW};
use crate::report::GuestCost;

/// Memory of the component after all batches of the case, once by `process` and once by `edits`, and fuel for each item.
pub(crate) fn measure(builds: &Builds, case: &Case, batches: &[Vec<u8>]) -> anyhow::Result<GuestCost> {
    let mut processing = builds.component.guest()?;
    case.set_up(&mut processing);
    let mut editing = builds.component.guest()?;
    case.set_up(&mut editing);
    for batch in batches {
        process(&mut processing, case, batch)?;
        edits(&mut editing, case, batch)?;
    }
    let mut metered = builds.metered.plugin()?;
    case.set_up(&mut metered);
    let mut fuel = |run: fn(&mut dyn Plugin, &Case, &[u8]) -> anyhow::Result<()>| {
        let before = metered.fuel_used();
        batches.iter().try_for_each(|batch| run(&mut metered, case, batch))?;
        anyhow::Ok((metered.fuel_used() - before) / (batches.len() * case.items) as u64)
    };
    Ok(GuestCost {
        process_bytes: processing.memory_bytes(),
        edits_bytes: editing.memory_bytes(),
        process_fuel: fuel(process)?,
        edits_fuel: fuel(edits)?,
        marks_fuel: fuel(marks)?,
    })
}

fn process(plugin: &mut dyn Plugin, case: &Case, batch: &[u8]) -> anyhow::Result<()> {
    let _: Outcome = plugin.process(case.signal, batch, NOW)?;
    Ok(())
}

fn edits(plugin: &mut dyn Plugin, case: &Case, batch: &[u8]) -> anyhow::Result<()> {
    let _: Edits = plugin.edits(case.signal, batch, NOW)?.map_err(anyhow::Error::msg)?;
    Ok(())
}

fn marks(plugin: &mut dyn Plugin, case: &Case, batch: &[u8]) -> anyhow::Result<()> {
    plugin.marks(case.signal, batch, NOW)?.map_err(anyhow::Error::msg)?;
    Ok(())
}
