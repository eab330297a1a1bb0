//! Who made the machine: SMBIOS (DMI) on PCs, the device tree elsewhere.

use std::path::Path;

use super::{read_optional, read_value};
use crate::platform::{Identity, Result};

/// What firmware makers leave in DMI fields that they did not fill in (compared without case).
const PLACEHOLDERS: &[&str] = &[
    "to be filled by o.e.m.",
    "to be filled by o.e.m",
    "default string",
    "not specified",
    "not applicable",
    "not available",
    "system manufacturer",
    "system product name",
    "system version",
    "system serial number",
    "o.e.m.",
    "oem",
    "unknown",
    "none",
    "n/a",
    "0",
    "0123456789",
    "123456789",
    "invalid",
    "empty",
];

pub(super) fn read(root: &Path) -> Result<Identity> {
    let dmi = root.join("sys/class/dmi/id");
    let dmi =
        |name: &str| -> Result<Option<String>> { Ok(read_value(&dmi.join(name))?.filter(|v| !is_placeholder(v))) };
    let tree = root.join("proc/device-tree");
    let maker = read_optional(&tree.join("compatible"))?.as_deref().and_then(tree_maker);
    let model = read_value(&tree.join("model"))?.map(|model| tree_model(model, maker.as_deref()));
    Ok(Identity {
        manufacturer: dmi("sys_vendor")?.or(dmi("board_vendor")?).or(maker),
        model: dmi("product_name")?.or(dmi("board_name")?).or(model),
        serial: match dmi("product_serial")?.or(dmi("board_serial")?) {
            Some(serial) => Some(serial),
            None => read_value(&tree.join("serial-number"))?,
        },
        hardware_version: dmi("product_version")?.or(dmi("board_version")?),
    })
}

fn is_placeholder(value: &str) -> bool {
    PLACEHOLDERS.iter().any(|placeholder| value.eq_ignore_ascii_case(placeholder))
}

/// The maker's prefix of the most specific `compatible` string (Devicetree Specification section 2.3.1: `manufacturer,model`).
fn tree_maker(compatible: &str) -> Option<String> {
    let (maker, _) = compatible.split('\0').next()?.split_once(',')?;
    (!maker.is_empty()).then(|| maker.to_owned())
}

/// The `model` property without the maker's prefix, which the specification recommends and few boards have (section 2.3.2).
fn tree_model(model: String, maker: Option<&str>) -> String {
    let short = maker.and_then(|maker| model.strip_prefix(maker)?.strip_prefix(','));
    short.map(str::to_owned).unwrap_or(model)
}
