use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/vectors/x509/", $name))
    };
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn scalar(text: &str) -> SecretKey {
    SecretKey::from_slice(&hex(text)).unwrap()
}

/// RFC 5903 section 8.1, taken on to a master secret so that it can be seen.
#[test]
fn key_exchange() {
    let initiator = KeyShare::new(scalar("C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433"));
    let public = hex("04 DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180
            5271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3");
    assert_eq!(initiator.public()[..], public);
    let peer = hex("04 D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF63
            56FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB");
    let shared = hex("D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE");
    let master = |premaster: &Premaster| *super::super::MasterSecret::extended(premaster, &[0; 32]).as_bytes();
    assert_eq!(master(&initiator.agree(&peer).unwrap()), master(&Premaster::shared(&shared)));
}

#[test]
fn shares_are_fresh_and_points_are_checked() {
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let (one, other) = (KeyShare::generate(&mut rng), KeyShare::generate(&mut rng));
    assert_ne!(one.public(), other.public());
    let good = *other.public();
    // What is left of the generator, wound back, gives neither of them.
    rng.set_word_pos(0);
    let again = *KeyShare::generate(&mut rng).public();
    assert!(again != *one.public() && again != good);
    let mut off_curve = good;
    off_curve[64] ^= 1;
    let mut compressed = good[..33].to_vec();
    compressed[0] = 2 | good[64] & 1;
    for bad in [&off_curve[..], &compressed, &[0], &[], &[4; 65], &good[..64], &[&good[..], &[0]].concat()] {
        let share = KeyShare::new(SecretKey::generate_from_rng(&mut rng));
        assert_eq!(share.agree(bad).unwrap_err(), EccError::Point);
    }
    assert!(one.agree(&good).is_ok());
}

/// RFC 6979 appendix A.2.5.
#[test]
fn signatures_need_no_randomness() {
    let key = PrivateKey(scalar("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"));
    let expected = hex("3046 0221 00EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
              0221 00F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8");
    assert_eq!(key.sign(b"sample"), expected);
    let mut transcript = super::super::Transcript::new();
    transcript.update(b"sample");
    assert_eq!(key.sign_hash(&transcript.hash()), expected);
    let public = key.public_key();
    public.verify(b"sample", &expected).unwrap();
    public.verify_hash(&transcript.hash(), &expected).unwrap();
}

#[test]
fn signatures_of_openssl() {
    let key = PublicKey::from_der(file!("leaf.spki.der")).unwrap();
    let signature = file!("leaf.signature.der");
    key.verify(b"signed by openssl", signature).unwrap();
    assert_eq!(key.verify(b"signed by 0penssl", signature), Err(EccError::Signature));
    for bit in 0..signature.len() * 8 {
        let mut changed = signature.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(key.verify(b"signed by openssl", &changed), Err(EccError::Signature), "bit {bit}");
    }
    assert_eq!(key.verify(b"signed by openssl", &[&signature[..], &[0]].concat()), Err(EccError::Signature));
}

#[test]
fn private_keys_in_every_form() {
    let public = PublicKey::from_der(file!("leaf.spki.der")).unwrap();
    assert_eq!(public.to_der(), file!("leaf.spki.der"));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let pkcs8 = PrivateKey::from_der(file!("leaf.key.der")).unwrap();
    let forms = [
        PrivateKey::from_der(file!("leaf.sec1.der")).unwrap(),
        PrivateKey::from_der(&pkcs8.0.to_bytes()).unwrap(),
        PrivateKey::from_pem(&text(file!("leaf.pkcs8.pem"))).unwrap(),
        PrivateKey::from_pem(&text(file!("leaf.sec1.pem"))).unwrap(),
        pkcs8,
    ];
    assert!(forms.iter().all(|key| key.public_key() == public));
    assert_eq!(format!("{:?}", forms[0]), "PrivateKey(..)");
    for bad in [&[][..], &[0; 32], &[0xff; 32], file!("leaf.spki.der")] {
        assert_eq!(PrivateKey::from_der(bad).unwrap_err(), PrivateKeyError);
    }
    assert_eq!(PrivateKey::from_pem("").unwrap_err(), PrivateKeyError);
    assert_eq!(PublicKey::from_der(file!("leaf.sec1.der")).unwrap_err(), PublicKeyError);
}
