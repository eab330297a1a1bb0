//! The predecessor's options, taken as Python's argparse takes them: `-bs` is one option and not two, a long one may be cut short as
//! long as it stays unique, and a value may follow `=`, or a short option at once.

use std::fmt::Write as _;

use lapwing_gateway::config::Secret;

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The options and their defaults.
    Help,
    /// The client.
    Client(Options),
}

/// The values of the options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) port: i64,
    pub(super) bootstrap_address: String,
    /// Not read before it is needed, as with the predecessor.
    pub(super) bootstrap_port: String,
    pub(super) bootstrap_psk: Secret,
    pub(super) server_address: String,
    pub(super) server_port: i64,
    pub(super) server_psk: Secret,
    pub(super) endpoint: String,
    pub(super) lifetime: i64,
    pub(super) debug: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 5782,
            bootstrap_address: String::new(),
            bootstrap_port: "5683".to_owned(),
            bootstrap_psk: Secret::new(""),
            server_address: String::new(),
            server_port: 0,
            server_psk: Secret::new(""),
            endpoint: "python-client".to_owned(),
            lifetime: 3600,
            debug: false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Help,
    Port,
    BootstrapAddress,
    BootstrapPort,
    BootstrapPsk,
    ServerAddress,
    ServerPort,
    ServerPsk,
    Endpoint,
    Lifetime,
    Debug,
}

/// An option.
#[derive(Debug)]
struct Spec {
    field: Field,
    short: &'static str,
    long: &'static str,
    /// What its value is called; empty where it has none.
    value: &'static str,
    help: &'static str,
}

impl Spec {
    const fn new(
        field: Field,
        short: &'static str,
        long: &'static str,
        value: &'static str,
        help: &'static str,
    ) -> Self {
        Self { field, short, long, value, help }
    }

    /// As complaints call it.
    fn name(&self) -> String {
        format!("argument {}/{}", self.short, self.long)
    }

    fn takes_value(&self) -> bool {
        !self.value.is_empty()
    }

    /// Its value as the help shows it.
    fn shown_value(&self) -> String {
        if self.takes_value() { format!(" {}", self.value) } else { String::new() }
    }
}

static SPECS: [Spec; 11] = [
    Spec::new(Field::Help, "-h", "--help", "", "show this help and exit"),
    Spec::new(Field::Port, "-p", "--port", "PORT", "local UDP port to send from; 0 takes any free one (default: 5782)"),
    Spec::new(
        Field::BootstrapAddress,
        "-bs",
        "--bootstrap-address",
        "ADDRESS",
        "bootstrap server; asked at every start unless a server's address and port are given",
    ),
    Spec::new(Field::BootstrapPort, "-bp", "--bootstrap-port", "PORT", "its port (default: 5683)"),
    Spec::new(
        Field::BootstrapPsk,
        "-bk",
        "--bootstrap-psk",
        "HEX",
        "its pre-shared key, in hexadecimal: with it, and only with it, DTLS is spoken, with the endpoint as the identity",
    ),
    Spec::new(Field::ServerAddress, "-s", "--server-address", "ADDRESS", "LwM2M server (--server is the same)"),
    Spec::new(Field::ServerPort, "-sp", "--server-port", "PORT", "its port; 0, the default, means there is no server"),
    Spec::new(Field::ServerPsk, "-sk", "--server-psk", "HEX", "its pre-shared key, as --bootstrap-psk"),
    Spec::new(
        Field::Endpoint,
        "-e",
        "--endpoint",
        "NAME",
        "the client's name, unique at the server (default: python-client)",
    ),
    Spec::new(Field::Lifetime, "-l", "--lifetime", "SECONDS", "lifetime of the registration (default: 3600)"),
    Spec::new(Field::Debug, "-d", "--debug", "", "say more in the log"),
];

/// The predecessor's own documentation has this name, which its parser refuses.
const ALIAS: (&str, Field) = ("--server", Field::ServerAddress);

/// All names, each with its option.
fn names() -> impl Iterator<Item = (&'static str, &'static Spec)> {
    let own = SPECS.iter().flat_map(|spec| [(spec.short, spec), (spec.long, spec)]);
    own.chain(SPECS.iter().filter(|spec| spec.field == ALIAS.1).map(|spec| (ALIAS.0, spec)))
}

