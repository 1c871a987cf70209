//! What marking a batch costs, natively, beside copying it and beside decoding, changing and encoding it with `prost`.
//!
//! All subjects run in turn within one process, over batches that rotate, and medians over the rounds are compared: on a
//! shared machine the ratios hold where the microseconds do not.
//!
//! `cargo bench -p faultline-annotator -- 512-all process` measures the cases whose name has `512-all` in it, and of the
//! subjects `process` and the unit alone.

mod case;
mod measure;
mod report;
mod subject;

use case::Case;

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let (subjects, cases): (Vec<String>, Vec<String>) =
        words.into_iter().partition(|word| subject::NAMES.contains(&word.as_str()));
    let is_wanted = |case: &Case| cases.is_empty() || cases.iter().any(|part| case.name().contains(part));
    let wanted = Case::all().into_iter().filter(is_wanted);
    let rows: Vec<report::Row> = wanted.map(|case| measure::run(&case, &subjects)).collect();
    print!("{}", report::table(&rows));
    let path = report::write(&rows)?;
    println!("also in {}", path.display());
    Ok(())
}
