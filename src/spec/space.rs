//! The `[search]` section and its space.

use super::{
    Domain, Parameter,
    document::{Content, Entry, Node},
    run,
    section::{Chosen, Draft, Reader, found},
};
use crate::{
    nearest::nearest,
    settings::{self, KEYS, SettingKey, Value, ValueKind},
};

const FORMS: [&str; 4] = ["grid", "uniform", "log_uniform", "int"];

/// Reads how much is drawn, and what.
pub(super) fn read(reader: &mut Reader<'_>, draft: &mut Draft) {
    let root = reader.root;
    let Some(search) = reader.table(root, "search") else { return };
    reader.refuse_unknown(search, Some("search"), &["samples", "repeats", "space"]);
    draft.samples = count(reader, search, "samples", 10_000);
    draft.repeats = count(reader, search, "repeats", 1_000);
    let Some(Node { content: Content::Table(entries), .. }) = reader.table(search, "space") else { return };
    for entry in entries {
        let Some(key) = settings::key(&entry.key) else {
            let message = format!("`{}` is no setting that can be swept", entry.key);
            reader.findings.error(entry.key_at, message, unknown_help(entry));
            continue;
        };
        if let Some(fixed) = root.get(key.section.name()).and_then(|section| section.node.get(key.name)) {
            refuse_fixed(reader, key, entry, fixed);
            draft.chosen.retain(|chosen| chosen.key.name != key.name);
        }
        if let Some((domain, values)) = domain(reader, key, entry) {
            draft.space.push(Parameter { name: key.name.to_owned(), domain });
            draft.chosen.push(Chosen { key, values });
        }
    }
}

/// A setting is fixed or swept, not both; an override is blamed rather than the file.
fn refuse_fixed(reader: &mut Reader<'_>, key: &SettingKey, swept: &Entry, fixed: &Entry) {
    let name = key.name;
    let message = format!("`{name}` is both fixed in [{}] and swept in [search.space]", key.section.name());
    if fixed.node.at.source > 0 {
        let value = found(&fixed.node.content);
        let help = format!("to try this value only: --set 'search.space.{name}={{ grid = [{value}] }}'");
        reader.findings.error(fixed.key_at, message, help);
    } else {
        reader.findings.error(swept.key_at, message, format!("remove one of the two `{name}`"));
    }
}

fn count(reader: &mut Reader<'_>, search: &Node, name: &str, most: u32) -> u32 {
    let Some(entry) = search.get(name) else { return 1 };
    let count = match entry.node.content {
        Content::Int(count) => u32::try_from(count).ok().filter(|count| (1..=most).contains(count)),
        _ => None,
    };
    if count.is_none() {
        let found = found(&entry.node.content);
        let message = format!("`{name}` must be a whole number from 1 to {most}, not {found}");
        let help = match name {
            "samples" => "it is the number of draws for each grid cell",
            _ => "it is the number of seeds for each configuration",
        };
        reader.findings.error(entry.node.at, message, help);
    }
    count.unwrap_or(1)
}

