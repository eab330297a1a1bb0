//! CoRE link-format: the examples of RFC 6690 section 5 and of LwM2M, each error, and that what was emitted can be parsed again.

use lapwing_coap::link::{self, Attribute, Expected, Link, LinkError, Links, Value, ValueRef};
use proptest::collection::vec;
use proptest::prelude::*;

fn owned(payload: &str) -> Vec<Link> {
    link::parse(payload.as_bytes()).unwrap()
}

fn emitted(links: &[Link]) -> String {
    let mut payload = Vec::new();
    link::emit(links, &mut payload);
    String::from_utf8(payload).unwrap()
}

#[test]
fn the_examples_of_rfc_6690_section_5() {
    let payload = concat!(
        r#"</sensors>;ct=40;title="Sensor Index","#,
        r#"</sensors/temp>;rt="temperature-c";if="sensor","#,
        r#"<http://www.example.com/sensors/t123>;anchor="/sensors/temp";rel="describedby","#,
        r#"</firmware/v2.1>;rt="firmware";sz=262144"#,
    );
    let expected = [
        Link::new("/sensors").token("ct", 40).quoted("title", "Sensor Index"),
        Link::new("/sensors/temp").quoted("rt", "temperature-c").quoted("if", "sensor"),
        Link::new("http://www.example.com/sensors/t123").quoted("anchor", "/sensors/temp").quoted("rel", "describedby"),
        Link::new("/firmware/v2.1").quoted("rt", "firmware").token("sz", 262_144),
    ];
    assert_eq!(owned(payload), expected);
    assert_eq!(emitted(&expected), payload);
}

#[test]
fn a_registration_of_lwm2m() {
    let links = Links::parse(br#"</>;rt="oma.lwm2m";ct="60 112",</1>;ver=1.1,</1/0>,</3303/0>;obs"#).unwrap();
    assert!(links.iter().map(|link| link.target).eq(["/", "/1", "/1/0", "/3303/0"]));
    let all: Vec<_> = links.iter().collect();
    assert_eq!(all[0].get("rt").unwrap().text(), "oma.lwm2m");
    assert_eq!(all[0].get("ct"), Some(ValueRef::Quoted("60 112")));
    assert_eq!((all[1].get("ver"), all[1].has("obs")), (Some(ValueRef::Token("1.1")), false));
    assert_eq!((all[3].get("obs"), all[3].has("obs")), (None, true));
    assert_eq!(all[2].attributes().count(), 0);
    assert_eq!(all[3].to_owned(), Link::new("/3303/0").flag("obs"));
}

#[test]
fn an_empty_payload_has_no_links_and_an_empty_target_is_one() {
    assert!(Links::parse(b"").unwrap().is_empty() && owned("").is_empty());
    assert_eq!(owned("<>"), [Link::new("")]);
    assert_eq!(emitted(&[]), "");
}

#[test]
fn backslashes_stand_before_what_would_end_a_quoted_value() {
    let links = owned(r#"</a>;title="say \"hi\" \\ \t""#);
    assert_eq!(links[0].attribute("title").unwrap().value, Some(Value::Quoted(r#"say "hi" \ t"#.into())));
    assert_eq!(emitted(&links), r#"</a>;title="say \"hi\" \\ t""#);
    let links = Links::parse(r#"</a>;title="été, €; <b>""#.as_bytes()).unwrap();
    assert_eq!(links.iter().next().unwrap().get("title").unwrap().raw(), "été, €; <b>");
    assert_eq!(links.iter().count(), 1);
}

/// RFC 6690 section 3: what occurs again is ignored.
#[test]
fn the_first_of_several_attributes_with_a_name_counts() {
    let links = Links::parse(br#"</a>;rt="x";rt="y""#).unwrap();
    assert_eq!(links.iter().next().unwrap().get("rt").unwrap().text(), "x");
}

#[test]
fn extended_values_are_bare_and_begin_with_a_charset() {
    let links = owned("</a>;title*=UTF-8'en'%c3%a9t%c3%a9");
    assert_eq!(links[0].attribute("title*").unwrap().value, Some(Value::Token("UTF-8'en'%c3%a9t%c3%a9".into())));
}

#[test]
fn each_error_is_found_where_it_is() {
    let cases: [(&[u8], usize, Expected); 27] = [
        (b"a", 0, Expected::Target),
        (b" <a>", 0, Expected::Target),
        (b",<a>", 0, Expected::Target),
        (b"<a>,", 4, Expected::Target),
        (b"<a>,,<b>", 4, Expected::Target),
        (b"<a>, <b>", 4, Expected::Target),
        (b"<a", 2, Expected::UriReference),
        (b"<", 1, Expected::UriReference),
        (b"<a b>", 2, Expected::UriReference),
        (b"<a\"b>", 2, Expected::UriReference),
        (b"<a<b>", 2, Expected::UriReference),
        (b"<%>", 1, Expected::UriReference),
        (b"<%4>", 1, Expected::UriReference),
        (b"<%4g>", 1, Expected::UriReference),
        (b"<%g4>", 1, Expected::UriReference),
        ("<é>".as_bytes(), 1, Expected::UriReference),
        (b"<a>b", 3, Expected::Separator),
        (b"<a> ;ct=1", 3, Expected::Separator),
        (b"<a>;", 4, Expected::Name),
        (b"<a>; ct=1", 4, Expected::Name),
        (b"<a>;=1", 4, Expected::Name),
        (b"<a>;ct=", 7, Expected::Token),
        (b"<a>;ct= 1", 7, Expected::Token),
        (b"<a>;t*", 6, Expected::Token),
        (b"<a>;t*=\"x\"", 7, Expected::Token),
        (b"<a>;t=\"x\ny\"", 8, Expected::Quoted),
        (b"<a>;t=\"x\\\"", 10, Expected::Quoted),
    ];
    for (payload, offset, expected) in cases {
        assert_eq!(Links::parse(payload), Err(LinkError { offset, expected }), "{}", payload.escape_ascii());
    }
    assert_eq!(Links::parse(b"<a>;t=\"\xff\""), Err(LinkError { offset: 7, expected: Expected::Utf8 }));
    assert_eq!(
        Links::parse(b"<a>;ct=1;").unwrap_err().to_string(),
        "no CoRE link-format at byte 9: an attribute's name expected"
    );
    assert_eq!(Links::parse(b"<a>;t=x\"").unwrap_err().expected, Expected::Separator);
    assert_eq!(Links::parse("<a>;t=\"\\é\"".as_bytes()).unwrap_err().expected, Expected::Quoted);
}

fn value() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        "[!#-+--:<-\\[\\]-~]{1,12}".prop_map(|token| Some(Value::Token(token))),
        "\\PC{0,12}".prop_map(|text| Some(Value::Quoted(text))),
        "[\\x00-\\x7f]{0,12}".prop_map(|text| Some(Value::Quoted(text))),
    ]
}

fn link() -> impl Strategy<Value = Link> {
    let attribute = ("[a-zA-Z0-9!#$&+.^_`|~-]{1,8}", value()).prop_map(|(name, value)| Attribute { name, value });
    ("(/|/[a-z0-9._~-]{1,6}|%[0-9a-fA-F]{2}|[?#=&;,@:]){0,8}", vec(attribute, 0..5))
        .prop_map(|(target, attributes)| Link { target, attributes })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_emitted_is_parsed_the_same(links in vec(link(), 0..6)) {
        prop_assert_eq!(owned(&emitted(&links)), links);
    }
}
