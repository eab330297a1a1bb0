//! Reading and writing the presentation language of RFC 5246 section 4.

/// Takes from the front of a slice; every method gives `None` where there is too little.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u24(&mut self) -> Option<usize> {
        self.array().map(|[a, b, c]| usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u48(&mut self) -> Option<u64> {
        self.array().map(|[a, b, c, d, e, f]| u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// A vector with a length of one byte.
    pub(crate) fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// A vector with a length of two bytes.
    pub(crate) fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// A vector with a length of three bytes.
    pub(crate) fn vector24(&mut self) -> Option<&'a [u8]> {
        let length = self.u24()?;
        self.take(length)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `value`, if everything has been taken.
    pub(crate) fn end<T>(&self, value: T) -> Option<T> {
        self.is_empty().then_some(value)
    }
}

pub(crate) fn put_u24(buffer: &mut Vec<u8>, value: usize) {
    debug_assert!(value < 1 << 24);
    buffer.extend_from_slice(&(value as u32).to_be_bytes()[1..]);
}

pub(crate) fn put_u48(buffer: &mut Vec<u8>, value: u64) {
    debug_assert!(value < 1 << 48);
    buffer.extend_from_slice(&value.to_be_bytes()[2..]);
}

/// Lets `write` append a vector, and puts its length, in one byte, before it.
///
/// # Panics
/// When it is longer than the length can say.
pub(crate) fn put_vector8(buffer: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.push(0);
    write(buffer);
    buffer[start] = u8::try_from(buffer.len() - start - 1).expect("at most 255 bytes");
}

/// As [`put_vector8`], with a length of two bytes.
pub(crate) fn put_vector16(buffer: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 2]);
    write(buffer);
    let length = u16::try_from(buffer.len() - start - 2).expect("at most 65,535 bytes");
    buffer[start..start + 2].copy_from_slice(&length.to_be_bytes());
}

/// As [`put_vector8`], with a length of three bytes.
pub(crate) fn put_vector24(buffer: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 3]);
    write(buffer);
    let length = u32::try_from(buffer.len() - start - 3).ok().filter(|length| *length < 1 << 24);
    buffer[start..start + 3].copy_from_slice(&length.expect("at most 16,777,215 bytes").to_be_bytes()[1..]);
}
