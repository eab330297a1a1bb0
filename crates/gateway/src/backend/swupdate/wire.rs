//! SWUpdate's messages as bytes: C structs of the machine's own byte order and alignment, laid out here by hand.
//!
//! As of SWUpdate 2022.12 (`network_ipc.h`, API version 1; `progress_ipc.h`), and of the progress API 2 that 2023.12 has
//! brought: packed, and announced by eight bytes when a client connects.

/// Begins every message on the control socket.
const MAGIC: u32 = 0x1405_2001;
const API_VERSION: u32 = 1;
/// "Local", as of the programs of the same machine.
const SOURCE_LOCAL: u32 = 4;

const REQ_INSTALL: u32 = 0;
const ACK: u32 = 1;
const NACK: u32 = 2;
const NOTIFY_STREAM: u32 = 11;

/// `size_t` and what aligns as it does.
const WORD: usize = size_of::<usize>();
/// `struct swupdate_request`: three 32-bit numbers, a `size_t`, texts of 512, 256 and 256 bytes, a `bool`.
const INFO: usize = align(12, WORD) + WORD;
const SOFTWARE_SET: usize = INFO + 512;
const RUNNING_MODE: usize = SOFTWARE_SET + 256;
const REQUEST: usize = align(RUNNING_MODE + 256 + 1, WORD);
/// The body begins after the magic number and the type.
const BODY: usize = 8;
const TEXT: usize = 2048;

/// The length of every message on the control socket: that of an installation, the longest.
pub(super) const MESSAGE: usize = BODY + align(REQUEST + 4 + TEXT, WORD);

const fn align(offset: usize, to: usize) -> usize {
    offset.next_multiple_of(to)
}

/// Asks for an installation; the image follows on the same socket once it is acknowledged.
///
/// `None` if a text is too long.
pub(super) fn install(info: &str, software_set: &str, running_mode: &str) -> Option<Vec<u8>> {
    let mut message = head(REQ_INSTALL);
    put(&mut message, BODY, API_VERSION);
    put(&mut message, BODY + 4, SOURCE_LOCAL);
    for (offset, room, text) in
        [(INFO, 512, info), (SOFTWARE_SET, 256, software_set), (RUNNING_MODE, 256, running_mode)]
    {
        if text.len() >= room {
            return None;
        }
        message[BODY + offset..][..text.len()].copy_from_slice(text.as_bytes());
    }
    Some(message)
}

/// Whether a software set or running mode has room in a request.
pub(super) fn selection_fits(text: &str) -> bool {
    text.len() < 256
}

/// Asks for all that is said about the present or the last installation, and all that will be said.
pub(super) fn notifications() -> Vec<u8> {
    head(NOTIFY_STREAM)
}

fn head(kind: u32) -> Vec<u8> {
    let mut message = vec![0; MESSAGE];
    put(&mut message, 0, MAGIC);
    put(&mut message, 4, kind);
    message
}

fn put(message: &mut [u8], offset: usize, number: u32) {
    message[offset..offset + 4].copy_from_slice(&number.to_ne_bytes());
}

fn number(message: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(message.get(offset..offset + 4)?.try_into().ok()?))
}

/// The text of a fixed room, up to its first NUL.
fn text(message: &[u8], offset: usize, room: usize) -> Option<String> {
    let room = message.get(offset..offset + room)?;
    let end = room.iter().position(|byte| *byte == 0).unwrap_or(room.len());
    Some(String::from_utf8_lossy(&room[..end]).trim().to_owned())
}

/// What the daemon does, or how it has ended (`RECOVERY_STATUS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Idle,
    Start,
    Run,
    Success,
    Failure,
    /// Download, done, subprocess, progress.
    Other,
}

impl Status {
    fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Idle,
            1 => Self::Start,
            2 => Self::Run,
            3 => Self::Success,
            4 => Self::Failure,
            5..=8 => Self::Other,
            _ => return None,
        })
    }
}

/// A message from the control socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// What was asked for will be done. To a request for notifications, with what the daemon does and how it has ended the last time.
    Accepted { current: Status, last: Status },
    /// It will not.
    Refused(String),
    /// A line of its log: an error if `error`, and if it also is `last`, then the end of a failed installation.
    Notification { status: Status, last: bool, error: bool, text: String },
}

