//! What the `ampoule` command shares with the project's tests: the runner of `.wast` scripts.

pub mod wast;
