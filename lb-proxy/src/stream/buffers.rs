//! The buffers of a worker's connections, which hold one only while bytes are on their way.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// How much is read at once, and how much of a direction waits for a slow reader at the most.
pub(super) const SIZE: usize = 64 * 1024;
/// How many free buffers a thread keeps: what a busy one has out at a time, more or less.
const KEPT: usize = 32;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of [`SIZE`] bytes, which goes back to the thread that drops it.
#[derive(Debug)]
pub(super) struct Buffer(Box<[u8]>);

impl Buffer {
    pub(super) fn take() -> Self {
        let free = FREE.with_borrow_mut(Vec::pop);
        Self(free.unwrap_or_else(|| vec![0; SIZE].into_boxed_slice()))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        // At the end of a thread there is nothing to give it back to.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(buffer);
            }
        });
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_number_is_kept() {
        let out: Vec<_> = (0..KEPT + 5).map(|_| Buffer::take()).collect();
        assert!(out.iter().all(|buffer| buffer.len() == SIZE));
        drop(out);
        assert_eq!(FREE.with_borrow(Vec::len), KEPT);
        let again = Buffer::take();
        assert_eq!((FREE.with_borrow(Vec::len), again.len()), (KEPT - 1, SIZE));
    }
}
