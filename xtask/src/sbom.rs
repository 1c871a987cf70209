//! The list of parts (SBOM) of the program, in CycloneDX 1.5: who asks what a new advisory concerns reads this.
//!
//! Source: OWASP CycloneDX, JSON reference 1.5. Serial number and time, which are optional there, are left out: they would
//! differ each time.

use anyhow::Context;
use serde_json::{Value, json};

use crate::packages::{Package, Packages};

/// The list, for a program of this version.
///
/// # Errors
/// When the program is not among the packages.
pub fn of(packages: &Packages, program: &str) -> anyhow::Result<Value> {
    let is_program = |package: &&Package| package.name == program && package.source.is_none();
    let root = packages.values().find(is_program).with_context(|| format!("`{program}` is not among its own parts"))?;
    let reference = |id: &String| packages.get(id).map(url);
    let components: Vec<Value> = packages.values().filter(|package| *package != root).map(component).collect();
    let dependencies: Vec<Value> = packages
        .values()
        .map(|package| {
            let on: Vec<String> = package.dependencies.iter().filter_map(reference).collect();
            json!({ "ref": url(package), "dependsOn": on })
        })
        .collect();
    let mut application = component(root);
    application["type"] = json!("application");
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": application },
        "components": components,
        "dependencies": dependencies,
    }))
}

fn component(package: &Package) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": url(package),
        "name": package.name,
        "version": package.version,
        "purl": url(package),
    });
    if let Some(licence) = &package.licence {
        // Old packages separate alternatives by a slash, which is no SPDX.
        component["licenses"] = json!([{ "expression": licence.replace('/', " OR ") }]);
    }
    if let Some(checksum) = &package.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

/// The package as a URL: who and which, for every tool the same.
fn url(package: &Package) -> String {
    // A plus sign would be a space.
    format!("pkg:cargo/{}@{}", package.name, package.version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::packages::{reached, tests};

    #[test]
    fn every_part_is_named_once_and_every_dependency_is_a_part() {
        let packages = reached(&tests::metadata(), tests::LOCK, &["program"]).unwrap();
        let sbom = of(&packages, "program").unwrap();
        assert_eq!(sbom["metadata"]["component"]["purl"], "pkg:cargo/program@1.0.0");
        let parts = sbom["components"].as_array().unwrap();
        assert_eq!(parts[0]["hashes"], json!([{ "alg": "SHA-256", "content": "00aa" }]));
        let mut names: BTreeSet<&str> = parts.iter().filter_map(|part| part["bom-ref"].as_str()).collect();
        assert_eq!(names.len(), parts.len());
        names.insert("pkg:cargo/program@1.0.0");
        let dependencies = sbom["dependencies"].as_array().unwrap();
        assert_eq!(dependencies.len(), names.len());
        for dependency in dependencies {
            let on = dependency["dependsOn"].as_array().unwrap();
            assert!(
                on.iter().chain([&dependency["ref"]]).all(|name| names.contains(name.as_str().unwrap())),
                "{dependency}"
            );
        }
        assert!(of(&packages, "a").is_err());
    }
}
