//! The exit codes of every Operator binary. The reference for users is `docs/exit-codes.md`.

use std::process::{ExitCode, Termination};

/// How a process ended, for whoever started it.
///
/// The numbers from 64 on are those of BSD's `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The work was done, or the process was asked to stop and drained.
    Ok = 0,
    /// The command ran and its answer is no: a job failed, nothing was found.
    Failed = 1,
    /// The command line was not understood.
    Usage = 2,
    /// Redis or the database could not be reached.
    Unavailable = 69,
    /// A part of the process died; this is a defect.
    Internal = 70,
    /// Ended before it had finished what it held, by a second signal; what was held is recovered by others.
    Interrupted = 75,
    /// A setting cannot be used: a bad value, a port in use, a server too old or configured to lose jobs.
    Config = 78,
}

impl Exit {
    /// Every way to end, in the order of the reference.
    pub const ALL: [Self; 7] =
        [Self::Ok, Self::Failed, Self::Usage, Self::Unavailable, Self::Internal, Self::Interrupted, Self::Config];

    /// The number the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// `main` may return an [`Exit`].
impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_lists_exactly_these_codes() {
        let document = include_str!("../../../docs/exit-codes.md");
        let documented: Vec<(u8, &str)> = document
            .lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| ")?.split('|').map(str::trim);
                Some((cells.next()?.parse().ok()?, cells.next()?))
            })
            .collect();
        let ours = Exit::ALL.map(|exit| (exit.code(), format!("{exit:?}").to_lowercase()));
        let ours: Vec<(u8, &str)> = ours.iter().map(|(code, name)| (*code, name.as_str())).collect();
        assert_eq!(documented, ours);
    }
}
