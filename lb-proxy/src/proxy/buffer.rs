//! Read buffers, which belong to a worker and are lent to connections that have something to read.

/// Room for the head of a usual request.
pub(super) const SMALL: usize = 4 * 1024;
/// Room for bodies, and for the greatest head.
pub(super) const LARGE: usize = 64 * 1024;
/// How many of either size a worker keeps when nobody uses them.
const KEPT: usize = 64;

/// Bytes that were read and not yet used, and room for more. Without room it is empty, and costs nothing.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// What has been read and not consumed.
    pub(super) fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(super) const fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Room to read into; none if there is no buffer, or if it is full of data.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.bytes.len() && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.bytes[self.end..]
    }

    /// `read` bytes of the room hold data now.
    pub(super) fn fill(&mut self, read: usize) {
        self.end += read;
        debug_assert!(self.end <= self.bytes.len());
    }

    /// The first `length` bytes of the data have been used.
    pub(super) fn consume(&mut self, length: usize) {
        self.start += length;
        debug_assert!(self.start <= self.end);
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

/// The buffers that a worker keeps, the last used first: it is the one that is still in the cache.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    small: Vec<Box<[u8]>>,
    large: Vec<Box<[u8]>>,
}

impl Buffers {
    /// Gives `buffer` room for at least `size` bytes, [`SMALL`] or [`LARGE`], and keeps its data.
    pub(super) fn provide(&mut self, buffer: &mut Buffer, size: usize) {
        if buffer.capacity() >= size {
            return;
        }
        let size = if size <= SMALL { SMALL } else { LARGE };
        let kept = if size == SMALL {
            self.small.pop()
        } else {
            self.large.pop()
        };
        let mut bytes = kept.unwrap_or_else(|| vec![0; size].into_boxed_slice());
        let length = buffer.len();
        bytes[..length].copy_from_slice(buffer.data());
        self.take_back(std::mem::replace(
            buffer,
            Buffer {
                bytes,
                start: 0,
                end: length,
            },
        ));
    }

    /// Takes the room of a buffer whose data nobody needs any more.
    pub(super) fn take_back(&mut self, buffer: Buffer) {
        let kept = match buffer.capacity() {
            SMALL => &mut self.small,
            LARGE => &mut self.large,
            _ => return,
        };
        if kept.len() < KEPT {
            kept.push(buffer.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_survives_a_larger_buffer_and_is_moved_to_make_room() {
        let (mut buffers, mut buffer) = (Buffers::default(), Buffer::default());
        assert!(buffer.room().is_empty());
        buffers.provide(&mut buffer, 1);
        assert_eq!(buffer.room().len(), SMALL);
        buffer.room().copy_from_slice(&[7; SMALL]);
        buffer.fill(SMALL);
        assert!(buffer.room().is_empty());
        buffer.consume(SMALL - 2);
        assert_eq!(buffer.room().len(), SMALL - 2);
        assert_eq!(buffer.data(), [7, 7]);
        buffers.provide(&mut buffer, LARGE);
        assert_eq!(buffer.data(), [7, 7]);
        assert_eq!(buffer.room().len(), LARGE - 2);
        assert_eq!((buffers.small.len(), buffers.large.len()), (1, 0));
        buffers.take_back(buffer);
        assert_eq!(buffers.large.len(), 1);
    }

    #[test]
    fn a_worker_keeps_no_more_than_so_many() {
        let mut buffers = Buffers::default();
        let used: Vec<_> = (0..KEPT + 9)
            .map(|_| {
                let mut buffer = Buffer::default();
                buffers.provide(&mut buffer, SMALL);
                buffer
            })
            .collect();
        used.into_iter().for_each(|buffer| buffers.take_back(buffer));
        assert_eq!(buffers.small.len(), KEPT);
        buffers.take_back(Buffer::default());
        assert_eq!(buffers.small.len(), KEPT);
    }
}
