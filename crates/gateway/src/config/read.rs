//! Typed access to a TOML table that remembers which keys were asked for.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::Value;

use super::ConfigError;
use super::secret::{Secret, SecretSource};

/// A table of the configuration; keys are taken out of it, and [`Section::finish`] refuses those that are left.
pub(super) struct Section {
    prefix: String,
    table: toml::Table,
    known: Vec<&'static str>,
    /// Where names of files begin that are not absolute.
    folder: PathBuf,
}

impl Section {
    /// The table whose keys are called `prefix` and their own name; names of files that are not absolute begin in `folder`.
    pub(super) fn new(prefix: &str, table: toml::Table, folder: &Path) -> Self {
        Self { prefix: prefix.to_owned(), table, known: Vec::new(), folder: folder.to_owned() }
    }

    /// What `convert` makes of the value; `None`: it is not what is `expected`.
    pub(super) fn take<T>(
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

    pub(super) fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    pub(super) fn string(&mut self, key: &'static str) -> Result<Option<String>, ConfigError> {
        self.take(key, "a string", |value| value.as_str().map(str::to_owned))
    }

    /// The name of a file.
    pub(super) fn file(&mut self, key: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        let name = self.take(key, "the name of a file", |value| {
            value.as_str().filter(|name| !name.is_empty()).map(PathBuf::from)
        })?;
        Ok(name.map(|name| self.folder.join(name)))
    }

    /// A secret that stands here, or in the file that another key names. It is not repeated in an error.
    pub(super) fn secret(
        &mut self,
        key: &'static str,
        file: &'static str,
    ) -> Result<Option<SecretSource>, ConfigError> {
        let path = self.file(file)?;
        self.known.push(key);
        match (self.table.remove(key), path) {
            (Some(_), Some(_)) => Err(ConfigError::Conflict { key, other: file }),
            (Some(Value::String(text)), None) => Ok(Some(SecretSource::Given(Secret::new(text)))),
            (Some(_), None) => Err(ConfigError::Secret { key, expected: "a string" }),
            (None, path) => Ok(path.map(SecretSource::File)),
        }
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

    /// What `convert` makes of a string; its error is what was expected.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        convert: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.string(key)? else { return Ok(None) };
        convert(&text).map(Some).map_err(|expected| self.refuse(key, &Value::String(text), expected))
    }

    /// What is to be said where `key` is needed and is not there.
    pub(super) fn absent(&self, key: &str) -> ConfigError {
        ConfigError::Absent { key: self.full(key) }
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

    /// A program and its arguments.
    pub(super) fn command(&mut self, key: &'static str) -> Result<Option<Vec<String>>, ConfigError> {
        self.list(key, "a list of a program and its arguments", |word| Some(word.to_owned()))
    }

    /// A table inside this one.
    pub(super) fn section(&mut self, key: &'static str) -> Result<Option<Section>, ConfigError> {
        let table = self.take(key, "a table", |value| value.as_table().cloned())?;
        Ok(table.map(|table| self.inner(&format!("{key}."), table)))
    }

    /// The tables of an array of tables.
    pub(super) fn sections(&mut self, key: &'static str) -> Result<Vec<Section>, ConfigError> {
        let tables = self.take(key, "tables", |value| {
            value.as_array()?.iter().map(|entry| entry.as_table().cloned()).collect::<Option<Vec<_>>>()
        })?;
        let tables = tables.unwrap_or_default().into_iter().enumerate();
        Ok(tables.map(|(index, table)| self.inner(&format!("{key}[{index}]."), table)).collect())
    }

    fn inner(&self, prefix: &str, table: toml::Table) -> Section {
        Section::new(&format!("{}{prefix}", self.prefix), table, &self.folder)
    }

    /// Refuses the first key that nobody asked for.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        let Some((key, _)) = self.table.iter().next() else { return Ok(()) };
        let nearest = self.known.iter().min_by_key(|known| distance(key, known)).copied().unwrap_or_default();
        let nearest = self.full(nearest);
        Err(ConfigError::UnknownKey { key: self.full(key), nearest })
    }
}

/// A value as it stands in the file; tables, in which there may be secrets, are not repeated.
fn shown(value: &Value) -> String {
    match value {
        Value::Table(_) => "a table".to_owned(),
        Value::Array(entries) if !entries.iter().all(Value::is_str) => "a list".to_owned(),
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
