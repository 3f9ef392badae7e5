//! The bytes of an input, taken for decisions.

/// Hands out the bytes of an input, one decision after the other. When they are used up every
/// decision is zero, so that each beginning of an input is an input too.
#[derive(Clone, Debug)]
pub(crate) struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.take(self.0.len())
    }

    /// The next bytes, as many as there are up to `count`.
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// One of `0..count`; at most 256 are told apart.
    pub(crate) fn pick(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    pub(crate) fn short(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(crate) fn long(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    pub(crate) fn array<const LENGTH: usize>(&mut self) -> [u8; LENGTH] {
        let mut out = [0; LENGTH];
        let taken = self.take(LENGTH);
        out[..taken.len()].copy_from_slice(taken);
        out
    }

    /// Mostly a small number, now and then one of the largest there are, or any.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..240 => u64::from(small % 16),
            large @ 240..248 => u64::MAX - u64::from(large - 240),
            middle @ 248..252 => (u64::MAX >> 1) + u64::from(middle - 248),
            252 => u64::from(u32::MAX),
            _ => self.long(),
        }
    }

    /// Mostly a number close to `centre`, now and then any.
    pub(crate) fn near(&mut self, centre: u64) -> u64 {
        match self.byte() {
            offset @ 0..240 => centre.saturating_add(u64::from(offset % 16)).saturating_sub(8),
            _ => self.number(),
        }
    }

    /// Some bytes, preceded by their length; up to `max`.
    pub(crate) fn bytes(&mut self, max: usize) -> &'a [u8] {
        let length = match self.byte() {
            short @ 0..250 => usize::from(short % 64),
            _ => usize::from(self.short()),
        };
        self.take(length.min(max))
    }

    pub(crate) fn text(&mut self, max: usize) -> String {
        String::from_utf8_lossy(self.bytes(max)).into_owned()
    }

    /// The same bytes but for a few, perhaps cut short.
    pub(crate) fn change(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        for (at, with) in self.list(4, |source| (source.short(), source.byte())) {
            let length = bytes.len().max(1);
            let at = usize::from(at) % length;
            match with {
                0 => bytes.truncate(at),
                _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= with),
            }
        }
        bytes
    }

    /// A few of what `make` makes.
    pub(crate) fn list<T>(&mut self, max: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.pick(max + 1)).map(|_| make(self)).collect()
    }
}
