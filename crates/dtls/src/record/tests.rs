use super::*;

fn written(content_type: ContentType, epoch: u16, connection_id: &[u8], body: &[u8]) -> Vec<u8> {
    let mut buffer = Vec::new();
    put_header(&mut buffer, content_type, epoch, 0x0102_0304_0506, connection_id, body.len());
    buffer.extend_from_slice(body);
    buffer
}

#[test]
fn a_header_is_laid_out_as_rfc_6347_section_4_1_has_it() {
    let bytes = written(ContentType::ApplicationData, 1, &[], b"body");
    assert_eq!(bytes, [&[23, 0xfe, 0xfd, 0, 1, 1, 2, 3, 4, 5, 6, 0, 4][..], b"body"].concat());
}

#[test]
fn a_header_with_a_connection_id_is_laid_out_as_rfc_9146_section_4_has_it() {
    let bytes = written(ContentType::Tls12Cid, 1, b"cid", b"body");
    assert_eq!(bytes, [&[25, 0xfe, 0xfd, 0, 1, 1, 2, 3, 4, 5, 6][..], b"cid", &[0, 4], b"body"].concat());
    let mut records = Records::new(&bytes, 3);
    let record = records.next().unwrap();
    assert_eq!((record.connection_id, record.body, record.sequence), (&b"cid"[..], &b"body"[..], 0x0102_0304_0506));
    assert_eq!((records.next(), records.skipped()), (None, 0));
}

#[test]
fn a_datagram_may_have_several_records_and_those_not_understood_are_left_out() {
    let mut bytes = written(ContentType::Handshake, 0, &[], b"one");
    let mut unknown = written(ContentType::Handshake, 0, &[], b"two");
    unknown[0] = 24;
    bytes.extend(unknown);
    let mut other_version = written(ContentType::Handshake, 1, &[], b"three");
    other_version[2] = 0xff;
    bytes.extend(other_version);
    bytes.extend(written(ContentType::Alert, 1, &[], b"four"));
    bytes.extend(&written(ContentType::Alert, 1, &[], b"five")[..15]);
    let mut records = Records::new(&bytes, 0);
    let bodies: Vec<_> = records.by_ref().map(|record| record.body).collect();
    assert_eq!(bodies, [&b"one"[..], b"four"]);
    assert_eq!(records.skipped(), 3);
}

#[test]
fn a_connection_id_that_nobody_chose_ends_the_datagram_and_one_in_the_clear_is_left_out() {
    let bytes = written(ContentType::Tls12Cid, 1, b"cid", b"body");
    assert_eq!(Records::new(&bytes, 0).count(), 0);
    let clear = written(ContentType::Tls12Cid, 0, b"cid", b"body");
    assert_eq!(Records::new(&clear, 3).count(), 0);
}

#[test]
fn a_body_longer_than_the_standard_allows_is_left_out() {
    let body = vec![0; MAX_BODY];
    assert_eq!(Records::new(&written(ContentType::ApplicationData, 1, &[], &body), 0).count(), 1);
    let mut longer = written(ContentType::ApplicationData, 1, &[], &body);
    longer.push(0);
    longer[11..13].copy_from_slice(&(MAX_BODY as u16 + 1).to_be_bytes());
    assert_eq!(Records::new(&longer, 0).count(), 0);
}

#[test]
fn the_window_takes_each_record_once() {
    let mut window = Window::default();
    assert_eq!(window.newest(), None);
    assert!(window.is_new(0) && window.insert(0) && !window.is_new(0));
    assert!(window.insert(63));
    assert!(!window.is_new(0) && window.is_new(1));
    assert!(!window.insert(1) && !window.is_new(1));
    assert!(window.insert(64) && !window.is_new(0), "too old to tell");
    assert!(window.insert(1000) && window.is_new(999) && window.is_new(937) && !window.is_new(936));
    assert!(window.is_new(MAX_SEQUENCE) && !window.is_new(MAX_SEQUENCE + 1));
    assert!(window.insert(MAX_SEQUENCE) && !window.is_new(MAX_SEQUENCE));
}

#[test]
fn a_window_above_a_number_takes_nothing_up_to_it() {
    let mut window = Window::above(70);
    assert!((0..=70).all(|sequence| !window.is_new(sequence)));
    assert!(window.is_new(71) && window.insert(72) && window.is_new(71));
    assert_eq!(window.newest(), Some(72));
}

#[test]
fn a_window_agrees_with_a_set() {
    let mut random = sim::Random::seeded(6347);
    let (mut window, mut seen, mut newest) = (Window::default(), std::collections::BTreeSet::new(), 0);
    for _ in 0..20_000 {
        let sequence: u64 = (newest + random.below(80) as u64).saturating_sub(70);
        let new = !seen.contains(&sequence) && (sequence + 64 > newest);
        assert_eq!(window.is_new(sequence), new, "{sequence} after {newest}");
        if new {
            assert_eq!(window.insert(sequence), sequence > newest || seen.is_empty());
            seen.insert(sequence);
            newest = newest.max(sequence);
        }
    }
}

#[test]
fn a_connection_id_has_at_most_32_bytes() {
    assert_eq!(ConnectionId::new(&[7; 32]).unwrap().as_bytes(), [7; 32]);
    assert_eq!(ConnectionId::new(&[7; 33]), None);
    assert_eq!(ConnectionId::new(&[7; 256]), None);
    assert_eq!(ConnectionId::new(&[]), Some(ConnectionId::EMPTY));
    assert_eq!(format!("{:?}", ConnectionId::new(&[1, 0xab]).unwrap()), "01ab");
}
