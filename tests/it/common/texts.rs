//! Made-up texts whose class is plain, and a spec for them.

/// A sweep of one trial that takes a second: `tiny`, over `tiny.csv`.
pub(crate) const TINY_SPEC: &str = r#"
name = "tiny"
seed = 5
[data]
path = "tiny.csv"
positive = "good"
[text]
chunk_length = 16
chunk_stride = 4
[train]
epochs = 2
batch_size = 8
"#;

/// Words that the other class has not, by class: `good` or `bad`.
pub(crate) const WORDS: [(&str, [&str; 4]); 2] =
    [("good", ["很好", "满意", "喜欢", "推荐"]), ("bad", ["很差", "失望", "讨厌", "后悔"])];

/// The class of the text `index`, and its word.
pub(crate) fn opinion(index: usize) -> (&'static str, &'static str) {
    let (label, words) = WORDS[index % 2];
    (label, words[index / 2 % 4])
}

/// What makes some texts longer than a chunk of 16 tokens.
pub(crate) fn filler(index: usize) -> String {
    "房间里的灯".repeat(index % 5)
}

/// A table with the columns `text` and `label`.
pub(crate) fn csv<T: AsRef<str>, L: AsRef<str>>(rows: impl IntoIterator<Item = (T, L)>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["text", "label"]).unwrap();
    for (text, label) in rows {
        writer.write_record([text.as_ref(), label.as_ref()]).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

/// A table of texts that are in turn `good` and `bad`, some of them longer than a chunk of 16 tokens.
pub(crate) fn csv_of_opinions(texts: usize) -> String {
    let row = |index: usize| {
        let (label, word) = opinion(index);
        (format!("{}，{word}，第{index}次", filler(index)), label)
    };
    csv((0..texts).map(row))
}

/// A table of short texts that are in turn `good` and `bad`, each with the word of its class.
pub(crate) fn csv_of_two_words(words: [&str; 2], texts: usize) -> String {
    let row = |index: usize| (format!("{}，第{index}次", words[index % 2]), WORDS[index % 2].0);
    csv((0..texts).map(row))
}
