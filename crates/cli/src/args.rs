//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use lapwing::ServerUri;
use lapwing::credentials::{CertificateUsage, UnknownTime};
use lapwing_gateway::config::{self, Secret, Version};
use lapwing_lwm2m::model::Path;

use crate::bootstrap::BootstrapOptions;
use crate::manage::update::{FirmwareVerb, SoftwareVerb, UpdateOptions};
use crate::secure::SecureOptions;

/// LwM2M for Linux gateways: the agent, a development server, and tools to manage clients through it.
///
/// Exit codes: 0 all is well, 1 it failed, 2 the command line or the configuration is wrong. Diagnostics go to stderr; the
/// environment variable LAPWING_LOG filters them (error, warn, info, debug, trace).
#[derive(Debug, Parser)]
#[command(name = "lapwing", version, arg_required_else_help = true, max_term_width = 120)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try it: a development server and this machine's agent in one process.
    #[command(after_help = "Example: lapwing demo --coap 127.0.0.1:0 --http 127.0.0.1:8081")]
    Demo(DemoOptions),
    /// Run the agent: register this machine at a server and stay.
    #[command(after_help = "Examples:\n  \
        lapwing run --server coap://lwm2m.example.com --endpoint gateway-7 --lifetime 300\n  \
        lapwing run --server coaps://lwm2m.example.com --endpoint gateway-7 --psk-identity gateway-7 --psk-key-file psk.hex\n  \
        lapwing run --bootstrap-server coaps://bootstrap.example.com --endpoint gateway-7 --key key.pem --cert cert.pem \
        --server-cert bootstrap.pem --state /var/lib/lapwing\n\n\
        LAPWING_PSK_KEY may hold the pre-shared key in hexadecimal, LAPWING_KEY the private key in PEM.")]
    Run(Box<RunOptions>),
    /// Run the agent with the options of the IG60's first client, as it runs under the name lwm2m-python-client.
    #[command(disable_help_flag = true, after_help = "lapwing ig60 --help shows its options.")]
    Ig60 {
        /// As that client took them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run the development server alone.
    #[command(
        after_help = "Examples:\n  lapwing serve --coap 0.0.0.0:5683\n  lapwing serve --psk gateway-7,gateway-7,psk.hex"
    )]
    Serve(ServeOptions),
    /// Say what the agent of this machine does: its registrations, its versions, what an update is in.
    #[command(after_help = "Examples:\n  lapwing status\n  lapwing status --json --socket /run/lapwing/4711.sock\n\n\
        Exit code 0: an agent has answered, whatever it says. Where several run, all are shown; with --json, a line each.")]
    Status(StatusOptions),
    /// Manage clients through the API of a running server.
    #[command(after_help = "Example: lapwing manage read /3/0")]
    Manage(ManageOptions),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ServeOptions {
    /// Where clients register, UDP; port 0 takes any free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:5683")]
    pub(crate) coap: SocketAddr,
    /// Where the page and the API are, TCP; port 0 takes any free one. Whoever reaches it manages all clients.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) http: SocketAddr,
    /// Hosts the files of this folder, for clients to fetch or be sent, and keeps there what is uploaded; made if need be.
    /// Without it uploaded files are gone with the server.
    #[arg(long, value_name = "DIR")]
    pub(crate) files: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) bootstrap: BootstrapOptions,
    #[command(flatten)]
    pub(crate) secure: SecureOptions,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoOptions {
    #[command(flatten)]
    pub(crate) serve: ServeOptions,
    /// The client's name; this host's name by default.
    #[arg(long, value_name = "NAME", value_parser = endpoint)]
    pub(crate) endpoint: Option<String>,
    /// The version of LwM2M to register with: 1.0 or 1.1.
    #[arg(long, value_name = "VERSION")]
    pub(crate) lwm2m_version: Option<Version>,
    /// A configuration file, of which neither servers nor credentials are used.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunOptions {
    /// The server, coaps://host[:port] or coap://host[:port].
    #[arg(long, value_name = "URI", value_parser = server)]
    pub(crate) server: Option<ServerUri>,
    /// The bootstrap server, which tells of the servers. Stored accounts of an earlier bootstrap go before both.
    #[arg(long, value_name = "URI", value_parser = server)]
    pub(crate) bootstrap_server: Option<ServerUri>,
    /// The client's name, unique at the server.
    #[arg(long, value_name = "NAME", value_parser = endpoint)]
    pub(crate) endpoint: Option<String>,
    /// Lifetime of the registration; 0 never lapses. 300 by default.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) lifetime: Option<u32>,
    /// The version of LwM2M to register with: 1.0 or 1.1.
    #[arg(long, value_name = "VERSION")]
    pub(crate) lwm2m_version: Option<Version>,
    #[command(flatten)]
    pub(crate) security: SecurityOptions,
    /// A folder that keeps accounts, DTLS associations and what servers change; created if need be.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Forget stored accounts: those given here or in the configuration are used.
    #[arg(long)]
    pub(crate) reset_accounts: bool,
    /// Where `lapwing status` asks this agent; by default a socket in /run/lapwing, for others than root in $XDG_RUNTIME_DIR/lapwing, or
    /// else `control.sock` in the folder of --state.
    #[arg(long, value_name = "FILE")]
    pub(crate) socket: Option<PathBuf>,
    /// A configuration file; the command line goes before it, and where it names a server those of the file do not count.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// How the servers are spoken to over DTLS.
#[derive(Debug, clap::Args)]
pub(crate) struct SecurityOptions {
    /// Identity of the pre-shared key.
    #[arg(long, value_name = "ID")]
    pub(crate) psk_identity: Option<String>,
    /// The pre-shared key, in hexadecimal.
    #[arg(long, value_name = "FILE")]
    pub(crate) psk_key_file: Option<PathBuf>,
    /// The pre-shared key itself; whoever lists this machine's processes sees it.
    #[arg(long, value_name = "HEX", conflicts_with = "psk_key_file")]
    pub(crate) psk_key: Option<Secret>,
    /// The private key, PEM or DER: of the certificate, or without one of a raw public key.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The client's certificate and those between it and the root, PEM or DER.
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// The server's certificate, PEM or DER; or another one of its path, as --server-cert-usage says.
    #[arg(long, value_name = "FILE")]
    pub(crate) server_cert: Option<PathBuf>,
    /// What --server-cert is: 0 of a CA in a trusted path, 1 the server's in one, 2 the trust anchor, 3 the server's. 3 by default.
    #[arg(long, value_name = "USAGE", value_parser = usage)]
    pub(crate) server_cert_usage: Option<CertificateUsage>,
    /// Trusted certificates for usages 0 and 1, PEM or DER.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The server's raw public key, PEM or DER.
    #[arg(long, value_name = "FILE")]
    pub(crate) server_key: Option<PathBuf>,
    /// The server's name, sent to it and expected in its certificate; the URI's host by default.
    #[arg(long, value_name = "NAME")]
    pub(crate) sni: Option<String>,
    /// Whether Connection IDs are offered, by which an association outlives a change of address: true (default) or false.
    #[arg(long, value_name = "BOOL")]
    pub(crate) connection_id: Option<bool>,
    /// Certificates while the time is unknown: `refuse` them (default), or `skip` their validity.
    #[arg(long, value_name = "POLICY", value_parser = unknown_time)]
    pub(crate) unknown_time: Option<UnknownTime>,
}

fn server(text: &str) -> Result<ServerUri, String> {
    config::server_uri(text).map_err(expected)
}

fn endpoint(text: &str) -> Result<String, String> {
    config::endpoint(text).map_err(expected)
}

fn usage(text: &str) -> Result<CertificateUsage, String> {
    let usage = text.parse().ok().and_then(CertificateUsage::from_number);
    usage.ok_or_else(|| expected("0, 1, 2 or 3".to_owned()))
}

fn unknown_time(text: &str) -> Result<UnknownTime, String> {
    config::unknown_time(text).map_err(expected)
}

fn expected(what: String) -> String {
    format!("expected {what}")
}

#[derive(Debug, clap::Args)]
pub(crate) struct StatusOptions {
    /// The agent's control socket; by default those in /run/lapwing and in $XDG_RUNTIME_DIR/lapwing.
    #[arg(long, value_name = "FILE")]
    pub(crate) socket: Option<PathBuf>,
    /// Print JSON; durations are in seconds.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManageOptions {
    /// The server's API.
    #[arg(long, value_name = "URL", global = true, default_value = "http://127.0.0.1:8080")]
    pub(crate) api: String,
    /// The client; needed when more than one is registered.
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) endpoint: Option<String>,
    /// How long to wait for the client's answer.
    #[arg(long, value_name = "SECONDS", global = true, default_value_t = 5)]
    pub(crate) timeout: u32,
    /// Print the API's JSON, one document a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the registered clients.
    #[command(after_help = "Example: lapwing manage clients --json")]
    Clients,
    /// Read an object, an instance, a resource or an instance of a resource.
    #[command(after_help = "Example: lapwing manage read /3/0/13")]
    Read {
        /// Such as /3, /3/0, /3/0/13 or /3/0/11/0.
        #[arg(value_parser = path)]
        path: Path,
        /// The content format to ask for: tlv, text or opaque.
        #[arg(long, value_name = "FORMAT", value_parser = ["tlv", "text", "opaque"])]
        format: Option<String>,
    },
    /// Write a resource, some resources of an instance, or an instance of a resource.
    #[command(
        after_help = "Examples:\n  lapwing manage write /1/0/1 600\n  lapwing manage write /1/0 1=600 6=true --update\n\n\
        Values: time in seconds since 1970, opaque in hexadecimal, object links as 3:0."
    )]
    Write {
        /// Such as /1/0/1, or /1/0 for several resources.
        #[arg(value_parser = path)]
        path: Path,
        /// The value; for an instance or a multiple resource, any number of ID=VALUE. A text that begins with a hyphen goes behind `--`.
        #[arg(required = true, allow_negative_numbers = true)]
        value: Vec<String>,
        /// Leave what is not written as it is (Partial Update); otherwise it is replaced.
        #[arg(long)]
        update: bool,
    },
    /// Execute a resource.
    #[command(after_help = "Example: lapwing manage execute /1/0/8")]
    Execute {
        /// Such as /3/0/4.
        #[arg(value_parser = path)]
        path: Path,
        /// Arguments as LwM2M writes them: 5, or 0='a',1.
        #[arg(default_value = "")]
        arguments: String,
    },
    /// Create an instance of an object.
    #[command(
        after_help = "Examples:\n  lapwing manage create /3441 110=hello\n  lapwing manage create /3441/5 110=hello"
    )]
    Create {
        /// /OBJECT, where the client chooses the instance, or /OBJECT/INSTANCE.
        #[arg(value_parser = path)]
        path: Path,
        /// Values of resources, ID=VALUE.
        values: Vec<String>,
    },
    /// Delete an instance of an object.
    #[command(after_help = "Example: lapwing manage delete /3441/5")]
    Delete {
        /// /OBJECT/INSTANCE.
        #[arg(value_parser = path)]
        path: Path,
    },
    /// List what is there, with its attributes.
    #[command(after_help = "Example: lapwing manage discover /3/0")]
    Discover {
        /// Such as /3, /3/0 or /3/0/13.
        #[arg(value_parser = path)]
        path: Path,
    },
    /// Observe: print the value and each change, until Ctrl-C cancels the observation.
    #[command(after_help = "Example: lapwing manage observe /3/0/13")]
    Observe {
        /// Such as /3/0/13.
        #[arg(value_parser = path)]
        path: Path,
        /// End after so many values, the first one included.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        count: Option<u32>,
    },
    /// Update the firmware (object 5), and wait for how that ends.
    #[command(after_help = "Examples:\n  lapwing manage firmware push image.swu --update\n  \
        lapwing manage firmware pull https://example.com/image.swu\n  lapwing manage firmware pull image.swu --scheme http\n  \
        lapwing manage firmware update\n\n\
        Exit code 0: what was asked for has come about: the package is there, or with --update and `update` the update has succeeded. \
        On a terminal a bar shows how far a transfer is, elsewhere lines do; with --json, documents: \
        `transfer` as the API has it, `state` and `result` of the object (with `unchangedFor`, in seconds, once they stay as they are), and `done`.")]
    Firmware {
        #[command(flatten)]
        options: UpdateOptions,
        #[command(subcommand)]
        verb: FirmwareVerb,
    },
    /// Update software (object 9), and wait for how that ends.
    #[command(after_help = "Examples:\n  lapwing manage software push package.tgz --activate\n  \
        lapwing manage software pull https://example.com/package.tgz --instance 1\n  lapwing manage software install\n\n\
        Exit codes and output are as those of `lapwing manage firmware`.")]
    Software {
        #[command(flatten)]
        options: UpdateOptions,
        /// Which instance of object 9; needed when there is more than one.
        #[arg(long, value_name = "ID", global = true)]
        instance: Option<u16>,
        #[command(subcommand)]
        verb: SoftwareVerb,
    },
    /// Write notification attributes: pmin, pmax (seconds), gt, lt, st.
    #[command(after_help = "Example: lapwing manage attributes /3/0/13 pmin=10 pmax=60")]
    Attributes {
        /// Such as /3/0/13.
        #[arg(value_parser = path)]
        path: Path,
        /// NAME=VALUE, or NAME alone to remove it.
        #[arg(required = true)]
        attributes: Vec<String>,
    },
}

fn path(text: &str) -> Result<Path, String> {
    let slashed = if text.starts_with('/') { text.to_owned() } else { format!("/{text}") };
    match slashed.parse::<Path>() {
        Ok(path) if path != Path::ROOT => Ok(path),
        Ok(_) => Err("expected at least an object, such as /3".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
