//! Bootstrap-Discover (LwM2M Core 1.1 section 6.1.7.3).

use lapwing_coap::{Code, ContentFormat};
use lapwing_lwm2m::client::{Command, LwM2mVersion};

use super::with_server;
use crate::harness::{Ask, Harness};

fn discover(harness: &mut Harness, at: &str) -> (Code, String) {
    let answer = harness.request(Ask::get(at).accept(ContentFormat::LINK_FORMAT));
    (answer.code, answer.text().to_owned())
}

fn harness(version: LwM2mVersion) -> Harness {
    let mut config = with_server();
    config.version = version;
    let mut harness = Harness::registered_with(config);
    harness.command(Command::Bootstrap);
    harness.begin_bootstrap();
    harness.put_account(7, "coap://second.example", 102, 60);
    harness
}

/// Server Accounts are told by `ssid` and `uri`; the instance without is the bootstrap server's.
#[test]
fn tells_accounts_apart_in_lwm2m_1_1() {
    let mut harness = harness(LwM2mVersion::V1_1);
    let (code, links) = discover(&mut harness, "/0");
    assert_eq!(code, Code::CONTENT);
    assert_eq!(
        links,
        "</>;lwm2m=1.1,</0>;ver=1.1,</0/0>;ssid=1;uri=\"coap://server.example\",</0/1>,\
         </0/7>;ssid=102;uri=\"coap://second.example\""
    );
    assert_eq!(discover(&mut harness, "/1").1, "</>;lwm2m=1.1,</1>;ver=1.1,</1/0>;ssid=1,</1/7>;ssid=102");
    assert_eq!(
        discover(&mut harness, "/").1,
        "</>;lwm2m=1.1,</0>;ver=1.1,</0/0>;ssid=1;uri=\"coap://server.example\",</0/1>,\
         </0/7>;ssid=102;uri=\"coap://second.example\",</1>;ver=1.1,</1/0>;ssid=1,</1/7>;ssid=102,</3>;ver=1.2,</3/0>,\
         </4>;ver=1.2,</4/0>,</5/0>,</3441/0>"
    );
}

/// LwM2M 1.0 has no `uri`.
#[test]
fn tells_accounts_apart_in_lwm2m_1_0() {
    let mut harness = harness(LwM2mVersion::V1_0);
    assert_eq!(discover(&mut harness, "/0").1, "</>;lwm2m=1.0,</0/0>;ssid=1,</0/1>,</0/7>;ssid=102");
    assert_eq!(
        discover(&mut harness, "/").1,
        "</>;lwm2m=1.0,</0/0>;ssid=1,</0/1>,</0/7>;ssid=102,</1/0>;ssid=1,</1/7>;ssid=102,</3/0>,</4/0>,</5/0>,</3441/0>"
    );
}

#[test]
fn ends_at_objects() {
    let mut harness = harness(LwM2mVersion::V1_1);
    assert_eq!(discover(&mut harness, "/0/0").0, Code::BAD_REQUEST);
    assert_eq!(discover(&mut harness, "/1/0/1").0, Code::BAD_REQUEST);
    assert_eq!(discover(&mut harness, "/9").0, Code::NOT_FOUND);
    assert_eq!(discover(&mut harness, "/3").1, "</>;lwm2m=1.1,</3>;ver=1.2,</3/0>");
    // An object that no instance was written of is not there for anybody.
    assert_eq!(discover(&mut harness, "/2").1, "</>;lwm2m=1.1");
}
