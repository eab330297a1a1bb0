//! What the head of an answer means for a pull (RFC 9110 sections 13.1.5, 14 and 15).

use std::time::Duration;

use super::super::Cause;
use super::super::pull::Restart;

/// The longest ETag that is stored, in bytes.
const LONGEST_ETAG: usize = 256;
/// How long a busy server is left alone at most, whatever it wishes.
const LONGEST_PAUSE: u64 = 3600;

/// What counts of an answer's head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) etag: Option<&'a str>,
    pub(super) content_range: Option<&'a str>,
    pub(super) content_length: Option<u64>,
    pub(super) chunked: bool,
    pub(super) retry_after: Option<&'a str>,
}

/// What was asked for: what comes after `offset` bytes of the file with this ETag. The last of those bytes is asked for too, so that
/// there is something to answer when all are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    pub(super) offset: u64,
    pub(super) etag: &'a str,
}

impl Asked<'_> {
    /// The first byte that is asked for, of a part that is not empty.
    pub(super) const fn first(&self) -> u64 {
        self.offset.saturating_sub(1)
    }
}

/// What is to be done with an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It brings the whole file, though a part was asked for because of this.
    Whole {
        size: Option<u64>,
        restart: Option<Restart>,
    },
    /// It brings what was asked for, of a file of this size.
    Part {
        size: u64,
    },
    /// It is of no use: ask for the whole file.
    Again(Restart),
    Failed(Cause),
}

/// The ETag, if it is strong (RFC 9110 section 8.8.3): a weak one does not tell one byte from another.
pub(super) fn strong(etag: Option<&str>) -> Option<&str> {
    etag.filter(|etag| etag.starts_with('"') && etag.ends_with('"') && (2..=LONGEST_ETAG).contains(&etag.len()))
}

/// What an answer means; `asked` is the part that was asked for, if it was one.
pub(super) fn judge(answer: &Answer<'_>, asked: Option<&Asked<'_>>) -> Verdict {
    let status = answer.status;
    match (status, asked) {
        // Where the connection's end is the body's end, nobody can tell it from a cut (RFC 9112 section 8).
        (200, _) if answer.content_length.is_none() && !answer.chunked => {
            let why = "neither Content-Length nor chunks: its end could not be told from a lost connection";
            Verdict::Failed(Cause::Protocol(why.into()))
        }
        (200, asked) => {
            Verdict::Whole { size: answer.content_length, restart: asked.map(|asked| because(answer, asked)) }
        }
        (206, Some(asked)) => partial(answer, asked),
        (416, Some(_)) => Verdict::Again(Restart::Changed),
        _ => Verdict::Failed(refusal(status, answer.retry_after)),
    }
}

/// Why a server gave the whole file.
fn because(answer: &Answer<'_>, asked: &Asked<'_>) -> Restart {
    match strong(answer.etag) {
        None => Restart::NoEtag,
        Some(etag) if etag == asked.etag => Restart::NotResumable,
        Some(_) => Restart::Changed,
    }
}

fn partial(answer: &Answer<'_>, asked: &Asked<'_>) -> Verdict {
    let Some(range) = answer.content_range.and_then(Range::parse) else {
        // A multipart answer, or one that does not say what it brings.
        return Verdict::Again(Restart::NotResumable);
    };
    // If-Range is for the server to look at; one that ignores it is found out here.
    match strong(answer.etag) {
        None => return Verdict::Again(Restart::NoEtag),
        Some(etag) if etag != asked.etag => return Verdict::Again(Restart::Changed),
        Some(_) => {}
    }
    let brings = range.last - range.first + 1;
    let length = answer.content_length.unwrap_or(brings);
    if range.first != asked.first() || length != brings || (answer.content_length.is_none() && !answer.chunked) {
        return Verdict::Again(Restart::NotResumable);
    }
    Verdict::Part { size: range.size }
}

/// Content-Range with a complete length (RFC 9110 section 14.4).
struct Range {
    first: u64,
    last: u64,
    size: u64,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (range, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let range = Self { first: first.parse().ok()?, last: last.parse().ok()?, size: size.parse().ok()? };
        (range.first <= range.last && range.last < range.size).then_some(range)
    }
}

