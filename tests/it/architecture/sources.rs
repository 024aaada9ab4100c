//! The program's source files: which uses which, and how long they are.
//!
//! A file is a module. It uses another one if it names something that the other one defines, be it
//! through re-exports. Code that only tests compile is left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use syn::{
    Attribute, File, ImplItemFn, Item, ItemFn, ItemMod, ItemUse, Macro, UseTree, Visibility,
    spanned::Spanned,
    visit::{self, Visit},
};

/// A file's place in the tree of modules: `["train", "ops"]`; the root is empty.
type ModulePath = Vec<String>;

/// A source file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Whether it begins with a `//!` line.
    pub(crate) has_header: bool,
    /// Lines before its tests.
    pub(crate) lines: usize,
    functions: Vec<Function>,
    names: Vec<ModulePath>,
    exports: BTreeMap<String, ModulePath>,
}

/// A function that is no test.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its file and name.
    pub(crate) name: String,
    /// From the first line of its signature to its last brace.
    pub(crate) lines: usize,
}

/// All files below a folder.
#[derive(Debug)]
pub(crate) struct Sources(BTreeMap<String, Source>);

impl Sources {
    pub(crate) fn read(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        read_folder(root, root, &mut files);
        let tests: BTreeSet<String> = files.values().flat_map(|(_, found)| found.tests.clone()).collect();
        let is_test =
            |name: &str| tests.iter().any(|test| name == test || name.starts_with(&format!("{test}::")));
        let kept = files.into_iter().filter(|(name, _)| !is_test(name));
        Self(kept.map(|(name, (source, _))| (name, source)).collect())
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (&String, &Source)> {
        self.0.iter()
    }

    pub(crate) fn functions(&self) -> impl Iterator<Item = &Function> {
        self.0.values().flat_map(|source| &source.functions)
    }

    /// The file that defines what `path` names, if it is one of these.
    fn definition(&self, path: &[String]) -> Option<String> {
        let mut module: ModulePath = Vec::new();
        let mut rest = path.to_vec();
        // Longer than any chain of re-exports.
        for _ in 0..64 {
            let Some((first, others)) = rest.split_first() else { break };
            let child = [module.clone(), vec![first.clone()]].concat();
            let export = self.0.get(&module.join("::")).and_then(|source| source.exports.get(first));
            match export {
                // A function may have the name of a module beside it.
                Some(target) if others.is_empty() || !self.0.contains_key(&child.join("::")) => {
                    (module, rest) = (Vec::new(), [target.clone(), others.to_vec()].concat());
                }
                _ if self.0.contains_key(&child.join("::")) => {
                    (module, rest) = (child, others.to_vec());
                }
                _ => break,
            }
        }
        (!module.is_empty() && self.0.contains_key(&module.join("::"))).then(|| module.join("::"))
    }

    /// Which files each file uses.
    fn uses(&self) -> BTreeMap<&String, BTreeSet<String>> {
        let uses = |name: &String, source: &Source| {
            let found: BTreeSet<String> =
                source.names.iter().filter_map(|path| self.definition(path)).collect();
            found.into_iter().filter(|used| used != name).collect()
        };
        self.0.iter().map(|(name, source)| (name, uses(name, source))).collect()
    }

    /// Which modules at the top each of them uses.
    pub(crate) fn module_uses(&self) -> BTreeMap<String, BTreeSet<String>> {
        let top = |name: &str| name.split("::").next().unwrap_or_default().to_owned();
        let mut modules: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, used) in self.uses() {
            let of = top(name);
            if !of.is_empty() {
                let others = used.iter().map(|used| top(used)).filter(|used| *used != of);
                modules.entry(of.clone()).or_default().extend(others);
            }
        }
        modules
    }

    /// Groups of files that use each other, directly or through others.
    pub(crate) fn circles(&self) -> Vec<Vec<String>> {
        let uses = self.uses();
        let reach = |from: &String| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(name) = open.pop() {
                let next = uses.get(&name).into_iter().flatten().filter(|used| !seen.contains(*used));
                let next: Vec<String> = next.cloned().collect();
                seen.extend(next.iter().cloned());
                open.extend(next);
            }
            seen
        };
        let reached: BTreeMap<&String, BTreeSet<String>> =
            uses.keys().map(|name| (*name, reach(name))).collect();
        let mut circles = BTreeSet::new();
        for (name, seen) in &reached {
            let circle: Vec<String> = seen.iter().filter(|it| reached[it].contains(*name)).cloned().collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }
}

fn read_folder(root: &Path, folder: &Path, files: &mut BTreeMap<String, (Source, Found)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_folder(root, &path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let module = module_of(path.strip_prefix(root).unwrap());
            files.insert(module.join("::"), read_file(&path, module));
        }
    }
}

fn module_of(path: &Path) -> ModulePath {
    let mut parts: ModulePath =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") || parts == ["lib"] {
        parts.pop();
    }
    parts
}

