//! The POSIX `TZ` rule in the footer of time zone files (RFC 9636 section 3.3, POSIX base definitions section 8.3).

const DAY: i64 = 86_400;

/// A standard offset and, where the zone has it, daylight saving time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PosixTz {
    standard: i32,
    daylight: Option<Daylight>,
}

#[derive(Debug, PartialEq, Eq)]
struct Daylight {
    offset: i32,
    start: Change,
    end: Change,
}

/// A day of the year and a time on it: seconds from local midnight, which may be before or after that day.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    day: Day,
    time: i64,
}

#[derive(Debug, PartialEq, Eq)]
enum Day {
    /// 1 to 365, where 29 February never counts.
    Julian(i64),
    /// 0 to 365, where it does.
    Zero(i64),
    /// Month 1 to 12, week 1 to 5 (5 is the last), weekday 0 (Sunday) to 6.
    Weekday { month: i64, week: i64, weekday: i64 },
}

impl PosixTz {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut cursor = Cursor { rest: text };
        cursor.name()?;
        // POSIX counts west of Greenwich as positive.
        let standard = -cursor.time()?;
        if cursor.rest.is_empty() {
            return Some(Self { standard: standard.try_into().ok()?, daylight: None });
        }
        cursor.name()?;
        let offset = if cursor.rest.starts_with(',') { standard + 3600 } else { -cursor.time()? };
        let start = cursor.change()?;
        let end = cursor.change()?;
        let daylight = Some(Daylight { offset: offset.try_into().ok()?, start, end });
        cursor.rest.is_empty().then_some(Self { standard: standard.try_into().ok()?, daylight })
    }

    pub(super) fn offset_at(&self, unix: i64) -> i32 {
        let Some(daylight) = &self.daylight else { return self.standard };
        let year = year_of(unix + i64::from(self.standard));
        let start = daylight.start.in_year(year) - i64::from(self.standard);
        let end = daylight.end.in_year(year) - i64::from(daylight.offset);
        // On the southern half of the earth daylight saving time spans the turn of the year.
        let inside = if start < end { (start..end).contains(&unix) } else { !(end..start).contains(&unix) };
        if inside { daylight.offset } else { self.standard }
    }
}

impl Change {
    /// Local time of the change, in seconds since 1970-01-01T00:00:00 local time.
    fn in_year(&self, year: i64) -> i64 {
        let first = days_before_year(year);
        let day = match self.day {
            Day::Julian(day) => first + day - 1 + i64::from(is_leap(year) && day >= 60),
            Day::Zero(day) => first + day,
            Day::Weekday { month, week, weekday } => {
                let start = first + days_before_month(year, month);
                let length = days_before_month(year, month + 1) - days_before_month(year, month);
                // 1970-01-01 was a Thursday.
                let offset = (weekday - (start + 4)).rem_euclid(7) + (week - 1) * 7;
                start + if offset >= length { offset - 7 } else { offset }
            }
        };
        day * DAY + self.time
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days from 1970-01-01 to the first of January of a year.
fn days_before_year(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

/// Days of a year before a month, 1 to 13.
fn days_before_month(year: i64, month: i64) -> i64 {
    const BEFORE: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    let index = usize::try_from(month - 1).unwrap_or(0).min(12);
    BEFORE[index] + i64::from(month > 2 && is_leap(year))
}

fn year_of(local: i64) -> i64 {
    let days = local.div_euclid(DAY);
    // The mean year of the calendar's 400-year cycle misses by one at most.
    let year = 1970 + (days * 400).div_euclid(146_097);
    if days_before_year(year) > days {
        year - 1
    } else if days_before_year(year + 1) <= days {
        year + 1
    } else {
        year
    }
}

struct Cursor<'a> {
    rest: &'a str,
}

impl Cursor<'_> {
    fn take(&mut self, prefix: char) -> bool {
        self.rest.strip_prefix(prefix).map(|rest| self.rest = rest).is_some()
    }

    /// An abbreviation, bare or in angle brackets; its text does not matter.
    fn name(&mut self) -> Option<()> {
        let length = if self.take('<') {
            let end = self.rest.find('>')?;
            self.rest = &self.rest[end + 1..];
            end
        } else {
            let end = self.rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len());
            self.rest = &self.rest[end..];
            end
        };
        (length >= 3).then_some(())
    }

    fn number(&mut self, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let number = self.rest[..end].parse().ok()?;
        self.rest = &self.rest[end..];
        range.contains(&number).then_some(number)
    }

    /// `[+-]hh[:mm[:ss]]` in seconds; hours reach a week, as RFC 9636 section 3.3.1 allows.
    fn time(&mut self) -> Option<i64> {
        let sign = if self.take('-') {
            -1
        } else {
            self.take('+');
            1
        };
        let mut seconds = self.number(0..=167)? * 3600;
        if self.take(':') {
            seconds += self.number(0..=59)? * 60;
            if self.take(':') {
                seconds += self.number(0..=59)?;
            }
        }
        Some(sign * seconds)
    }

    /// `,date[/time]`
    fn change(&mut self) -> Option<Change> {
        if !self.take(',') {
            return None;
        }
        let day = if self.take('M') {
            let month = self.number(1..=12)?;
            let week = self.take('.').then(|| self.number(1..=5)).flatten()?;
            let weekday = self.take('.').then(|| self.number(0..=6)).flatten()?;
            Day::Weekday { month, week, weekday }
        } else if self.take('J') {
            Day::Julian(self.number(1..=365)?)
        } else {
            Day::Zero(self.number(0..=365)?)
        };
        let time = if self.take('/') { self.time()? } else { 2 * 3600 };
        Some(Change { day, time })
    }
}
