//! From the API's JSON to lines for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lapwing_lwm2m::model::Path;
use serde_json::Value as Json;

use super::spec::Specs;
use crate::text::{printable, table};

/// A table of the registered clients.
pub(super) fn clients(clients: &Json) -> String {
    let header = ["ENDPOINT", "ADDRESS", "LWM2M", "LIFETIME", "LAST UPDATE", "OBJECTS"].map(str::to_owned);
    let rows = clients.as_array().into_iter().flatten().map(|client| {
        let text = |key: &str| client[key].as_str().unwrap_or("-").to_owned();
        let lifetime = match client["lifetime"].as_u64() {
            Some(0) => "never lapses".to_owned(),
            Some(seconds) => format!("{seconds} s"),
            None => "-".to_owned(),
        };
        [text("endpoint"), text("address"), text("lwM2mVersion"), lifetime, age(&client["lastUpdate"]), objects(client)]
    });
    let rows: Vec<[String; 6]> = std::iter::once(header).chain(rows).collect();
    table(&rows)
}

/// The ids of the objects of a client, ascending.
fn objects(client: &Json) -> String {
    let url = |link: &Json| link["url"].as_str()?.parse::<Path>().ok()?.object_id();
    let mut ids: Vec<u16> = client["objectLinks"].as_array().into_iter().flatten().filter_map(url).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.iter().map(u16::to_string).collect::<Vec<_>>().join(" ")
}

/// How long ago a date is, in milliseconds since 1970.
fn age(date: &Json) -> String {
    let Some(date) = date.as_u64() else { return "-".to_owned() };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{} s ago", now.saturating_sub(Duration::from_millis(date)).as_secs())
}

/// One line a value: path, name, value, unit.
pub(super) fn node(specs: &Specs, path: Path, node: &Json) -> String {
    let mut rows = Vec::new();
    collect(specs, path, node, &mut rows);
    table(&rows)
}

fn collect(specs: &Specs, path: Path, node: &Json, rows: &mut Vec<[String; 3]>) {
    let id = |node: &Json| node["id"].as_u64().and_then(|id| u16::try_from(id).ok());
    let parts = |list: &Json, rows: &mut Vec<[String; 3]>| {
        for part in list.as_array().into_iter().flatten() {
            if let Some(child) = id(part).and_then(|id| path.child(id)) {
                collect(specs, child, part, rows);
            }
        }
    };
    match node["kind"].as_str() {
        Some("obj") => parts(&node["instances"], rows),
        Some("instance") => parts(&node["resources"], rows),
        Some("multiResource") => {
            let mut values: Vec<(u16, &Json)> = node["values"]
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(id, value)| Some((id.parse().ok()?, value)))
                .collect();
            values.sort_by_key(|(id, _)| *id);
            for (id, value) in values {
                rows.extend(path.child(id).map(|path| row(specs, path, &node["type"], value)));
            }
        }
        _ => rows.push(row(specs, path, &node["type"], &node["value"])),
    }
}

fn row(specs: &Specs, path: Path, kind: &Json, json: &Json) -> [String; 3] {
    let spec = specs.resource(path);
    let units = match (spec.map_or("", |spec| spec.units), kind.as_str()) {
        ("", _) | (_, Some("TIME")) => String::new(),
        ("/100", _) => " %".to_owned(),
        (units, _) => format!(" {units}"),
    };
    let name = spec.map_or_else(|| "-".to_owned(), |spec| spec.name.to_owned());
    [path.to_string(), name, format!("{}{units}", value(kind, json))]
}

/// A value without quotes; control characters are escaped, since it may come from anywhere.
fn value(kind: &Json, json: &Json) -> String {
    match (kind.as_str(), json) {
        (Some("TIME"), Json::Number(milliseconds)) => {
            milliseconds.as_i64().map_or_else(|| json.to_string(), |milliseconds| date(milliseconds.div_euclid(1000)))
        }
        (Some("OBJLNK"), link) => format!("{}:{}", link["objectId"], link["objectInstanceId"]),
        (_, Json::String(text)) => printable(text),
        (_, other) => other.to_string(),
    }
}