fn named(name: &str) -> Option<&'static Spec> {
    names().find(|(own, _)| *own == name).map(|(_, spec)| spec)
}

/// What an argument looks like before anything is known of its neighbours.
#[derive(Debug)]
enum Word<'a> {
    /// A value, or nothing that has a meaning.
    Value(&'a str),
    /// `--`: what follows is no option.
    Separator,
    Option(Found<'a>),
    /// It begins like an option, and there is none.
    Unknown(&'a str),
}

/// An option as it was written.
#[derive(Debug, Clone, Copy)]
struct Found<'a> {
    spec: &'static Spec,
    /// It was written with one hyphen, so that other short ones may hang on it.
    short: bool,
    /// What hangs on it.
    value: Option<&'a str>,
}

fn word(text: &str) -> Result<Word<'_>, String> {
    if !text.starts_with('-') || text == "-" {
        return Ok(Word::Value(text));
    }
    let found = |spec, value| Word::Option(Found { spec, short: !text.starts_with("--"), value });
    if let Some(spec) = named(text) {
        return Ok(found(spec, None));
    }
    let (before, behind) = match text.split_once('=') {
        Some((before, behind)) => (before, Some(behind)),
        None => (text, None),
    };
    if let Some(spec) = behind.and_then(|_| named(before)) {
        return Ok(found(spec, behind));
    }
    let candidates = candidates(text, before, behind);
    match candidates[..] {
        [] if is_negative_number(text) || text.contains(' ') => Ok(Word::Value(text)),
        [] => Ok(Word::Unknown(text)),
        [(_, spec, value)] => Ok(found(spec, value)),
        _ => {
            let matching: Vec<_> = candidates.iter().map(|(name, ..)| *name).collect();
            Err(format!("ambiguous option: {before} could match {}", matching.join(", ")))
        }
    }
}

type Candidate<'a> = (&'static str, &'static Spec, Option<&'a str>);

/// The options that `text`, the name of none, may stand for: those that begin so, or a short one of one letter with its value behind it.
fn candidates<'a>(text: &'a str, before: &str, behind: Option<&'a str>) -> Vec<Candidate<'a>> {
    if text.starts_with("--") {
        let long = names().filter(|(name, _)| name.starts_with(before));
        return long.map(|(name, spec)| (name, spec, behind)).collect();
    }
    let letter = text.char_indices().nth(2).map_or(text.len(), |(end, _)| end);
    let of = |(name, spec): (&'static str, &'static Spec)| match name {
        name if name == &text[..letter] => Some((name, spec, Some(&text[letter..]))),
        name if name.starts_with(text) => Some((name, spec, None)),
        _ => None,
    };
    names().filter_map(of).collect()
}

/// As argparse has it: `-5`, `-.5`, `-5.5`.
fn is_negative_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.strip_prefix('-').unwrap_or_default();
    match number.split_once('.') {
        Some((whole, fraction)) => (whole.is_empty() || digits(whole)) && digits(fraction),
        None => digits(number),
    }
}

/// Reads a command line.
///
/// # Errors
/// What is wrong with it, as argparse says it.
pub(super) fn parse(arguments: &[String]) -> Result<Wanted, String> {
    let mut separated = false;
    let mut words = Vec::with_capacity(arguments.len());
    for argument in arguments {
        words.push(match argument.as_str() {
            text if separated => Word::Value(text),
            "--" => {
                separated = true;
                Word::Separator
            }
            text => word(text)?,
        });
    }
    let (mut options, mut strange) = (Options::default(), Vec::new());
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let found = match word {
            Word::Option(found) => found,
            Word::Value(text) | Word::Unknown(text) => {
                strange.push(text);
                continue;
            }
            Word::Separator => {
                strange.push("--");
                continue;
            }
        };
        // What hangs on one another is whole before any of it counts.
        let mut given = Vec::new();
        let mut next = Some(found);
        while let Some(Found { spec, value, .. }) = next.take() {
            let value = match value {
                Some(value) if spec.takes_value() => value,
                Some(value) => {
                    next = Some(hanging(found, spec, value)?);
                    ""
                }
                None if spec.takes_value() => match words.next_if(|word| matches!(word, Word::Value(_))) {
                    Some(Word::Value(value)) => value,
                    _ => return Err(format!("{}: expected one argument", spec.name())),
                },
                None => "",
            };
            given.push((spec, value));
        }
        for (spec, value) in given {
            if spec.field == Field::Help {
                return Ok(Wanted::Help);
            }
            options.set(spec, value)?;
        }
    }
    if strange.is_empty() {
        Ok(Wanted::Client(options))
    } else {
        Err(format!("unrecognized arguments: {}", strange.join(" ")))
    }
}

