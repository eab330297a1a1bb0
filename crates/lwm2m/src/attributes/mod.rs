//! The attributes that say when a change is notified (LwM2M Core 1.1 sections 5.1 and 7.3.2).
//!
//! A server sets them with Write-Attributes on a path. What counts for an observation is the sum of the levels above
//! it, the deepest winning: [`AttributeTable`] keeps them (one table a server) and [`AttributeTable::effective`] sums up.
//! [`Attributes::crossed`] and [`Attributes::stepped`] say whether a change of a number is worth a notification.

#[cfg(test)]
mod tests;
mod thresholds;

use std::collections::BTreeMap;
use std::fmt;

use crate::model::{Level, ObjectDefinition, Path};

/// The notification attributes at one level, or the sum of several.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Attributes {
    /// The minimum period between two notifications, in seconds.
    pub pmin: Option<u32>,
    /// The maximum period between two notifications, in seconds.
    pub pmax: Option<u32>,
    /// Notify when the value crosses this, in both directions.
    pub gt: Option<f64>,
    /// Notify when the value crosses this, in both directions.
    pub lt: Option<f64>,
    /// Notify when the value differs from the one notified last by at least this.
    pub st: Option<f64>,
    /// The minimum period between two evaluations of the value, in seconds (from LwM2M 1.1).
    pub epmin: Option<u32>,
    /// The maximum period between two evaluations of the value, in seconds (from LwM2M 1.1).
    pub epmax: Option<u32>,
}

impl Attributes {
    /// No attribute at all.
    pub const NONE: Attributes =
        Attributes { pmin: None, pmax: None, gt: None, lt: None, st: None, epmin: None, epmax: None };

    /// Whether no attribute is set.
    pub fn is_empty(&self) -> bool {
        *self == Attributes::NONE
    }

    /// These attributes, completed by those of a level above where these say nothing.
    pub fn or(&self, above: &Attributes) -> Attributes {
        Attributes {
            pmin: self.pmin.or(above.pmin),
            pmax: self.pmax.or(above.pmax),
            gt: self.gt.or(above.gt),
            lt: self.lt.or(above.lt),
            st: self.st.or(above.st),
            epmin: self.epmin.or(above.epmin),
            epmax: self.epmax.or(above.epmax),
        }
    }

    /// The maximum period in seconds that counts: none if it is 0 or shorter than the minimum period, in which case the
    /// standard has it ignored.
    pub fn effective_pmax(&self) -> Option<u32> {
        self.pmax.filter(|pmax| *pmax > 0 && *pmax >= self.pmin.unwrap_or(0))
    }
}

impl fmt::Display for Attributes {
    /// The attributes as they stand behind a link in a Discover answer, each with a leading semicolon: `;pmin=10;gt=-5.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |f: &mut fmt::Formatter<'_>, name, number: Option<f64>| match number {
            Some(number) => write!(f, ";{name}={number}"),
            None => Ok(()),
        };
        let seconds = |f: &mut fmt::Formatter<'_>, name, seconds: Option<u32>| match seconds {
            Some(seconds) => write!(f, ";{name}={seconds}"),
            None => Ok(()),
        };
        seconds(f, "pmin", self.pmin)?;
        seconds(f, "pmax", self.pmax)?;
        number(f, "gt", self.gt)?;
        number(f, "lt", self.lt)?;
        number(f, "st", self.st)?;
        seconds(f, "epmin", self.epmin)?;
        seconds(f, "epmax", self.epmax)
    }
}

/// What a Write-Attributes changes: each attribute is left alone, set or unset.
///
/// ```
/// use lapwing_lwm2m::attributes::Changes;
///
/// let changes: Changes = Changes::parse(["pmin=10", "pmax"]).unwrap();
/// assert_eq!(changes.pmin, Some(Some(10)));
/// assert_eq!(changes.pmax, Some(None));
/// assert_eq!(changes.gt, None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Changes {
    /// The change of [`Attributes::pmin`].
    pub pmin: Option<Option<u32>>,
    /// The change of [`Attributes::pmax`].
    pub pmax: Option<Option<u32>>,
    /// The change of [`Attributes::gt`].
    pub gt: Option<Option<f64>>,
    /// The change of [`Attributes::lt`].
    pub lt: Option<Option<f64>>,
    /// The change of [`Attributes::st`].
    pub st: Option<Option<f64>>,
    /// The change of [`Attributes::epmin`].
    pub epmin: Option<Option<u32>>,
    /// The change of [`Attributes::epmax`].
    pub epmax: Option<Option<u32>>,
}

