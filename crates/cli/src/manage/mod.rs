//! `lapwing manage`: a client of the server's HTTP API (docs/api/http.md).

mod api;
mod content;
mod observe;
mod render;
mod spec;
pub(crate) mod update;

use anyhow::{anyhow, bail};
use lapwing_lwm2m::model::{Level, Path};
use serde_json::Value as Json;

use self::api::Api;
use self::spec::Specs;
use crate::args::{ManageOptions, Verb};
use crate::failure::Failure;
use crate::text::print;

pub(crate) fn manage(options: ManageOptions) -> Result<(), Failure> {
    let api = Api::new(&options.api, options.timeout);
    if let Verb::Clients = options.verb {
        let clients = api.get("/api/clients")?;
        print(&if options.json { clients.to_string() } else { render::clients(&clients) });
        return Ok(());
    }
    let endpoint = choose(&api, options.endpoint)?;
    let client = Client { api, endpoint, json: options.json };
    match options.verb {
        Verb::Firmware { options, verb } => update::firmware(client, verb, &options),
        Verb::Software { options, instance, verb } => update::software(client, instance, verb, &options),
        verb => client.perform(verb),
    }
}

/// The client that is meant: the named one, or the only one.
fn choose(api: &Api, named: Option<String>) -> Result<String, Failure> {
    if let Some(name) = named {
        return Ok(name);
    }
    let clients = api.get("/api/clients")?;
    let name = |client: &Json| client.get("endpoint").and_then(Json::as_str).map(str::to_owned);
    let names: Vec<String> = clients.as_array().into_iter().flatten().filter_map(name).collect();
    match names.as_slice() {
        [] => Err(anyhow!("no client is registered at {}", api.base()).into()),
        [one] => Ok(one.clone()),
        many => Err(Failure::usage(anyhow!(
            "{} clients are registered; name one by --endpoint: {}",
            many.len(),
            many.join(", ")
        ))),
    }
}

/// A client of the server, and how to print what it answers.
struct Client {
    api: Api,
    endpoint: String,
    json: bool,
}

impl Client {
    fn perform(&self, verb: Verb) -> Result<(), Failure> {
        match verb {
            Verb::Clients | Verb::Firmware { .. } | Verb::Software { .. } => Ok(()),
            Verb::Read { path, format } => {
                let format = format.map(|format| format!("format={}", format.to_uppercase()));
                let answer = self.api.get_of(&self.url(&path, ""), format.as_deref())?;
                self.answered(path, &answer, |specs| render::node(specs, path, &answer["content"]))
            }
            Verb::Write { path, value, update } => {
                let node = content::node(&self.specs()?, path, &value).map_err(Failure::Usage)?;
                let answer = self.api.put(&self.url(&path, ""), update.then_some("replace=false"), &node)?;
                self.answered(path, &answer, |_| render::status(&answer))
            }
            Verb::Execute { path, arguments } => {
                let path = require(path, &[Level::Resource])?;
                let answer = self.api.post(&self.url(&path, ""), "text/plain", &arguments)?;
                self.answered(path, &answer, |_| render::status(&answer))
            }
            Verb::Create { path, values } => {
                let path = require(path, &[Level::Object, Level::Instance])?;
                let instance = content::instance(&self.specs()?, path, &values).map_err(Failure::Usage)?;
                let url = self.url(&path.up_to(Level::Object), "");
                let answer = self.api.post(&url, "application/json", &instance.to_string())?;
                self.answered(path, &answer, |_| render::created(path, &answer))
            }
            Verb::Delete { path } => {
                let path = require(path, &[Level::Instance])?;
                let answer = self.api.delete(&self.url(&path, ""))?;
                self.answered(path, &answer, |_| render::status(&answer))
            }
            Verb::Discover { path } => {
                let path = require(path, &[Level::Object, Level::Instance, Level::Resource])?;
                let answer = self.api.get_of(&self.url(&path, "/discover"), None)?;
                self.answered(path, &answer, |specs| render::links(specs, &answer["objectLinks"]))
            }
            Verb::Observe { path, count } => observe::observe(self, path, count),
            Verb::Attributes { path, attributes } => {
                let query = content::attributes(&attributes).map_err(Failure::Usage)?;
                let answer = self.api.put_attributes(&self.url(&path, "/attributes"), &query)?;
                self.answered(path, &answer, |_| render::status(&answer))
            }
        }
    }

    fn url(&self, path: &Path, suffix: &str) -> String {
        format!("/api/clients/{}{path}{suffix}", api::encoded(&self.endpoint))
    }

    fn specs(&self) -> Result<Specs, Failure> {
        Ok(Specs::new(self.api.get(&format!("/api/objectspecs/{}", api::encoded(&self.endpoint)))?))
    }

    /// Prints what a client answered, as JSON or as `text` has it; an error of the client is one of this command.
    fn answered(&self, path: Path, answer: &Json, text: impl FnOnce(&Specs) -> String) -> Result<(), Failure> {
        let success = answer["success"].as_bool().unwrap_or(false);
        if self.json {
            print(&answer.to_string());
        } else if success {
            print(&text(&self.specs()?));
        }
        self.accepted(path, answer)
    }

    /// An error of the client is one of this command.
    fn accepted(&self, path: Path, answer: &Json) -> Result<(), Failure> {
        if answer["success"].as_bool() == Some(true) {
            return Ok(());
        }
        let reason = answer["errormessage"].as_str().filter(|reason| !reason.is_empty());
        let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        Err(anyhow!("{}{path}: {}{reason}", self.endpoint, render::status(answer)).into())
    }
}

fn require(path: Path, levels: &[Level]) -> Result<Path, Failure> {
    if levels.contains(&path.level()) {
        return Ok(path);
    }
    let shapes: Vec<&str> = levels
        .iter()
        .map(|level| match level {
            Level::Root => "/",
            Level::Object => "/OBJECT",
            Level::Instance => "/OBJECT/INSTANCE",
            Level::Resource => "/OBJECT/INSTANCE/RESOURCE",
            Level::ResourceInstance => "/OBJECT/INSTANCE/RESOURCE/INSTANCE",
        })
        .collect();
    Err(Failure::usage(anyhow!("{path}: expected {}", shapes.join(" or "))))
}

/// A JSON document that has to be there.
fn parse(text: &str) -> anyhow::Result<Json> {
    match serde_json::from_str(text) {
        Ok(json) => Ok(json),
        Err(error) => bail!("the API's answer is not JSON ({error})"),
    }
}
