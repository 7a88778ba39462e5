//! What this program was built from and with; see `build.rs` beside Cargo.toml.

/// The version, as in Cargo.toml.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit; "unknown" where whoever built it told none.
pub const REVISION: &str = env!("BUILD_REVISION");
/// The version of the compiler.
pub const RUSTC: &str = env!("BUILD_RUSTC");
/// What `--version` says behind the name, in three lines.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nrevision ",
    env!("BUILD_REVISION"),
    "\nrustc ",
    env!("BUILD_RUSTC"),
    " for ",
    env!("BUILD_TARGET"),
);
