//! The output of a script: read so that it never blocks, and all forgotten but its last line.

use alloc::string::String;
use alloc::vec::Vec;
use core::future::Future;
use std::io;
use std::process::Stdio;

use nix::fcntl::OFlag;
use tokio::net::unix::pipe;
use tokio::process::Command;

use super::Script;

/// Reads stdout and stderr of a command through one pipe, so that their lines keep their order.
#[derive(Debug)]
pub(super) struct Capture {
    /// `None` once all writers have closed it.
    pipe: Option<pipe::Receiver>,
    line: LastLine,
}

impl Capture {
    /// What is still in the pipe at the end is read up to this many bytes: something in the background may write
    /// without end.
    const MAX_REST: usize = 256 * 1024;

    /// Makes the pipe and gives its writing end to `command`.
    pub(super) fn attach(command: &mut Command) -> io::Result<Self> {
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        command
            .stdout(Stdio::from(writer.try_clone()?))
            .stderr(Stdio::from(writer));
        Ok(Self {
            pipe: Some(pipe::Receiver::from_owned_fd(reader)?),
            line: LastLine::default(),
        })
    }

    /// Reads until `other` is ready.
    pub(super) async fn read_during<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = core::pin::pin!(other);
        loop {
            let readable = async {
                match &self.pipe {
                    Some(pipe) => pipe.readable().await,
                    None => core::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                output = &mut other => return output,
                // An error shows at the read again.
                _ = readable => {
                    self.read_some();
                }
            }
        }
    }

    /// Reads what is left, and gives the last line that is not blank.
    pub(super) fn into_last_line(mut self) -> String {
        let mut read = 0;
        while read < Self::MAX_REST {
            match self.read_some() {
                0 => break,
                n => read += n,
            }
        }
        self.line.into_text()
    }

    /// Reads once without waiting; 0 if there is nothing.
    fn read_some(&mut self) -> usize {
        let mut buffer = [0; 4096];
        let Some(pipe) = &self.pipe else { return 0 };
        match pipe.try_read(&mut buffer) {
            Ok(n) if n > 0 => {
                self.line.push(&buffer[..n]);
                n
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            _ => {
                self.pipe = None;
                0
            }
        }
    }
}

/// The last line that is not blank, and the line that is being written; both cut.
#[derive(Debug, Default)]
struct LastLine {
    complete: Vec<u8>,
    current: Vec<u8>,
}

impl LastLine {
    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.end_line();
            } else if self.current.len() < Script::MAX_MESSAGE {
                self.current.push(byte);
            }
        }
    }

    fn end_line(&mut self) {
        if !self.current.trim_ascii().is_empty() {
            core::mem::swap(&mut self.complete, &mut self.current);
        }
        self.current.clear();
    }

    /// Gives it for a person: without blanks around, control characters and bytes that are not UTF-8 replaced.
    fn into_text(mut self) -> String {
        self.end_line();
        let text = String::from_utf8_lossy(self.complete.trim_ascii());
        let mut text: String = text
            .chars()
            .map(|c| {
                if c.is_control() {
                    char::REPLACEMENT_CHARACTER
                } else {
                    c
                }
            })
            .collect();
        while text.len() > Script::MAX_MESSAGE {
            text.pop();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_is_not_blank_is_kept_wherever_the_reads_are_cut() {
        let output = b"first\nsecond line  \n\n  \n";
        for cut in 0..output.len() {
            let mut line = LastLine::default();
            line.push(&output[..cut]);
            line.push(&output[cut..]);
            assert_eq!(line.into_text(), "second line");
        }
    }

    #[test]
    fn a_line_without_an_end_counts() {
        assert_eq!(text(b"a\nb"), "b");
        assert_eq!(text(b""), "");
    }

    #[test]
    fn memory_and_message_are_bounded() {
        let mut line = LastLine::default();
        for _ in 0..1000 {
            line.push(&[b'x'; 4096]);
        }
        assert!(line.current.capacity() < 1024);
        assert_eq!(line.into_text().len(), Script::MAX_MESSAGE);
        // Each bad byte becomes three.
        assert!(text(&[0xff; 4096]).len() <= Script::MAX_MESSAGE);
    }

    #[test]
    fn nothing_that_could_tear_a_log_passes() {
        assert_eq!(text(b"a\x1b[31mb\r\n"), "a\u{fffd}[31mb");
        assert_eq!(text(b"\xc3\xa9\xff"), "\u{e9}\u{fffd}");
    }

    fn text(output: &[u8]) -> String {
        let mut line = LastLine::default();
        line.push(output);
        line.into_text()
    }
}