fn read_file(path: &Path, module: ModulePath) -> (Source, Found) {
    let text = fs::read_to_string(path).unwrap();
    let file: File = syn::parse_file(&text).unwrap();
    let children = file.items.iter().filter_map(|item| match item {
        Item::Mod(item) if item.content.is_none() => Some(item.ident.to_string()),
        _ => None,
    });
    let mut found = Found { children: children.collect(), module, ..Found::default() };
    found.visit_file(&file);
    let tests = text.lines().position(|line| line.starts_with("mod tests") || line.ends_with("mod tests {"));
    let source = Source {
        has_header: text.starts_with("//!"),
        lines: tests.unwrap_or_else(|| text.lines().count()),
        functions: std::mem::take(&mut found.functions),
        names: std::mem::take(&mut found.names),
        exports: std::mem::take(&mut found.exports),
    };
    (source, found)
}

/// What a file says.
#[derive(Debug, Default)]
struct Found {
    module: ModulePath,
    /// Modules that it declares.
    children: BTreeSet<String>,
    /// Those of them that only tests compile.
    tests: Vec<String>,
    functions: Vec<Function>,
    /// Every path that it names, from the root.
    names: Vec<ModulePath>,
    /// What it exports under names of its own, from the root.
    exports: BTreeMap<String, ModulePath>,
}

impl Found {
    /// `path` from the root; `None` for other crates.
    fn absolute(&self, path: &[String]) -> Option<ModulePath> {
        let mut base = self.module.clone();
        let mut rest = path;
        match rest.split_first()? {
            (first, others) if first == "crate" || first == "sweep" => (base, rest) = (Vec::new(), others),
            (first, others) if first == "self" => rest = others,
            (first, _) if first == "super" => {
                while let Some((_, others)) = rest.split_first().filter(|(first, _)| *first == "super") {
                    base.pop()?;
                    rest = others;
                }
            }
            (first, _) if self.children.contains(first) => {}
            _ => return None,
        }
        Some([base, rest.to_vec()].concat())
    }

    fn name(&mut self, path: &[String]) {
        self.names.extend(self.absolute(path));
    }

    fn function(&mut self, name: &str, item: &impl Spanned) {
        let span = item.span();
        let lines = span.end().line - span.start().line + 1;
        self.functions.push(Function { name: format!("{}::{name}", self.module.join("::")), lines });
    }
}

impl Visit<'_> for Found {
    fn visit_item(&mut self, item: &Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Const(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !attributes.iter().any(is_test_only) {
            visit::visit_item(self, item);
        } else if let Item::Mod(ItemMod { ident, .. }) = item {
            self.tests.push([self.module.clone(), vec![ident.to_string()]].concat().join("::"));
        }
    }

    fn visit_item_use(&mut self, item: &ItemUse) {
        let is_export = !matches!(item.vis, Visibility::Inherited);
        for (path, alias) in flat(&item.tree) {
            self.name(&path);
            if let (true, Some(target)) = (is_export, self.absolute(&path)) {
                self.exports.insert(alias, target);
            }
        }
    }

    /// Who may see an item is no use of it.
    fn visit_visibility(&mut self, _: &Visibility) {}

    fn visit_path(&mut self, path: &syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.name(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &Macro) {
        // A macro's input is no syntax yet: `crate::…` in it is found as text.
        let text = item.tokens.to_string().replace(' ', "");
        for at in text.split("crate::").skip(1) {
            let path: String =
                at.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
            let path: Vec<String> =
                ["crate"].into_iter().chain(path.split("::")).map(ToOwned::to_owned).collect();
            self.name(&path);
        }
    }

    fn visit_item_fn(&mut self, item: &ItemFn) {
        self.function(&item.sig.ident.to_string(), &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &ImplItemFn) {
        if !item.attrs.iter().any(is_test_only) {
            self.function(&item.sig.ident.to_string(), &item.block);
            visit::visit_impl_item_fn(self, item);
        }
    }
}

/// Whether an attribute is `#[cfg(test)]`, or one that asks for more besides.
fn is_test_only(attribute: &Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    let tokens = list.tokens.to_string();
    list.path.is_ident("cfg") && (tokens == "test" || tokens.contains("(test") || tokens.contains("(test ,"))
}

/// Every path of a use, with the name that it gets.
fn flat(tree: &UseTree) -> Vec<(Vec<String>, String)> {
    match tree {
        UseTree::Path(path) => {
            let first = path.ident.to_string();
            let below = |(rest, alias): (Vec<String>, String)| {
                let is_self = rest == ["self"];
                let whole = if is_self { Vec::new() } else { rest };
                (
                    std::iter::once(first.clone()).chain(whole).collect(),
                    if is_self { first.clone() } else { alias },
                )
            };
            flat(&path.tree).into_iter().map(below).collect()
        }
        UseTree::Group(group) => group.items.iter().flat_map(flat).collect(),
        UseTree::Name(name) => vec![(vec![name.ident.to_string()], name.ident.to_string())],
        UseTree::Rename(rename) => vec![(vec![rename.ident.to_string()], rename.rename.to_string())],
        UseTree::Glob(_) => vec![(Vec::new(), "*".to_owned())],
    }
}
