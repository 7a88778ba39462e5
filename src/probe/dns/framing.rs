//! DNS messages on a stream: each with its length in two bytes in front (RFC 1035 §4.2.2). No I/O.

use bytes::{Buf, BytesMut};

/// Bytes of the length field.
const LENGTH: usize = 2;

/// Puts a message behind what is to be sent; `false` when it is too long for any frame.
pub(super) fn put(message: &[u8], out: &mut BytesMut) -> bool {
    let Ok(length) = u16::try_from(message.len()) else { return false };
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(message);
    true
}

/// What was received and not yet taken. The length field bounds it at 64 KiB and what came with
/// the last read.
#[derive(Debug, Default)]
pub(super) struct Inbox(BytesMut);

impl Inbox {
    /// Where to read to, with room for a usual message.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        self.0.reserve(READ);
        &mut self.0
    }

    /// The first message that is complete.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        let length = usize::from(u16::from_be_bytes(*self.0.first_chunk()?));
        let message = self.0.get(LENGTH..LENGTH + length)?.to_vec();
        self.0.advance(LENGTH + length);
        if self.0.is_empty() {
            // One long answer must not be paid for as long as the connection lives.
            self.0 = BytesMut::new();
        }
        Some(message)
    }
}

/// Most answers are smaller than what fits into one UDP datagram.
const READ: usize = 2048;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_longer_than_the_field_can_say_is_not_sent() {
        let mut out = BytesMut::new();
        assert!(!put(&vec![0; 65536], &mut out) && out.is_empty());
        assert!(put(&vec![0; 65535], &mut out));
        assert_eq!((&out[..2], out.len()), (&[0xff, 0xff][..], 65537));
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_they_are_cut(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
            piece in 1_usize..70,
        ) {
            let mut sent = BytesMut::new();
            for message in &messages {
                prop_assert!(put(message, &mut sent));
            }
            let mut inbox = Inbox::default();
            let mut seen = Vec::new();
            for piece in sent.chunks(piece) {
                inbox.room().extend_from_slice(piece);
                seen.extend(std::iter::from_fn(|| inbox.take()));
            }
            prop_assert_eq!(seen, messages);
        }
    }
}
