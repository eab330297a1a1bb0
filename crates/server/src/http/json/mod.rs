//! What the API speaks: the JSON shapes of docs/api/http.md.

mod answer;
mod bootstrap;
mod message;
mod node;
mod registration;
mod security;
mod spec;
mod transfer;
mod value;

pub(crate) use self::{
    answer::{answer, content},
    bootstrap::{configuration, parse_plan as plan, told},
    message::message,
    node::{NodeError, Parsed, from_json as parse_node},
    registration::{registration, update},
    security::{parse_security, parse_security_body, presented, security},
    spec::object,
    transfer::transfer,
};
