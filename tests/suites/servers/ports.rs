//! Ports that nobody listens on.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

use super::process::{AddressInUse, ServerProcess};

/// Between asking for a port and listening on it somebody else may take it; that it happens so often is no accident.
const TRIES: usize = 5;

/// Ports that this process has given away, so that tests beside one another get different ones.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Starts a server on free ports, and on others if one of them was taken meanwhile.
///
/// # Panics
/// If that goes on.
pub(super) fn start_on_free_ports<const N: usize>(
    mut start: impl FnMut(&[SocketAddr; N]) -> Result<ServerProcess, AddressInUse>,
) -> ([SocketAddr; N], ServerProcess) {
    for _ in 0..TRIES {
        let addresses = free();
        if let Ok(process) = start(&addresses) {
            return (addresses, process);
        }
    }
    panic!("each of {TRIES} times another process took a port that was free before");
}

fn free<const N: usize>() -> [SocketAddr; N] {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    // All are held until the last is found: a port that is let go may come again.
    let mut held = Vec::new();
    std::array::from_fn(|_| {
        loop {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the machine has a free port");
            let address = listener.local_addr().expect("it listens");
            held.push(listener);
            if given.insert(address.port()) {
                return address;
            }
        }
    })
}
