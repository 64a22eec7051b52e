//! What no call can return: to `tracing` with the feature of that name, else to standard error.

#[cfg(feature = "tracing")]
pub(crate) fn warn(message: &str) {
    tracing::warn!("{message}");
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn warn(message: &str) {
    eprintln!("metaparticle-sync: {message}");
}

/// What became of a grant, for `tracing` alone.
#[cfg(feature = "tracing")]
pub(crate) fn grant(name: &str, token: u64, lost: Option<crate::Reason>) {
    match lost {
        Some(reason) => tracing::warn!(name, token, %reason, "lost"),
        None => tracing::debug!(name, token, "held"),
    }
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn grant(_name: &str, _token: u64, _lost: Option<crate::Reason>) {}
