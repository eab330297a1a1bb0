//! By which option blocks are asked for: Block2 (RFC 7959), or Q-Block2 (RFC 9177) once the other end has shown that it has it.

use super::{Fetch, Pace};
use crate::{
    block::MAX_PAYLOADS,
    wire::{Code, Message, option},
};

/// By which option the requests of the window ask for blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Block2: each for one block.
    Block2,
    /// Block2, apart from the request of this number: its answer tells whether the other end has Q-Block2.
    Asking(u32),
    /// Q-Block2: each for several blocks.
    QBlock2,
}

impl Fetch {
    /// How often it is asked whether the other end has Q-Block2, should the answer not come.
    pub(super) const QUESTIONS: u8 = 3;
    /// Where fewer bytes are still to be asked for, it is not worth a question.
    const WORTH: u64 = 64 * 1024;
    /// A request is for no more than this part of the window, so that several are always under way.
    const PART: usize = 8;

    /// Whether the next request of the window asks whether the other end has Q-Block2.
    pub(super) fn is_to_ask(&self) -> bool {
        let may = self.pace == Pace::Window && self.dialect == Dialect::Block2 && self.questions > 0;
        may && self.body.left() >= Self::WORTH
    }

    /// For how many blocks the next request is, if there are so many.
    pub(super) fn group(&self) -> usize {
        if self.pace != Pace::Window || self.dialect != Dialect::QBlock2 {
            return 1;
        }
        (self.cubic.window() / Self::PART / self.size.bytes()).clamp(1, MAX_PAYLOADS)
    }

    /// Which of the blocks that the message of request `first` asked for a message answers (RFC 9177 section 6).
    pub(super) fn addressee(&self, first: u32, message: &Message<'_>) -> Option<u32> {
        match message.options.q_block2().next() {
            Some(Ok(block)) => self.flights.in_message(first, block.offset()),
            _ => Some(first),
        }
    }

    /// A request was answered by Q-Block2, which was the block at this place of its message.
    pub(super) fn knows_q_block2(&mut self, number: u32, place: u8, message: &Message<'_>) {
        self.unheard = 0;
        match self.dialect {
            Dialect::Asking(question) if question == number => {
                self.dialect = Dialect::QBlock2;
                // All answers have Size2 (RFC 9177 section 4.6).
                self.body.learn_size(message.options.size2().map_or(0, u64::from));
            }
            // It does give several.
            Dialect::QBlock2 if place > 0 => self.questions = Self::QUESTIONS,
            _ => {}
        }
        self.learn_echo(message);
    }

    /// What was asked for by Q-Block2 was answered in another way. Whatever the reason is, it is asked for by Block2, as all that
    /// follows: what the other end has against it, it will then say again. Unless it only wants to see an Echo first (RFC 9175
    /// section 2.3).
    pub(super) fn refuses_q_block2(&mut self, number: u32, message: &Message<'_>) {
        if message.code != Code::UNAUTHORIZED || !self.learn_echo(message) {
            return self.rejects_q_block2(number);
        }
        // A question that is under way meanwhile stays.
        if !matches!(self.dialect, Dialect::Asking(question) if question != number) {
            self.forget_q_block2();
        }
        self.dismiss(number);
    }

    /// What was asked for by Q-Block2 was rejected, perhaps with a Reset: no more is asked for so.
    pub(super) fn rejects_q_block2(&mut self, number: u32) {
        self.questions = 0;
        self.forget_q_block2();
        self.dismiss(number);
    }

    /// Keeps what the other end wants to see, if it says so.
    fn learn_echo(&mut self, message: &Message<'_>) -> bool {
        message.options.echo().inspect(|echo| self.echo = echo.to_vec()).is_some()
    }

    /// Nothing more is awaited of the message of a request.
    fn dismiss(&mut self, number: u32) {
        for request in self.flights.dismiss(number) {
            self.body.want(request.block());
        }
    }

    /// Nothing has come for a while. Should that happen twice without any answer by Q-Block2 where several blocks were asked for, it may
    /// be the reason.
    pub(super) fn doubt_q_block2(&mut self) {
        const SILENCES: u8 = 2;
        self.unheard += u8::from(self.group() > 1);
        if self.unheard >= SILENCES {
            self.unheard = 0;
            self.forget_q_block2();
        }
    }

    /// Goes on by Block2. What has Q-Block2 will be found out again.
    pub(super) fn forget_q_block2(&mut self) {
        self.dialect = Dialect::Block2;
    }

    /// What is under way is forgotten.
    pub(super) fn forget_question(&mut self) {
        if let Dialect::Asking(_) = self.dialect {
            self.dialect = Dialect::Block2;
        }
    }
}

/// Whether a message is a block by Q-Block2, and by nothing else (RFC 9177 section 4.1).
pub(super) fn is_by_q_block2(message: &Message<'_>) -> bool {
    let has = |number| message.options.first(number).is_some();
    message.code == Code::CONTENT && has(option::Q_BLOCK2) && !has(option::BLOCK2)
}