/// The short option whose letter hangs on `spec`, which takes no value, in a word that began with `first`.
fn hanging<'a>(first: Found<'a>, spec: &Spec, value: &'a str) -> Result<Found<'a>, String> {
    let end = value.chars().next().map_or(0, char::len_utf8);
    let next = named(&format!("-{}", &value[..end])).filter(|_| first.short && end > 0);
    let next = next.ok_or_else(|| format!("{}: ignored explicit argument '{value}'", spec.name()))?;
    Ok(Found { spec: next, short: true, value: Some(&value[end..]).filter(|rest| !rest.is_empty()) })
}

impl Options {
    fn set(&mut self, spec: &Spec, value: &str) -> Result<(), String> {
        let text = || value.to_owned();
        let number = || value.trim().parse().map_err(|_| format!("{}: invalid int value: '{value}'", spec.name()));
        match spec.field {
            Field::Help => {}
            Field::Port => self.port = number()?,
            Field::BootstrapAddress => self.bootstrap_address = text(),
            Field::BootstrapPort => self.bootstrap_port = text(),
            Field::BootstrapPsk => self.bootstrap_psk = Secret::new(value),
            Field::ServerAddress => self.server_address = text(),
            Field::ServerPort => self.server_port = number()?,
            Field::ServerPsk => self.server_psk = Secret::new(value),
            Field::Endpoint => self.endpoint = text(),
            Field::Lifetime => self.lifetime = number()?,
            Field::Debug => self.debug = true,
        }
        Ok(())
    }
}

/// Lines are no longer than this.
const WIDTH: usize = 80;

/// Pieces side by side, on as many lines as it takes, each with so many blanks before it.
fn wrapped<'a>(indent: usize, pieces: impl IntoIterator<Item = &'a str>) -> String {
    let (mut text, mut column) = (String::new(), 0);
    for piece in pieces {
        if column > 0 && column + 1 + piece.len() <= WIDTH {
            text.push(' ');
            column += 1;
        } else {
            text.push_str(if column > 0 { "\n" } else { "" });
            text.push_str(&" ".repeat(indent));
            column = indent;
        }
        text.push_str(piece);
        column += piece.len();
    }
    text.push('\n');
    text
}

/// The first lines of the help, which go before a complaint too.
pub(super) fn usage(program: &str) -> String {
    let begin = format!("usage: {program} ");
    let pieces: Vec<String> = SPECS.iter().map(|spec| format!("[{}{}]", spec.short, spec.shown_value())).collect();
    let lines = wrapped(begin.len(), pieces.iter().map(String::as_str));
    format!("{begin}{}", &lines[begin.len()..])
}

/// The options, what they do, and the exit codes.
pub(super) fn help(program: &str) -> String {
    let mut help = format!("{}\nLwM2M client of this gateway, by Lapwing.\n\noptions:\n", usage(program));
    for spec in &SPECS {
        let value = spec.shown_value();
        let _ = writeln!(help, "  {}{value}, {}{value}", spec.short, spec.long);
        help.push_str(&wrapped(24, spec.help.split(' ')));
    }
    help + EPILOGUE
}

const EPILOGUE: &str = "
Nothing that a bootstrap server says is kept: the command line holds at every
start. Everybody who lists this machine's processes sees the keys on it.

exit codes: 0 ended by SIGTERM, 2 wrong command line, 4 ended by SIGINT,
11 failed, 64 no network interface is up, 65 updated and to be started again
";

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
