//! Tells the driver when it was built: a wall clock that is older is wrong.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Where builds are to be reproducible it says what time it is (reproducible-builds.org/specs/source-date-epoch).
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let told = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    println!("cargo::rustc-env=LAPWING_BUILT={}", told.unwrap_or_else(now));
}
