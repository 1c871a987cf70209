//! What a program needs to run, read from its head: an image holds nothing but the program.

use anyhow::{Context, bail};

/// A 64-bit program for Linux: where its table of segments is, and how it is written.
const MAGIC: &[u8; 4] = b"\x7fELF";
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
/// A segment that names the loader of shared libraries.
const INTERPRETER: u32 = 3;
/// Machines, by their number in the head and their name in images.
const MACHINES: [(u16, &str); 2] = [(62, "amd64"), (183, "arm64")];

/// The architecture of a program that needs no shared library, as images call it.
///
/// # Errors
/// When it needs some, or is no such program.
pub fn architecture(bytes: &[u8]) -> anyhow::Result<&'static str> {
    if !bytes.starts_with(MAGIC) || bytes.get(4) != Some(&CLASS_64) || bytes.get(5) != Some(&LITTLE_ENDIAN) {
        bail!("it is no 64-bit program for Linux");
    }
    let machine = u16::from_le_bytes(at(bytes, 18)?);
    let (_, name) = MACHINES
        .iter()
        .find(|(number, _)| *number == machine)
        .with_context(|| format!("machine {machine} is unknown"))?;
    let table = usize::try_from(u64::from_le_bytes(at(bytes, 32)?)).context("its head is broken")?;
    let size = usize::from(u16::from_le_bytes(at(bytes, 54)?));
    let count = usize::from(u16::from_le_bytes(at(bytes, 56)?));
    for segment in 0..count {
        let place =
            size.checked_mul(segment).and_then(|offset| table.checked_add(offset)).context("its head is broken")?;
        if u32::from_le_bytes(at(bytes, place)?) == INTERPRETER {
            bail!("it needs shared libraries, which the image would have to bring: build it for a `-musl` target");
        }
    }
    Ok(name)
}

fn at<const N: usize>(bytes: &[u8], place: usize) -> anyhow::Result<[u8; N]> {
    let found = place.checked_add(N).and_then(|end| bytes.get(place..end));
    found.and_then(|found| found.try_into().ok()).context("it is cut short")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head with segments of these kinds.
    fn program(machine: u16, segments: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..4].copy_from_slice(MAGIC);
        (bytes[4], bytes[5]) = (CLASS_64, LITTLE_ENDIAN);
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = u8::try_from(segments.len()).unwrap();
        for kind in segments {
            let mut segment = [0; 56];
            segment[..4].copy_from_slice(&kind.to_le_bytes());
            bytes.extend(segment);
        }
        bytes
    }

    #[test]
    fn a_static_program_is_told_by_its_architecture() {
        assert_eq!(architecture(&program(62, &[1, 1, 7])).unwrap(), "amd64");
        assert_eq!(architecture(&program(183, &[1])).unwrap(), "arm64");
    }

    #[test]
    fn what_needs_shared_libraries_or_is_no_program_is_refused() {
        let refused = |bytes: &[u8]| architecture(bytes).unwrap_err().to_string();
        assert!(refused(&program(62, &[1, 3])).contains("shared libraries"));
        assert!(refused(&program(8, &[1])).contains("machine 8"));
        assert!(refused(&program(62, &[1, 1])[..64]).contains("cut short"));
        assert!(refused(b"#!/bin/sh\n").contains("no 64-bit program"));
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(cfg!(not(all(target_os = "linux", target_env = "gnu"))) || refused(&own).contains("shared libraries"));
    }
}
