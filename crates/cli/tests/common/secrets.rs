//! How a key could get out.

/// How a key, given in hexadecimal, might be printed: so, as text, as a list of bytes.
pub(crate) fn forms(key: &str) -> Vec<String> {
    let bytes: Vec<u8> =
        (0..key.len()).step_by(2).map(|at| u8::from_str_radix(&key[at..at + 2], 16).unwrap()).collect();
    let text = bytes[..8].escape_ascii().to_string();
    let spaced = |separator: &str| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(separator);
    // A part of each is enough to be found, were a line broken in its middle.
    let list = format!("{:?}", &bytes[..6]);
    let list = list.trim_matches(['[', ']']).to_owned();
    vec![
        key[..16].to_owned(),
        key[..16].to_uppercase(),
        text,
        list,
        spaced(" ")[..17].to_owned(),
        spaced(":")[..17].to_owned(),
    ]
}
