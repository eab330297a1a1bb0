use std::fmt;
use std::str::FromStr;

/// The arguments of an Execute, `0='text',1` (LwM2M Core 1.1 section 6.3.5): each a digit, with a text if it has one.
///
/// ```
/// use lapwing_lwm2m::client::Arguments;
///
/// let arguments: Arguments = "2='10.3',7".parse()?;
/// assert_eq!(arguments.get(2), Some(Some("10.3")));
/// assert_eq!(arguments.get(7), Some(None));
/// assert_eq!(arguments.get(0), None);
/// # Ok::<(), lapwing_lwm2m::client::ArgumentsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arguments {
    list: Vec<(u8, Option<String>)>,
}

impl Arguments {
    /// No arguments.
    pub const NONE: Arguments = Arguments { list: Vec::new() };

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The argument of this digit, 0 to 9: `None` if it is not there, `Some(None)` if it has no text.
    pub fn get(&self, digit: u8) -> Option<Option<&str>> {
        self.iter().find(|(name, _)| *name == digit).map(|(_, text)| text)
    }

    /// All arguments in the order in which the server gave them.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Option<&str>)> + '_ {
        self.list.iter().map(|(digit, text)| (*digit, text.as_deref()))
    }

    /// Reads the payload of an Execute.
    ///
    /// # Errors
    /// As for parsing from a string.
    pub fn from_payload(payload: &[u8]) -> Result<Arguments, ArgumentsError> {
        std::str::from_utf8(payload).map_err(|_| ArgumentsError::Character)?.parse()
    }
}

impl FromStr for Arguments {
    type Err = ArgumentsError;

    fn from_str(text: &str) -> Result<Arguments, ArgumentsError> {
        let mut arguments = Arguments::NONE;
        let mut rest = text.as_bytes();
        if rest.is_empty() {
            return Ok(arguments);
        }
        loop {
            let (digit, text, after) = parse_argument(rest)?;
            if arguments.get(digit).is_some() {
                return Err(ArgumentsError::Twice(digit));
            }
            arguments.list.push((digit, text));
            match after {
                [] => return Ok(arguments),
                [b',', after @ ..] => rest = after,
                _ => return Err(ArgumentsError::Separator),
            }
        }
    }
}

type Argument<'a> = (u8, Option<String>, &'a [u8]);

fn parse_argument(bytes: &[u8]) -> Result<Argument<'_>, ArgumentsError> {
    let (digit, rest) = match bytes {
        [digit @ b'0'..=b'9', rest @ ..] => (digit - b'0', rest),
        _ => return Err(ArgumentsError::Digit),
    };
    let Some(value) = rest.strip_prefix(b"=") else { return Ok((digit, None, rest)) };
    let value = value.strip_prefix(b"'").ok_or(ArgumentsError::Quote)?;
    let end = value.iter().position(|&byte| byte == b'\'').ok_or(ArgumentsError::Quote)?;
    let (text, rest) = (&value[..end], &value[end + 1..]);
    if !text.iter().copied().all(is_char) {
        return Err(ArgumentsError::Character);
    }
    Ok((digit, Some(String::from_utf8_lossy(text).into_owned()), rest))
}

/// CHAR of the grammar: "!" / %x23-26 / %x28-5B / %x5D-7E.
fn is_char(byte: u8) -> bool {
    matches!(byte, b'!' | 0x23..=0x26 | 0x28..=0x5b | 0x5d..=0x7e)
}

impl fmt::Display for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (digit, text)) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match text {
                Some(text) => write!(f, "{comma}{digit}='{text}'")?,
                None => write!(f, "{comma}{digit}")?,
            }
        }
        Ok(())
    }
}

/// Why a text is not a list of arguments; the server gets 4.00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentsError {
    /// An argument does not begin with a digit.
    #[error("an argument begins with a digit")]
    Digit,
    /// A text does not stand in single quotes.
    #[error("the text of an argument stands in single quotes")]
    Quote,
    /// Something else than a comma follows an argument.
    #[error("arguments are separated by commas")]
    Separator,
    /// A character that the grammar does not have: spaces, quotes, backslashes, control and non-ASCII characters.
    #[error("a character that arguments must not have")]
    Character,
    /// A digit is there twice.
    #[error("argument {0} is there twice")]
    Twice(u8),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_grammar_has() {
        for text in ["", "5", "2='10.3'", "7,0='https://www.oma.org'", "0,1,2,3,4,5,6,7,8,9", "0=''"] {
            assert_eq!(text.parse::<Arguments>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_the_rest() {
        for (text, why) in [
            ("a", ArgumentsError::Digit),
            ("10", ArgumentsError::Separator),
            (",", ArgumentsError::Digit),
            ("0,", ArgumentsError::Digit),
            (" 0", ArgumentsError::Digit),
            ("0 ,1", ArgumentsError::Separator),
            ("0=", ArgumentsError::Quote),
            ("0=1", ArgumentsError::Quote),
            ("0='", ArgumentsError::Quote),
            ("0='a", ArgumentsError::Quote),
            ("0='a'b", ArgumentsError::Separator),
            ("0='a b'", ArgumentsError::Character),
            ("0='\"'", ArgumentsError::Character),
            ("0='\\'", ArgumentsError::Character),
            ("0='\u{e9}'", ArgumentsError::Character),
            ("0,0", ArgumentsError::Twice(0)),
        ] {
            assert_eq!(text.parse::<Arguments>(), Err(why), "{text}");
        }
        assert_eq!(Arguments::from_payload(b"0='\xff'"), Err(ArgumentsError::Character));
    }
}
