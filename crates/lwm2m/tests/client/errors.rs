//! What a client refuses, and with which code (LwM2M Core 1.1 section 6.3, RFC 7252 section 5.8 and 5.9; test cases
//! LightweightM2M-1.1-int-221 and 256).

use lapwing_coap::{Code, ContentFormat};

use crate::harness::{Ask, Harness};

const TLV: ContentFormat = ContentFormat::TLV;
const TEXT: ContentFormat = ContentFormat::TEXT;

/// int-221: the Security object is nobody's business.
#[test]
fn the_security_object_is_closed() {
    let mut harness = Harness::registered();
    for path in ["/0", "/0/0", "/0/0/0", "/0/0/5", "/0/9/9"] {
        for code in [Code::GET, Code::PUT, Code::POST, Code::DELETE] {
            assert_eq!(harness.code(Ask::new(code, path)), Code::UNAUTHORIZED, "{code} {path}");
        }
        assert_eq!(harness.code(Ask::observe(path)), Code::UNAUTHORIZED);
        assert_eq!(harness.code(Ask::get(path).accept(ContentFormat::LINK_FORMAT)), Code::UNAUTHORIZED);
        assert_eq!(harness.write_attributes(path, &["pmin=1"]), Code::UNAUTHORIZED);
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut harness = Harness::registered();
    for path in
        ["/77", "/3/1", "/3/0/99", "/3/0/0/0", "/3/0/6/9", "/rd", "/.well-known/core", "/3/00", "/3/0/0/0/0", "/65535"]
    {
        assert_eq!(harness.code(Ask::get(path)), Code::NOT_FOUND, "{path}");
    }
    for path in ["/77/0/1", "/3/1/15", "/3/0/99", "/3441/0/140"] {
        assert_eq!(harness.code(Ask::put(path, TEXT, b"1")), Code::NOT_FOUND, "{path}");
        assert_eq!(harness.write_attributes(path, &["pmin=1"]), Code::NOT_FOUND, "{path}");
    }
    assert_eq!(harness.code(Ask::new(Code::POST, "/3/0/99")), Code::NOT_FOUND);
}

/// RFC 7252 section 5.8: methods that are not supported are 4.05; so are the composite operations, which LwM2M 1.0 and a
/// client of 1.1 need not have.
#[test]
fn methods_that_do_not_apply_are_not_allowed() {
    let mut harness = Harness::registered();
    for (code, path) in [
        (Code::FETCH, "/"),
        (Code::IPATCH, "/"),
        (Code::PATCH, "/3/0"),
        (Code::new(0, 31), "/3/0"),
        (Code::GET, "/"),
        (Code::DELETE, "/"),
        (Code::POST, "/"),
        (Code::PUT, "/"),
        (Code::PUT, "/3"),
        (Code::POST, "/3/0/6/0"),
    ] {
        assert_eq!(harness.code(Ask::new(code, path)), Code::METHOD_NOT_ALLOWED, "{code} {path}");
    }
    assert_eq!(harness.code(Ask::put("/3/0/0", TEXT, b"other")), Code::METHOD_NOT_ALLOWED);
    assert_eq!(harness.code(Ask::post("/3/0", TLV, &[0xc1, 0, b'x'])), Code::METHOD_NOT_ALLOWED);
    assert_eq!(harness.code(Ask::get("/3/0/6/0").accept(ContentFormat::LINK_FORMAT)), Code::METHOD_NOT_ALLOWED);
}

#[test]
fn formats_that_are_not_there_are_refused() {
    let mut harness = Harness::registered();
    for format in [ContentFormat::XML, ContentFormat(9_999)] {
        assert_eq!(harness.code(Ask::get("/3/0").accept(format)), Code::NOT_ACCEPTABLE, "{format}");
        assert_eq!(harness.code(Ask::put("/3/0/15", format, b"x")), Code::UNSUPPORTED_CONTENT_FORMAT, "{format}");
    }
    for path in ["/3", "/3/0", "/3/0/6"] {
        assert_eq!(harness.code(Ask::get(path).accept(TEXT)), Code::NOT_ACCEPTABLE, "{path}");
    }
    assert_eq!(harness.code(Ask::put("/3441/0", TEXT, b"x")), Code::UNSUPPORTED_CONTENT_FORMAT);
    let unnamed = Ask { payload: &[0xc1, 120, 7], ..Ask::new(Code::PUT, "/3441/0") };
    assert_eq!(harness.code(unnamed), Code::UNSUPPORTED_CONTENT_FORMAT);
}

/// int-256: a write fails as a whole.
#[test]
fn content_that_makes_no_sense_is_a_bad_request() {
    let mut harness = Harness::registered();
    for ask in [
        Ask::put("/3441/0/120", TEXT, b"twelve"),
        Ask::put("/3441/0/120", TLV, &[0xc3, 120, 1, 2, 3]),
        Ask::put("/3441/0/120", TLV, &[0xc1, 120]),
        Ask::put("/3441/0/120", TLV, &[0xc1, 121, 1]),
        Ask::post("/3441/0", TLV, &[0xc1, 120, 5, 0xc1]),
        Ask { query: &["pmin=x"], ..Ask::new(Code::PUT, "/3/0/9") },
        Ask { query: &["what=1"], ..Ask::new(Code::PUT, "/3/0/9") },
    ] {
        assert_eq!(harness.code(ask), Code::BAD_REQUEST, "{ask:?}");
    }
    let before = harness.objects.get("/3441/0");
    // A good value and one that is not writable.
    assert_eq!(harness.code(Ask::post("/3441/0", TLV, &[0xc1, 120, 5, 0xc1, 3, 1])), Code::METHOD_NOT_ALLOWED);
    assert_eq!(harness.objects.get("/3441/0"), before);
}
