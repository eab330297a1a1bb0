use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn bytes<const N: usize>(first: u8) -> [u8; N] {
    core::array::from_fn(|index| first.wrapping_add(index as u8))
}

/// The vector for TLS 1.2 with SHA-256 that was posted to the IETF's tls list in 2009; `openssl kdf TLS1-PRF` gives the same.
#[test]
fn prf_with_sha256() {
    let mut output = [0; 100];
    let seed = hex("a0ba9f936cda311827a6f796ffd5198c");
    prf(&hex("9bbe436ba940f017b17652849a71db35"), b"test label", &[&seed[..5], &seed[5..]], &mut output);
    let expected =
        hex("e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af
        0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701 87347b66");
    assert_eq!(output[..], expected);
}

/// RFC 4279 section 2.
#[test]
fn premaster_of_a_pre_shared_key() {
    assert_eq!(psk_premaster(&hex("0a0b0c")).0, hex("0003 000000 0003 0a0b0c"));
    assert_eq!(psk_premaster(&[]).0, hex("0000 0000"));
}

/// Values by `openssl kdf -keylen N -kdfopt digest:SHA256 -kdfopt hexsecret:S -kdfopt hexseed:L TLS1-PRF` of OpenSSL 3.0, where S is
/// the premaster or master secret and L the label with the randoms or hash.
#[test]
fn secrets_of_a_session() {
    let premaster = psk_premaster(&hex("0a0b0c"));
    let (client, server, hash) = (bytes::<32>(0x40), bytes::<32>(0x80), bytes::<32>(0xc0));
    let master = MasterSecret::derive(&premaster, &client, &server);
    assert_eq!(
        master.0[..],
        hex("1c41bc9d78745c593fd991db40bdbd5b9f30bd50188c0d3eef0fb3e8c013febc405f266967e0d7084b3fa94375c4a266")
    );
    let extended = MasterSecret::extended(&premaster, &hash);
    assert_eq!(
        extended.0[..],
        hex("040140928c8ff03bddea09c07ec17d7f3981495b983c66c2bee45927e521792701eb9cfb5ac88795cb00b7e099b05cd9")
    );
    let mut block = [0; 40];
    extended.key_block(&client, &server, &mut block);
    assert_eq!(block[..], hex("be84ed2f2009d927c40a7484930eee2e93241d29f112c89e1a8aa7f50701641580cad9c5b443da8c"));
    assert_eq!(verify_data(&extended, b"client finished", &hash)[..], hex("48db73ed37a51dfd31dcbdee"));
    assert_eq!(verify_data(&extended, b"server finished", &hash)[..], hex("25fbec959dee57b1163414b4"));
}

#[test]
fn a_transcript_goes_on_after_its_hash_was_taken() {
    let mut transcript = Transcript::new();
    assert_eq!(transcript.hash()[..], hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    transcript.update(b"a");
    let fork = transcript.clone();
    transcript.update(b"bc");
    // FIPS 180-4's example.
    assert_eq!(transcript.hash()[..], hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    assert_ne!(fork.hash(), transcript.hash());
}

#[test]
fn secrets_are_not_printed() {
    let master = MasterSecret::from_bytes(&[0xab; 48]);
    assert_eq!(
        format!("{master:?} {:?} {:?}", psk_premaster(&[0xab]), Transcript::new()),
        "MasterSecret(..) Premaster(..) Transcript(..)"
    );
}
