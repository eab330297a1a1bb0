use super::ObjectDefinition;

/// The definition as LWM2M XML, the format of OMA's registry, so that other implementations can load it.
pub fn lwm2m_xml(definition: &ObjectDefinition) -> String {
    todo!("{definition:?}")
}
