//! `wit/reference.md` is what `wit/*.wit` says.

use std::path::Path;

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

const HEADER: &str = "<!-- Generated from wit/*.wit: BLESS=1 cargo test --test wit_reference -->\n\n";

fn reference(wit: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit).expect("the WIT files parse");
    let world = resolve.select_world(&[package], Some("plugin")).expect("the world is called `plugin`");
    let mut files = Files::default();
    let mut generator = wit_bindgen_markdown::Opts::default().build();
    generator.generate(&mut resolve, world, &mut files).expect("the reference is generated");
    let (_, page) = files.iter().find(|(name, _)| name.ends_with(".md")).expect("one of the files is Markdown");
    let page = String::from_utf8(page.to_vec()).expect("Markdown is text");
    // The generator leaves space at line ends, and a paragraph's opening tag before each comment in a list.
    let lines: Vec<&str> = page.lines().map(|line| line.trim_end().trim_end_matches("<p>").trim_end()).collect();
    format!("{HEADER}{}\n", lines.join("\n").trim_end().replace("<p>", ""))
}

#[test]
fn the_reference_page_is_fresh() {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let page = wit.join("reference.md");
    let fresh = reference(&wit);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&page, &fresh).expect("wit/reference.md can be written");
    }
    let kept = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(kept == fresh, "wit/reference.md is stale: BLESS=1 cargo test --test wit_reference");
}

#[test]
fn every_type_and_function_is_documented() {
    let mut resolve = Resolve::default();
    resolve.push_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")).expect("the WIT files parse");
    for (_, interface) in resolve.interfaces.iter() {
        let name = interface.name.as_deref().unwrap_or("?");
        assert!(interface.docs.contents.is_some(), "interface {name} has no documentation");
        for (function, definition) in &interface.functions {
            assert!(definition.docs.contents.is_some(), "{name}.{function} has no documentation");
        }
    }
}
