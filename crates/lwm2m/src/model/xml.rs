use std::fmt::Write;

use super::{ObjectDefinition, ResourceDefinition, ResourceType, Version};

/// The definition as LWM2M XML, the format of OMA's registry, so that other implementations can load it.
///
/// Definitions carry no descriptions; those elements hold the names.
///
/// ```
/// use lapwing_lwm2m::{definitions::device, model::lwm2m_xml};
///
/// assert!(lwm2m_xml(&device::V1_1).contains("<ObjectVersion>1.1</ObjectVersion>"));
/// ```
pub fn lwm2m_xml(definition: &ObjectDefinition) -> String {
    let mut xml = String::new();
    write(&mut xml, definition).expect("a String takes every write");
    xml
}

fn write(xml: &mut String, object: &ObjectDefinition) -> std::fmt::Result {
    // Only the schema of 1.1 knows Unsigned Integer and Corelnk.
    let schema = if object.lwm2m == Version::V1_0 { "LWM2M.xsd" } else { "LWM2M-v1_1.xsd" };
    let name = escape(&object.name);
    writeln!(xml, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(
        xml,
        r#"<LWM2M xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://openmobilealliance.org/tech/profiles/{schema}">"#
    )?;
    writeln!(xml, r#"  <Object ObjectType="MODefinition">"#)?;
    writeln!(xml, "    <Name>{name}</Name>")?;
    writeln!(xml, "    <Description1>{name}</Description1>")?;
    writeln!(xml, "    <ObjectID>{}</ObjectID>", object.id)?;
    writeln!(xml, "    <ObjectURN>{}</ObjectURN>", escape(&urn(object)))?;
    writeln!(xml, "    <LWM2MVersion>{}</LWM2MVersion>", object.lwm2m)?;
    writeln!(xml, "    <ObjectVersion>{}</ObjectVersion>", object.version)?;
    writeln!(xml, "    <MultipleInstances>{}</MultipleInstances>", multiplicity(object.multiple))?;
    writeln!(xml, "    <Mandatory>{}</Mandatory>", presence(object.mandatory))?;
    writeln!(xml, "    <Resources>")?;
    for resource in object.resources.iter() {
        write_resource(xml, resource)?;
    }
    writeln!(xml, "    </Resources>")?;
    writeln!(xml, "    <Description2></Description2>")?;
    writeln!(xml, "  </Object>")?;
    writeln!(xml, "</LWM2M>")
}

fn write_resource(xml: &mut String, resource: &ResourceDefinition) -> std::fmt::Result {
    let name = escape(&resource.name);
    let kind = match resource.kind {
        ResourceType::None => String::new(),
        kind => kind.to_string(),
    };
    writeln!(xml, r#"      <Item ID="{}">"#, resource.id)?;
    writeln!(xml, "        <Name>{name}</Name>")?;
    writeln!(xml, "        <Operations>{}</Operations>", resource.operations)?;
    writeln!(xml, "        <MultipleInstances>{}</MultipleInstances>", multiplicity(resource.multiple))?;
    writeln!(xml, "        <Mandatory>{}</Mandatory>", presence(resource.mandatory))?;
    writeln!(xml, "        <Type>{kind}</Type>")?;
    writeln!(xml, "        <RangeEnumeration>{}</RangeEnumeration>", escape(&resource.range))?;
    writeln!(xml, "        <Units>{}</Units>", escape(&resource.units))?;
    writeln!(xml, "        <Description>{name}</Description>")?;
    writeln!(xml, "      </Item>")
}

/// The object's URN, or one made of its number and version as OMA makes those of vendors' objects.
fn urn(object: &ObjectDefinition) -> String {
    match (object.urn.as_ref(), object.version) {
        ("", Version::V1_0) => format!("urn:oma:lwm2m:x:{}", object.id),
        ("", version) => format!("urn:oma:lwm2m:x:{}:{version}", object.id),
        (urn, _) => urn.to_owned(),
    }
}

fn multiplicity(multiple: bool) -> &'static str {
    if multiple { "Multiple" } else { "Single" }
}

fn presence(mandatory: bool) -> &'static str {
    if mandatory { "Mandatory" } else { "Optional" }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML 1.0 has no way to write other control characters.
            c if c.is_control() && !matches!(c, '\t' | '\n' | '\r') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions;
    use crate::model::Operations;

    #[test]
    fn names_the_schema_that_knows_its_types() {
        let first = lwm2m_xml(&definitions::test_object_v1_0::V1_0);
        assert!(first.contains("profiles/LWM2M.xsd\""), "{first}");
        let second = lwm2m_xml(&definitions::test_object_v1_1::V1_0);
        assert!(second.contains("profiles/LWM2M-v1_1.xsd\""), "{second}");
        assert!(second.contains("<Type>Unsigned Integer</Type>"), "{second}");
    }

    #[test]
    fn escapes_and_leaves_the_type_of_an_executable_empty() {
        static RESOURCES: &[ResourceDefinition] =
            &[ResourceDefinition::new(1, "<Boil> & \"pour\"", Operations::Execute, ResourceType::None)];
        let xml = lwm2m_xml(&ObjectDefinition::new(33_000, "Kettle", RESOURCES).version(Version::V1_1));
        assert!(xml.contains("<Name>&lt;Boil&gt; &amp; &quot;pour&quot;</Name>"), "{xml}");
        assert!(xml.contains("<Type></Type>"), "{xml}");
        assert!(xml.contains("<ObjectURN>urn:oma:lwm2m:x:33000:1.1</ObjectURN>"), "{xml}");
    }

    #[test]
    fn every_definition_gives_one_item_a_resource() {
        for definition in definitions::all() {
            let xml = lwm2m_xml(definition);
            assert_eq!(xml.matches("<Item ID=").count(), definition.resources.len(), "{xml}");
        }
    }
}
