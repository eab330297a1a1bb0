//! Typed access to a TOML table that remembers which keys were asked for.

use std::str::FromStr;

use toml::Value;

use super::ConfigError;

/// A table of the configuration; keys are taken out of it, and [`Section::finish`] refuses those that are left.
pub(super) struct Section {
    prefix: String,
    table: toml::Table,
    known: Vec<&'static str>,
}

impl Section {
    /// The table whose keys are called `prefix` and their own name.
    pub(super) fn new(prefix: &str, table: toml::Table) -> Self {
        Self { prefix: prefix.to_owned(), table, known: Vec::new() }
    }

    fn take<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        convert: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        self.known.push(key);
        let Some(value) = self.table.remove(key) else { return Ok(None) };
        convert(&value).map(Some).ok_or_else(|| self.refuse(key, &value, expected))
    }

    fn refuse(&self, key: &str, value: &Value, expected: impl Into<String>) -> ConfigError {
        ConfigError::Value { key: self.full(key), value: shown(value), expected: expected.into() }
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    pub(super) fn string(&mut self, key: &'static str) -> Result<Option<String>, ConfigError> {
        self.take(key, "a string", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        self.take(key, "true or false", Value::as_bool)
    }

    pub(super) fn number<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        expected: &str,
    ) -> Result<Option<T>, ConfigError> {
        self.take(key, expected, |value| T::try_from(value.as_integer()?).ok())
    }

    /// A string that `check` finds nothing wrong with; its error is what was expected.
    pub(super) fn checked_string(
        &mut self,
        key: &'static str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.string(key)? else { return Ok(None) };
        match check(&text) {
            Ok(()) => Ok(Some(text)),
            Err(expected) => Err(self.refuse(key, &Value::String(text), expected)),
        }
    }

    /// A string that stands for a `T`.
    pub(super) fn parsed<T: FromStr>(&mut self, key: &'static str, expected: &str) -> Result<Option<T>, ConfigError> {
        self.take(key, expected, |value| value.as_str()?.parse().ok())
    }

    /// A list of strings, not empty, each of which stands for a `T`.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        convert: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Vec<T>>, ConfigError> {
        self.take(key, expected, |value| {
            let entries = value.as_array().filter(|entries| !entries.is_empty())?;
            entries.iter().map(|entry| convert(entry.as_str()?)).collect()
        })
    }

    /// A table inside this one.
    pub(super) fn section(&mut self, key: &'static str) -> Result<Option<Section>, ConfigError> {
        let table = self.take(key, "a table", |value| value.as_table().cloned())?;
        Ok(table.map(|table| Section::new(&format!("{}{key}.", self.prefix), table)))
    }

    /// Refuses the first key that nobody asked for.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        let Some((key, _)) = self.table.iter().next() else { return Ok(()) };
        let nearest = self.known.iter().min_by_key(|known| distance(key, known)).copied().unwrap_or_default();
        let nearest = self.full(nearest);
        Err(ConfigError::UnknownKey { key: self.full(key), nearest })
    }
}

/// A value as it stands in the file; tables are not repeated.
fn shown(value: &Value) -> String {
    match value {
        Value::Table(_) => "a table".to_owned(),
        value => value.to_string(),
    }
}

/// How many characters must be inserted, removed or replaced to make `b` of `a` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances_count_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("lifetime", "lifetime"), 0);
        assert_eq!(distance("lifetme", "lifetime"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
