//! Reading what a program prints, without ever holding more of it than its bounds allow.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The end of standard error that is kept for the stack of a failure.
const TAIL_BYTES: usize = 8 << 10;

/// The lines of the tail that a stack has at most.
const TAIL_LINES: usize = 50;

/// Read from a pipe at a time: what the kernel holds at most by default.
const CHUNK: usize = 64 << 10;

/// Standard output, line by line.
pub(super) struct Lines<R> {
    pipe: R,
    buffer: BytesMut,
    /// What of the buffer is known to hold no line break.
    scanned: usize,
    max_line: usize,
    /// Read since the job began.
    total: u64,
}

/// What came of waiting for a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Line(BytesMut),
    TooLong,
    Closed,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(pipe: R, max_line: usize) -> Self {
        Self { pipe, buffer: BytesMut::new(), scanned: 0, max_line, total: 0 }
    }

    /// The next line, without its end. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> io::Result<Next> {
        loop {
            if let Some(line) = self.whole_line() {
                return Ok(if line.len() > self.max_line { Next::TooLong } else { Next::Line(line) });
            }
            if self.buffer.len() > self.max_line {
                return Ok(Next::TooLong);
            }
            if self.fill().await? == 0 {
                let rest = self.buffer.split();
                self.scanned = 0;
                return Ok(if rest.is_empty() { Next::Closed } else { Next::Line(rest) });
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(CHUNK.min(self.max_line + 1));
        let read = self.pipe.read_buf(&mut self.buffer).await?;
        self.total += read as u64;
        Ok(read)
    }

    fn whole_line(&mut self) -> Option<BytesMut> {
        let Some(at) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) else {
            self.scanned = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.scanned + at);
        self.buffer.advance(1);
        self.scanned = 0;
        Some(line)
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn begin_job(&mut self) {
        self.total = self.buffer.len() as u64;
    }
}

/// Standard error, of which only the end is kept.
pub(super) struct Tail<R> {
    pipe: R,
    kept: Vec<u8>,
    total: u64,
}

impl<R: AsyncRead + Unpin> Tail<R> {
    pub(super) fn new(pipe: R) -> Self {
        Self { pipe, kept: Vec::new(), total: 0 }
    }

    /// Reads what there is, and says whether more may come. Nothing is lost when the future is dropped.
    pub(super) async fn pump(&mut self) -> bool {
        let read = self.pipe.read_buf(&mut self.kept).await.unwrap_or(0);
        self.total += read as u64;
        if self.kept.len() > 2 * TAIL_BYTES {
            self.kept.drain(..self.kept.len() - TAIL_BYTES);
        }
        read > 0
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn begin_job(&mut self) {
        self.total = 0;
        self.kept.clear();
    }

    /// The last of what was said, as text.
    pub(super) fn text(&self) -> String {
        let from = self.kept.len().saturating_sub(TAIL_BYTES);
        String::from_utf8_lossy(&self.kept[from..]).into_owned()
    }
}

/// The last lines of `text`, for a stack.
pub(super) fn stack(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(text: &[u8], max_line: usize) -> Vec<Next> {
        let mut lines = Lines::new(text, max_line);
        let mut all = Vec::new();
        loop {
            let next = lines.next().await.unwrap();
            let is_over = !matches!(next, Next::Line(_));
            all.push(next);
            if is_over {
                return all;
            }
        }
    }

    #[tokio::test]
    async fn lines_are_read_whole_and_the_last_needs_no_end() {
        let line = |text: &str| Next::Line(BytesMut::from(text));
        assert_eq!(all(b"a\n\nbc", 10).await, [line("a"), line(""), line("bc"), Next::Closed]);
        assert_eq!(all(b"", 10).await, [Next::Closed]);
    }

    #[tokio::test]
    async fn a_line_beyond_its_bound_is_not_kept() {
        assert_eq!(all(b"12345\n123456\n", 5).await, [Next::Line(BytesMut::from("12345")), Next::TooLong]);
        assert_eq!(all(&[b'x'; 1 << 20], 1000).await, [Next::TooLong]);
    }

    #[tokio::test]
    async fn only_the_end_of_standard_error_is_kept() {
        let text = format!("{}\nlast\n", "x".repeat(100_000));
        let mut tail = Tail::new(text.as_bytes());
        while tail.pump().await {}
        assert_eq!((tail.total(), tail.text().len()), (100_006, TAIL_BYTES));
        assert_eq!(stack(&tail.text()).last().unwrap(), "last");
    }
}
