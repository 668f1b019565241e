//! Waiting for what another process does, and for the clock.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Waits until a snapshot that is made now has another name than the last one:
/// names have whole seconds.
pub fn next_second() {
    sleep(Duration::from_millis(1100));
}

/// Waits until there is something at `path`.
///
/// # Panics
/// When nothing comes for a minute.
pub fn wait_for(path: &Path) {
    let began = Instant::now();
    while !path.exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "{} never came", path.display());
        sleep(Duration::from_millis(20));
    }
}