fn unknown_help(entry: &Entry) -> String {
    if entry.key == "seed" {
        return "to try several seeds, set `repeats` in [search]".to_owned();
    }
    if let Content::Table(inner) = &entry.node.content
        && let Some(inner) = inner.iter().find(|inner| settings::key(&inner.key).is_some())
    {
        return format!("write the setting alone: {} = {{ … }}", inner.key);
    }
    if let Some((name, table)) = run::places().find(|(name, _)| *name == entry.key) {
        return format!("`{name}` belongs in [{table}]; it changes no number, so there is nothing to sweep");
    }
    match nearest(&entry.key, KEYS.iter().map(|key| key.name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "any key of [model], [text], [train] and [early_stopping] can be swept".to_owned(),
    }
}

/// A domain, and the values or bounds in it with their places.
type Found = (Domain, Vec<(Value, super::problem::At)>);

fn domain(reader: &mut Reader<'_>, key: &'static SettingKey, entry: &Entry) -> Option<Found> {
    let form = form(reader, key, entry)?;
    let Content::List(values) = &form.node.content else {
        let (name, form_name, kind) = (key.name, &form.key, form.node.content.kind());
        let help = format!("write {name} = {{ {form_name} = [ … ] }}");
        reader.findings.error(form.node.at, format!("`{form_name}` must be a list, not {kind}"), help);
        return None;
    };
    if form.key == "grid" { grid(reader, key, form, values) } else { range(reader, key, form, values) }
}

/// The one form that a parameter has.
fn form<'e>(reader: &mut Reader<'_>, key: &SettingKey, entry: &'e Entry) -> Option<&'e Entry> {
    let name = key.name;
    let Content::Table(forms) = &entry.node.content else {
        let kind = entry.node.content.kind();
        let help = match &entry.node.content {
            Content::List(_) => format!("write {name} = {{ grid = […] }}"),
            _ => format!("fix it in [{}] instead, or write {name} = {{ grid = […] }}", key.section.name()),
        };
        let message = format!("`{name}` is {kind} and does not say how to search");
        reader.findings.error(entry.node.at, message, help);
        return None;
    };
    reader.refuse_unknown(&entry.node, Some(&format!("search.space.{name}")), &FORMS);
    let mut known = forms.iter().filter(|form| FORMS.contains(&form.key.as_str()));
    let form = known.next();
    if let (Some(form), Some(second)) = (form, known.next()) {
        let message = format!("`{name}` has two forms, `{}` and `{}`", form.key, second.key);
        reader.findings.error(second.key_at, message, "keep one of them");
        return None;
    }
    if forms.is_empty() {
        let help = format!("write {name} = {{ grid = […] }}, or a range");
        reader.findings.error(entry.node.at, format!("`{name}` has nothing to search"), help);
    }
    form
}

fn grid(reader: &mut Reader<'_>, key: &'static SettingKey, form: &Entry, values: &[Node]) -> Option<Found> {
    if values.is_empty() {
        let message = format!("the grid of `{}` is empty", key.name);
        reader.findings.error(form.node.at, message, "list at least one value, or remove the line");
        return None;
    }
    let mut read = Vec::new();
    let mut distinct: Vec<Value> = Vec::new();
    // A value that is refused here does not keep the others from further checks.
    for node in values {
        let Some(value) = reader.setting(key, node) else { continue };
        if distinct.contains(&value) {
            let message = format!("`{}` has {value} in its grid more than once", key.name);
            let help = "equal configurations are run once; set `repeats` for several seeds";
            reader.findings.warn(node.at, message, help);
        } else {
            distinct.push(value.clone());
        }
        read.push((value, node.at));
    }
    (!read.is_empty()).then_some((Domain::Grid(distinct), read))
}

fn range(reader: &mut Reader<'_>, key: &'static SettingKey, form: &Entry, bounds: &[Node]) -> Option<Found> {
    let name = key.name;
    if let Some(help) = form_refused(key, &form.key) {
        reader.findings.error(form.key_at, format!("`{name}` cannot be drawn by `{}`", form.key), help);
        return None;
    }
    let [low, high] = bounds else {
        let message = format!("the range of `{name}` has {} bounds instead of two", bounds.len());
        let help = format!("write {} = [low, high], or list values with `grid`", form.key);
        reader.findings.error(form.node.at, message, help);
        return None;
    };
    if form.key == "log_uniform" && number(low).is_some_and(|low| low <= 0.0) {
        let message = format!("the logarithmic range of `{name}` touches 0");
        let help = "start above 0, for example at 1e-6; or use { uniform = [low, high] }";
        reader.findings.error(low.at, message, help);
        return None;
    }
    let bounds = (bound(reader, key, form, low), bound(reader, key, form, high));
    let (low_value, high_value) = (bounds.0?, bounds.1?);
    let (from, to) = (low_value.as_f64()?, high_value.as_f64()?);
    if from >= to {
        refuse_order(reader, form, key.name, [&low_value, &high_value], from > to);
        return None;
    }
    let domain = match (form.key.as_str(), &low.content, &high.content) {
        ("uniform", ..) => Domain::Uniform(from, to),
        ("log_uniform", ..) => Domain::LogUniform(from, to),
        (_, Content::Int(low), Content::Int(high)) => Domain::Int(*low, *high),
        _ => return None,
    };
    Some((domain, vec![(low_value, low.at), (high_value, high.at)]))
}

fn refuse_order(reader: &mut Reader<'_>, form: &Entry, name: &str, [low, high]: [&Value; 2], reversed: bool) {
    let (message, help) = if reversed {
        (format!("the range of `{name}` is reversed: {low} is above {high}"), "swap the bounds".to_owned())
    } else {
        (
            format!("the range of `{name}` holds one value only"),
            format!("widen it, or write {{ grid = [{low}] }}"),
        )
    };
    reader.findings.error(form.node.at, message, help);
}

/// Why a form does not suit a setting, as a way out.
fn form_refused(key: &SettingKey, form: &str) -> Option<&'static str> {
    match (&key.kind, form) {
        (ValueKind::Choice(_) | ValueKind::Text | ValueKind::Freeze, _) => {
            Some("list its values: { grid = […] }")
        }
        (ValueKind::Int { .. }, "uniform" | "log_uniform") => {
            Some("it takes whole numbers: { int = [low, high] }, or a grid")
        }
        (ValueKind::Float { .. } | ValueKind::Int { .. }, _) => None,
    }
}

fn bound(reader: &mut Reader<'_>, key: &SettingKey, form: &Entry, node: &Node) -> Option<Value> {
    if form.key == "int" && !matches!(node.content, Content::Int(_)) {
        let message = format!("a bound of `int` must be a whole number, not {}", found(&node.content));
        let help = match key.kind {
            ValueKind::Float { .. } => "use { uniform = [low, high] } for other numbers".to_owned(),
            ValueKind::Int { .. } | ValueKind::Choice(_) | ValueKind::Text | ValueKind::Freeze => {
                format!("`{}` must be {}", key.name, key.kind.describe())
            }
        };
        reader.findings.error(node.at, message, help);
        return None;
    }
    reader.setting(key, node)
}

fn number(node: &Node) -> Option<f64> {
    match node.content {
        Content::Float(float) => Some(float),
        #[expect(clippy::cast_precision_loss, reason = "only its sign is looked at")]
        Content::Int(int) => Some(int as f64),
        _ => None,
    }
}
