//! What must hold for any bytes that come as a datagram of DTLS. The fuzzer and the stable tests call the same function.

use lapwing_dtls::record::{
    ContentType, HEADER, MAX_BODY, MAX_SEQUENCE, Record, Records, VERSION, VERSION_1_0, put_header,
};

/// The lengths of Connection IDs that are tried.
const LENGTHS: [usize; 4] = [0, 1, 6, 32];

pub(crate) fn check(datagram: &[u8]) {
    for length in LENGTHS {
        let mut records = Records::new(datagram, length);
        let mut taken = 0;
        for record in records.by_ref() {
            taken += HEADER + record.connection_id.len() + record.body.len();
            well_formed(&record, length);
        }
        assert!(taken <= datagram.len(), "records do not overlap");
        assert!(taken == datagram.len() || records.skipped() > 0, "what was left out was counted");
        assert!(records.next().is_none(), "the end stays the end");
    }
}

fn well_formed(record: &Record<'_>, length: usize) {
    assert!(record.sequence <= MAX_SEQUENCE && record.body.len() <= MAX_BODY);
    assert!(record.version == VERSION || (record.version == VERSION_1_0 && record.epoch == 0));
    let with_id = record.content_type == ContentType::Tls12Cid;
    assert_eq!(record.connection_id.len(), if with_id { length } else { 0 });
    assert!(!with_id || (record.epoch > 0 && length > 0));
    let mut written = Vec::new();
    let Record { content_type, epoch, sequence, connection_id, body, .. } = *record;
    put_header(&mut written, content_type, epoch, sequence, connection_id, body.len());
    written.extend_from_slice(body);
    let again = Records::new(&written, length).next().expect("what was written can be read");
    assert_eq!(again, Record { version: VERSION, ..*record });
}
