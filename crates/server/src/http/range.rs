//! Which part of a file a request wants (RFC 9110 sections 13 and 14).

use std::ops::Range;

use axum::http::{HeaderMap, header};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that the file does not have.
    Beyond,
    /// Nothing, for what is there is known already.
    Nothing,
}

/// What a request wants of a file with this entity-tag, a strong one in quotes. One range is served; of several, or where the header
/// cannot be understood, all of the file.
pub(super) fn wanted(headers: &HeaderMap, etag: &str, size: u64) -> Wanted {
    let text = |name| headers.get(name).map(|value: &axum::http::HeaderValue| value.to_str().unwrap_or_default());
    let known =
        |tags: &str| tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag);
    if text(header::IF_NONE_MATCH).is_some_and(known) {
        return Wanted::Nothing;
    }
    // Weak tags and dates do not tell whether the bytes are the same.
    let same = text(header::IF_RANGE).is_none_or(|tag| tag == etag);
    let range = text(header::RANGE).filter(|_| same).and_then(|range| range.trim().strip_prefix("bytes="));
    match range.and_then(|range| parse(range, size)) {
        None => Wanted::Whole,
        Some(part) if part.start < part.end => Wanted::Part(part),
        Some(_) => Wanted::Beyond,
    }
}

/// `None` for what is no single range; an empty one where the file has nothing of it.
fn parse(range: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = range.split_once('-')?;
    let number = |digits: &str| {
        let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // More than there can be is more than there is.
        all.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    match (first, last) {
        ("", suffix) => Some(size.saturating_sub(number(suffix)?)..size),
        (first, "") => Some(number(first)?..size),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| first..last.saturating_add(1).min(size))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(header::HeaderName, &str)]) -> Wanted {
        let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        wanted(&headers, "\"now\"", 1000)
    }

    #[test]
    fn one_range_is_served() {
        for (range, expected) in [
            ("bytes=0-", Wanted::Part(0..1000)),
            ("bytes=10-19", Wanted::Part(10..20)),
            ("bytes=990-5000", Wanted::Part(990..1000)),
            ("bytes=-10", Wanted::Part(990..1000)),
            ("bytes=-5000", Wanted::Part(0..1000)),
            ("bytes=1000-", Wanted::Beyond),
            ("bytes=99999999999999999999999-", Wanted::Beyond),
            ("bytes=-0", Wanted::Beyond),
            ("bytes=20-10", Wanted::Whole),
            ("bytes=0-1,5-6", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
        ] {
            assert_eq!(of(&[(header::RANGE, range)]), expected, "{range}");
        }
    }

    #[test]
    fn a_range_is_of_the_same_file_or_of_none() {
        let range = |tag| of(&[(header::RANGE, "bytes=10-19"), (header::IF_RANGE, tag)]);
        assert_eq!(range("\"now\""), Wanted::Part(10..20));
        for other in ["\"before\"", "W/\"now\"", "Sun, 22 Nov 2026 12:00:00 GMT"] {
            assert_eq!(range(other), Wanted::Whole, "{other}");
        }
    }

    #[test]
    fn what_is_known_is_not_sent() {
        for tags in ["\"now\"", "\"before\", W/\"now\"", "*"] {
            assert_eq!(of(&[(header::IF_NONE_MATCH, tags)]), Wanted::Nothing, "{tags}");
        }
        assert_eq!(of(&[(header::IF_NONE_MATCH, "\"before\"")]), Wanted::Whole);
    }
}
