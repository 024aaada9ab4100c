//! `builtin:reviews`: placeholder, to be written.
