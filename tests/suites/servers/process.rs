//! A server that runs.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

use super::{PATIENCE, PAUSE, http};

/// How much of a log is printed: what happened last is what matters, and the rest of the test's output as well.
const LINES_OF_LOG: usize = 40;

/// A process that answers. It is killed when it is dropped.
pub(super) struct ServerProcess {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// The server could not listen because somebody else does.
#[derive(Debug)]
pub(super) struct AddressInUse;

// === impl ServerProcess ===

impl ServerProcess {
    /// Runs `command` until `GET <ready>` has status 200. What it prints goes into `folder`, behind what is there.
    ///
    /// # Errors
    /// If one of its addresses is in use.
    ///
    /// # Panics
    /// With its log, if it ends for another reason, or is not ready in time.
    pub(super) fn start(
        name: &'static str,
        mut command: Command,
        folder: &Path,
        ready: (SocketAddr, &str),
    ) -> Result<Self, AddressInUse> {
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log).expect("a log can be made");
        let printed_before = output.metadata().expect("it is a file").len();
        let errors = output.try_clone().expect("a file can be written by two");
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let mut process = Self { name, child, log };

        let began = Instant::now();
        let (address, path) = ready;
        while !http::get(address, path).is_ok_and(|answer| answer.status == 200) {
            if let Some(status) = process.child.try_wait().expect("a child can be waited for") {
                if process.log_from(printed_before).to_lowercase().contains("address already in use") {
                    return Err(AddressInUse);
                }
                panic!("{name} ended before it was ready ({status})");
            }
            assert!(began.elapsed() < PATIENCE, "{name} is not ready after {} s", PATIENCE.as_secs());
            thread::sleep(PAUSE);
        }
        Ok(process)
    }

    /// The number of the process, to read what it uses.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    pub(super) fn log(&self) -> String {
        self.log_from(0)
    }

    fn log_from(&self, offset: u64) -> String {
        let printed = fs::read(&self.log).unwrap_or_default();
        let from = usize::try_from(offset).expect("logs fit into memory").min(printed.len());
        String::from_utf8_lossy(&printed[from..]).into_owned()
    }

    /// Waits until it ends of its own accord.
    pub(super) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("a child can be waited for")
    }

    /// Ends it at once, as a crash would.
    pub(super) fn kill(&mut self) {
        // It may have ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LINES_OF_LOG)..];
            eprintln!("--- the last {} lines of {}:\n{}", shown.len(), self.name, shown.join("\n"));
        }
    }
}