/// Seconds since 1970 as ISO 8601 in UTC.
fn date(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Counted from 1 March of the year 0, so that leap days come last (Gregorian cycles of 146097 days).
    let shifted = days + 719_468;
    let (cycle, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, turn) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + cycle * 400 + turn;
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// One line a link: target, name, attributes.
pub(super) fn links(specs: &Specs, links: &Json) -> String {
    let rows: Vec<[String; 3]> = links
        .as_array()
        .into_iter()
        .flatten()
        .map(|link| {
            let url = link["url"].as_str().unwrap_or_default();
            let path = url.parse::<Path>().unwrap_or(Path::ROOT);
            let name = match path.ids().len() {
                1 | 2 => specs.object_name(path),
                _ => specs.resource(path).map(|spec| spec.name),
            };
            let attribute = |(name, value): (&String, &Json)| match value.as_str() {
                Some(value) => format!("{name}={}", printable(value)),
                None => name.clone(),
            };
            let attributes: Vec<String> = link["attributes"].as_object().into_iter().flatten().map(attribute).collect();
            [printable(url), name.unwrap_or("-").to_owned(), attributes.join(" ")]
        })
        .collect();
    table(&rows)
}

/// `2.05 CONTENT` from `CONTENT(205)`.
pub(super) fn status(answer: &Json) -> String {
    let status = answer["status"].as_str().unwrap_or("no status");
    let parts = status.strip_suffix(')').and_then(|status| status.split_once('('));
    match parts {
        Some((name, code)) if code.len() == 3 && code.is_ascii() => format!("{}.{} {name}", &code[..1], &code[1..]),
        _ => status.to_owned(),
    }
}

/// The path of the new instance: the client's, or the one that was asked for.
pub(super) fn created(path: Path, answer: &Json) -> String {
    match answer["location"].as_str() {
        Some(location) => format!("/{}", location.trim_start_matches('/')),
        None => path.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn specs() -> Specs {
        let resource = |id: u16, name: &str, units: &str| json!({"id": id, "name": name, "type": "integer", "instancetype": "single", "units": units});
        let resources = [resource(0, "Name", ""), resource(6, "Power", "mV"), resource(9, "Level", "/100")];
        Specs::new(json!([{"id": 3, "name": "Device", "resourcedefs": resources}]))
    }

    #[test]
    fn nodes_become_a_line_a_value() {
        let object = json!({"kind": "obj", "id": 3, "instances": [{"kind": "instance", "id": 0, "resources": [
            {"kind": "singleResource", "id": 0, "type": "STRING", "value": "a\u{1b}b"},
            {"kind": "multiResource", "id": 6, "type": "INTEGER", "values": {"10": "5", "2": "1"}},
            {"kind": "singleResource", "id": 9, "type": "INTEGER", "value": "85"},
            {"kind": "singleResource", "id": 13, "type": "TIME", "value": 1_782_000_000_000_i64},
        ]}]});
        let lines = [
            "/3/0/0     Name   a\\u{1b}b",
            "/3/0/6/2   Power  1 mV",
            "/3/0/6/10  Power  5 mV",
            "/3/0/9     Level  85 %",
            "/3/0/13    -      2026-06-21T00:00:00Z",
        ];
        assert_eq!(node(&specs(), Path::object(3), &object), lines.join("\n"));
    }

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(date(4_107_542_399), "2100-02-28T23:59:59Z");
        assert_eq!(date(-1), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn statuses_and_locations_are_written_as_lwm2m_does() {
        assert_eq!(status(&json!({"status": "CONTENT(205)"})), "2.05 CONTENT");
        assert_eq!(created(Path::object(7), &json!({"location": "7/1"})), "/7/1");
        assert_eq!(created(Path::object(7).instance(4), &json!({})), "/7/4");
    }

    #[test]
    fn links_show_names_and_attributes() {
        let list = json!([{"url": "/3", "attributes": {"ver": "1.2"}}, {"url": "/3/0/9", "attributes": {"pmin": "5", "x": null}}]);
        assert_eq!(links(&specs(), &list), "/3      Device  ver=1.2\n/3/0/9  Level   pmin=5 x");
    }

    #[test]
    fn clients_are_a_table() {
        let list = json!([{"endpoint": "gw", "address": "127.0.0.1:5", "lwM2mVersion": "1.1", "lifetime": 0, "lastUpdate": 0,
            "objectLinks": [{"url": "/4/0"}, {"url": "/3/0"}, {"url": "/3"}]}]);
        let table = clients(&list);
        assert!(table.starts_with("ENDPOINT  ADDRESS      LWM2M  LIFETIME      LAST UPDATE"), "{table}");
        assert!(table.ends_with("s ago  3 4"), "{table}");
    }
}
