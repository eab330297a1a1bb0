//! A client that registers over DTLS with a pre-shared key and keeps its association in a folder, so that it needs no handshake when it
//! starts again: `cargo run --example psk_client -- coaps://localhost gateway-7 psk.hex state`

use std::error::Error;

use lapwing::{Client, Security, ServerAccount};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [uri, identity, key_file, state] = &arguments[..] else {
        return Err("usage: psk_client URI IDENTITY KEY-FILE STATE-FOLDER".into());
    };
    let security = Security::psk(identity.as_str(), hexadecimal(&std::fs::read_to_string(key_file)?)?)?;
    let account = ServerAccount::new(1, uri.parse()?).security(security).lifetime(300);
    let client = Client::builder(identity.as_str()).account(account).state(state).build()?;
    Ok(client.run_blocking()?)
}

fn hexadecimal(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let digits = text.trim();
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return Err("the key is not hexadecimal".into());
    }
    (0..digits.len()).step_by(2).map(|at| Ok(u8::from_str_radix(&digits[at..at + 2], 16)?)).collect()
}
