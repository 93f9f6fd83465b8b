//! Netlink messages as bytes: headers, attributes, and the batches nf_tables takes.

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NLA_F_NESTED: u16 = 0x8000;
const NLMSG_ERROR: u16 = 2;
const HEADER_LEN: usize = 16;

/// Attributes of one message or of one nested attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        self.push(kind, value);
        self
    }

    /// nf_tables takes numbers in network order.
    pub(crate) fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// With the final NUL.
    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    pub(crate) fn nested(self, kind: u16, value: Attributes) -> Self {
        self.bytes(kind | NLA_F_NESTED, &value.0)
    }

    fn push(&mut self, kind: u16, value: &[u8]) {
        // Values are a few hundred bytes; one that did not fit would be a mistake in this crate.
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// A transaction: the kernel does all of its messages or none.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    sequence: u32,
}

impl Batch {
    pub(crate) fn new() -> Self {
        let mut batch = Self { bytes: Vec::new(), sequence: 0 };
        batch.message(
            NFNL_MSG_BATCH_BEGIN,
            NLM_F_REQUEST,
            0,
            NFNL_SUBSYS_NFTABLES,
            &Attributes::new(),
        );
        batch
    }

    /// Adds one nf_tables message.
    pub(crate) fn add(&mut self, kind: u16, flags: u16, family: u8, attributes: &Attributes) {
        self.message(
            NFNL_SUBSYS_NFTABLES << 8 | kind,
            NLM_F_REQUEST | NLM_F_ACK | flags,
            family,
            0,
            attributes,
        );
    }

    /// The whole transaction, and the sequence number of its last acknowledged message.
    pub(crate) fn finish(mut self) -> (Vec<u8>, u32) {
        let last = self.sequence;
        self.message(
            NFNL_MSG_BATCH_END,
            NLM_F_REQUEST,
            0,
            NFNL_SUBSYS_NFTABLES,
            &Attributes::new(),
        );
        (self.bytes, last)
    }

    fn message(&mut self, kind: u16, flags: u16, family: u8, resource: u16, body: &Attributes) {
        self.sequence += 1;
        let length = u32::try_from(HEADER_LEN + 4 + body.0.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&self.sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&0_u32.to_ne_bytes());
        self.bytes.extend_from_slice(&[family, 0]);
        self.bytes.extend_from_slice(&resource.to_be_bytes());
        self.bytes.extend_from_slice(&body.0);
    }
}

/// What a datagram of answers says about a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The message with this number failed with this errno.
    Failed { sequence: u32, errno: i32 },
    /// The last message was acknowledged.
    Done,
    /// More answers are to come.
    More,
}

/// Reads the answers in one datagram.
pub(crate) fn read_answers(mut datagram: &[u8], last: u32) -> Answer {
    let number = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_ne_bytes)
    };
    while let (Some(length), Some(sequence)) = (number(datagram, 0), number(datagram, 8)) {
        let length = (length as usize).clamp(HEADER_LEN, datagram.len().max(HEADER_LEN));
        let kind = datagram.get(4..6).map_or(0, |b| u16::from_ne_bytes([b[0], b[1]]));
        if kind == NLMSG_ERROR {
            let errno = number(datagram, HEADER_LEN).unwrap_or_default().cast_signed();
            if errno != 0 {
                return Answer::Failed { sequence, errno: -errno };
            }
            if sequence == last {
                return Answer::Done;
            }
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Answer::More
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_to_four_bytes() {
        let attributes = Attributes::new().text(1, "abc!").number(2, 7);
        #[cfg(target_endian = "little")]
        assert_eq!(
            attributes.0,
            [9, 0, 1, 0, b'a', b'b', b'c', b'!', 0, 0, 0, 0, 8, 0, 2, 0, 0, 0, 0, 7]
        );
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_batch_is_framed_by_begin_and_end() {
        let mut batch = Batch::new();
        batch.add(0, 0x400, 2, &Attributes::new().text(1, "machine"));
        let (bytes, last) = batch.finish();
        assert_eq!(last, 2);
        assert_eq!(
            bytes,
            [
                // Length 20, batch begin, request, sequence 1; family 0, resource 10.
                20, 0, 0, 0, 0x10, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10,
                // Length 32, new table, request|ack|create, sequence 2; family 2.
                32, 0, 0, 0, 0, 10, 5, 4, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0,
                // The name with its NUL.
                12, 0, 1, 0, b'm', b'a', b'c', b'h', b'i', b'n', b'e', 0, 20, 0, 0, 0, 0x11, 0, 1,
                0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10,
            ]
        );
    }

    fn answer(sequence: u32, errno: i32) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&36_u32.to_ne_bytes());
        bytes.extend_from_slice(&NLMSG_ERROR.to_ne_bytes());
        bytes.extend_from_slice(&0_u16.to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&0_u32.to_ne_bytes());
        bytes.extend_from_slice(&(-errno).to_ne_bytes());
        bytes.extend_from_slice(&[0; 16]);
        bytes
    }

    #[test]
    fn a_transaction_is_done_when_its_last_message_is_acknowledged() {
        assert_eq!(read_answers(&answer(2, 0), 3), Answer::More);
        assert_eq!(read_answers(&[answer(2, 0), answer(3, 0)].concat(), 3), Answer::Done);
    }

    #[test]
    fn the_first_refusal_is_reported() {
        let both = [answer(2, 17), answer(3, 0)].concat();
        assert_eq!(read_answers(&both, 3), Answer::Failed { sequence: 2, errno: 17 });
    }

    #[test]
    fn torn_answers_do_not_hang() {
        assert_eq!(read_answers(&answer(2, 17)[..10], 3), Answer::More);
        assert_eq!(read_answers(&[0; 64], 3), Answer::More);
    }
}
