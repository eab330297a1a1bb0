//! Progress of a transfer as text.

/// How many marks a bar has.
const MARKS: u64 = 24;

/// How much has come of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) bytes: u64,
    /// The whole, where it is known.
    pub(crate) size: Option<u64>,
    /// Bytes a second, of late, where that is known.
    pub(crate) rate: Option<u64>,
}

impl Progress {
    /// Of the whole, in percent; `None` where the whole is not known. What is empty is there.
    pub(crate) fn percent(self) -> Option<u64> {
        match self.size? {
            0 => Some(100),
            size => u64::try_from(u128::from(self.bytes.min(size)) * 100 / u128::from(size)).ok(),
        }
    }

    /// `[######------------------]  25 %  1.0 MiB of 4.0 MiB  98 KiB/s`
    pub(crate) fn bar(self) -> String {
        let bar = self.percent().map(|percent| {
            let marks = usize::try_from(percent * MARKS / 100).unwrap_or(0);
            let rest = usize::try_from(MARKS).unwrap_or(0) - marks;
            format!("[{}{}] {percent:3} %  ", "#".repeat(marks), "-".repeat(rest))
        });
        let of = self.size.map(|size| format!(" of {}", size_of(size))).unwrap_or_default();
        let rate = self.rate.filter(|rate| *rate > 0).map(|rate| format!("  {}/s", size_of(rate))).unwrap_or_default();
        format!("{}{}{of}{rate}", bar.unwrap_or_default(), size_of(self.bytes))
    }

    /// `1048576 of 4194304 bytes (25 %)`
    pub(crate) fn exact(self) -> String {
        match (self.size, self.percent()) {
            (Some(size), Some(percent)) => format!("{} of {size} bytes ({percent} %)", self.bytes),
            _ => format!("{} bytes", self.bytes),
        }
    }
}

/// A number of bytes in the unit that fits it, in two digits at least.
fn size_of(bytes: u64) -> String {
    let mut rest = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if rest < 1000.0 || unit == "GiB" {
            let digits = usize::from(unit != "B" && rest < 10.0);
            return format!("{rest:.digits$} {unit}");
        }
        rest /= 1024.0;
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(bytes: u64, size: Option<u64>, rate: Option<u64>) -> Progress {
        Progress { bytes, size, rate }
    }

    #[test]
    fn a_bar_shows_what_is_known() {
        let quarter = progress(1 << 20, Some(4 << 20), Some(100_000));
        assert_eq!(quarter.bar(), "[######------------------]  25 %  1.0 MiB of 4.0 MiB  98 KiB/s");
        assert_eq!(quarter.exact(), "1048576 of 4194304 bytes (25 %)");
        assert_eq!(
            progress(5 << 20, Some(4 << 20), None).bar(),
            format!("[{}] 100 %  5.0 MiB of 4.0 MiB", "#".repeat(24))
        );
        assert_eq!(
            (progress(7, None, Some(0)).bar(), progress(7, None, None).exact()),
            ("7 B".into(), "7 bytes".into())
        );
        assert_eq!(progress(0, Some(0), None).percent(), Some(100));
        assert_eq!(progress(u64::MAX, Some(u64::MAX), None).percent(), Some(100));
    }

    #[test]
    fn sizes_have_two_digits_at_least() {
        let sizes = [999, 1000, 10 << 10, 300 << 20, 5 << 40].map(size_of);
        assert_eq!(sizes, ["999 B", "1.0 KiB", "10 KiB", "300 MiB", "5120 GiB"]);
    }
}
