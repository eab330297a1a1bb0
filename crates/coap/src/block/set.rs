//! Which blocks a request asks for by Q-Block2 (RFC 9177 section 4.4).

use crate::wire::{Block, BlockSize, Code, Options};

/// How many blocks one request asks for at most (RFC 9177 section 7.2).
pub(crate) const MAX_PAYLOADS: usize = 10;

/// Some blocks of one body in ascending order, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockSet {
    numbers: [u32; MAX_PAYLOADS],
    count: usize,
    size: BlockSize,
}

impl BlockSet {
    /// This block alone.
    pub(crate) fn one(block: Block) -> Self {
        let mut numbers = [0; MAX_PAYLOADS];
        numbers[0] = block.number;
        Self { numbers, count: 1, size: block.size }
    }

    /// What a request asks for, if by Q-Block2; the code of its refusal where it may not ask so. Of more blocks than MAX_PAYLOADS the
    /// first ones are taken: more are not sent at a time, and the others can be asked for.
    pub(crate) fn of(options: &Options<'_>) -> Result<Option<Self>, Code> {
        let mut set: Option<Self> = None;
        let mut previous = None;
        for block in options.q_block2() {
            let Block { number, more, size } = block.map_err(|_| Code::BAD_REQUEST)?;
            let set = set.get_or_insert(Self { numbers: [0; MAX_PAYLOADS], count: 0, size });
            if set.size != size || previous.replace(number) >= Some(number) {
                return Err(Code::BAD_REQUEST);
            }
            let payloads = MAX_PAYLOADS as u32;
            let end = if more { (number / payloads + 1) * payloads } else { number + 1 };
            (number..end.min(Block::MAX_NUMBER + 1)).for_each(|number| set.push(number));
        }
        Ok(set)
    }

    /// Adds a block; not one that is there, nor one too many.
    pub(crate) fn push(&mut self, number: u32) {
        let is_new = self.numbers().last().is_none_or(|last| *last < number);
        if is_new && self.count < MAX_PAYLOADS {
            self.numbers[self.count] = number;
            self.count += 1;
        }
    }

