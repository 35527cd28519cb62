//! The one place that knows signals. What stopping means is left to whoever holds the tokens.

use std::io;

use tokio_util::sync::CancellationToken;

/// The signals that ask a process to stop: SIGTERM and SIGINT, or Ctrl-C where there are no others.
///
/// From [`Signals::install`] on they no longer end the process by themselves.
#[derive(Debug)]
pub struct Signals {
    received: platform::Received,
}

impl Signals {
    /// Takes over the signals of this process. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn install() -> io::Result<Self> {
        Ok(Self { received: platform::Received::install()? })
    }

    /// Waits for the signal that asks the process to finish what it holds; gives its name.
    pub async fn first(&mut self) -> &'static str {
        self.received.next().await
    }

    /// After [`Signals::first`], waits for the signal that asks the process to end at once; gives its name.
    pub async fn second(&mut self) -> &'static str {
        self.received.next().await
    }

    /// Cancels `stop` at the first signal and `abort` at the second, then ends.
    pub async fn cancel(mut self, stop: CancellationToken, abort: CancellationToken) {
        let signal = self.first().await;
        tracing::info!(signal, "stopping; a second signal ends the process at once");
        stop.cancel();
        let signal = self.second().await;
        tracing::warn!(signal, "ending at once");
        abort.cancel();
    }
}

#[cfg(unix)]
mod platform {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    #[derive(Debug)]
    pub(super) struct Received {
        terminate: Signal,
        interrupt: Signal,
    }

    impl Received {
        pub(super) fn install() -> io::Result<Self> {
            Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
        }

        pub(super) async fn next(&mut self) -> &'static str {
            tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            }
        }
    }
}

#[cfg(windows)]
mod platform {
    use std::io;

    use tokio::signal::windows::{CtrlC, ctrl_c};

    #[derive(Debug)]
    pub(super) struct Received(CtrlC);

    impl Received {
        pub(super) fn install() -> io::Result<Self> {
            Ok(Self(ctrl_c()?))
        }

        pub(super) async fn next(&mut self) -> &'static str {
            self.0.recv().await;
            "Ctrl-C"
        }
    }
}
