//! Content-Format numbers: what a payload is (RFC 7252 section 12.3).

use core::fmt;

/// A Content-Format number, as the Content-Format and Accept options carry it (RFC 7252 sections 5.10.3 and 5.10.4).
///
/// Every number is representable; the constants are those that LwM2M and its transports use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentFormat(pub u16);

impl ContentFormat {
    /// `text/plain; charset=utf-8` (RFC 7252 section 12.3).
    pub const TEXT: Self = Self(0);
    /// `application/link-format` (RFC 6690).
    pub const LINK_FORMAT: Self = Self(40);
    /// `application/xml` (RFC 7252 section 12.3).
    pub const XML: Self = Self(41);
    /// `application/octet-stream` (RFC 7252 section 12.3).
    pub const OPAQUE: Self = Self(42);
    /// `application/json` (RFC 7252 section 12.3).
    pub const PLAIN_JSON: Self = Self(50);
    /// `application/cbor` (RFC 8949).
    pub const CBOR: Self = Self(60);
    /// `application/senml+json` (RFC 8428).
    pub const SENML_JSON: Self = Self(110);
    /// `application/senml+cbor` (RFC 8428).
    pub const SENML_CBOR: Self = Self(112);
    /// `application/senml-etch+json` (RFC 8790).
    pub const SENML_ETCH_JSON: Self = Self(320);
    /// `application/senml-etch+cbor` (RFC 8790).
    pub const SENML_ETCH_CBOR: Self = Self(322);
    /// The number that drafts of LwM2M 1.0 used for TLV before 11542 was registered; some peers still send it.
    pub const OLD_TLV: Self = Self(1542);
    /// `application/vnd.oma.lwm2m+tlv` (LwM2M 1.0 section 6.4).
    pub const TLV: Self = Self(11542);
    /// `application/vnd.oma.lwm2m+json` (LwM2M 1.0 section 6.4).
    pub const JSON: Self = Self(11543);
    /// `application/vnd.oma.lwm2m+cbor` (LwM2M 1.2 core section 7.4).
    pub const LWM2M_CBOR: Self = Self(11544);

    /// The short name used in logs, or `None` for a number without a constant here.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::TEXT => "text",
            Self::LINK_FORMAT => "link-format",
            Self::XML => "XML",
            Self::OPAQUE => "opaque",
            Self::PLAIN_JSON => "plain-JSON",
            Self::CBOR => "CBOR",
            Self::SENML_JSON => "SenML-JSON",
            Self::SENML_CBOR => "SenML-CBOR",
            Self::SENML_ETCH_JSON => "SenML-ETCH-JSON",
            Self::SENML_ETCH_CBOR => "SenML-ETCH-CBOR",
            Self::OLD_TLV => "old-TLV",
            Self::TLV => "TLV",
            Self::JSON => "JSON",
            Self::LWM2M_CBOR => "LwM2M-CBOR",
            _ => return None,
        })
    }
}

impl From<u16> for ContentFormat {
    fn from(number: u16) -> Self {
        Self(number)
    }
}

impl From<ContentFormat> for u16 {
    fn from(format: ContentFormat) -> Self {
        format.0
    }
}

/// The short name, or the number where there is none.
impl fmt::Display for ContentFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for ContentFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentFormat({self})")
    }
}