    fn numbers(&self) -> &[u32] {
        &self.numbers[..self.count]
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = Block> {
        self.numbers().iter().map(|&number| Block { number, more: false, size: self.size })
    }

    /// Whether it begins with the first block of the body.
    pub(crate) fn is_first(&self) -> bool {
        self.numbers[0] == 0
    }

    pub(crate) fn is_single(&self) -> bool {
        self.count == 1
    }

    /// The size of the blocks.
    pub(crate) fn size(&self) -> BlockSize {
        self.size
    }

    /// Of each block, what fits into a block of at most `largest`.
    pub(crate) fn at_most(mut self, largest: BlockSize) -> Self {
        let ratio = (self.size.bytes() / largest.bytes()).max(1) as u32;
        self.numbers.iter_mut().for_each(|number| *number *= ratio);
        self.size = self.size.min(largest);
        self
    }

    /// Where blocks that lie together begin in the body, and how many bytes they have.
    pub(crate) fn runs(self) -> impl Iterator<Item = (u64, usize)> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let numbers = &self.numbers()[next..];
            let first = *numbers.first()?;
            let count = (first..).zip(numbers).take_while(|(expected, number)| expected == *number).count();
            next += count;
            Some((u64::from(first) * self.size.bytes() as u64, count * self.size.bytes()))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{MessageType, Token, Writer, option};

    fn block(number: u32, more: bool) -> Block {
        Block { number, more, size: BlockSize::B64 }
    }

    /// What a request with these options asks for.
    fn asked(values: &[Vec<u8>]) -> Result<Option<BlockSet>, Code> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, MessageType::Non, Code::GET, 1, Token::EMPTY);
        let header = writer.written();
        values.iter().for_each(|value| _ = writer.option_bytes(option::Q_BLOCK2, value));
        writer.finish();
        BlockSet::of(&Options::parse(&bytes[header..]).unwrap())
    }

    fn numbers(blocks: &[Block]) -> Result<Vec<u32>, Code> {
        let values: Vec<_> = blocks.iter().map(|block| block.encode().to_be_bytes()[1..].to_vec()).collect();
        Ok(asked(&values)?.map(|set| set.numbers().to_vec()).unwrap_or_default())
    }

    #[test]
    fn a_run_ends_with_its_set_and_each_block_is_given_once() {
        assert_eq!(asked(&[]), Ok(None));
        assert_eq!(numbers(&[block(7, false)]), Ok(vec![7]));
        assert_eq!(numbers(&[block(7, true)]), Ok(vec![7, 8, 9]));
        assert_eq!(numbers(&[block(20, true)]), Ok((20..30).collect()));
        assert_eq!(numbers(&[block(0, true)]), Ok((0..10).collect()), "the rest of the body is asked for later");
        assert_eq!(numbers(&[block(6, true), block(8, false), block(12, false)]), Ok(vec![6, 7, 8, 9, 12]));
        assert_eq!(numbers(&[block(1, false), block(2, true), block(13, true)]), Ok((1..10).chain([13]).collect()));
        assert_eq!(numbers(&[block(Block::MAX_NUMBER, true)]), Ok(vec![Block::MAX_NUMBER]));
    }

    #[test]
    fn what_does_not_ascend_or_differs_in_size_is_refused() {
        for blocks in [[block(7, false), block(7, false)], [block(8, true), block(7, false)]] {
            assert_eq!(numbers(&blocks), Err(Code::BAD_REQUEST));
        }
        assert_eq!(asked(&[vec![0x16], vec![0x25]]), Err(Code::BAD_REQUEST));
        assert_eq!(asked(&[vec![0x17]]), Err(Code::BAD_REQUEST), "size exponent 7");
    }

    #[test]
    fn runs_are_blocks_that_lie_together() {
        let set = asked(&[vec![0x12], vec![0x22], vec![0x42], vec![0x5a]]).unwrap().unwrap();
        assert_eq!(set.runs().collect::<Vec<_>>(), [(64, 128), (256, 384)]);
        let smaller: Vec<_> = set.at_most(BlockSize::B32).runs().collect();
        assert_eq!(smaller[..3], [(64, 32), (128, 32), (256, 32)]);
        assert_eq!(set.at_most(BlockSize::B1024), set);
        assert_eq!(BlockSet::one(block(3, true)).runs().collect::<Vec<_>>(), [(192, 64)]);
    }

    proptest! {
        /// Whatever the options are: at most MAX_PAYLOADS blocks, ascending, each of them asked for.
        #[test]
        fn no_request_brings_more_than_it_may(
            values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..40),
            ascending in prop::collection::vec((0..60_u32, any::<bool>()), 0..20),
        ) {
            let mut blocks: Vec<_> = ascending.into_iter().map(|(number, more)| block(number, more)).collect();
            blocks.sort_by_key(|block| block.number);
            blocks.dedup_by_key(|block| block.number);
            let given = numbers(&blocks).unwrap();
            let is_asked = |number: u32| blocks.iter().any(|block| {
                block.number == number || (block.more && block.number < number && block.number / 10 == number / 10)
            });
            let mut all = (0..70).filter(|number| is_asked(*number));
            prop_assert_eq!(all.by_ref().take(MAX_PAYLOADS).collect::<Vec<_>>(), given);
            if let Ok(Some(set)) = asked(&values) {
                prop_assert!((1..=MAX_PAYLOADS).contains(&set.count));
                prop_assert!(set.numbers().is_sorted_by(|a, b| a < b));
                let bytes: usize = set.runs().map(|(_, bytes)| bytes).sum();
                prop_assert_eq!(bytes, set.count * set.size.bytes());
            }
        }
    }
}
