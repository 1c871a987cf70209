//! What a running program takes, as Linux tells it.

use std::{fs, io, path::PathBuf, time::Duration};

/// A running program. Reads `/proc`: without Linux every reading is an error.
#[derive(Clone, Debug)]
pub struct Process {
    folder: PathBuf,
}

/// Memory that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes in memory now.
    pub resident: u64,
    /// The most that there were at a time.
    pub peak: u64,
}

/// Linux counts CPU time for programs in such parts on every machine (`USER_HZ`), whatever its own clock does.
const TICK: Duration = Duration::from_millis(10);
/// Of `stat`, counted from behind the name, which may hold anything: `utime` and `stime`.
const TICKS_USER: usize = 11;

// === impl Process ===

impl Process {
    /// The program with that number.
    #[must_use]
    pub fn of(id: u32) -> Self {
        Self { folder: PathBuf::from(format!("/proc/{id}")) }
    }

    /// CPU time of all its threads, those that ended included, in the kernel and outside; to 10 ms.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu(&self) -> io::Result<Duration> {
        let stat = fs::read_to_string(self.folder.join("stat"))?;
        let ticks = cpu_ticks(&stat).ok_or_else(|| io::Error::other(format!("unknown form of `stat`: {stat}")))?;
        Ok(TICK * ticks)
    }

    /// Its memory.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory(&self) -> io::Result<Memory> {
        let status = fs::read_to_string(self.folder.join("status"))?;
        let bytes = |name: &str| {
            kibibytes(&status, name)
                .map(|kibibytes| kibibytes * 1024)
                .ok_or_else(|| io::Error::other(format!("no `{name}` in `status`")))
        };
        Ok(Memory { resident: bytes("VmRSS")?, peak: bytes("VmHWM")? })
    }

    /// Files and sockets that are open.
    ///
    /// # Errors
    /// When it has ended, or is another user's.
    pub fn files(&self) -> io::Result<usize> {
        Ok(fs::read_dir(self.folder.join("fd"))?.count())
    }
}

fn cpu_ticks(stat: &str) -> Option<u32> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(TICKS_USER);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let stat = "7 (a ) S (b) R 1 7 7 0 -1 4194304 99 0 0 0 123 45 0 0 20 0 1 0 100 0 0";
        assert_eq!(cpu_ticks(stat), Some(168));
        assert_eq!(cpu_ticks("7 (short) R 1"), None);
    }

    #[test]
    fn memory_is_read_by_its_name() {
        let status = "Name:\tVmRSS\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!((kibibytes(status, "VmRSS"), kibibytes(status, "VmHWM")), (Some(1024), Some(2048)));
        assert_eq!(kibibytes(status, "VmSwap"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_program_uses_what_it_uses() {
        let this = Process::of(std::process::id());
        let before = this.cpu().unwrap();
        let started = std::time::Instant::now();
        let mut sum = 0_u64;
        while this.cpu().unwrap() < before + Duration::from_millis(50) {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(1));
            assert!(started.elapsed() < Duration::from_secs(60), "50 ms of CPU time are never reached");
        }
        let Memory { resident, peak } = this.memory().unwrap();
        assert!(1 << 20 < resident && resident <= peak, "{resident} of {peak}");
        let files = this.files().unwrap();
        let open = fs::File::open("/proc/self/stat").unwrap();
        assert!(files >= 3 && open.metadata().is_ok());
        assert!(Process::of(0).cpu().is_err(), "there is no such program");
    }
}