impl Changes {
    /// Reads the Uri-Query options of a Write-Attributes: `pmin=10` sets, `pmin` alone (or `pmin=`) unsets.
    ///
    /// # Errors
    /// An unknown or doubled attribute, or a number that is none; each is answered 4.00.
    pub fn parse<'a>(queries: impl IntoIterator<Item = &'a str>) -> Result<Changes, AttributeError> {
        let mut changes = Changes::default();
        for query in queries {
            let (name, value) = query.split_once('=').unwrap_or((query, ""));
            match name {
                "pmin" => set(&mut changes.pmin, name, value, seconds)?,
                "pmax" => set(&mut changes.pmax, name, value, seconds)?,
                "gt" => set(&mut changes.gt, name, value, decimal)?,
                "lt" => set(&mut changes.lt, name, value, decimal)?,
                "st" => set(&mut changes.st, name, value, |text| decimal(text).filter(|step| *step >= 0.0))?,
                "epmin" => set(&mut changes.epmin, name, value, seconds)?,
                "epmax" => set(&mut changes.epmax, name, value, seconds)?,
                _ => return Err(AttributeError::Unknown(name.to_owned())),
            }
        }
        Ok(changes)
    }

    /// The Uri-Query options that a server sends for these changes.
    pub fn queries(&self) -> Vec<String> {
        fn push<T: fmt::Display>(queries: &mut Vec<String>, name: &str, change: Option<Option<T>>) {
            match change {
                Some(Some(value)) => queries.push(format!("{name}={value}")),
                Some(None) => queries.push(name.to_owned()),
                None => {}
            }
        }
        let mut queries = Vec::new();
        push(&mut queries, "pmin", self.pmin);
        push(&mut queries, "pmax", self.pmax);
        push(&mut queries, "gt", self.gt);
        push(&mut queries, "lt", self.lt);
        push(&mut queries, "st", self.st);
        push(&mut queries, "epmin", self.epmin);
        push(&mut queries, "epmax", self.epmax);
        queries
    }

    fn sets_thresholds(&self) -> bool {
        [self.gt, self.lt, self.st].iter().any(|change| matches!(change, Some(Some(_))))
    }

    fn apply(&self, to: &Attributes) -> Attributes {
        Attributes {
            pmin: self.pmin.unwrap_or(to.pmin),
            pmax: self.pmax.unwrap_or(to.pmax),
            gt: self.gt.unwrap_or(to.gt),
            lt: self.lt.unwrap_or(to.lt),
            st: self.st.unwrap_or(to.st),
            epmin: self.epmin.unwrap_or(to.epmin),
            epmax: self.epmax.unwrap_or(to.epmax),
        }
    }
}

fn set<T>(
    slot: &mut Option<Option<T>>,
    name: &str,
    value: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<(), AttributeError> {
    if slot.is_some() {
        return Err(AttributeError::Doubled(name.to_owned()));
    }
    *slot = Some(match value {
        "" => None,
        value => Some(parse(value).ok_or_else(|| AttributeError::Malformed(name.to_owned()))?),
    });
    Ok(())
}

fn seconds(text: &str) -> Option<u32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Digits with an optional sign and fraction. The grammar of LwM2M 1.1 has no sign, which OMA calls an oversight
/// (OMA_LwM2M_for_Developers issue 563): thresholds of a signal strength are negative.
fn decimal(text: &str) -> Option<f64> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let magnitude = text.strip_prefix('-').unwrap_or(text);
    let well_formed = match magnitude.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(magnitude),
    };
    if well_formed { text.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
}

/// The attributes that one server has set, by path.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AttributeTable {
    entries: BTreeMap<Path, Attributes>,
}

impl AttributeTable {
    /// A table without entries.
    pub fn new() -> AttributeTable {
        AttributeTable::default()
    }

    /// Applies a Write-Attributes to `path`, or changes nothing.
    ///
    /// Whether the path exists is the caller's to check first (4.04).
    ///
    /// # Errors
    /// Each is answered 4.00: gt, lt or st where there is no readable number, thresholds that contradict each other, or the root.
    pub fn write(
        &mut self,
        path: Path,
        changes: &Changes,
        definition: &ObjectDefinition,
    ) -> Result<(), AttributeError> {
        if path.level() == Level::Root {
            return Err(AttributeError::Level);
        }
        if changes.sets_thresholds() {
            check_thresholds_apply(&path, definition)?;
        }
        let attributes = changes.apply(&self.at(&path));
        let effective = attributes.or(&path.parent().map(|above| self.effective(&above)).unwrap_or_default());
        if let (Some(lt), Some(gt)) = (effective.lt, effective.gt)
            && lt + 2.0 * effective.st.unwrap_or(0.0) >= gt
        {
            return Err(AttributeError::Contradiction);
        }
        if attributes.is_empty() {
            self.entries.remove(&path);
        } else {
            self.entries.insert(path, attributes);
        }
        Ok(())
    }

    /// What was set at exactly this path.
    pub fn at(&self, path: &Path) -> Attributes {
        self.entries.get(path).copied().unwrap_or_default()
    }

    /// What counts for an observation of `path`: its own attributes, and those of the levels above where it has none.
    pub fn effective(&self, path: &Path) -> Attributes {
        let mut effective = self.at(path);
        let mut level = path.parent();
        while let Some(above) = level {
            effective = effective.or(&self.at(&above));
            level = above.parent();
        }
        effective
    }

    /// Forgets what was set at `path` and below, as when an instance is deleted.
    pub fn remove_below(&mut self, path: &Path) {
        self.entries.retain(|entry, _| !path.contains(entry));
    }

    /// Forgets everything, as when a client registers anew.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Each path that has attributes of its own, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Path, Attributes)> + '_ {
        self.entries.iter().map(|(path, attributes)| (*path, *attributes))
    }

    /// How many paths have attributes of their own.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no path has attributes.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn check_thresholds_apply(path: &Path, definition: &ObjectDefinition) -> Result<(), AttributeError> {
    let resource = path.resource_id().ok_or(AttributeError::Level)?;
    match definition.resource(resource) {
        Some(resource) if resource.kind.is_numeric() && resource.operations.readable() => Ok(()),
        _ => Err(AttributeError::NotNumeric),
    }
}

/// Why attributes are refused; always answered 4.00.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttributeError {
    /// There is no such attribute.
    #[error("unknown attribute {0:?}")]
    Unknown(String),
    /// An attribute is there twice.
    #[error("attribute {0} is there twice")]
    Doubled(String),
    /// The value is not a number of the attribute's kind.
    #[error("attribute {0} has a malformed value")]
    Malformed(String),
    /// The attribute does not go with the level of the path.
    #[error("the attribute does not apply to this level")]
    Level,
    /// gt, lt or st on something that is not a readable number.
    #[error("gt, lt and st apply to readable numbers only")]
    NotNumeric,
    /// `lt + 2 st` is not below `gt`.
    #[error("lt + 2 st must be below gt")]
    Contradiction,
}
