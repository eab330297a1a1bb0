//! The HTTP API over real sockets: a server, a scripted CoAP client, and one test for each row of docs/api/http.md.

mod bootstrap;
mod clients;
mod doc;
mod events;
mod files;
mod guard;
mod operations;
mod pulls;
mod security;
mod status;
mod support;
mod transfers;
mod values;
