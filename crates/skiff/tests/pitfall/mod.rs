//! By what goes wrong.

mod calls;
mod loops;
mod machines;
