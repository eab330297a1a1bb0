//! What must hold for any bytes that come as link-format. The fuzzer and the stable tests call the same function.

use lapwing_coap::link::{self, Links};

pub(crate) fn check(payload: &[u8]) {
    let links = match Links::parse(payload) {
        Ok(links) => links,
        Err(error) => {
            assert!(error.offset <= payload.len(), "{error}");
            return;
        }
    };
    assert_eq!(links.is_empty(), links.iter().next().is_none());
    for link in links {
        for attribute in link.attributes() {
            assert!(!attribute.name.is_empty() && link.has(attribute.name));
        }
    }
    let owned = link::parse(payload).expect("what was checked can be copied");
    let mut emitted = Vec::new();
    link::emit(&owned, &mut emitted);
    assert_eq!(link::parse(&emitted).as_ref(), Ok(&owned), "what was emitted can be parsed");
}
