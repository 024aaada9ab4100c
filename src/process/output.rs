//! A worker's standard output, line by line, with bounded memory.

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::protocol::WorkerLine;

/// The longest line of the protocol, in bytes. An evaluation of a task with a
/// hundred classes is about 40 KB.
const LINE_MAX: usize = 1 << 20;
/// Characters of a wrong line that are quoted.
const QUOTE_MAX: usize = 80;

/// What a worker sent.
#[derive(Debug, PartialEq)]
pub(crate) enum WorkerOutput {
    /// A line of the protocol.
    Line(Box<WorkerLine>),
    /// Something else; the text says what.
    Garbage(String),
}

/// A reader of lines. [`OutputLines::next`] may be dropped at any await without losing anything.
pub(crate) struct OutputLines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Bytes of the buffer known to hold no line break.
    searched: usize,
    /// After a line without end nothing more is taken in.
    is_broken: bool,
}

impl<R: AsyncRead + Unpin> OutputLines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), searched: 0, is_broken: false }
    }

    /// The next line, or `None` at the end; a line that the end cuts off does not count.
    pub(crate) async fn next(&mut self) -> Option<WorkerOutput> {
        loop {
            let fresh = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=self.searched + at).collect();
                self.searched = 0;
                return Some(parse(&line));
            }
            self.searched = self.buffer.len();
            if self.is_broken {
                self.buffer.clear();
                self.searched = 0;
            } else if self.buffer.len() > LINE_MAX {
                self.is_broken = true;
                return Some(WorkerOutput::Garbage(format!("a line of more than {LINE_MAX} bytes")));
            }
            match self.reader.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

fn parse(line: &[u8]) -> WorkerOutput {
    if let Ok(line) = serde_json::from_slice(line) {
        return WorkerOutput::Line(Box::new(line));
    }
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    let quote: String = text.chars().take(QUOTE_MAX).collect();
    let dots = if quote.len() < text.len() { "…" } else { "" };
    WorkerOutput::Garbage(format!("a line that is not in the protocol: {quote:?}{dots}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::TrialId;

    async fn all(text: &[u8]) -> Vec<WorkerOutput> {
        let mut lines = OutputLines::new(text);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await {
            all.push(line);
        }
        all
    }

    #[tokio::test]
    async fn lines_are_read_and_a_half_line_at_the_end_is_dropped() {
        let found = all(b"{\"ready\":{\"v\":1}}\n{\"stopped\":3}\n{\"stopped\"").await;
        let lines = [WorkerLine::Ready { v: 1 }, WorkerLine::Stopped(TrialId(3))];
        assert_eq!(found, lines.map(|line| WorkerOutput::Line(Box::new(line))));
    }

    #[tokio::test]
    async fn a_line_that_is_no_json_is_quoted() {
        let found = all(b"hello \xff\n").await;
        let text = "a line that is not in the protocol: \"hello \u{fffd}\"".to_owned();
        assert_eq!(found, [WorkerOutput::Garbage(text)]);
    }

    #[tokio::test]
    async fn a_line_without_end_is_garbage_once_and_takes_no_more_memory() {
        let flood = vec![b'x'; 10 * LINE_MAX];
        let mut lines = OutputLines::new(&flood[..]);
        assert!(matches!(lines.next().await, Some(WorkerOutput::Garbage(_))));
        assert_eq!(lines.next().await, None);
        assert!(lines.buffer.capacity() <= 4 * LINE_MAX);
    }
}
