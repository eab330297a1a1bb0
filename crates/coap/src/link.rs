//! CoRE link-format (RFC 6690): what a device offers, as in `</3/0>;ver=1.1,</5>`.
//!
//! [`Links::parse`] checks a whole payload once and iterates without copying; [`Link`] owns its parts and, by its `Display`, emits them.
//! The grammar of RFC 6690 section 2 is held strictly, except that the values of the attributes it names are not told apart from
//! those of any other: `sz=big` is well-formed here.
//!
//! ```
//! use lapwing_coap::link::{Link, Links};
//!
//! let links = Links::parse(b"</>;rt=\"oma.lwm2m\";ct=112,</1/0>,</3>;ver=1.1").unwrap();
//! assert!(links.iter().map(|link| link.target).eq(["/", "/1/0", "/3"]));
//! assert_eq!(links.iter().next().unwrap().get("rt").unwrap().text(), "oma.lwm2m");
//! assert_eq!(Link::new("/3").token("ver", "1.1").to_string(), "</3>;ver=1.1");
//! ```

use core::fmt::{self, Write};
use core::str;
use std::borrow::Cow;

/// Links that were checked, and can be iterated without errors or copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Links<'a>(&'a str);

/// One link of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkRef<'a> {
    /// What stands between the angle brackets, in most cases a path that begins with `/`. Percent-encoding is left as it is.
    pub target: &'a str,
    attributes: &'a str,
}

/// One attribute of a link: a name, and a value unless it is a flag such as `obs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeRef<'a> {
    /// The name, with the star of an extended one such as `title*`.
    pub name: &'a str,
    /// The value, or `None` when there is no equals sign.
    pub value: Option<ValueRef<'a>>,
}

/// The value of an attribute, without copying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueRef<'a> {
    /// A bare value, as in `ct=40`.
    Token(&'a str),
    /// What stands between the quotation marks, with the backslashes that are in it.
    Quoted(&'a str),
}

/// Bytes are not CoRE link-format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no CoRE link-format at byte {offset}: {expected} expected")]
pub struct LinkError {
    /// Where in the input, in bytes.
    pub offset: usize,
    /// What would have been right there.
    pub expected: Expected,
}

/// What the grammar asks for at the place of a [`LinkError`] (RFC 6690 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Expected {
    /// The input must be UTF-8.
    #[error("UTF-8")]
    Utf8,
    /// The `<` that begins a link.
    #[error("'<'")]
    Target,
    /// A character of a URI reference, percent-encoded where need be, or the `>` that ends it.
    #[error("a URI reference and '>'")]
    UriReference,
    /// `;` before an attribute, `,` before a link, or the end.
    #[error("';', ',' or the end")]
    Separator,
    /// The name of an attribute.
    #[error("an attribute's name")]
    Name,
    /// A bare value.
    #[error("a value")]
    Token,
    /// The end of a quoted value, without control characters before it.
    #[error("the end of a quoted value")]
    Quoted,
}

impl<'a> Links<'a> {
    /// Checks a whole payload. An empty one has no links. Does not allocate and does not panic.
    ///
    /// # Errors
    /// At the first byte that the grammar of RFC 6690 section 2 does not permit.
    pub fn parse(payload: &'a [u8]) -> Result<Self, LinkError> {
        let text = str::from_utf8(payload)
            .map_err(|error| LinkError { offset: error.valid_up_to(), expected: Expected::Utf8 })?;
        let mut cursor = Cursor { text, offset: 0 };
        while cursor.link()?.is_some() {}
        Ok(Self(text))
    }

    /// The links in order.
    #[must_use]
    pub const fn iter(&self) -> LinkIter<'a> {
        LinkIter(Cursor { text: self.0, offset: 0 })
    }

    /// Whether there is no link.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The payload.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

impl<'a> IntoIterator for Links<'a> {
    type Item = LinkRef<'a>;
    type IntoIter = LinkIter<'a>;

    fn into_iter(self) -> LinkIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Links<'a> {
    type Item = LinkRef<'a>;
    type IntoIter = LinkIter<'a>;

    fn into_iter(self) -> LinkIter<'a> {
        self.iter()
    }
}

/// The iterator of [`Links::iter`].
#[derive(Debug, Clone)]
pub struct LinkIter<'a>(Cursor<'a>);

impl<'a> Iterator for LinkIter<'a> {
    type Item = LinkRef<'a>;

    fn next(&mut self) -> Option<LinkRef<'a>> {
        // The text was checked when the `Links` were made, so that an error is the end.
        self.0.link().ok().flatten()
    }
}

