//! The next command, where arguments are missing.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The smallest spec, for those who have none yet.
const SPEC: &str = "\
  tip: a spec is a TOML file, for example first.toml:

    name = \"first\"
    [data]
    path = \"reviews.csv\"   # with the columns `text` and `label`; or \"builtin:reviews\", to try it out

    sweep run first.toml
";

/// The way to a model.
const MODEL: &str = "\
  tip: `sweep export-best` writes the best trial's model to results/NAME/best-model; then:

    sweep predict --model results/NAME/best-model \"a text\"
";

/// The tip for wrong arguments, to be printed below clap's own message.
pub(super) fn tip(error: &clap::Error) -> Option<&'static str> {
    if error.kind() != ErrorKind::MissingRequiredArgument {
        return None;
    }
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else { return None };
    let lacks = |name: &str| missing.iter().any(|argument| argument.starts_with(name));
    match () {
        () if lacks("--model") => Some(MODEL),
        () if lacks("<SPEC>") => Some(SPEC),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec;

    #[test]
    fn the_spec_of_the_tip_can_be_read() {
        let lines = SPEC.lines().filter_map(|line| line.strip_prefix("    "));
        let text: Vec<&str> = lines.filter(|line| !line.starts_with("sweep")).collect();
        let text = text.join("\n");
        let base = std::path::Path::new("/");
        let read =
            spec::parse(&spec::SpecText { name: "a", text: &text, overrides: &[], base, working: base });
        assert_eq!(read.map(|spec| spec.name).map_err(|error| error.render(false)), Ok("first".to_owned()));
    }
}
