//! Memory for requests: bounded as a whole, and used again.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What all requests together may hold.
#[derive(Debug)]
pub struct Budget {
    held: AtomicUsize,
    capacity: usize,
}

/// A part of a budget that is taken bit by bit, for memory of no pool. It goes back when this is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

/// Buffers of one worker that are not in use.
#[derive(Debug)]
pub struct Buffers {
    budget: Arc<Budget>,
    free: Mutex<Vec<Vec<u8>>>,
}

/// A buffer that counts against the budget and goes back to its pool.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    counted: usize,
    buffers: Arc<Buffers>,
}

/// The budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent;

/// Buffers that one worker keeps, and the largest that it does: at most 32 MiB.
const KEPT: usize = 16;
const KEPT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Sizes of larger buffers are multiples of this.
const STEP: usize = 64 * 1024;

// === impl Budget ===

impl Budget {
    /// A budget of `capacity` bytes.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { held: AtomicUsize::new(0), capacity }
    }

    /// Bytes that are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Bytes that may be held.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    fn take(&self, bytes: usize) -> Result<(), Spent> {
        let within = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= self.capacity);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).map(|_| ()).map_err(|_| Spent)
    }

    fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

// === impl Spent ===

impl fmt::Display for Spent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("requests under way hold as much as they may")
    }
}

impl Error for Spent {}

// === impl Share ===

impl Share {
    /// Nothing of a budget as yet.
    #[must_use]
    pub fn new(budget: Arc<Budget>) -> Self {
        Self { budget, bytes: 0 }
    }

    /// Takes `bytes` more.
    ///
    /// # Errors
    /// When the budget does not have so much left.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Spent> {
        self.budget.take(bytes)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

// === impl Buffers ===

impl Buffers {
    /// An empty pool.
    #[must_use]
    pub fn new(budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self { budget, free: Mutex::new(Vec::new()) })
    }

    /// Bytes that may be held by all pools together.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.budget.capacity()
    }

    /// An empty buffer with room for `bytes`.
    ///
    /// # Errors
    /// When the budget does not have so much left.
    pub fn get(self: &Arc<Self>, bytes: usize) -> Result<Buffer, Spent> {
        self.budget.take(bytes)?;
        let kept = self.take_free(bytes).unwrap_or_else(|| Vec::with_capacity(rounded(bytes)));
        Ok(Buffer { bytes: kept, counted: bytes, buffers: self.clone() })
    }

    /// The smallest that has the room; of several the one that was used last, which is still close to the processor. Where
    /// none has, the largest makes way for the new one: to let it grow would be to copy what it held before.
    fn take_free(&self, bytes: usize) -> Option<Vec<u8>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = free.iter().enumerate().rev().filter(|(_, buffer)| buffer.capacity() >= bytes);
        if let Some((place, _)) = fitting.min_by_key(|(_, buffer)| buffer.capacity()) {
            return Some(free.remove(place));
        }
        let (place, _) = free.iter().enumerate().max_by_key(|(_, buffer)| buffer.capacity())?;
        free.remove(place);
        None
    }
}

/// Batches of one sender differ a little: one buffer is to do for all of them.
fn rounded(bytes: usize) -> usize {
    if bytes < STEP { bytes.next_power_of_two() } else { bytes.checked_next_multiple_of(STEP).unwrap_or(bytes) }
}

// === impl Buffer ===

impl Buffer {
    /// Adds bytes.
    ///
    /// # Errors
    /// When the budget does not have so much left.
    pub fn extend(&mut self, more: &[u8]) -> Result<(), Spent> {
        self.count(self.bytes.len().saturating_add(more.len()))?;
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    /// Makes room for `bytes` in all.
    ///
    /// # Errors
    /// When the budget does not have so much left.
    pub fn count(&mut self, bytes: usize) -> Result<(), Spent> {
        if bytes > self.counted {
            // Ahead of what is needed now, or every few bytes would be an atomic addition of their own.
            let ahead = bytes.max(self.counted.saturating_mul(2)).max(4096);
            let more = match self.buffers.budget.take(ahead - self.counted) {
                Ok(()) => ahead - self.counted,
                Err(Spent) => {
                    self.buffers.budget.take(bytes - self.counted)?;
                    bytes - self.counted
                }
            };
            self.counted += more;
        }
        Ok(())
    }

    /// The vector itself, for writers that bring their own bound; [`Self::settle`] counts what it has grown to.
    pub fn vec(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Counts what was written through [`Self::vec`].
    ///
    /// # Errors
    /// When the budget does not have so much left.
    pub fn settle(&mut self) -> Result<(), Spent> {
        self.count(self.bytes.len())
    }

    /// What is in it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.buffers.budget.give_back(self.counted);
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() > KEPT_BYTES_MAX {
            return;
        }
        bytes.clear();
        let mut free = self.buffers.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_held_than_the_budget_has_and_all_of_it_comes_back() {
        let budget = Arc::new(Budget::new(10_000));
        let buffers = Buffers::new(budget.clone());
        let mut first = buffers.get(4000).unwrap();
        first.extend(&[0; 6000]).unwrap();
        assert_eq!(first.bytes().len(), 6000);
        assert!(budget.held() >= 6000);
        let mut second = buffers.get(1000).unwrap();
        assert_eq!(second.extend(&[0; 9000]), Err(Spent));
        assert!(buffers.get(9000).is_err());
        drop((first, second));
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn memory_is_used_again_unless_it_is_much() {
        let buffers = Buffers::new(Arc::new(Budget::new(usize::MAX / 2)));
        let mut buffer = buffers.get(100).unwrap();
        buffer.extend(&[1; 100]).unwrap();
        let place = buffer.bytes().as_ptr();
        drop(buffer);
        let buffer = buffers.get(50).unwrap();
        assert!(buffer.bytes().is_empty());
        assert_eq!(buffer.bytes().as_ptr(), place);
        drop(buffers.get(KEPT_BYTES_MAX + 1).unwrap());
        let large = |buffers: &Buffers| {
            buffers.free.lock().unwrap().iter().filter(|buffer| buffer.capacity() > KEPT_BYTES_MAX).count()
        };
        assert_eq!(large(&buffers), 0);
    }

    #[test]
    fn a_buffer_that_is_too_small_makes_way_and_the_smallest_that_fits_is_taken() {
        let buffers = Buffers::new(Arc::new(Budget::new(usize::MAX / 2)));
        let capacities = |buffers: &Buffers| {
            let mut capacities: Vec<usize> = buffers.free.lock().unwrap().iter().map(Vec::capacity).collect();
            capacities.sort_unstable();
            capacities
        };
        drop((buffers.get(100).unwrap(), buffers.get(STEP + 1).unwrap(), buffers.get(5 * STEP).unwrap()));
        assert_eq!(capacities(&buffers), [128, 2 * STEP, 5 * STEP]);
        let second = buffers.get(STEP).unwrap();
        assert_eq!(capacities(&buffers), [128, 5 * STEP]);
        let larger = buffers.get(6 * STEP).unwrap();
        assert_eq!(capacities(&buffers), [128]);
        drop((second, larger));
        assert_eq!(capacities(&buffers), [128, 2 * STEP, 6 * STEP]);
    }
}