/// The iterator of [`LinkRef::attributes`].
#[derive(Debug, Clone)]
pub struct AttributeIter<'a>(Cursor<'a>);

impl<'a> Iterator for AttributeIter<'a> {
    type Item = AttributeRef<'a>;

    fn next(&mut self) -> Option<AttributeRef<'a>> {
        self.0.attribute().ok().flatten()
    }
}

impl<'a> LinkRef<'a> {
    /// The attributes in order.
    #[must_use]
    pub const fn attributes(&self) -> AttributeIter<'a> {
        AttributeIter(Cursor { text: self.attributes, offset: 0 })
    }

    /// The value of the first attribute with this name; later ones are to be ignored (RFC 6690 section 3). `None` is for an
    /// attribute without a value, too: [`LinkRef::has`] tells.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<ValueRef<'a>> {
        self.attributes().find(|attribute| attribute.name == name).and_then(|attribute| attribute.value)
    }

    /// Whether there is an attribute with this name, with a value or without.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.attributes().any(|attribute| attribute.name == name)
    }

    /// The link with copies of all its parts.
    #[must_use]
    pub fn to_owned(&self) -> Link {
        let attributes = self.attributes().map(|AttributeRef { name, value }| Attribute {
            name: name.into(),
            value: value.map(|value| match value {
                ValueRef::Token(token) => Value::Token(token.into()),
                ValueRef::Quoted(_) => Value::Quoted(value.text().into_owned()),
            }),
        });
        Link { target: self.target.into(), attributes: attributes.collect() }
    }
}

impl<'a> ValueRef<'a> {
    /// The value as it stands in the payload: for a quoted one without its quotation marks, but with its backslashes.
    #[must_use]
    pub const fn raw(&self) -> &'a str {
        match *self {
            Self::Token(raw) | Self::Quoted(raw) => raw,
        }
    }

    /// The value. Borrowed unless backslashes had to be taken out of a quoted one.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        match *self {
            Self::Quoted(raw) if raw.contains('\\') => {
                let mut text = String::with_capacity(raw.len());
                let mut rest = raw.chars();
                while let Some(c) = rest.next() {
                    text.extend(if c == '\\' { rest.next() } else { Some(c) });
                }
                Cow::Owned(text)
            }
            Self::Token(raw) | Self::Quoted(raw) => Cow::Borrowed(raw),
        }
    }
}

/// One link that owns its parts. Its `Display` is its link-format.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Link {
    /// What stands between the angle brackets, percent-encoded where need be.
    pub target: String,
    /// The attributes in order.
    pub attributes: Vec<Attribute>,
}

/// One attribute that owns its parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// The name, with the star of an extended one.
    pub name: String,
    /// The value, or `None` for a flag.
    pub value: Option<Value>,
}

/// The value of an attribute that owns its parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// A bare value: at least one character, none of them a blank, a control character or one of `",;\`.
    Token(String),
    /// A value that is emitted in quotation marks, given here without them and without backslashes.
    Quoted(String),
}

impl Value {
    /// The value without quotation marks.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Token(text) | Self::Quoted(text) => text,
        }
    }
}

impl Link {
    /// A link without attributes.
    #[must_use]
    pub fn new(target: impl Into<String>) -> Self {
        Self { target: target.into(), attributes: Vec::new() }
    }

    /// With one more attribute that has a bare value, as in `ver=1.1`.
    #[must_use]
    pub fn token(self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.with(name.into(), Some(Value::Token(value.to_string())))
    }

    /// With one more attribute that has a value in quotation marks, as in `rt="oma.lwm2m"`.
    #[must_use]
    pub fn quoted(self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.with(name.into(), Some(Value::Quoted(value.to_string())))
    }

    /// With one more attribute that has no value, as in `obs`.
    #[must_use]
    pub fn flag(self, name: impl Into<String>) -> Self {
        self.with(name.into(), None)
    }

    fn with(mut self, name: String, value: Option<Value>) -> Self {
        self.attributes.push(Attribute { name, value });
        self
    }

    /// The first attribute with this name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }
}

/// The links of `payload`, with copies of all their parts.
///
/// # Errors
/// As [`Links::parse`].
pub fn parse(payload: &[u8]) -> Result<Vec<Link>, LinkError> {
    Ok(Links::parse(payload)?.iter().map(|link| link.to_owned()).collect())
}

