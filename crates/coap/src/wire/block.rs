use core::fmt;

/// The size of a block in bytes: a power of two from 16 to 1024 (RFC 7959 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlockSize {
    /// 16 bytes, SZX 0.
    B16,
    /// 32 bytes, SZX 1.
    B32,
    /// 64 bytes, SZX 2.
    B64,
    /// 128 bytes, SZX 3.
    B128,
    /// 256 bytes, SZX 4.
    B256,
    /// 512 bytes, SZX 5.
    B512,
    /// 1024 bytes, SZX 6.
    B1024,
}

impl BlockSize {
    const ALL: [Self; 7] = [Self::B16, Self::B32, Self::B64, Self::B128, Self::B256, Self::B512, Self::B1024];

    /// The size whose exponent, as the option carries it, is `szx`; `None` for the reserved 7 and anything above.
    #[must_use]
    pub fn from_szx(szx: u8) -> Option<Self> {
        Self::ALL.get(usize::from(szx)).copied()
    }

    /// The exponent as the option carries it, 0 to 6.
    #[must_use]
    pub const fn szx(self) -> u8 {
        self as u8
    }

    /// The size in bytes, 16 to 1024.
    #[must_use]
    pub const fn bytes(self) -> usize {
        16 << self as u8
    }

    /// The greatest block size that is not above `bytes`; `None` below 16.
    #[must_use]
    pub fn at_most(bytes: usize) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|size| size.bytes() <= bytes)
    }
}

impl fmt::Display for BlockSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bytes())
    }
}

/// The value of a Block1 or Block2 option: which block of a body this is (RFC 7959 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Block {
    /// The number of the block in units of `size`, from 0 to [`Block::MAX_NUMBER`].
    pub number: u32,
    /// Whether more blocks follow; what it means in each direction is in RFC 7959 sections 2.2 and 2.3.
    pub more: bool,
    /// The size of each block but the last.
    pub size: BlockSize,
}

/// A block option carried the reserved size exponent 7, which a request is answered 4.00 for (RFC 7959 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a block option has the reserved size exponent 7")]
pub struct ReservedBlockSize;

impl Block {
    /// The greatest block number: 20 bits.
    pub const MAX_NUMBER: u32 = 0xf_ffff;

    /// The block whose option has the value `value`, of which 24 bits are read.
    ///
    /// # Errors
    /// When the size exponent is the reserved 7.
    pub fn decode(value: u32) -> Result<Self, ReservedBlockSize> {
        let size = BlockSize::from_szx((value & 0x7) as u8).ok_or(ReservedBlockSize)?;
        Ok(Self { number: value >> 4 & Self::MAX_NUMBER, more: value & 0x8 != 0, size })
    }

    /// The value of the option, to be written as an unsigned integer.
    ///
    /// # Panics
    /// When the number is above [`Block::MAX_NUMBER`], which no option can carry.
    #[must_use]
    pub fn encode(self) -> u32 {
        assert!(self.number <= Self::MAX_NUMBER, "block number {} has more than 20 bits", self.number);
        self.number << 4 | u32::from(self.more) << 3 | u32::from(self.size.szx())
    }

    /// Where the block begins in its body, in bytes.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self.number as u64 * self.size.bytes() as u64
    }
}

/// `number/more/size`, as in `3/1/1024` (RFC 7959 section 3).
impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.number, u8::from(self.more), self.size)
    }
}
