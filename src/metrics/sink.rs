//! Where the exposition goes: chunk by chunk, so that nobody need hold all of it.

/// How long a chunk is, in bytes: it stays in the processor's cache, and one system call sends it.
pub const CHUNK: usize = 64 * 1024;

/// Takes a text in chunks.
pub trait Sink {
    /// Takes what the chunk holds and leaves it empty; of [`CHUNK`] bytes or a little more, but for the
    /// last. A chunk ends where a line ends.
    fn take(&mut self, chunk: &mut String) -> Result<(), Gone>;
}

/// Nobody takes the text any more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("nobody takes the text any more")]
pub struct Gone;

/// All in one piece.
impl Sink for String {
    fn take(&mut self, chunk: &mut String) -> Result<(), Gone> {
        self.push_str(chunk);
        chunk.clear();
        Ok(())
    }
}
