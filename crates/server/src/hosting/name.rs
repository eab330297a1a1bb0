//! Names of hosted files.

use std::{fmt, str::FromStr, sync::Arc};

/// The name of a hosted file: 1 to 100 letters, digits and `. _ - + ~`, the first of them no dot. So it stands in a URI as it
/// is, and leads nowhere but into its folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileName(Arc<str>);

/// A text that is no [`FileName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a file's name has 1 to 100 letters, digits and . _ - + ~, and does not begin with a dot")]
pub(crate) struct NotAFileName;

impl FileName {
    /// The longest name, in bytes.
    const LONGEST: usize = 100;

    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FileName {
    type Err = NotAFileName;

    fn from_str(text: &str) -> Result<FileName, NotAFileName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+~".contains(&byte);
        let fits = (1..=FileName::LONGEST).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(allowed);
        if fits { Ok(FileName(text.into())) } else { Err(NotAFileName) }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_in_a_uri_and_leads_nowhere_else() {
        for name in ["a", "gateway-1.2.3+git~7.swu", "UPPER_lower", &"x".repeat(100)] {
            assert_eq!(name.parse::<FileName>().map(|name| name.to_string()).as_deref(), Ok(name));
        }
        for name in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "../a",
            "a\\b",
            "a b",
            "a\0",
            "ü",
            "a%2fb",
            "a?b",
            "a#b",
            &"x".repeat(101),
        ] {
            assert_eq!(name.parse::<FileName>(), Err(NotAFileName), "{name:?}");
        }
    }
}
