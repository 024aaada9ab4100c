//! The keys at the top of a spec, and the sections whose keys are settings.

use super::{
    document::Content,
    draft::{Chosen, SpecDraft},
    paths::resolve,
    reader::{Reader, found},
    translate::folder_name,
};
use crate::settings::{KEYS, Section, Value};

/// Characters of a sweep's name, which names a folder.
const NAME_CHARACTERS_MAX: usize = 64;
/// Bytes of a sweep's name: file systems allow 255 for a folder's name.
const NAME_BYTES_MAX: usize = 200;

/// Reads the name of the sweep.
pub(super) fn name(reader: &mut Reader<'_>) -> Option<String> {
    let Some(entry) = reader.root.get("name") else {
        reader.findings.error(
            reader.root.at,
            "the spec has no `name`",
            "add a line such as name = \"first\"; it names the results folder",
        );
        return None;
    };
    let name = reader.text(entry)?;
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fault = if name.chars().count() > NAME_CHARACTERS_MAX || name.len() > NAME_BYTES_MAX {
        "is longer than 64 characters"
    } else if !name.starts_with(char::is_alphanumeric) {
        "does not start with a letter or a digit"
    } else if name.contains("..") || !name.chars().all(is_allowed) {
        "has characters that a folder's name should not have"
    } else {
        return Some(name);
    };
    let help = format!(
        "write name = \"{}\", or another name of letters, digits, `-`, `_` and single `.`; it names the results \
         folder",
        folder_name(&name)
    );
    reader.findings.error(entry.node.at, format!("the name {fault}"), help);
    None
}

/// Reads the seed, 0 by default.
pub(super) fn seed(reader: &mut Reader<'_>) -> Option<u64> {
    let Some(entry) = reader.root.get("seed") else { return Some(0) };
    let seed = match entry.node.content {
        Content::Int(seed) => u64::try_from(seed).ok(),
        _ => None,
    };
    if seed.is_none() {
        let found = found(&entry.node.content);
        let message = format!("`seed` must be a whole number from 0 to 2^63 - 1, not {found}");
        let help = match &entry.node.content {
            Content::Text(text) if text.parse::<u32>().is_ok() => {
                format!("write it without quotes: seed = {text}")
            }
            Content::List(_) => {
                "write one seed here; several seeds are tried with repeats = 3, or the like, in [search]"
                    .to_owned()
            }
            _ => "any such number will do, for example seed = 42".to_owned(),
        };
        reader.findings.error(entry.node.at, message, help);
    }
    seed
}

/// Reads the settings of `section` into `draft`.
pub(super) fn read(reader: &mut Reader<'_>, section: Section, draft: &mut SpecDraft) {
    let Some(table) = reader.table(reader.root, section.name()) else { return };
    let keys = KEYS.iter().filter(|key| key.section == section);
    let names: Vec<&str> = keys.clone().map(|key| key.name).collect();
    reader.refuse_unknown(table, Some(section.name()), &names);
    for key in keys {
        let Some(entry) = table.get(key.name) else { continue };
        let Some(value) = reader.setting(key, &entry.node) else { continue };
        draft.chosen.push(Chosen { key, values: vec![(value.clone(), entry.node.at)] });
        let value = match &value {
            Value::Text(text) if key.name == "checkpoint" => {
                Value::Text(resolve(text, reader.base(entry.node.at)))
            }
            other => other.clone(),
        };
        if let Err(error) = key.set(&mut draft.settings, &value) {
            reader.findings.error(entry.node.at, error.to_string(), key.about);
        }
    }
}
