//! Ctrl-C, SIGTERM and SIGHUP: the first asks for an orderly end, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::{Failure, Result};

/// Whether someone asked for the end.
pub(super) struct Interrupt {
    /// Set by the signal handlers.
    requested: Arc<AtomicBool>,
}

impl Interrupt {
    /// Takes the signals over for the rest of this process.
    pub(super) fn install() -> Result<Self> {
        let requested = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order, so that the signal which sets the flag does not already see it set.
            flag::register_conditional_shutdown(signal, 130, Arc::clone(&requested))
                .and_then(|_| flag::register(signal, Arc::clone(&requested)))
                .map_err(|error| Failure::answer("failed to take over signals", error))?;
        }
        Ok(Self { requested })
    }

    /// Fails once the end was asked for.
    pub(super) fn check(&self) -> Result<()> {
        if self.requested.load(Ordering::Relaxed) { Err(Failure::Interrupted) } else { Ok(()) }
    }
}
