//! The program: everything is in the library.

fn main() -> sweep::cli::Exit {
    sweep::cli::main()
}
