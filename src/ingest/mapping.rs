//! Which columns are which fields.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::IngestError;
use crate::dataset::ColumnMap;

/// A field of items or interactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it is called in a mapping.
    pub name: &'static str,
    /// Whether every file must have it.
    pub required: bool,
    /// Whether it holds several texts.
    pub list: bool,
}

const fn required(name: &'static str) -> Field {
    Field {
        name,
        required: true,
        list: false,
    }
}

const fn optional(name: &'static str) -> Field {
    Field {
        name,
        required: false,
        list: false,
    }
}

const fn list(name: &'static str) -> Field {
    Field {
        name,
        required: false,
        list: true,
    }
}

/// Fields of an item, in the order in which rows give them.
pub const ITEM_FIELDS: [Field; 6] = [
    required("item_id"),
    required("title"),
    optional("description"),
    list("tags"),
    list("queries"),
    optional("popularity"),
];

/// Fields of an interaction, in the order in which rows give them.
pub const INTERACTION_FIELDS: [Field; 4] = [
    required("user_id"),
    required("item_id"),
    required("timestamp"),
    optional("weight"),
];

/// Which columns are which fields. A field that is not mentioned is the column of its own name.
///
/// Read from a file, it has the tables `[items]` and `[interactions]` of `field = "column"` or
/// `field = ["column", ...]`; columns are joined where there are several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Tables")]
pub struct FieldMap(ColumnMap);

/// A mapping as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    #[serde(default)]
    items: BTreeMap<String, Columns>,
    #[serde(default)]
    interactions: BTreeMap<String, Columns>,
}

/// The columns of one field, as they are written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Columns {
    /// One, or several joined by plus signs.
    Text(String),
    List(Vec<String>),
}

impl TryFrom<Tables> for FieldMap {
    type Error = IngestError;

    fn try_from(tables: Tables) -> Result<FieldMap, IngestError> {
        let names = |columns: Columns| match columns {
            Columns::Text(text) => split(&text),
            Columns::List(names) => names,
        };
        let columns = |table: BTreeMap<String, Columns>, fields: &[Field]| {
            if let Some(name) = table.keys().find(|name| !is_among(fields, name)) {
                return Err(unknown_field(name, fields));
            }
            Ok(table
                .into_iter()
                .map(|(field, of)| (field, names(of)))
                .collect())
        };
        Ok(FieldMap(ColumnMap {
            items: columns(tables.items, &ITEM_FIELDS)?,
            interactions: columns(tables.interactions, &INTERACTION_FIELDS)?,
        }))
    }
}

impl FieldMap {
    /// A mapping as given on the command line: `item_id=imdb,tags=genres+keywords`. A field that
    /// items and interactions share, such as `item_id`, is mapped for both.
    ///
    /// # Errors
    /// The part that makes no sense.
    pub fn parse(text: &str) -> Result<FieldMap, IngestError> {
        let mut map = ColumnMap::default();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let Some((field, columns)) = part.split_once('=') else {
                return Err(IngestError::Mapping(format!(
                    "{part:?} is not of the form field=column"
                )));
            };
            let field = field.trim();
            let mut known = false;
            for (fields, map) in [
                (&ITEM_FIELDS[..], &mut map.items),
                (&INTERACTION_FIELDS[..], &mut map.interactions),
            ] {
                if !is_among(fields, field) {
                    continue;
                }
                known = true;
                if map.insert(field.into(), split(columns)).is_some() {
                    return Err(IngestError::Mapping(format!(
                        "{field} is mapped twice; several columns are joined by plus signs: \
                         {field}=A+B"
                    )));
                }
            }
            if !known {
                let all = [&ITEM_FIELDS[..], &INTERACTION_FIELDS[..]].concat();
                return Err(unknown_field(field, &all));
            }
        }
        Ok(FieldMap(map))
    }

    /// The columns by field, for those that the mapping names.
    pub fn columns(&self) -> &ColumnMap {
        &self.0
    }

    /// The columns of each item field.
    pub(super) fn item_columns(&self) -> Vec<FieldColumns> {
        columns(&ITEM_FIELDS, &self.0.items)
    }

    /// The columns of each interaction field.
    pub(super) fn interaction_columns(&self) -> Vec<FieldColumns> {
        columns(&INTERACTION_FIELDS, &self.0.interactions)
    }
}

/// A field with its columns.
#[derive(Clone, Debug)]
pub(super) struct FieldColumns {
    pub field: Field,
    pub columns: Vec<String>,
    /// Whether the mapping names it, so that its columns must be there.
    pub named: bool,
}

fn columns(fields: &[Field], map: &BTreeMap<String, Vec<String>>) -> Vec<FieldColumns> {
    let of = |field: &Field| FieldColumns {
        field: *field,
        columns: map
            .get(field.name)
            .cloned()
            .unwrap_or_else(|| vec![field.name.into()]),
        named: map.contains_key(field.name),
    };
    fields.iter().map(of).collect()
}

/// The columns of `genres+keywords`.
fn split(columns: &str) -> Vec<String> {
    columns
        .split('+')
        .map(|name| name.trim().to_owned())
        .collect()
}

fn is_among(fields: &[Field], name: &str) -> bool {
    fields.iter().any(|field| field.name == name)
}

fn unknown_field(name: &str, fields: &[Field]) -> IngestError {
    let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
    IngestError::Mapping(format!(
        "there is no field {name:?}; fields are {}",
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_of_an_unknown_field_lists_the_known_ones() {
        let error = FieldMap::parse("item=imdb").unwrap_err().to_string();
        assert!(
            error.contains("\"item\"") && error.contains("item_id"),
            "{error}"
        );
        let again = FieldMap::parse("tags=a,tags=b").unwrap_err().to_string();
        assert!(again.contains("tags is mapped twice"), "{again}");
        let map = FieldMap::parse("item_id=imdb,tags=genres+cast").unwrap();
        assert_eq!(map.item_columns()[3].columns, ["genres", "cast"]);
        assert_eq!(map.interaction_columns()[1].columns, ["imdb"]);
    }
}
