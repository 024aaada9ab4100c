use crate::Wanted;
pub(crate) fn print(_: &Wanted) {}
