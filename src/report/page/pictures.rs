//! The pictures of the page: inside of it as far as they fit, else beside it.

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Number of trials, first on the leaderboard, whose pictures are part of the page.
pub(super) const EMBEDDED_TRIALS_MAX: usize = 20;
/// Bytes of all pictures in the page. Their text is a third longer, so that the page stays below 5 MB.
const EMBEDDED_BYTES_MAX: usize = 3_500_000;

/// Gives the contents of a file beside the page, if it can be read.
pub type FileBeside<'a> = &'a dyn Fn(&str) -> Option<Vec<u8>>;

/// The files beside the page, and how many more bytes of them fit into it.
pub(super) struct Pictures<'a> {
    file: FileBeside<'a>,
    room: usize,
}

/// A picture and its size in pixels, if that is known before it is read.
pub(super) struct Picture<'a> {
    /// Its path from the page.
    pub(super) path: &'a str,
    pub(super) size: Option<(u32, u32)>,
    /// What it shows, in words; must be escaped.
    pub(super) alt: &'a str,
}

impl<'a> Pictures<'a> {
    pub(super) const fn new(file: FileBeside<'a>) -> Self {
        Self { file, room: EMBEDDED_BYTES_MAX }
    }

    /// Whether there is such a file beside the page.
    pub(super) fn is_there(&self, path: &str) -> bool {
        (self.file)(path).is_some()
    }

    /// An `img` element with the picture in it; with a link to it if it cannot be read or has no room any more.
    pub(super) fn img(&mut self, picture: &Picture<'_>) -> String {
        let Picture { path, size, alt } = picture;
        let size = size
            .map_or_else(String::new, |(width, height)| format!(" width=\"{width}\" height=\"{height}\""));
        match (self.file)(path).filter(|bytes| bytes.len() <= self.room) {
            Some(bytes) => {
                self.room -= bytes.len();
                let data = BASE64_STANDARD.encode(bytes);
                format!("<img{size} src=\"data:image/png;base64,{data}\" alt=\"{alt}\">")
            }
            None => {
                format!("<a href=\"{path}\"><img loading=\"lazy\"{size} src=\"{path}\" alt=\"{alt}\"></a>")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn img(file: FileBeside<'_>) -> String {
        Pictures::new(file).img(&Picture {
            path: "trials/0001/curve.png",
            size: Some((4, 3)),
            alt: "a curve",
        })
    }

    #[test]
    fn a_picture_is_part_of_the_page() {
        assert_eq!(
            img(&|path| (path == "trials/0001/curve.png").then(|| b"abc".to_vec())),
            "<img width=\"4\" height=\"3\" src=\"data:image/png;base64,YWJj\" alt=\"a curve\">"
        );
    }

    #[test]
    fn a_picture_that_cannot_be_read_is_linked() {
        assert!(img(&|_| None).starts_with("<a href=\"trials/0001/curve.png\"><img loading=\"lazy\""));
    }

    #[test]
    fn pictures_stop_being_part_of_the_page_where_they_would_make_it_too_large() {
        let big = |_: &str| Some(vec![0; EMBEDDED_BYTES_MAX / 2 - 1]);
        let mut pictures = Pictures::new(&big);
        let mut next = || pictures.img(&Picture { path: "a.png", size: None, alt: "" }).contains("data:");
        assert_eq!([next(), next(), next()], [true, true, false]);
    }
}