fn refusal(status: u16, retry_after: Option<&str>) -> Cause {
    let text =
        ureq::http::StatusCode::from_u16(status).map_or_else(|_| status.to_string(), |status| status.to_string());
    match status {
        404 | 410 => Cause::NotFound(text),
        408 | 429 | 502 | 503 | 504 => {
            // A date is possible as well, but needs clocks that agree.
            let seconds = retry_after.and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(0);
            Cause::Busy(text, Duration::from_secs(LONGEST_PAUSE.min(seconds)))
        }
        400..600 => Cause::Refused(text),
        _ => Cause::Protocol(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked<'static> = Asked { offset: 100, etag: "\"a\"" };

    fn part() -> Answer<'static> {
        let content_range = Some("bytes 99-199/200");
        Answer { status: 206, etag: Some("\"a\""), content_range, content_length: Some(101), ..Answer::default() }
    }

    #[test]
    fn goes_on_only_with_what_was_asked_for() {
        assert_eq!(judge(&part(), Some(&ASKED)), Verdict::Part { size: 200 });
        // The server may give less: the rest is asked for afterwards.
        let less = Answer { content_range: Some("bytes 99-149/200"), content_length: Some(51), ..part() };
        assert_eq!(judge(&less, Some(&ASKED)), Verdict::Part { size: 200 });
        let again = |answer, why| assert_eq!(judge(&answer, Some(&ASKED)), Verdict::Again(why), "{answer:?}");
        again(Answer { etag: None, ..part() }, Restart::NoEtag);
        again(Answer { etag: Some("W/\"a\""), ..part() }, Restart::NoEtag);
        again(Answer { etag: Some("\"b\""), ..part() }, Restart::Changed);
        again(Answer { content_length: Some(100), ..part() }, Restart::NotResumable);
        again(Answer { content_length: None, ..part() }, Restart::NotResumable);
        for range in
            [None, Some("bytes 100-199/200"), Some("bytes 99-199/*"), Some("bytes 99-200/200"), Some("bytes 99-98/200")]
        {
            again(Answer { content_range: range, ..part() }, Restart::NotResumable);
        }
        again(Answer { status: 416, content_range: Some("bytes */50"), ..Answer::default() }, Restart::Changed);
        assert!(matches!(judge(&part(), None), Verdict::Failed(Cause::Protocol(_))));
    }

    #[test]
    fn a_whole_file_tells_why() {
        let whole = |etag| Answer { status: 200, etag, content_length: Some(200), ..Answer::default() };
        for (etag, why) in [
            (None, Restart::NoEtag),
            (Some("W/\"a\""), Restart::NoEtag),
            (Some("\"b\""), Restart::Changed),
            (Some("\"a\""), Restart::NotResumable),
        ] {
            let verdict = Verdict::Whole { size: Some(200), restart: Some(why) };
            assert_eq!(judge(&whole(etag), Some(&ASKED)), verdict);
            assert_eq!(judge(&whole(etag), None), Verdict::Whole { size: Some(200), restart: None });
        }
        let chunked = Answer { status: 200, chunked: true, ..Answer::default() };
        assert_eq!(judge(&chunked, None), Verdict::Whole { size: None, restart: None });
        let endless = Answer { status: 200, ..Answer::default() };
        assert!(matches!(judge(&endless, None), Verdict::Failed(Cause::Protocol(_))));
    }

    #[test]
    fn refusals_have_the_results_of_the_table() {
        for (status, retry_after, result, pause) in [
            (404, None, 7, None),
            (410, None, 7, None),
            (401, None, 4, None),
            (403, None, 4, None),
            (500, None, 4, None),
            (304, None, 4, None),
            (503, None, 4, Some(0)),
            (503, Some("7"), 4, Some(7)),
            (429, Some("Wed, 21 Oct 2015 07:28:00 GMT"), 4, Some(0)),
            (503, Some("99999999"), 4, Some(3600)),
        ] {
            let verdict = judge(&Answer { status, retry_after, ..Answer::default() }, None);
            let Verdict::Failed(cause) = verdict else { panic!("{status}: {verdict:?}") };
            assert_eq!((cause.firmware_result(), cause.pause()), (result, pause.map(Duration::from_secs)), "{status}");
        }
    }
}
