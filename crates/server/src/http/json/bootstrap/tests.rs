use super::*;

fn leshans() -> Json {
    // What the page of Leshan's bootstrap demo (2.0.0-M18) posts for a server over PSK.
    json!({
        "servers": {"0": {"binding": "U", "defaultMinPeriod": 1, "lifetime": 300, "notifIfDisabled": true, "shortId": 123}},
        "security": {"1": {
            "bootstrapServer": false, "clientOldOffTime": 1, "publicKeyOrId": [103, 119], "secretKey": [1, -1, 255],
            "securityMode": "PSK", "serverId": 123, "serverSmsNumber": "", "smsBindingKeyParam": [],
            "smsBindingKeySecret": [], "smsSecurityMode": "NO_SEC", "uri": "coaps://192.0.2.1:5684",
        }},
        "oscore": {}, "toDelete": ["/0", "1"], "autoIdForSecurityObject": true,
    })
}

#[test]
fn what_leshans_page_posts_is_read_and_given_back() {
    let configuration = parse_configuration(&leshans()).unwrap();
    assert_eq!(configuration.check(), Ok(()));
    let (_, account) = configuration.instances(0).next().unwrap();
    assert_eq!(account[&5], vec![1, 255, 255].into());
    let json = super::configuration(&configuration, true);
    assert_eq!(json["security"]["1"]["secretKey"], json!([1, 255, 255]));
    assert_eq!(json["security"]["1"]["bootstrapServerAccountTimeout"], 0);
    assert_eq!(json["security"]["1"]["securityMode"], "PSK");
    assert_eq!(json["servers"]["0"]["lifetime"], 300);
    assert_eq!(json["toDelete"], json!(["/0", "/1"]));
    assert_eq!(parse_configuration(&json).unwrap(), configuration);
}

#[test]
fn every_member_goes_both_ways() {
    let whole = json!({
        "autoIdForSecurityObject": false,
        "contentFormat": "TLV",
        "toDelete": ["/"],
        "servers": {"2": {
            "shortId": 7, "lifetime": 60, "defaultMinPeriod": 2, "defaultMaxPeriod": 3, "disableTimeout": 4,
            "notifIfDisabled": false, "binding": "UQ", "apnLink": 5, "registrationPriority": 6, "initialDelay": 7,
            "registrationFailure": true, "bootstrapOnRegistrationFailure": false, "communicationRetryCount": 8,
            "CommunicationRetryTimer": 9, "SequenceDelayTimer": 10, "SequenceRetryCount": 11, "trigger": true,
            "preferredTransport": "U", "muteSend": false,
        }},
        "security": {"3": {
            "uri": "coaps://h", "bootstrapServer": false, "securityMode": "X509", "publicKeyOrId": [1],
            "serverPublicKey": [2], "secretKey": [3], "serverId": 7, "clientOldOffTime": 8,
            "bootstrapServerAccountTimeout": 9, "matchingType": "SHA256", "sni": "name",
            "certificateUsage": "DOMAIN_ISSUER_CERTIFICATE",
            "cipherSuite": [{"valueForSecurityObject": 49_320}], "smsSecurityMode": "NO_SEC",
            "smsBindingKeyParam": [], "smsBindingKeySecret": [], "serverSmsNumber": "",
        }},
        "acls": {"0": {"objectId": 3, "objectInstanceId": 0, "acls": {"7": 31}, "AccessControlOwner": 7}},
        "oscore": {},
    });
    let configuration = parse_configuration(&whole).unwrap();
    assert_eq!(configuration.check(), Ok(()));
    assert_eq!(super::configuration(&configuration, true), whole);
}

#[test]
fn what_is_absent_has_leshans_defaults_and_null_has_none() {
    let json = json!({"servers": {"0": {"shortId": 1, "defaultMinPeriod": null}}});
    let configuration = parse_configuration(&json).unwrap();
    let (_, server) = configuration.instances(1).next().unwrap();
    assert_eq!(server.keys().copied().collect::<Vec<_>>(), [0, 1, 6, 7]);
    assert_eq!(server[&1], 86_400.into());
}

#[test]
fn what_cannot_be_is_said() {
    for (json, part) in [
        (json!([]), "JSON object"),
        (json!({"secrets": {}}), "secrets is not known"),
        (json!({"toDelete": ["/x"]}), "/x is not a valid path"),
        (json!({"contentFormat": "SENML_CBOR"}), "TLV only"),
        (json!({"oscore": {"0": {}}}), "OSCORE"),
        (json!({"security": {"a": {}}}), "a is no instance"),
        (json!({"security": {"0": {"securityMode": "TLS"}}}), "security.0: securityMode: it is none of PSK"),
        (json!({"security": {"0": {"secretKey": [256]}}}), "secretKey: it is not an array of bytes"),
        (json!({"security": {"0": {"smsSecurityMode": "SPS"}}}), "SMS cannot"),
        (json!({"security": {"0": {"oscoreSecurityMode": 1}}}), "oscoreSecurityMode is not known"),
        (json!({"servers": {"0": {"lifetime": -1}}}), "lifetime: it is not a whole number"),
        (json!({"servers": {"0": {"colour": "red"}}}), "colour is not known"),
    ] {
        let why = parse_configuration(&json).unwrap_err();
        assert!(why.contains(part), "{json}: {why}");
    }
}
