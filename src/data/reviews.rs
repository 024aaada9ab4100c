//! TEMPORARY
/// TEMPORARY
pub fn vocabulary() -> Vec<char> {
    Vec::new()
}
