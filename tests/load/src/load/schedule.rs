//! Whose turn it is, and since when.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, mpsc};

use super::{Length, Pace};

/// Hands out requests to the workers.
pub(super) struct Schedule {
    started: Instant,
    turns: Turns,
}

/// A request that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) index: u64,
    /// Since when.
    pub(super) due: Instant,
}

enum Turns {
    /// Whenever a worker asks.
    Asked { next: AtomicU64, length: Length },
    /// From a thread that sleeps until each is due: the runtime's timer has a resolution of a millisecond only.
    Timed(Mutex<mpsc::UnboundedReceiver<Turn>>),
}

// === impl Schedule ===

impl Schedule {
    pub(super) fn begin(pace: Pace, length: Length) -> io::Result<Self> {
        let started = Instant::now();
        let turns = match pace {
            Pace::Saturate => Turns::Asked { next: AtomicU64::new(0), length },
            Pace::PerSecond(rate) => Turns::Timed(Mutex::new(timed(started, rate, length)?)),
        };
        Ok(Self { started, turns })
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// None when it is time to stop.
    pub(super) async fn next(&self) -> Option<Turn> {
        match &self.turns {
            Turns::Asked { next, length } => {
                let turn = Turn { index: next.fetch_add(1, Ordering::Relaxed), due: Instant::now() };
                let is_over = match *length {
                    Length::Requests(count) => turn.index >= count,
                    Length::Time(time) => turn.due.duration_since(self.started) >= time,
                };
                (!is_over).then_some(turn)
            }
            Turns::Timed(turns) => turns.lock().await.recv().await,
        }
    }
}

/// Turns at a constant rate. The thread ends after the last, or when nobody takes them.
fn timed(started: Instant, rate: f64, length: Length) -> io::Result<mpsc::UnboundedReceiver<Turn>> {
    let interval = Duration::try_from_secs_f64(1.0 / rate).map_err(io::Error::other)?;
    let count = match length {
        Length::Requests(count) => count,
        Length::Time(time) => (time.as_secs_f64() * rate).floor() as u64,
    };
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::Builder::new().name("pace".to_owned()).spawn(move || {
        for index in 0..count {
            let due = started + interval.mul_f64(index as f64);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if sender.send(Turn { index, due }).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}
