//! What a person types, and what is answered: arguments → request → view → text. It prints nothing; `bin` does.

pub mod explain;
pub mod files;
