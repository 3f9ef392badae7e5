//! A running hash: quick, and the same on every machine and in every build.

/// Takes in numbers and bytes, one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Running(u64);

impl Running {
    pub(crate) const fn number(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.number(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.number(u64::from_le_bytes(last));
        self.number(bytes.len() as u64);
    }

    pub(crate) const fn value(self) -> u64 {
        crate::random::mix(self.0)
    }
}

/// The hash of some bytes.
pub(crate) fn of(bytes: &[u8]) -> u64 {
    let mut hash = Running::default();
    hash.bytes(bytes);
    hash.value()
}