/// Reads a message of the control socket. `None` if it is none.
pub(super) fn message(bytes: &[u8]) -> Option<Message> {
    if bytes.len() != MESSAGE || number(bytes, 0) != Some(MAGIC) {
        return None;
    }
    let status = |offset| Status::from_number(number(bytes, BODY + offset)?);
    Some(match number(bytes, 4)? {
        ACK => Message::Accepted { current: status(0)?, last: status(4)? },
        NACK => Message::Refused(text(bytes, BODY, 128)?),
        NOTIFY_STREAM => {
            let status = status(0)?;
            Message::Notification {
                status,
                last: number(bytes, BODY + 4)? != 0,
                error: status == Status::Failure,
                text: text(bytes, BODY + 12, TEXT)?,
            }
        }
        _ => return None,
    })
}

/// Where things are in a progress message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Of the number of steps; step, percentage, image and handler follow it.
    steps: usize,
    /// Of the whole.
    pub(super) length: usize,
}

/// What the first bytes on the progress socket are.
pub(super) const GREETING: usize = 8;

impl Layout {
    /// Takes the first eight bytes on the progress socket: a greeting, which says how messages are laid out from here on, or already
    /// the beginning of a message as the API had them before there was a greeting.
    pub(super) fn of(first: &[u8; GREETING]) -> (Self, bool) {
        let greeting = &first[4..] == b"ACK\0";
        let long_long = align_of::<u64>();
        let total = if greeting { 12 } else { align(12, long_long) };
        let steps = total + 8;
        // Steps, step, percentage; image, handler; source, length of the information; the information.
        let end = steps + 12 + 256 + 64 + 8 + TEXT;
        (Self { steps, length: if greeting { end } else { align(end, long_long) } }, greeting)
    }
}

/// How far an installation is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) status: Status,
    /// How many there are.
    pub(super) steps: u32,
    /// This one; the first is 1, 0 is before it.
    pub(super) step: u32,
    /// Of this one.
    pub(super) percent: u32,
    pub(super) image: String,
}

/// Reads a message of the progress socket. `None` if it is none.
pub(super) fn progress(layout: Layout, bytes: &[u8]) -> Option<Step> {
    let at = |offset| number(bytes, layout.steps + offset);
    let (steps, step, percent) = (at(0)?, at(4)?, at(8)?);
    let image = text(bytes, layout.steps + 12, 256)?;
    (percent <= 100).then_some(Step { status: Status::from_number(number(bytes, 4)?)?, steps, step, percent, image })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn lengths_are_those_that_swupdate_2022_12_sends() {
        assert_eq!(MESSAGE, 3120);
        assert_eq!(Layout::of(&[0; 8]).0.length, 2416);
        assert_eq!(Layout::of(b"\0\0\x02\0ACK\0"), (Layout { steps: 20, length: 2408 }, true));
    }

    #[test]
    fn a_text_that_has_no_room_is_refused() {
        assert!(install(&"i".repeat(511), &"s".repeat(255), "m").is_some());
        assert_eq!(install(&"i".repeat(512), "s", "m"), None);
        assert_eq!(install("i", &"s".repeat(256), "m"), None);
    }

    #[test]
    fn what_is_no_message_is_none() {
        let mut bytes = notifications();
        assert!(message(&bytes[1..]).is_none());
        put(&mut bytes, BODY, 9);
        assert_eq!(message(&bytes), None);
        put(&mut bytes, BODY, 4);
        bytes[BODY + 12..BODY + 15].fill(0xff);
        let text = "\u{fffd}".repeat(3);
        assert_eq!(
            message(&bytes),
            Some(Message::Notification { status: Status::Failure, last: false, error: true, text })
        );
        put(&mut bytes, 0, 1);
        assert_eq!(message(&bytes), None);
        let (layout, _) = Layout::of(&[0; 8]);
        assert!(progress(layout, &vec![0xff; layout.length]).is_none());
        assert!(progress(layout, &[0; 20]).is_none());
    }

    #[test]
    fn both_layouts_of_progress_are_read() {
        for first in [[0; 8], *b"\0\0\x02\0ACK\0"] {
            let (layout, _) = Layout::of(&first);
            let mut bytes = vec![0; layout.length];
            put(&mut bytes, 4, 8);
            for (offset, number) in [(0, 3), (4, 2), (8, 50)] {
                put(&mut bytes, layout.steps + offset, number);
            }
            bytes[layout.steps + 12..][..6].copy_from_slice(b"rootfs");
            let step = progress(layout, &bytes).unwrap();
            assert_eq!((step.status, step.steps, step.step, step.percent), (Status::Other, 3, 2, 50));
            assert_eq!(step.image, "rootfs");
        }
    }
}
