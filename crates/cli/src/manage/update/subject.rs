//! What is updated, and what it says of itself.

use std::fmt;

use anyhow::anyhow;
use lapwing_lwm2m::definitions::{firmware_update, software_management};
use lapwing_lwm2m::model::{Path, ResourceId};
use serde_json::Value as Json;

use super::super::{Client, api};
use crate::failure::Failure;

/// The object's instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// 5/0.
    Firmware,
    /// An instance of object 9.
    Software(u16),
}

impl Subject {
    pub(super) fn instance(self) -> Path {
        match self {
            Self::Firmware => Path::object(firmware_update::OBJECT_ID).instance(0),
            Self::Software(instance) => Path::object(software_management::OBJECT_ID).instance(instance),
        }
    }

    pub(super) fn resource(self, id: ResourceId) -> Path {
        self.instance().resource(id)
    }

    /// Where a package is pushed to.
    pub(super) fn package(self) -> Path {
        self.resource(match self {
            Self::Firmware => firmware_update::PACKAGE,
            Self::Software(_) => software_management::PACKAGE,
        })
    }

    /// Where the URI of a package is written to.
    pub(super) fn uri(self) -> Path {
        self.resource(match self {
            Self::Firmware => firmware_update::PACKAGE_URI,
            Self::Software(_) => software_management::PACKAGE_URI,
        })
    }

    /// What is executed to discard a package, and with which argument.
    pub(super) fn discards(self) -> (ResourceId, &'static str) {
        match self {
            Self::Firmware => (firmware_update::CANCEL, ""),
            // Prepares for an update: what is installed stays.
            Self::Software(_) => (software_management::UNINSTALL, "1"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Firmware => f.write_str("firmware"),
            Self::Software(instance) => write!(f, "software {instance}"),
        }
    }
}

/// The instance of object 9 that is meant: the one given, or the only one.
pub(super) fn software(client: &Client, given: Option<u16>) -> Result<u16, Failure> {
    if let Some(instance) = given {
        return Ok(instance);
    }
    let registration = client.api.get(&format!("/api/clients/{}", api::encoded(&client.endpoint)))?;
    let there = &registration["availableInstances"][software_management::OBJECT_ID.to_string()];
    let there: Vec<u16> =
        there.as_array().into_iter().flatten().filter_map(|id| id.as_u64()?.try_into().ok()).collect();
    match there.as_slice() {
        [] => Err(anyhow!("{} has no software that can be managed (object 9)", client.endpoint).into()),
        [one] => Ok(*one),
        many => {
            let many: Vec<String> = many.iter().map(u16::to_string).collect();
            Err(Failure::usage(anyhow!("name one of the instances by --instance: {}", many.join(", "))))
        }
    }
}

/// What the instance says, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// 5/0/3 or 9/x/7.
    pub(super) state: u64,
    /// 5/0/5 or 9/x/9.
    pub(super) result: u64,
    /// 9/x/12.
    pub(super) active: bool,
    /// 9/x/21.
    pub(super) operational: Option<u64>,
    /// 9/x/16.
    pub(super) reason: String,
}

impl Snapshot {
    /// From the node of an instance (docs/api/http.md).
    pub(super) fn of(subject: Subject, instance: &Json) -> Self {
        let value = |id: ResourceId| {
            let mut resources = instance["resources"].as_array().into_iter().flatten();
            Some(&resources.find(|resource| resource["id"].as_u64() == Some(id.into()))?["value"])
        };
        // Integers are strings there.
        let number = |id| value(id).and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
        match subject {
            Subject::Firmware => Self {
                state: number(firmware_update::STATE).unwrap_or(0),
                result: number(firmware_update::UPDATE_RESULT).unwrap_or(0),
                ..Self::default()
            },
            Subject::Software(_) => Self {
                state: number(software_management::UPDATE_STATE).unwrap_or(0),
                result: number(software_management::UPDATE_RESULT).unwrap_or(0),
                active: value(software_management::ACTIVATION_STATE).and_then(Json::as_bool).unwrap_or(false),
                operational: number(software_management::OPERATIONAL_STATE),
                reason: value(software_management::STATUS_REASON).and_then(Json::as_str).unwrap_or("").to_owned(),
            },
        }
    }
}
