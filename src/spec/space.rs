//! The swept settings: [search.space].

use serde_json::Value as Json;

use super::{
    document::{Content, KeyValue, Node},
    draft::{Chosen, SpecDraft},
    foreign,
    problem::At,
    reader::{Reader, found},
    sweep::{Domain, SweptSetting},
};
use crate::{
    nearest::nearest,
    numbers::whole,
    settings::{self, KEYS, SettingKey, Value, ValueKind},
};

/// The ways to search a setting.
const FORMS: [&str; 4] = ["grid", "uniform", "log_uniform", "int"];

/// Reads the swept settings of the table [search] into `draft`.
pub(super) fn read(reader: &mut Reader<'_>, search: &Node, draft: &mut SpecDraft) {
    let root = reader.root;
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
        if let Some(ReadDomain { domain, values }) = domain(reader, key, entry) {
            draft.space.push(SweptSetting { name: key.name.to_owned(), domain });
            draft.chosen.push(Chosen { key, values });
        }
    }
}

/// Reports a setting that is both fixed and swept. If the fixed value is an override, the error points at
/// the override rather than at the file.
fn refuse_fixed(reader: &mut Reader<'_>, key: &SettingKey, swept: &KeyValue, fixed: &KeyValue) {
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

/// Advice for an entry of `[search.space]` that is not a setting.
fn unknown_help(entry: &KeyValue) -> String {
    if entry.key == "seed" {
        return "to try several seeds, set `repeats` in [search]".to_owned();
    }
    if let Some(advice) = foreign::swept_advice(&entry.key, &entry.node.json()) {
        return advice;
    }
    if let Content::Table(inner) = &entry.node.content
        && let Some(inner) = inner.iter().find(|inner| settings::key(&inner.key).is_some())
    {
        return format!("write the setting alone: {} = {{ … }}", inner.key);
    }
    if let Some((name, table)) = super::keys::run_keys().find(|(name, _)| *name == entry.key) {
        return format!("`{name}` belongs in [{table}]; it changes no number, so there is nothing to sweep");
    }
    match nearest(&entry.key, KEYS.iter().map(|key| key.name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "any key of [model], [text], [train] and [early_stopping] can be swept".to_owned(),
    }
}

/// A domain, with the places of its values or bounds.
struct ReadDomain {
    domain: Domain,
    values: Vec<(Value, At)>,
}

/// The domain of a swept setting.
fn domain(reader: &mut Reader<'_>, key: &'static SettingKey, entry: &KeyValue) -> Option<ReadDomain> {
    let form = form(reader, key, entry)?;
    let Content::List(values) = &form.node.content else {
        let (name, form_name, kind) = (key.name, &form.key, form.node.content.kind());
        let help = format!("write {name} = {{ {form_name} = [ … ] }}");
        reader.findings.error(form.node.at, format!("`{form_name}` must be a list, not {kind}"), help);
        return None;
    };
    if form.key == "grid" { grid(reader, key, form, values) } else { range(reader, key, form, values) }
}

/// The single form that a swept setting has: a grid or one kind of range.
fn form<'e>(reader: &mut Reader<'_>, key: &SettingKey, entry: &'e KeyValue) -> Option<&'e KeyValue> {
    let name = key.name;
    let Content::Table(forms) = &entry.node.content else {
        let message = format!("`{name}` is {} and does not say how to search", entry.node.content.kind());
        reader.findings.error(entry.node.at, message, no_form_help(key, &entry.node));
        return None;
    };
    if !forms.is_empty()
        && !forms.iter().any(|form| FORMS.contains(&form.key.as_str()))
        && let Some(help) = other_form(key, &entry.node)
    {
        let (message, first) =
            (format!("`{name}` does not say how to search in words of a spec"), forms.first());
        reader.findings.error(first.map_or(entry.key_at, |first| first.key_at), message, help);
        return None;
    }
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

/// Advice for a swept setting that is a single value or a list.
fn no_form_help(key: &SettingKey, node: &Node) -> String {
    let (name, section) = (key.name, key.section.name());
    if let Content::List(_) = node.content {
        let domain = foreign::domain(key, &node.json());
        return format!("write {name} = {}", domain.unwrap_or_else(|| "{ grid = […] }".to_owned()));
    }
    match foreign::fixed(key, &node.json()).map(|value| foreign::quoted(&value)) {
        Some(value) => {
            format!(
                "fix it in [{section}] instead: {name} = {value}; or write {name} = {{ grid = [{value}] }}"
            )
        }
        None => format!("fix it in [{section}] instead, or write {name} = {{ grid = […] }}"),
    }
}

/// The line that says in words of a spec what other programs write otherwise; `None` if it is not certain.
fn other_form(key: &SettingKey, described: &Node) -> Option<String> {
    let json = described.json();
    if let Some(value) = json.get("value").and_then(|value| foreign::fixed(key, value)) {
        let (section, value) = (key.section.name(), foreign::quoted(&value));
        return Some(format!("it has one value: write {} = {value} in [{section}] instead", key.name));
    }
    foreign::domain(key, &json).map(|domain| format!("write {} = {domain}", key.name))
}

/// The domain of a list of values.
fn grid(
    reader: &mut Reader<'_>,
    key: &'static SettingKey,
    form: &KeyValue,
    values: &[Node],
) -> Option<ReadDomain> {
    if values.is_empty() {
        let message = format!("the grid of `{}` is empty", key.name);
        reader.findings.error(form.node.at, message, "list at least one value, or remove the line");
        return None;
    }
    let mut read = Vec::new();
    let mut distinct: Vec<Value> = Vec::new();
    // The loop goes on after a refused value, so that every wrong value is reported.
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
    (!read.is_empty()).then_some(ReadDomain { domain: Domain::Grid(distinct), values: read })
}

/// The domain of two bounds.
fn range(
    reader: &mut Reader<'_>,
    key: &'static SettingKey,
    form: &KeyValue,
    bounds: &[Node],
) -> Option<ReadDomain> {
    let name = key.name;
    if let Some(help) = form_refused(key, &form.key) {
        let meant = Json::Object([(form.key.clone(), form.node.json())].into_iter().collect());
        let help = foreign::domain(key, &meant)
            .map_or_else(|| help.to_owned(), |domain| format!("write {name} = {domain}"));
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
    Some(ReadDomain { domain, values: vec![(low_value, low.at), (high_value, high.at)] })
}

/// Reports a range whose bounds are equal or reversed.
fn refuse_order(
    reader: &mut Reader<'_>,
    form: &KeyValue,
    name: &str,
    [low, high]: [&Value; 2],
    reversed: bool,
) {
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

/// Advice, if a setting cannot be searched by a range of this form.
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

/// One bound of a range.
fn bound(reader: &mut Reader<'_>, key: &SettingKey, form: &KeyValue, node: &Node) -> Option<Value> {
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

/// The number that a node holds.
fn number(node: &Node) -> Option<f64> {
    match node.content {
        Content::Float(float) => Some(float),
        Content::Int(int) => Some(whole(int)),
        _ => None,
    }
}