/// Appends `links` to `payload`, with commas between them.
///
/// What is written can be parsed again as long as each target, name and bare value is one that the grammar permits.
pub fn emit<'a>(links: impl IntoIterator<Item = &'a Link>, payload: &mut Vec<u8>) {
    for (index, link) in links.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        payload.extend_from_slice(format!("{comma}{link}").as_bytes());
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.target)?;
        self.attributes.iter().try_for_each(|attribute| write!(f, ";{attribute}"))
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.value {
            None => Ok(()),
            Some(value) => write!(f, "={value}"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(text) => f.write_str(text),
            Self::Quoted(text) => {
                f.write_char('"')?;
                for c in text.chars() {
                    // A backslash may stand before any ASCII character, control characters among them (RFC 2616 section 2.2).
                    if matches!(c, '"' | '\\') || c.is_ascii_control() {
                        f.write_char('\\')?;
                    }
                    f.write_char(c)?;
                }
                f.write_char('"')
            }
        }
    }
}

/// Reads the grammar from left to right. Every character it tells apart is ASCII, so that it never stops within another one.
#[derive(Debug, Clone)]
struct Cursor<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.offset).copied()
    }

    fn fail<T>(&self, expected: Expected) -> Result<T, LinkError> {
        Err(LinkError { offset: self.offset, expected })
    }

    /// The longest run of bytes from here that `belongs` says yes to.
    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a str {
        let start = self.offset;
        while self.peek().is_some_and(&belongs) {
            self.offset += 1;
        }
        &self.text[start..self.offset]
    }

    /// The next link, and the comma before it unless it is the first.
    fn link(&mut self) -> Result<Option<LinkRef<'a>>, LinkError> {
        if self.offset > 0 || self.text.is_empty() {
            match self.peek() {
                None => return Ok(None),
                Some(b',') => self.offset += 1,
                Some(_) => return self.fail(Expected::Separator),
            }
        }
        if self.peek() != Some(b'<') {
            return self.fail(Expected::Target);
        }
        self.offset += 1;
        let target = self.uri_reference()?;
        self.offset += 1;
        let start = self.offset;
        while self.attribute()?.is_some() {}
        Ok(Some(LinkRef { target, attributes: &self.text[start..self.offset] }))
    }

    /// What goes up to a `>`, which is left (RFC 3986 section 2).
    fn uri_reference(&mut self) -> Result<&'a str, LinkError> {
        let start = self.offset;
        loop {
            self.run(|byte| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte));
            match self.text.as_bytes()[self.offset..] {
                [b'>', ..] => return Ok(&self.text[start..self.offset]),
                [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => self.offset += 3,
                _ => return self.fail(Expected::UriReference),
            }
        }
    }

    /// The next attribute of a link with the semicolon before it; `None` at the end of the link.
    fn attribute(&mut self) -> Result<Option<AttributeRef<'a>>, LinkError> {
        if self.peek() != Some(b';') {
            return Ok(None);
        }
        self.offset += 1;
        let start = self.offset;
        if self.run(is_name).is_empty() {
            return self.fail(Expected::Name);
        }
        let extended = self.peek() == Some(b'*');
        self.offset += usize::from(extended);
        let name = &self.text[start..self.offset];
        if self.peek() != Some(b'=') {
            return if extended { self.fail(Expected::Token) } else { Ok(Some(AttributeRef { name, value: None })) };
        }
        self.offset += 1;
        let value = match self.peek() {
            Some(b'"') if !extended => ValueRef::Quoted(self.quoted()?),
            _ => match self.run(is_token) {
                "" => return self.fail(Expected::Token),
                token => ValueRef::Token(token),
            },
        };
        Ok(Some(AttributeRef { name, value: Some(value) }))
    }

    fn quoted(&mut self) -> Result<&'a str, LinkError> {
        self.offset += 1;
        let start = self.offset;
        loop {
            match self.text.as_bytes()[self.offset..] {
                [b'"', ..] => {
                    self.offset += 1;
                    return Ok(&self.text[start..self.offset - 1]);
                }
                [b'\\', escaped, ..] if escaped.is_ascii() => self.offset += 2,
                [byte, ..] if byte != b'\\' && (byte == b'\t' || !byte.is_ascii_control()) => self.offset += 1,
                _ => return self.fail(Expected::Quoted),
            }
        }
    }
}

/// `attr-char` of RFC 5987 section 3.2.1, of which an attribute's name is made.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte)
}

/// `ptokenchar` of RFC 6690 section 2: every visible ASCII character but `",;\`.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}
